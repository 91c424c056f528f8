"""Progress of a long call, reported to its caller."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from leanhost.engine.base import Guard

T = TypeVar("T")


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
    """Sends the events of one phase to *sink*, if there is one."""

    __slots__ = ("_begun", "_sink", "name", "total")

    def __init__(self, sink: ProgressSink | None, name: str, total: int | None = None) -> None:
        self._sink = sink
        self.name = name
        self.total = total
        self._begun = time.monotonic()

    def at(self, current: int) -> None:
        """Say that *current* of the total is done."""
        if self._sink is not None:
            self._sink(ProgressEvent(self.name, current, self.total, time.monotonic() - self._begun))

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """Yield *items*, and say after each how many are done."""
        for done, item in enumerate(items, 1):
            yield item
            self.at(done)


def phase(guard: Guard, name: str, total: int | None = None) -> Phase:
    """Return the phase to report to inside supervised work."""
    return Phase(None if guard.sink is None else guard.tell, name, total)
