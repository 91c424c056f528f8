"""What a session has been used for."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class OperationStats:
    """How often one operation was called, on how many items, and for how many seconds together."""

    calls: int = 0
    items: int = 0
    elapsed: float = 0.0


@dataclass(frozen=True, slots=True)
class SessionStats:
    """A snapshot of a session's use.

    Attributes:
        calls: finished calls, failed and cancelled ones included; a listing counts once it has ended.
        items: what they were given: 1 for a single call, the number of items for a bulk call.
        elapsed: seconds spent in them, waiting for another caller's turn included.
        by_operation: the same by the name of the method (``kernel_check``, ``meta.whnf``, ``declarations.kind``).
    """

    calls: int
    items: int
    elapsed: float
    by_operation: Mapping[str, OperationStats]


Rows: TypeAlias = dict[str, list[float]]
"""By operation: calls, items, seconds."""


class Meter:
    """Counts the calls of one session; safe from many threads."""

    __slots__ = ("_lock", "_rows", "_sheets")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: Rows = {}
        self._sheets: list[Rows] = []

    def count(self, operation: str, items: int, elapsed: float, calls: float = 1) -> None:
        """Add calls, one unless told."""
        with self._lock:
            self._add(self._rows, operation, calls, items, elapsed)

    def open_sheet(self) -> Rows:
        """Return rows that one caller at a time fills on its own, without the lock; they count from now on."""
        sheet: Rows = {}
        with self._lock:
            self._sheets.append(sheet)
        return sheet

    def close_sheet(self, sheet: Rows) -> None:
        """Take over what was filled in."""
        with self._lock:
            self._sheets = [each for each in self._sheets if each is not sheet]
            for operation, (calls, items, elapsed) in sheet.items():
                self._add(self._rows, operation, calls, items, elapsed)

    def snapshot(self) -> SessionStats:
        """Return what was counted so far; the totals are the sums of the rows."""
        total: Rows = {}
        with self._lock:
            for sheet in (self._rows, *self._sheets):
                for name, (calls, items, elapsed) in list(sheet.items()):
                    self._add(total, name, calls, items, elapsed)
        rows = {name: OperationStats(int(c), int(i), e) for name, (c, i, e) in total.items()}
        return SessionStats(
            sum(row.calls for row in rows.values()),
            sum(row.items for row in rows.values()),
            sum(row.elapsed for row in rows.values()),
            MappingProxyType(rows),
        )

    @staticmethod
    def _add(rows: Rows, operation: str, calls: float, items: float, elapsed: float) -> None:
        row = rows.setdefault(operation, [0, 0, 0.0])
        row[0] += calls
        row[1] += items
        row[2] += elapsed
