"""Walks over graphs of names, without recursion: a library is deeper than Python's stack."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

N = TypeVar("N", bound=Hashable)


def reachable(roots: Iterable[N], targets: Callable[[N], Iterable[N]]) -> Iterator[N]:
    """Yield *roots* and what is reached from them, each node once; *targets* is asked when the next is wanted."""
    front = list(dict.fromkeys(roots))
    seen = set(front)
    while front:
        node = front.pop()
        yield node
        for target in targets(node):
            if target not in seen:
                seen.add(target)
                front.append(target)


def components(roots: Iterable[N], targets: Callable[[N], Iterable[N]]) -> Iterator[list[N]]:
    """Yield the strongly connected components reached from *roots*, each after those it leads to (Tarjan).

    *targets* is asked once for each node. Without circles this is a topological order.
    """
    index: dict[N, int] = {}
    low: dict[N, int] = {}
    stack: list[N] = []
    on_stack: set[N] = set()
    work: list[tuple[N, Iterator[N]]] = []

    def enter(node: N) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        on_stack.add(node)
        work.append((node, iter(targets(node))))

    for root in roots:
        if root in index:
            continue
        enter(root)
        while work:
            node, following = work[-1]
            for target in following:
                if target not in index:
                    enter(target)
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component: list[N] = []
                    while not component or component[-1] != node:
                        component.append(stack.pop())
                        on_stack.discard(component[-1])
                    yield component
