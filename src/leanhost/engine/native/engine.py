"""The native engine: a ``libleanshared`` loaded into this process."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from leanhost.engine.base import Engine, Guard, Step
from leanhost.engine.checks import check_callback
from leanhost.engine.expressions import Arg, Build
from leanhost.engine.native.ffi import Library
from leanhost.engine.native.lane import Lane, LaneJob
from leanhost.engine.native.steps import NativeStep
from leanhost.engine.native.walk import Walker
from leanhost.engine.native.watchdog import Watchdog
from leanhost.engine.values import Data, Ref
from leanhost.errors import EngineError, EngineLost, EngineStuck

T = TypeVar("T")

NEAR_SECONDS = 0.02
"""How long work stays on its caller's processor before it may run anywhere."""

_SLICE = 0.01
"""Seconds between two looks at ``Guard.cancelled`` and ``Guard.mailbox``."""


class NativeEngine(Engine):
    """Lean in this process, one for each process: a second, different library is refused.

    Crashes of Lean take the process along: give untrusted input to a worker process.
    """

    kind: ClassVar[str] = "native"
    lost_hint: ClassVar[str] = (
        "a native Lean cannot be started anew in its process: restart it, or use worker processes"
    )
    word = 8
    _instance: ClassVar[NativeEngine | None] = None
    _opening: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, library: Library) -> None:
        super().__init__()
        self._lib = library
        self._walker = Walker(self, library)
        self._lane = Lane(self)
        self._watchdog = Watchdog(self.cancel)
        self._tasks_pid = 0
        self._rehearsing = False

    @classmethod
    def open(cls, path: Path, *, tasks: bool = True) -> NativeEngine:
        """Load and initialise *path*, or return the engine that already runs it in this process.

        ``tasks=False`` leaves the task manager off, for a process that only imports and then forks; it starts
        by :meth:`start_tasks`.
        """
        path = path.resolve()
        with cls._opening:
            found = cls._instance
            if found is None:
                found = cls._instance = cls(Library(path))
            elif found._lib.path != path:
                raise EngineError(
                    f"this process already runs {found._lib.path}; a second Lean ({path}) cannot be loaded beside it",
                    hint="use a worker process for the second toolchain",
                )
            found.check_alive()
            if tasks:
                found.start_tasks()
            return found

    def start_tasks(self) -> None:
        """Start Lean's task manager in this process, once."""
        with self.lock:
            if self._tasks_pid != os.getpid():
                self._lib.start_tasks()
                self._tasks_pid = os.getpid()

    def rehearse(self, work: Callable[[], object]) -> None:
        """Run *work* on this thread, with a task manager that is gone afterwards; see :meth:`Engine.rehearse`."""
        with self.lock:
            self.start_tasks()
            self._rehearsing = True
            try:
                work()
            finally:
                self._rehearsing = False
                self.drain()
                self._lib.stop_tasks()
                self._tasks_pid = 0

    # --- evaluating ---

    def _eval(self, args: Sequence[Arg]) -> list[int]:
        library = self._lib
        library.enter_thread()
        released = self.released
        while released:
            library.release(released.popleft())
        if len(args) == 1:
            return [self._walker.value(args[0])]
        words: list[int] = []
        self._walker.values(args, words)
        return words

    def prepare(self, build: Build) -> Step:
        """Return a step that is compiled when it runs again; see :meth:`Engine.prepare`."""
        return NativeStep(self, self._walker, build)

    # --- the rest of the interface ---

    def _dump(self, word: int, limit: int) -> Data:
        return self._lib.dump(word, limit)

    def missing(self, symbols: Iterable[str]) -> list[str]:
        """Return those of *symbols* that the library does not export."""
        return [symbol for symbol in symbols if not self._lib.has(symbol)]

    def callback(self, arity: int, function: Callable[..., Arg]) -> Ref:
        """Return a Lean closure that calls *function*; see :meth:`Engine.callback`."""
        check_callback(arity)
        library, walker = self._lib, self._walker

        def entry(*words: int) -> int:
            try:
                return walker.value(function(*[Ref(self, word) for word in words]))
            except BaseException as error:  # nothing may unwind through Lean's frames
                walker.escaped = error
                return library.ctor(1, [library.ctor(18, [library.string(b"callback")], b"")], b"")

        with self.lock:
            self.check_alive()
            return Ref(self, library.closure(library.make_callback(arity, entry), arity, []))

    def cancel(self, token: Ref) -> None:
        """Set a Lean ``IO.CancelToken`` from any thread, without the engine's lock."""
        library = self._lib
        library.enter_thread()
        word = library.retain(token.ptr())
        library.release(library.function("l_IO_CancelToken_set___boxed", 2)(word, 1))

    def supervise(self, work: Callable[[], T], guard: Guard) -> T:
        """Run *work* on the big-stack thread while this one watches the clock; see :meth:`Engine.supervise`."""
        self.check_alive()
        if self._rehearsing or self._lane.is_current():
            return self.brief(work, guard)
        self._lib.function("lean_mark_mt", 1)(self.own(guard.token))
        if guard.sink is not None:
            guard.mailbox = deque()
        job = self._lane.submit(work)
        stopped: BaseException | None = None
        near = True
        while True:
            try:
                if near:
                    near = False
                    patience = NEAR_SECONDS
                    if guard.deadline is not None:
                        patience = min(patience, max(0.0, guard.deadline - time.monotonic()))
                    if not job.wait(patience):
                        self._lane.spread()
                self._attend(job, guard)
                break
            except EngineLost:
                raise
            except BaseException as error:  # an interrupt, or what the sink raised
                stopped = stopped or error
                guard.sink = None
                guard.why = guard.why or "interrupt"
        if stopped is not None:
            raise stopped
        return job.result()  # type: ignore[no-any-return]

    def _attend(self, job: LaneJob, guard: Guard) -> None:
        """Wait until *job* is done, cancelling it when there is a reason; can be entered again."""
        sliced = guard.cancelled is not None or guard.sink is not None
        while True:
            now = time.monotonic()
            end = guard.deadline if job.give_up is None else job.give_up
            wait = None if end is None else max(0.0, end - now)
            if job.give_up is None and guard.why:
                wait = 0.0
            elif sliced:
                wait = _SLICE if wait is None else min(wait, _SLICE)
            done = job.wait(wait)
            guard.deliver()
            if done:
                return
            now = time.monotonic()
            if job.give_up is not None:
                if now < job.give_up:
                    continue
                if job.started:
                    self._give_up(guard)
                if self.lost:
                    raise EngineLost(self.lost, hint=self.lost_hint)
                # Still behind another caller's work, which has its own limits.
                job.give_up = now + guard.grace
                continue
            guard.why = guard.why or guard.reason(now)
            if guard.why:
                self.cancel(guard.token)
                job.give_up = now + guard.grace

    def _give_up(self, guard: Guard) -> None:
        self.lost = "Lean ignored a cancellation and still runs in this process"
        # The lane keeps the old lock for as long as Lean runs; others shall be told, not left waiting.
        self.lock = threading.RLock()
        raise EngineStuck(
            f"{self.lost} (waited {guard.grace:g} s after the {guard.why})",
            hint="run code that may loop without allocating or checking in a worker process",
        )

    def brief(self, work: Callable[[], T], guard: Guard) -> T:
        """Run *work* on this thread under a watchdog; see :meth:`Engine.brief`."""
        if not guard.shared:
            self._lib.function("lean_mark_mt", 1)(self.own(guard.token))
            guard.shared = True
        watchdog = self._watchdog
        with self.lock:
            if self._rehearsing:  # a watchdog is a thread, and threads do not survive a fork
                return work()
            watchdog.watch(guard)
            try:
                return work()
            finally:
                watchdog.forget(guard)

    def occupy(self, work: Callable[[], object]) -> None:
        """Run *work* on the big-stack thread for good; see :meth:`Engine.occupy`."""
        self._watchdog.start()
        self._lane.submit(work, near=False)

    def private_bytes(self) -> int:
        """Return this process's private memory in bytes (``Private_*`` of ``smaps_rollup``)."""
        total = 0
        with Path("/proc/self/smaps_rollup").open() as lines:
            for line in lines:
                if line.startswith("Private_"):
                    total += int(line.split()[1]) * 1024
        return total

    def close(self) -> None:
        """Release pending references; the runtime itself stays loaded until the process ends."""
        self.drain()
