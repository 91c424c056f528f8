"""The one interface between leanhost and a Lean runtime: memory, calls and references.

An engine knows object layouts and calling, and nothing of Lean's meaning. Values that go *in* are small
expression trees (:mod:`leanhost.engine.expressions`), evaluated in one step, so that an engine behind a pipe pays
one round trip for a nested call. Values that come *out* are :class:`Ref` (owned handles) or plain :data:`Data` (a
bounded copy).

The reference-counting rule, kept here and nowhere else: a :class:`Ref` owns exactly one reference. Used as an
argument it is lent (the engine takes an extra reference for the callee); wrapped in ``Give`` it is handed over.
Every called function follows Lean's boxed convention: all arguments owned and boxed, an owned result.
"""

from __future__ import annotations

import itertools
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, Literal, Protocol, TypeVar

from leanhost.engine.expressions import Arg, ArrayOf, Build, Call
from leanhost.engine.values import Data, Ref
from leanhost.errors import EngineLost, ForeignHandleError, UsageError
from leanhost.limit import Limit

T = TypeVar("T")


class Flag(Protocol):
    """Something another thread can set: a ``threading.Event``, or a token with its own deadline."""

    def is_set(self) -> bool:
        """Whether it is set."""


_LIMITS = {"deadline": Limit.TIMEOUT, "cancelled": Limit.CANCELLED, "interrupt": Limit.CANCELLED}


@dataclass(slots=True)
class Guard:
    """How long a piece of work may take and how to ask it to stop.

    ``deadline`` is on :func:`time.monotonic` (``None``: unlimited). When it passes, or when ``cancelled`` is
    set from any thread, the engine sets the Lean ``IO.CancelToken`` in ``token``, then waits ``grace`` seconds.
    Work that has not come back by then costs the engine: :class:`~leanhost.errors.EngineStuck`.
    ``why`` tells afterwards what stopped the work.

    ``sink`` takes what the work has to :meth:`tell`, in order, on the thread that waits in
    :meth:`Engine.supervise`; what it raises stops the work and travels to that caller. An engine that runs the
    work on another thread puts a ``mailbox`` here and empties it.
    """

    token: Ref
    deadline: float | None
    grace: float = 2.0
    cancelled: Flag | None = None
    why: Literal["", "deadline", "cancelled", "interrupt"] = ""
    sink: Callable[[Any], object] | None = None
    mailbox: deque[Any] | None = None
    shared: bool = False
    """Whether the token was made safe to set from another thread; kept by the engine."""

    @property
    def limit(self) -> Limit | None:
        """The limit that stopped the work: :attr:`why` as callers are told it, or ``None``."""
        return _LIMITS[self.why] if self.why else None

    @property
    def asked_to_stop(self) -> Limit | None:
        """:attr:`limit`, or a cancellation that nobody has acted on yet.

        Whoever watches the guard looks now and then; work that is quick has to look for itself.
        """
        if not self.why and self.cancelled is not None and self.cancelled.is_set():
            return Limit.CANCELLED
        return self.limit

    def reason(self, now: float) -> Literal["", "deadline", "cancelled"]:
        """Return why the work should stop at *now* (:func:`time.monotonic`), or ``""``."""
        if self.cancelled is not None and self.cancelled.is_set():
            return "cancelled"
        return "deadline" if self.deadline is not None and now >= self.deadline else ""

    def tell(self, message: object) -> None:
        """Send *message* to the sink, if there is one."""
        if self.mailbox is not None:
            self.mailbox.append(message)
        elif self.sink is not None:
            self.sink(message)

    def deliver(self) -> None:
        """Hand the messages that have arrived to the sink."""
        if self.mailbox is not None and self.sink is not None:
            while self.mailbox:
                self.sink(self.mailbox.popleft())


class Step:
    """Expressions that are evaluated again and again with other values; see :meth:`Engine.prepare`."""

    __slots__ = ("build", "engine")

    LIMIT = 100_000
    """Objects in a value that :meth:`rows` copies."""

    def __init__(self, engine: Engine, build: Build) -> None:
        self.engine = engine
        self.build = build

    def __call__(self, *values: Arg) -> list[Ref]:
        """Evaluate in one step, left to right, and own the results. Raises :class:`Thrown`."""
        return self.engine.eval_all(self.build(*values))

    def each(self, rows: Iterable[Sequence[Arg]]) -> list[list[Ref]]:
        """Evaluate once for each row of values and own the results; one round trip."""
        items = [self.build(*row) for row in rows]
        refs = iter(self.engine.eval_all([arg for item in items for arg in item]))
        return [list(itertools.islice(refs, len(item))) for item in items]

    def rows(self, rows: Iterable[Sequence[Arg]]) -> list[tuple[Data, ...]]:
        """Evaluate once for each row of values, and copy the results out; few round trips."""
        items = [ArrayOf(self.build(*row)) for row in rows]
        if not items:
            return []
        copied = self.engine.eval_data(ArrayOf(items), self.LIMIT)
        return [tuple(row) for row in copied]  # type: ignore[union-attr, arg-type]


class Engine(ABC):
    """A live Lean runtime. One call runs at a time; :attr:`lock` serialises threads."""

    kind: ClassVar[str]
    lost_hint: ClassVar[str] = "open a new host or take a new session; handles into the lost Lean are gone"
    """What to do when this engine is lost."""
    handle: ClassVar[type[Ref]] = Ref
    """The type of this engine's handles."""
    can_reset: ClassVar[bool] = False
    """Whether :meth:`snapshot` and :meth:`reset` are supported. An engine whose process forks has no need of them."""
    word: int
    """Bytes in an object word: 8 native, 4 on wasm32."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.live = 0
        self.released: deque[int] = deque()
        self.lost: str = ""
        self.roots: dict[str, Ref] = {}
        """The handles that came with the image this engine was started from."""
        self.notes: dict[str, Any] = {}
        """What was noted with that image."""

    # What an implementation provides; each is called with the lock held and the engine alive.

    @abstractmethod
    def _eval(self, args: Sequence[Arg]) -> list[int]:
        """Evaluate *args* left to right, release :attr:`released`, return owned words."""

    @abstractmethod
    def _dump(self, word: int, limit: int) -> Data:
        """Copy the object graph under *word*: at most *limit* objects, else ``ObjectTooLarge``."""

    @abstractmethod
    def missing(self, symbols: Iterable[str]) -> list[str]:
        """Return those of *symbols* that the runtime does not export."""

    @abstractmethod
    def callback(self, arity: int, function: Callable[..., Arg]) -> Ref:
        """Return a Lean closure of *arity* parameters that calls *function* with owned :class:`Ref` arguments.

        *function* may use the engine. It must not raise for control flow: Lean sees an exception that escapes it
        as the ``EIO`` error ``IO.userError "callback"``, and once Lean has returned, the exception itself is
        raised from the enclosing :meth:`eval`.
        The closure stays callable until the engine closes.
        """

    @abstractmethod
    def supervise(self, work: Callable[[], T], guard: Guard) -> T:
        """Run *work* (which uses this engine) under *guard* and return its value.

        Raises :class:`~leanhost.errors.EngineStuck` when *work* ignored its cancellation for ``guard.grace``
        seconds, and re-raises ``KeyboardInterrupt`` after cancelling when the user interrupts.
        """

    def brief(self, work: Callable[[], T], guard: Guard) -> T:
        """Run *work* like :meth:`supervise`, for calls that Lean itself bounds by heartbeats.

        An engine may run it on the caller's thread and only cancel, never give up.
        """
        return self.supervise(work, guard)

    def occupy(self, work: Callable[[], object]) -> None:
        """Run *work*, which serves others and never ends, where supervised calls run, and return at once.

        What it calls needs no second thread then. No other thread of the process can use the engine any more.
        """
        threading.Thread(target=work, name="leanhost-serve", daemon=True).start()

    def mount(self, directory: Path) -> None:  # noqa: B027 - most engines see every file
        """Let the runtime read what is in *directory*; mounting one twice is fine."""

    def start_tasks(self) -> None:  # noqa: B027 - an engine that cannot fork has nothing to start late
        """Start what was left off by ``open_engine(tasks=False)``; needed before anything is elaborated."""

    def rehearse(self, work: Callable[[], object]) -> None:
        """Run *work* in a process opened with ``tasks=False``, and leave it fit to fork: no thread stays.

        What is made on first use is then made once, and shared by the children, instead of by each of them.
        Nothing limits *work* but Lean's own heartbeats.
        """
        work()

    def snapshot(self) -> None:
        """Keep Lean's state as it is now, between two calls, for :meth:`reset`; the last snapshot counts."""
        raise UsageError(f"the {self.kind} engine cannot be reset; fork its process instead")

    def reset(self) -> None:
        """Put Lean back to the last snapshot: nothing that happened since is left.

        Handles made since end: :class:`~leanhost.errors.ClosedError` when one is used. Those made before are valid
        again, except for those that were closed. An engine that cannot be put back is lost.
        """
        raise UsageError(f"the {self.kind} engine cannot be reset; fork its process instead")

    def save(self, out: IO[bytes], key: str, roots: Mapping[str, Ref], notes: Mapping[str, Any]) -> None:
        """Write an image of Lean as it is now, between two calls; another engine can start from it.

        *roots* are handles and *notes* JSON values that it will have then. Raises
        :class:`~leanhost.errors.EngineError` when Lean holds what no other process can have: callbacks.
        """
        raise UsageError(f"the {self.kind} engine has no images; fork its process instead")

    @abstractmethod
    def private_bytes(self) -> int:
        """Return the runtime's private memory in bytes (native: private pages; wasm: the heap in use)."""

    @abstractmethod
    def close(self) -> None:
        """Stop the runtime where that is possible; closing twice is fine."""

    # What everybody uses.

    def eval(self, arg: Arg) -> Ref:
        """Evaluate one expression and own its result. Raises :class:`Thrown` from :class:`Unwrap`."""
        with self.lock:
            self.check_alive()
            return self.handle(self, self._eval((arg,))[0])

    def eval_all(self, args: Sequence[Arg]) -> list[Ref]:
        """Evaluate several expressions in one step, left to right."""
        with self.lock:
            self.check_alive()
            return [self.handle(self, word) for word in self._eval(args)]

    def call(self, symbol: str, *args: Arg) -> Ref:
        """Shorthand for ``eval(Call(symbol, args))``."""
        return self.eval(Call(symbol, args))

    def dump(self, ref: Ref, limit: int = 100_000) -> Data:
        """Copy the data reachable from *ref* into Python; ``ObjectTooLarge`` past *limit* objects."""
        with self.lock:
            self.check_alive()
            return self._dump(ref.ptr(), limit)

    def eval_data(self, arg: Arg, limit: int = 100_000) -> Data:
        """Evaluate *arg*, copy its value out and release it (an engine may do this in one round trip)."""
        with self.eval(arg) as ref:
            return self.dump(ref, limit)

    def own(self, ref: Ref) -> int:
        """Check that *ref* belongs here and return its word."""
        if ref.engine is not self:
            raise ForeignHandleError(
                "this Lean handle belongs to another engine",
                hint="use handles only with the host they came from",
            )
        return ref.ptr()

    def check_alive(self) -> None:
        """Raise :class:`~leanhost.errors.EngineLost` once the engine is gone."""
        if self.lost:
            raise EngineLost(self.lost, hint=self.lost_hint)

    def prepare(self, build: Build) -> Step:
        """Return a step to run many times: what *build* makes of the values it is run with.

        An engine may call *build* once, with stand-ins for the values, and keep what it made of them.
        """
        return Step(self, build)

    def drain(self) -> None:
        """Release every reference that was closed since the last call."""
        with self.lock:
            if self.released and not self.lost:
                self._eval(())
