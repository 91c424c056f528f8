"""Exports that number things otherwise than one after the other: read, as long as each is there before it is used."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from leanhost.services.exports.read.outcome import Refused, Replayed
from tests.support.exporting import Exporter

NAMES = {"in", "pre", "name", "param", "typeName", "levelParams", "all", "ctors", "induct", "ctor"}
LEVELS = {"il", "succ", "max", "imax", "us", "sort"}
EXPRS = {"ie", "fn", "arg", "type", "body", "value", "struct", "expr", "rhs"}

Renumber = Callable[[str, int], int]


def renumbered(data: bytes, other: Renumber) -> list[bytes]:
    """The lines of an export in which every number but those every file has is another."""

    def walk(value: Any, kind: str, key: str) -> Any:
        if isinstance(value, dict):
            return {k: walk(v, _kind(k, kind), k) for k, v in value.items()}
        if isinstance(value, list):
            return [walk(item, kind, key) for item in value]
        if type(value) is int and kind and (value or kind == "expr"):
            return other(kind, value)
        return value

    return [json.dumps(walk(json.loads(line), "", "")).encode() for line in data.splitlines()]


def _kind(key: str, outer: str) -> str:
    if key in NAMES:
        return "name"
    if key in LEVELS:
        return "level"
    return "expr" if key in EXPRS else ""


def descending(kind: str, number: int) -> int:
    return (1 << 40) - number


def sparse(kind: str, number: int) -> int:
    return 3 * number + 1


def shuffled(kind: str, number: int) -> int:
    """Another order in each block of a hundred."""
    order = list(range(100))
    random.Random(f"{kind} {number // 100}").shuffle(order)
    base = number - number % 100
    return (base or (1 << 30)) + order[number % 100]


@pytest.mark.parametrize("other", [descending, sparse, shuffled])
def test_an_export_with_other_numbers_says_the_same(native: Exporter, other: Renumber) -> None:
    data = native.file("Tree.size_leaf", "Rose", "greeting", "pair")
    plain = native.replay(data)
    replayed = native.replay(b"\n".join(renumbered(data, other)))
    assert isinstance(plain, Replayed)
    assert isinstance(replayed, Replayed)
    assert replayed.names == plain.names
    assert replayed.theorems == plain.theorems


def test_from_the_middle_on(exporter: Exporter) -> None:
    """As where two files were put together: what is in order stays as it is."""
    data = exporter.file("Tree.size_leaf", "pair")
    half = {kind: number // 2 for kind, number in (("name", 60), ("level", 4), ("expr", 120))}
    lines = renumbered(data, lambda kind, n: n if n < half[kind] else descending(kind, n))
    assert isinstance(exporter.replay(b"\n".join(lines)), Replayed)


@pytest.mark.parametrize("kind", ["name", "level", "expr"])
def test_a_number_is_given_once(native: Exporter, kind: str) -> None:
    """Also where what comes second is the same, or is in order again."""
    word = {"name": '"in"', "level": '"il"', "expr": '"ie"'}[kind].encode()
    lines = renumbered(native.file("Tree.size_leaf"), sparse)
    at = [i for i, line in enumerate(lines) if word in line]
    again = [*lines[: at[1] + 1], lines[at[0]], *lines[at[1] + 1 :]]
    outcome = native.replay(b"\n".join(again))
    assert isinstance(outcome, Refused)
    assert outcome.line == at[1] + 2
    assert "is given to a second" in outcome.reason


@pytest.mark.parametrize("kind", ["name", "level", "expr"])
def test_nothing_is_used_before_it_is_there(native: Exporter, kind: str) -> None:
    word = {"name": b'"in"', "level": b'"il"', "expr": b'"ie"'}[kind]
    lines = renumbered(native.file("Tree.size_leaf"), sparse)
    first = next(i for i, line in enumerate(lines) if word in line)
    outcome = native.replay(b"\n".join([*lines[:first], *lines[first + 1 :]]))
    assert isinstance(outcome, Refused)
    assert "there is no" in outcome.reason
