"""What answers about declarations look like in Python, and how they are read from what Lean returned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from leanhost.engine.values import Data
from leanhost.lean import names, reading
from leanhost.lean.names import NameTuple
from leanhost.lean.tables import Table
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
    found = reading.option(option)
    assert found is None or isinstance(found, int)
    return found


def read_universes(answer: Any, _count: int) -> list[tuple[Name, ...]]:
    """Read an ``Array (Option (List String))`` of names."""
    result: list[tuple[Name, ...]] = []
    for option in answer:
        found: list[Name] = []
        for text in reading.items(reading.option(option) or 0):
            assert isinstance(text, str)
            found.append(name_of(names.parse(text)))
        result.append(tuple(found))
    return result


def read_docstring(answer: Any, _count: int) -> list[Any]:
    """Read an ``Array (Option String)``."""
    return [reading.option(option) for option in answer]


def read_range(table: Table, answer: Any, count: int) -> list[SourceRange | None]:
    """Choose from three flags (recursors and their like) and three places where a range may be found."""
    auxiliary, no_confusion, recursor, own, prefix, builtin = answer
    result: list[SourceRange | None] = []
    for i in range(count):
        found = prefix[i] if auxiliary[i] or no_confusion[i] or recursor[i] else own[i]
        ranges = reading.option(found)
        if ranges is None:
            ranges = reading.option(builtin[i])
        result.append(None if ranges is None else _source_range(table, ranges))
    return result


def _source_range(table: Table, ranges: Data) -> SourceRange:
    """Read a ``DeclarationRanges``."""
    places = reading.declaration_ranges(table, ranges)
    start, end = (Position(*place) for place in places["range"])
    name_start, name_end = (Position(*place) for place in places["selectionRange"])
    return SourceRange(start, end, (name_start, name_end))


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
