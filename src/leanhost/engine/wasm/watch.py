"""Deadlines and cancellation of supervised work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from leanhost.engine.base import Guard

_EVENT_SLICE = 0.01  # between looks at an event that only another thread sets
_LONG = 60.0


class Watch:
    """One guard being kept: asks for a stop once, then counts the grace."""

    def __init__(self, guard: Guard, token: int) -> None:
        self.guard = guard
        self._token = token
        self._asked: float | None = None

    def tick(self, now: float, interrupted: bool, cancel: Callable[[int], None]) -> float:
        """Ask for a stop when there is a reason; return the seconds until the next look."""
        guard = self.guard
        if self._asked is None:
            why = self._reason(now, interrupted)
            if not why:
                wait = _LONG if guard.cancelled is None else _EVENT_SLICE
                return wait if guard.deadline is None else min(wait, guard.deadline - now)
            guard.why = why
            self._asked = now
            if not self._token & 1:
                cancel(self._token)
        return max(self._asked + guard.grace - now, 0.0) + 0.001

    @property
    def asked(self) -> bool:
        """Whether a stop was asked for."""
        return self._asked is not None

    def repeat(self, cancel: Callable[[int], None]) -> None:
        """Ask again, if a stop was asked for: the order may have been for a time that is over."""
        if self.asked and not self._token & 1:
            cancel(self._token)

    def stuck(self, now: float) -> bool:
        """Whether the grace is over."""
        return self._asked is not None and now > self._asked + self.guard.grace

    def _reason(self, now: float, interrupted: bool) -> Literal["", "deadline", "cancelled", "interrupt"]:
        return "interrupt" if interrupted else self.guard.reason(now)
