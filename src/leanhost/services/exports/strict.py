"""Strict JSON values: what is not exactly what is wanted is :class:`Malformed`."""

from __future__ import annotations

import json
from typing import Any, NoReturn

_MAX_NUMBER = 1 << 63


class Malformed(Exception):
    """Why a line is refused."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a key occurs twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise Malformed("the format has natural numbers only")


def _integer(text: str) -> int:
    # Longer ones are out of every range, and slow to read.
    if len(text) > 20:
        raise Malformed("a number is out of range")
    return int(text)


decode = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=_no_number, parse_constant=_no_number, parse_int=_integer
).decode
"""Read one line: no duplicate keys, no number but natural ones of twenty digits at most."""


def exactly(value: Any, *keys: str) -> list[Any]:
    """Return the values of an object that has exactly *keys*."""
    if type(value) is not dict:
        raise Malformed(f"an object with the keys {', '.join(keys)} is wanted")
    if len(value) != len(keys):
        raise Malformed(f"the keys are {', '.join(sorted(value))}, not {', '.join(keys)}")
    try:
        return [value[key] for key in keys]
    except KeyError as missing:
        raise Malformed(f"the key {missing.args[0]} is missing") from None


def natural(value: Any, below: int) -> int:
    """Return a natural number less than *below*."""
    if type(value) is not int:
        raise Malformed("a natural number is wanted")
    if not 0 <= value < below:
        raise Malformed("a number is out of range")
    return value


class Numbers:
    """The numbers that a file gives to things of one kind, and the places at which they are kept.

    Exporters number one after the other, and then a number is a place. Other files may leave numbers out, or come to
    them in another order: from the first such number on, each is looked up.
    """

    def __init__(self, what: str, count: int) -> None:
        """Begin with *count* things that every file has."""
        self._what = what
        self._in_order = count
        self._others: dict[int, int] | None = None

    @property
    def plain(self) -> bool:
        """Whether every number so far is a place."""
        return self._others is None

    def give(self, value: Any, count: int) -> None:
        """Give the number *value* to the next thing, before which there are *count*."""
        others = self._others
        if type(value) is int and value == count and others is None:
            return
        number = natural(value, _MAX_NUMBER)
        if others is None:
            self._in_order = count
            others = self._others = {}
        if number < self._in_order or number in others:
            raise Malformed(f"the number {number} is given to a second {self._what}")
        others[number] = count

    def place(self, value: Any, count: int) -> int:
        """Return the place of the thing of number *value*, of *count* so far."""
        if type(value) is not int:
            raise Malformed(f"the number of a {self._what} is wanted")
        others = self._others
        if 0 <= value < (count if others is None else self._in_order):
            return value
        if others is not None and value in others:
            return others[value]
        raise Malformed(f"there is no {self._what} {value} yet")


def flag(value: Any) -> bool:
    """Return a boolean."""
    if not isinstance(value, bool):
        raise Malformed("true or false is wanted")
    return value


def one_of(value: Any, words: tuple[str, ...]) -> str:
    """Return one of *words*."""
    if not isinstance(value, str) or value not in words:
        raise Malformed(f"one of {', '.join(words)} is wanted")
    return value


def text(value: Any) -> str:
    """Return a string that has a UTF-8 form."""
    if not isinstance(value, str):
        raise Malformed("a string is wanted")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise Malformed("a string has half a surrogate pair") from None
    return value
