"""How long a session lives and whose turn it is: what all its calls have in common."""

from __future__ import annotations

import os
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NoReturn, Protocol, Self

from leanhost.errors import Cancelled, ClosedError, EngineLost, ForeignHandleError, UsageError
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.stats import Meter
from leanhost.services.values.tracing import Span, span

if TYPE_CHECKING:
    from types import TracebackType

    from leanhost.engine.values import Ref
    from leanhost.lean.core import Lean
    from leanhost.services.values.options import ElabOptions


class ProcessBound:
    """What belongs to the process that made it: sending it to another is refused, with what to do instead."""

    def __reduce__(self) -> NoReturn:
        name = type(self).__name__
        raise UsageError(
            f"a {name} belongs to the process that made it and cannot be sent to another or copied",
            hint=f"make a {name} in each process that uses one",
        )


class Closing(ABC):
    """A context manager that ends by :meth:`close`."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Release what it holds; closing twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_TURN_SLICE = 0.02
"""Seconds between two looks at a caller's token while another caller's work runs."""


class Life:
    """Whether what belongs to a host can be used: until the host is closed, in the process that opened it.

    ``over`` says why not, or is ``""``.
    """

    __slots__ = ("__weakref__", "over")

    def __init__(self) -> None:
        self.over = ""
        _lives.add(self)

    @property
    def is_foreign(self) -> bool:
        """Whether this process is a fork of the one it began in."""
        return self.over == _FORKED

    def check_home(self, what: str) -> None:
        """Raise in a fork of the process it began in: *what* stays the parent's."""
        if self.over == _FORKED:
            raise ForeignHandleError(
                f"{what} belongs to the process that forked this one",
                hint="open a host, or take a session, in the process that uses it",
            )

    def check(self, what: str) -> None:
        """Raise when it is over: *what* cannot be used."""
        self.check_home(what)
        if self.over:
            raise ClosedError(f"the host of {what} is closed")


_FORKED = "forked"
_lives: weakref.WeakSet[Life] = weakref.WeakSet()


def _after_fork() -> None:
    for life in list(_lives):
        life.over = _FORKED


os.register_at_fork(after_in_child=_after_fork)


class Closable(Protocol):
    """What ends with its host."""

    def close(self) -> object:
        """End it; twice is fine."""


class SessionOwner(Protocol):
    """What a session needs of the host it belongs to."""

    @property
    def _life(self) -> Life:
        """What the session depends on."""

    @property
    def closed(self) -> bool:
        """Whether the host was closed."""

    def _adopt(self, guest: Closable) -> None:
        """Close *guest* with the host."""

    def _lean_options(self, lean: Lean, options: ElabOptions) -> Ref:
        """Return ``Lean.Options`` with the values of *options*."""

    def _kernel_options(self, lean: Lean, options: ElabOptions) -> Ref:
        """Return the ``Lean.Options`` the kernel judges under."""


class NotStarted(Cancelled):
    """The token was cancelled before the call's turn came."""


class Access:
    """Who may use a session, and what is said to who may not; here: everybody, until it is closed."""

    def claim(self, running: int) -> None:
        """Let the calling thread in, or raise; *running* calls have not ended. Called under the session's lock."""

    def closed_error(self) -> ClosedError:
        """Return what is raised when the session is closed."""
        return ClosedError("this session is closed")


class Lifecycle:
    """How long a session lives and whose turn it is: open until closed, by itself or with its host.

    Every call goes through :meth:`calling`. Once the session is closed and no call runs, what is *owned* is closed and
    *free* called, once. If nobody closes it, the collector calls *abandon* instead. Neither may refer to the session,
    which would then be collected late.
    """

    def __init__(
        self,
        host: SessionOwner,
        lean: Lean,
        free: Callable[[], None],
        abandon: Callable[[], None],
        access: Access,
    ) -> None:
        self.life = host._life
        self.meter = Meter()
        self.owned = ExitStack()
        """What is closed with the session, at the end of a running call."""
        self._host = host
        self._lean = lean
        self._free = free
        self._abandon = abandon
        self._access = access
        self._lock = threading.Lock()
        self._running = 0
        self._closed = False
        self._freed = False
        host._adopt(self)

    @property
    def closed(self) -> bool:
        """Whether the session or its host was closed."""
        return self._closed

    @contextmanager
    def calling(self, operation: str, cancellation: Cancellation = None, items: int = 1) -> Iterator[Span]:
        """Enter one call: the session is open, its turn has come; counted and traced as *operation* on *items*.

        Raises :class:`NotStarted` when *cancellation* came first. What the call uses of the session stays
        until the call has ended, also when the session is closed meanwhile.
        """
        begun = time.monotonic()
        with self._lock:
            self.check_open()
            self._access.claim(self._running)
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
            self.meter.count(operation, items, time.monotonic() - begun)
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

    def check_open(self) -> None:
        """Raise when the session can no longer be used."""
        self.life.check("this session")
        if self._closed:
            raise self._access.closed_error()
        if self._lean.engine.lost:
            raise EngineLost(self._lean.engine.lost, hint=self._lean.engine.lost_hint)

    def close(self) -> bool:
        """Release what the session holds once a running call has ended; return whether it was open."""
        with self._lock:
            was_open, self._closed = not self._closed, True
            self._free_when_done()
        return was_open

    def _free_when_done(self) -> None:
        if self._closed and not self._running and not self._freed:
            self._freed = True
            self.owned.close()
            self._free()

    def __del__(self) -> None:
        # Handles are collected on their own.
        if not getattr(self, "_freed", True):
            self._freed = True
            self._abandon()
