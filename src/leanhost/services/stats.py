"""What a session has been used for."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


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
        calls: finished calls, failed and cancelled ones included.
        items: what they were given: 1 for a single call, the number of items for a bulk call.
        elapsed: seconds spent in them, waiting for another caller's turn included.
        by_operation: the same by the name of the method.
    """

    calls: int
    items: int
    elapsed: float
    by_operation: Mapping[str, OperationStats]


class Meter:
    """Counts the calls of one session; safe from many threads."""

    __slots__ = ("_lock", "_rows")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, list[float]] = {}

    def count(self, operation: str, items: int, elapsed: float) -> None:
        """Add one call."""
        with self._lock:
            row = self._rows.setdefault(operation, [0, 0, 0.0])
            row[0] += 1
            row[1] += items
            row[2] += elapsed

    def snapshot(self) -> SessionStats:
        """Return what was counted so far; the totals are the sums of the rows."""
        with self._lock:
            rows = {name: OperationStats(int(c), int(i), e) for name, (c, i, e) in self._rows.items()}
        return SessionStats(
            sum(row.calls for row in rows.values()),
            sum(row.items for row in rows.values()),
            sum(row.elapsed for row in rows.values()),
            MappingProxyType(rows),
        )
