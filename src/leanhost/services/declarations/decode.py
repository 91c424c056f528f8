"""What answers about declarations look like in Python, and how they are read from what Lean returned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from leanhost.engine.values import Data, Node
from leanhost.lean import names
from leanhost.lean.names import NameTuple
from leanhost.lean.tables.queries import REDUCIBILITY
from leanhost.services.terms.expr import Name
from leanhost.services.values.results import Position

ATTRIBUTES = ("reducible", "simp", "instance", "class", "protected", "private", "deprecated")
"""What :attr:`Declaration.attributes` tells of."""


@dataclass(frozen=True, slots=True)
class SourceRange:
    """Where a declaration stands in its file; *name* is where its name does."""

    start: Position
    end: Position
    name: tuple[Position, Position]


@dataclass(frozen=True, slots=True)
class Axioms:
    """The axioms a declaration rests on.

    ``complete`` is false where the toolchain ships a library without its proofs, so that some were not seen.
    """

    names: frozenset[Name]
    complete: bool


def name_of(parts: NameTuple) -> Name:
    """Make a name of components that came from Lean, without looking at them again."""
    result = object.__new__(Name)
    object.__setattr__(result, "parts", parts)
    return result


def number(option: Data) -> int | None:
    """Read an ``Option Nat``."""
    if not isinstance(option, Node):
        return None
    assert isinstance(option.fields[0], int)
    return option.fields[0]


def read_universes(answer: Any, _count: int) -> list[tuple[Name, ...]]:
    """Read an ``Array (Option (List String))`` of names."""
    result: list[tuple[Name, ...]] = []
    for option in answer:
        found: list[Name] = []
        rest = option.fields[0] if isinstance(option, Node) else 0
        while isinstance(rest, Node):
            assert isinstance(rest.fields[0], str)
            found.append(name_of(names.parse(rest.fields[0])))
            rest = rest.fields[1]
        result.append(tuple(found))
    return result


def read_docstring(answer: Any, _count: int) -> list[Any]:
    """Read an ``Array (Option String)``."""
    return [option.fields[0] if isinstance(option, Node) else None for option in answer]


def read_range(answer: Any, count: int) -> list[SourceRange | None]:
    """Choose from three flags (recursors and their like) and three places where a range may be found."""
    auxiliary, no_confusion, recursor, own, prefix, builtin = answer
    result: list[SourceRange | None] = []
    for i in range(count):
        found = prefix[i] if auxiliary[i] or no_confusion[i] or recursor[i] else own[i]
        ranges = found if isinstance(found, Node) else builtin[i]
        result.append(_source_range(ranges.fields[0]) if isinstance(ranges, Node) else None)
    return result


def _source_range(ranges: Any) -> SourceRange:
    """Read a ``DeclarationRanges``."""
    (start, end), name = (_positions(item) for item in ranges.fields)
    return SourceRange(start, end, name)


def _positions(range_: Any) -> tuple[Position, Position]:
    """Read a ``DeclarationRange``: two positions, each with its column in UTF-16 behind it."""
    return Position(*range_.fields[0].fields), Position(*range_.fields[2].fields)


def read_attributes(answer: Any, count: int) -> list[frozenset[str]]:
    """Read the reducibility and the flags of each attribute; any of the last ones makes it ``simp``."""
    reducibility, instance, class_, protected, private, deprecated, *simp = answer
    return [
        frozenset(
            name
            for name, has in zip(
                ATTRIBUTES,
                (
                    REDUCIBILITY[reducibility[i]] == "reducible",
                    any(flags[i] for flags in simp),
                    instance[i],
                    class_[i],
                    protected[i],
                    private[i],
                    deprecated[i],
                ),
                strict=True,
            )
            if has
        )
        for i in range(count)
    ]
