"""Telling a caller how far a long call has come."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from leanhost.engine.base import Guard


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """How far a call has come.

    Attributes:
        phase: what is being done: ``"import"``, ``"elaborate"``, ``"kernel"``, or the name of a bulk operation.
        current: how much of it is done, in the unit of the phase: modules, bytes of source, declarations, items.
        total: how much there is to do in the same unit, or ``None`` where that is not known.
        elapsed: seconds since the phase began.
    """

    phase: str
    current: int
    total: int | None
    elapsed: float


ProgressSink: TypeAlias = Callable[[ProgressEvent], object]
"""Any callable; it runs on the thread that made the call. What it raises stops the call and travels out."""


class Phase:
    """Sends the events of one phase; make one only when there is a sink."""

    __slots__ = ("_begun", "_tell", "name", "total")

    def __init__(self, tell: Callable[[ProgressEvent], object], name: str, total: int | None) -> None:
        self._tell = tell
        self.name = name
        self.total = total
        self._begun = time.monotonic()

    def at(self, current: int) -> None:
        """Say that *current* of the total is done."""
        self._tell(ProgressEvent(self.name, current, self.total, time.monotonic() - self._begun))


def phase(guard: Guard, name: str, total: int | None) -> Phase | None:
    """Return the phase to report to inside supervised work, or ``None`` when nobody listens."""
    return None if guard.sink is None else Phase(guard.tell, name, total)
