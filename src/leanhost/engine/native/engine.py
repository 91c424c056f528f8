"""The native engine: a ``libleanshared`` loaded into this process."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar

from leanhost.engine.base import Data, Engine, Guard, Ref, Step, Thrown
from leanhost.engine.expressions import (
    Arg,
    ArrayOf,
    Build,
    Call,
    Closure,
    Const,
    Ctor,
    Field,
    Give,
    Index,
    ListOf,
    Size,
    Slot,
    Tag,
    UInt64,
    Unwrap,
    USize,
    With,
)
from leanhost.engine.native.ffi import MAX_BOXED, Library, memory
from leanhost.engine.native.lane import Job, Lane
from leanhost.engine.native.steps import NativeStep
from leanhost.engine.native.watchdog import Watchdog
from leanhost.errors import EngineError, EngineLost, EngineStuck, UsageError

T = TypeVar("T")

MAX_CLOSURE_ARITY = 16
"""Above it Lean calls a closure's function with an array of arguments."""

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
        self._lane = Lane(self)
        self._watchdog = Watchdog(self.cancel)
        self._escaped: BaseException | None = None
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
            return [self._value(args[0])]
        words: list[int] = []
        self._values(args, words)
        return words

    def _values(self, args: Sequence[Arg], words: list[int]) -> None:
        """Append the values of *args* to *words*; on an error release what is there already."""
        value = self._value
        try:
            for arg in args:
                words.append(value(arg))
        except BaseException:
            for word in words:
                self._lib.release(word)
            words.clear()
            raise

    def _value(self, arg: Any) -> int:
        kind = type(arg)
        if kind is Ref:
            return self._lib.retain(self.own(arg))
        if kind is int and 0 <= arg <= MAX_BOXED:
            return arg << 1 | 1  # type: ignore[no-any-return]
        build = _BUILDERS.get(kind)
        if build is None:
            raise UsageError(f"not something Lean can be called with: {arg!r:.200}")
        return build(self, arg)

    def _call(self, arg: Call) -> int:
        library = self._lib
        args = arg.args
        # Before the arguments: a missing function must not leave owned words behind.
        function = library.function(arg.symbol, len(args))
        words: list[int] = []
        add = words.append
        try:
            # Handles and small numbers are most of what is passed: they are taken here, as :meth:`_value` would.
            for each in args:
                kind = type(each)
                if kind is Ref:
                    word = each.word  # type: ignore[union-attr]
                    if each.engine is not self or not word:  # type: ignore[union-attr]
                        self.own(each)  # type: ignore[arg-type] # says what is wrong
                    if not word & 1:
                        header = memory[word >> 3]
                        if 0 < header & 0xFFFFFFFF < 0x7FFFFFFF:
                            memory[word >> 3] = header + 1
                        else:
                            library.retain(word)
                    add(word)
                elif kind is int and 0 <= each <= MAX_BOXED:  # type: ignore[operator]
                    add(each << 1 | 1)  # type: ignore[operator]
                else:
                    add(self._value(each))
        except BaseException:
            for word in words:
                library.release(word)
            raise
        result = function(*words)
        if self._escaped is not None:
            library.release(result)
            self._raise_escaped()
        return result

    def _raise_escaped(self) -> None:
        """Raise what a callback's function raised below the Lean function that has just returned."""
        escaped, self._escaped = self._escaped, None
        assert escaped is not None
        raise escaped

    def _unwrap(self, arg: Unwrap) -> int:
        of = arg.of
        word = self._call(of) if type(of) is Call else self._value(of)
        library = self._lib
        if word & 1 or library.tag(word) != arg.ok:
            self._throw(word)
        try:
            return library.retain(library.checked_field(word, 0))
        finally:
            library.release(word)

    def _throw(self, word: int) -> NoReturn:
        """Raise :class:`Thrown` for an owned result that is no success."""
        library = self._lib
        if word & 1:
            raise Thrown(Ref(self, word))
        try:
            inner = library.retain(library.checked_field(word, 0))
        finally:
            library.release(word)
        raise Thrown(Ref(self, inner))

    def _look(self, of: Arg, read: Callable[[int], int]) -> int:
        """Apply *read* to the value of *of*, borrowed, and own what it returns."""
        library = self._lib
        if isinstance(of, Ref):
            return library.retain(read(self.own(of)))
        word = self._value(of)
        try:
            return library.retain(read(word))
        finally:
            library.release(word)

    def _field(self, arg: Field) -> int:
        of = arg.of
        if type(of) is Field:
            # A chain of projections is walked without counting what lies between.
            path = [arg.index]
            while type(of) is Field:
                path.append(of.index)
                of = of.of
            path.reverse()
            return self._look(of, lambda word: functools.reduce(self._lib.checked_field, path, word))
        index = arg.index
        return self._look(of, lambda word: self._lib.checked_field(word, index))

    def _index(self, arg: Index) -> int:
        place = self._slot(arg.index) if isinstance(arg.index, Slot) else arg.index
        return self._look(arg.of, lambda word: self._lib.element(word, place))

    def _size(self, arg: Size) -> int:
        return self._look(arg.of, lambda word: self._lib.box(self._lib.size(word)))

    def _tag(self, arg: Tag) -> int:
        return self._look(arg.of, lambda word: self._lib.box(self._lib.tag(word)))

    def _with(self, arg: With) -> int:
        words: list[int] = []
        self._values([arg.of, *(value for _, value in arg.fields)], words)
        return self._changed(words[0], words[1:], tuple(index for index, _ in arg.fields), arg.scalars)

    def _changed(
        self, word: int, new: Sequence[int], indices: Sequence[int], scalars: Sequence[tuple[int, bytes]]
    ) -> int:
        """Copy the constructor *word* with other fields and bytes; *word* and *new* are given away."""
        library = self._lib
        try:
            tag, words, body = library.constructor(word)
            for index in indices:
                if not 0 <= index < len(words):
                    raise EngineError(f"a Lean value has no field {index}")
            if len(set(indices)) != len(indices):
                raise UsageError("a field is set twice")
            changed = bytearray(body)
            for offset, data in scalars:
                if not 0 <= offset <= len(body) - len(data):
                    raise EngineError(f"a Lean value has no {len(data)} scalar bytes at {offset}")
                changed[offset : offset + len(data)] = data
        except BaseException:
            for each in (word, *new):
                library.release(each)
            raise
        kept = [0 if i in indices else library.retain(w) for i, w in enumerate(words)]
        for index, value in zip(indices, new, strict=True):
            kept[index] = value
        library.release(word)
        return library.ctor(tag, kept, bytes(changed))

    def _ctor(self, arg: Ctor) -> int:
        self._lib.check_ctor(arg.tag, len(arg.fields), len(arg.scalars))
        words: list[int] = []
        self._values(arg.fields, words)
        return self._lib.ctor(arg.tag, words, arg.scalars)

    def _list(self, arg: ListOf) -> int:
        words: list[int] = []
        self._values(arg.items, words)
        result = self._lib.box(0)
        for word in reversed(words):
            result = self._lib.ctor(1, [word, result], b"")
        return result

    def _array(self, arg: ArrayOf) -> int:
        words: list[int] = []
        self._values(arg.items, words)
        return self._lib.array(words)

    def _check_closure(self, arg: Closure) -> None:
        if not len(arg.fixed) < arg.arity <= MAX_CLOSURE_ARITY:
            raise UsageError(
                f"a closure over {arg.symbol} cannot have {len(arg.fixed)} of {arg.arity} arguments"
            )

    def _closure(self, arg: Closure) -> int:
        self._check_closure(arg)
        function = self._lib.address(arg.symbol)
        words: list[int] = []
        self._values(arg.fixed, words)
        return self._lib.closure(function, arg.arity, words)

    def _slot(self, _: Slot) -> NoReturn:
        raise UsageError("a slot has a value only inside a prepared step")

    def prepare(self, build: Build) -> Step:
        """Return a step that is compiled when it runs again; see :meth:`Engine.prepare`."""
        return NativeStep(self, build)

    # --- the rest of the interface ---

    def _dump(self, word: int, limit: int) -> Data:
        return self._lib.dump(word, limit)

    def missing(self, symbols: Iterable[str]) -> list[str]:
        """Return those of *symbols* that the library does not export."""
        return [symbol for symbol in symbols if not self._lib.has(symbol)]

    def callback(self, arity: int, function: Callable[..., Arg]) -> Ref:
        """Return a Lean closure that calls *function*; see :meth:`Engine.callback`."""
        if not 1 <= arity <= MAX_CLOSURE_ARITY:
            raise UsageError(f"a callback has 1 to {MAX_CLOSURE_ARITY} parameters, not {arity}")
        library = self._lib

        def entry(*words: int) -> int:
            try:
                return self._value(function(*[Ref(self, word) for word in words]))
            except BaseException as error:  # nothing may unwind through Lean's frames
                self._escaped = error
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

    def _attend(self, job: Job, guard: Guard) -> None:
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


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        surrogate = ord(text[error.start])
        raise UsageError(
            f"a Lean string has no lone surrogate (U+{surrogate:04X} at {error.start})"
        ) from None


_BUILDERS: dict[type, Callable[[NativeEngine, Any], int]] = {
    Call: NativeEngine._call,
    int: lambda engine, arg: engine._lib.box(arg),
    str: lambda engine, arg: engine._lib.string(_utf8(arg)),
    bytes: lambda engine, arg: engine._lib.string(arg),
    Unwrap: NativeEngine._unwrap,
    Field: NativeEngine._field,
    Index: NativeEngine._index,
    Size: NativeEngine._size,
    Tag: NativeEngine._tag,
    With: NativeEngine._with,
    Ctor: NativeEngine._ctor,
    ListOf: NativeEngine._list,
    ArrayOf: NativeEngine._array,
    Closure: NativeEngine._closure,
    Slot: NativeEngine._slot,
    Give: lambda engine, arg: (engine.own(arg.ref), arg.ref.take())[1],
    Const: lambda engine, arg: engine._lib.retain(engine._lib.constant(arg.symbol)),
    USize: lambda engine, arg: engine._lib.boxed_word(arg.value),
    UInt64: lambda engine, arg: engine._lib.boxed_word(arg.value),
    bool: lambda engine, arg: engine._lib.box(int(arg)),
}
