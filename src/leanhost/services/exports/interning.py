"""Numbering what has been written, in little memory: an export's tables grow with the file."""

from __future__ import annotations

from array import array

_EMPTY = -1
_START = 1 << 10


class PairTable:
    """Numbers pairs of 64-bit words from 0, in order of first appearance.

    An open-addressing table over flat arrays: some 25 bytes a pair, where a ``dict`` of tuples takes 200.
    """

    __slots__ = ("_first", "_mask", "_second", "_slots")

    def __init__(self) -> None:
        self._first = array("Q")
        self._second = array("Q")
        self._slots = array("i", [_EMPTY]) * _START
        self._mask = _START - 1

    def __len__(self) -> int:
        return len(self._first)

    def number(self, first: int, second: int) -> int:
        """Return the pair's number; for a new pair that is ``~number``."""
        slots, mask, firsts, seconds = self._slots, self._mask, self._first, self._second
        at = hash((first, second)) & mask
        while (found := slots[at]) != _EMPTY:
            if firsts[found] == first and seconds[found] == second:
                return found
            at = (at + 1) & mask
        new = len(firsts)
        slots[at] = new
        firsts.append(first)
        seconds.append(second)
        if new * 3 > mask * 2:
            self._grow()
        return ~new

    def _grow(self) -> None:
        size = (self._mask + 1) * 2
        mask = self._mask = size - 1
        slots = self._slots = array("i", [_EMPTY]) * size
        for number, pair in enumerate(zip(self._first, self._second, strict=True)):
            at = hash(pair) & mask
            while slots[at] != _EMPTY:
                at = (at + 1) & mask
            slots[at] = number
