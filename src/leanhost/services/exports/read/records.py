"""Lines of an export that were read and found right, and what is kept of them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from leanhost.lean.names import NameTuple


class NameLine(NamedTuple):
    """A ``Name``: its prefix by number, and its last part."""

    prefix: int
    part: str | int


class LevelLine(NamedTuple):
    """A ``Level``: ``succ``, ``max``, ``imax`` or ``param``, and what it is made of by number."""

    kind: str
    parts: tuple[int, ...]


class ExprLine(NamedTuple):
    """An ``Expr`` and what it is made of: numbers of subterms in ``exprs``, everything else in ``rest``."""

    kind: str
    exprs: tuple[int, ...]
    rest: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class DeclarationLine:
    """A declaration: the format's word for it, and its checked object."""

    line: int
    word: str
    body: dict[str, Any]


def names_of(record: DeclarationLine) -> list[int]:
    """The numbers of the names that a declaration declares, those of a family's constructors and recursors too."""
    if record.word != "inductive":
        return [record.body["name"]]
    return [part["name"] for key in ("types", "ctors", "recs") for part in record.body[key]]


def parts_of(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A declaration and everything in it that has a type or a value of its own."""
    yield body
    for key in ("types", "ctors", "recs", "rules"):
        for part in body.get(key, ()):
            if isinstance(part, dict):
                yield from parts_of(part)


def exprs_of(body: dict[str, Any]) -> list[int]:
    """The numbers of all expressions in a declaration."""
    return [part[key] for part in parts_of(body) for key in ("type", "value", "rhs") if key in part]


Record: TypeAlias = NameLine | LevelLine | ExprLine | DeclarationLine
"""One line behind the first."""


@dataclass(slots=True)
class Tables:
    """What is known of everything numbered so far, at a few bytes each."""

    names: list[tuple[int, str | int]] = field(default_factory=lambda: [(-1, "")])
    name_depth: array[int] = field(default_factory=lambda: array("I", [0]))
    level_depth: array[int] = field(default_factory=lambda: array("I", [0]))
    level_nodes: array[int] = field(default_factory=lambda: array("I", [1]))
    depth: array[int] = field(default_factory=lambda: array("I"))
    loose: array[int] = field(default_factory=lambda: array("I"))
    flags: array[int] = field(default_factory=lambda: array("B"))

    def name(self, number: int) -> NameTuple:
        """Return a numbered name."""
        parts: list[str | int] = []
        while number:
            number, part = self.names[number]
            parts.append(part)
        return tuple(reversed(parts))
