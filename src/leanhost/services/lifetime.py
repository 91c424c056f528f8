"""How long a session lives and whose turn it is: what all its calls have in common."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Self

from leanhost.errors import Cancelled, ClosedError, EngineLost
from leanhost.services.cancellation import Cancellation
from leanhost.services.stats import Meter, SessionStats
from leanhost.services.tracing import Span, span

if TYPE_CHECKING:
    from types import TracebackType

    from leanhost.lean.core import Lean
    from leanhost.services.host import Host

_TURN_SLICE = 0.02
"""Seconds between two looks at a caller's token while another caller's work runs."""


class NotStarted(Cancelled):
    """The token was cancelled before the call's turn came."""


class Lifetime:
    """Open until closed, by itself or with its host; every call passes through :meth:`calling`."""

    def __init__(self, host: Host, lean: Lean) -> None:
        self._host = host
        self._lean = lean
        self._meter = Meter()
        self._lock = threading.Lock()
        self._running = 0
        self._closed = False
        self._freed = False
        self.owned = ExitStack()
        """What is closed with the session, at the end of a running call."""
        host.adopt(self)

    @property
    def closed(self) -> bool:
        """Whether the session or its host was closed."""
        return self._closed

    @property
    def stats(self) -> SessionStats:
        """What the session was used for so far."""
        return self._meter.snapshot()

    @contextmanager
    def calling(self, operation: str, cancellation: Cancellation = None, items: int = 1) -> Iterator[Span]:
        """Enter one call: the session is open, its turn has come; counted and traced as *operation* on
        *items*.

        Raises :class:`NotStarted` when *cancellation* came first. What the call uses of the session stays
        until the call has ended, also when the session is closed meanwhile.
        """
        begun = time.monotonic()
        with self._lock:
            self._check_open()
            self._claim()
            self._running += 1
        try:
            with span(f"leanhost.session.{operation}", engine=self._lean.engine.kind) as said:
                self._wait_turn(cancellation)
                yield said
        except EngineLost:
            if self._host.closed:
                raise ClosedError("the host was closed during this call") from None
            raise
        finally:
            self._meter.count(operation, items, time.monotonic() - begun)
            with self._lock:
                self._running -= 1
                self._free_when_done()

    def _wait_turn(self, cancellation: Cancellation) -> None:
        """Wait until no other caller's work runs, or raise."""
        if cancellation is None:
            return
        engine = self._lean.engine
        while True:
            if cancellation.is_cancelled:
                raise NotStarted("the call was cancelled before it began")
            engine.check_alive()
            if engine.lock.acquire(timeout=_TURN_SLICE):
                engine.lock.release()
                return

    def _claim(self) -> None:
        """Hook for sessions that belong to one caller; called with the session's lock held."""

    def _check_open(self) -> None:
        if self._closed:
            if self._host.closed:
                raise ClosedError("the host of this session is closed")
            raise self._closed_error()
        if self._lean.engine.lost:
            raise EngineLost(self._lean.engine.lost, hint=self._lean.engine.lost_hint)

    def _closed_error(self) -> ClosedError:
        return ClosedError("this session is closed")

    def _free_when_done(self) -> None:
        if self._closed and not self._running and not self._freed:
            self._freed = True
            self.owned.close()
            self._free()

    def _free(self) -> None:
        """Let go of what the session holds; called once, when the last call has ended."""

    def close(self) -> None:
        """Let the session's environment go, at the end of a running call; closing twice is fine."""
        with self._lock:
            self._closed = True
            self._free_when_done()

    def _abandon(self) -> None:
        """Let go of what is counted; called by the collector when nobody closed the session."""

    def __del__(self) -> None:
        # Handles are collected on their own.
        if not getattr(self, "_freed", True):
            self._freed = True
            self._abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
