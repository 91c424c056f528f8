"""Whether every declaration of a file mentions only what comes before it, in constants and in projections.

A kernel looks up most of what a declaration mentions, but not all, and while it checks an inductive family it has types
of its own making in its environment. So nothing is left for it to find that the file has not declared.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable

from leanhost.lean.names import NameTuple, show
from leanhost.services.exports.read.strict import Malformed

EARLY = 8
"""The flag of an expression that mentions something that was not declared when the expression was read."""

IsThere = Callable[[NameTuple], bool]
"""Whether a constant is there that the file does not declare."""


class Order:
    """Keeps of expressions that mention what is not declared yet, a family's own types mostly, what they are made of.

    Every expression is looked at once: with the declaration that it is in, what it mentions is declared.
    """

    def __init__(self, is_there: IsThere, flags: array[int]) -> None:
        """Begin with nothing declared; *flags* are those of the file's expressions."""
        self._is_there = is_there
        self._flags = flags
        self._declared: set[NameTuple] = set()
        self._parts: dict[int, tuple[NameTuple, tuple[int, ...]]] = {}

    def mentioned(self, number: int, name: NameTuple, parts: tuple[int, ...] = ()) -> int:
        """Note that expression *number* mentions *name*; return the flag that it has for that."""
        if name in self._declared or self._is_there(name):
            return 0
        self._parts[number] = (name, parts)
        return EARLY

    def consists_of(self, number: int, parts: tuple[int, ...]) -> None:
        """Note what an expression with the flag consists of, which mentions nothing by itself."""
        self._parts.setdefault(number, ((), parts))

    def declare(self, names: Collection[NameTuple], exprs: Iterable[int]) -> None:
        """Take a declaration of *names*; :class:`Malformed` if *exprs* mention what was not declared before it."""
        self._declared.update(names)
        waiting = list(exprs)
        while waiting:
            number = waiting.pop()
            if not self._flags[number] & EARLY:
                continue
            self._flags[number] &= ~EARLY
            name, parts = self._parts.pop(number)
            if name and name not in self._declared:
                raise Malformed(f"{show(name)} is mentioned before it is declared")
            waiting.extend(parts)
