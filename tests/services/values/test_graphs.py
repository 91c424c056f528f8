"""Walks over graphs, compared with what is plainly true of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leanhost.services.values.graphs import components, reachable

NODES = range(7)
GRAPHS = st.fixed_dictionaries({node: st.frozensets(st.sampled_from(NODES)) for node in NODES})
Graph = dict[int, frozenset[int]]


def leads(graph: Graph, start: int) -> set[int]:
    """What *start* leads to, itself included: the least set that is closed under the edges."""
    found = {start}
    for _ in graph:
        found |= {target for node in found for target in graph[node]}
    return found


@given(GRAPHS, st.lists(st.sampled_from(NODES)))
def test_everything_reached_comes_once(graph: Graph, roots: list[int]) -> None:
    found = list(reachable(roots, graph.__getitem__))
    assert len(found) == len(set(found))
    assert set(found) == {node for root in roots for node in leads(graph, root)}


@given(GRAPHS, st.lists(st.sampled_from(NODES)))
def test_components_come_after_what_they_lead_to(graph: Graph, roots: list[int]) -> None:
    asked: list[int] = []

    def targets(node: int) -> frozenset[int]:
        asked.append(node)
        return graph[node]

    found = list(components(roots, targets))
    assert len(asked) == len(set(asked))
    assert sorted(asked) == sorted(node for part in found for node in part)
    assert set(asked) == {node for root in roots for node in leads(graph, root)}
    before: set[int] = set()
    for part in found:
        first = part[0]
        assert set(part) == {node for node in leads(graph, first) if first in leads(graph, node)}
        before |= set(part)
        assert leads(graph, first) <= before


def test_depth_is_not_that_of_the_stack() -> None:
    chain = {node: {node + 1} for node in range(100_000)} | {100_000: set()}
    assert [part[0] for part in components([0], chain.__getitem__)] == list(range(100_000, -1, -1))
    assert len(list(reachable([0], chain.__getitem__))) == 100_001
