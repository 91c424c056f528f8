"""Asking work to stop, from any thread."""

from __future__ import annotations

import time
from typing import TypeAlias

from leanhost.errors import Cancelled, UsageError


class CancellationToken:
    """Stops every call it was given to, once :meth:`cancel` is called or its deadline passes.

    Shared freely: between threads, sessions and calls, before and after use. It stays cancelled; take a new
    one for new work. Lean stops cooperatively, at its next check (``IO.CancelToken``), and the session stays
    good.

    *timeout* is in seconds from now, *deadline* on :func:`time.monotonic`; the earlier of the two counts.
    """

    __slots__ = ("__weakref__", "_cancelled", "deadline")

    def __init__(self, *, timeout: float | None = None, deadline: float | None = None) -> None:
        if timeout is not None:
            if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0:
                raise UsageError(f"timeout must be a number of seconds, not {timeout!r}")
            end = time.monotonic() + timeout
            deadline = end if deadline is None else min(end, deadline)
        # No event: one that is being set in a thread cannot be set by a signal handler in the same thread.
        self._cancelled = False
        self.deadline = deadline

    def cancel(self) -> None:
        """Ask for a stop; from any thread or signal handler, as often as wanted."""
        self._cancelled = True

    @property
    def is_cancelled(self) -> bool:
        """Whether :meth:`cancel` was called or the deadline has passed."""
        return self._cancelled or (self.deadline is not None and time.monotonic() >= self.deadline)

    def is_set(self) -> bool:
        """Return :attr:`is_cancelled`, under the name :class:`threading.Event` has for it."""
        return self.is_cancelled

    def raise_if_cancelled(self, what: str = "the work") -> None:
        """Raise :class:`~leanhost.errors.Cancelled` when this token is cancelled."""
        if self.is_cancelled:
            raise Cancelled(f"{what} was cancelled")

    def __repr__(self) -> str:
        return f"<CancellationToken{' cancelled' if self.is_cancelled else ''}>"


Cancellation: TypeAlias = CancellationToken | None


class Within(CancellationToken):
    """Is cancelled with *outer*, and *timeout* seconds from now: what bounds a call that is made of many steps."""

    __slots__ = ("_outer",)

    def __init__(self, outer: Cancellation, timeout: float) -> None:
        super().__init__(timeout=timeout)
        self._outer = outer

    @property
    def is_cancelled(self) -> bool:
        """Whether the outer token was cancelled or the time is over."""
        return super().is_cancelled or (self._outer is not None and self._outer.is_cancelled)

    @property
    def timed_out(self) -> bool:
        """Whether it was the time, and not the outer token."""
        return super().is_cancelled and not (self._outer is not None and self._outer.is_cancelled)


def check(cancellation: Cancellation, what: str) -> None:
    """Raise :class:`~leanhost.errors.Cancelled` when there is a token and it is cancelled."""
    if cancellation is not None:
        cancellation.raise_if_cancelled(what)
