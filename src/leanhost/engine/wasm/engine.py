"""The engine interface over a Node child."""

from __future__ import annotations

import atexit
import json
import os
import re
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, NoReturn, TypeVar

from leanhost.engine.base import Engine, Guard
from leanhost.engine.checks import check_callback
from leanhost.engine.expressions import Arg
from leanhost.engine.values import Data, Ref, Thrown
from leanhost.engine.wasm import wire
from leanhost.engine.wasm.child import Child, ChildGone
from leanhost.engine.wasm.image import Image, write_image
from leanhost.engine.wasm.interrupt import Shield
from leanhost.engine.wasm.mounts import Mounts, Scratch, mountable
from leanhost.engine.wasm.refs import EraRef, Eras
from leanhost.engine.wasm.watch import Watch
from leanhost.errors import (
    EngineError,
    EngineLost,
    EngineStuck,
    ForeignHandleError,
    ObjectTooLarge,
    OutOfMemory,
    UsageError,
)
from leanhost.toolchain.images import discard

T = TypeVar("T")

MAX_HEAP = 2 * 1024**3
"""Bytes of memory the WebAssembly Lean can have at most."""

_INITIAL_MEMORY = 384 * 1024**2  # reserved, not touched: saves growing step by step
_C_STACK = 192 * 1024**2  # of wasm memory, without any check at its end: V8's own stack must overflow first
_MAX_FRAME = 64 * 1024**2
_IDLE_SLICE = 0.05  # between looks at a flag that a signal handler or another thread sets
_INTERRUPT_GRACE = 2.0
_CLOSED = "the engine was closed"
# What this build of Lean prints about itself, with the indented lines that belong to it.
_NOISE = re.compile(r"^(?:\[DEBUG|LLVM Profile).*\n?(?: +(?:- /|mainModule\?).*\n?)*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What Python knew when a snapshot was taken."""

    functions: int
    mounts: dict[Path, bool]


class WasmEngine(Engine):
    """A WebAssembly Lean in a child process; see :mod:`leanhost.engine.base` for the contract.

    Make one with :meth:`open`. A lost engine cannot be revived: open another.
    """

    kind: ClassVar[str] = "wasm"
    handle: ClassVar[type[Ref]] = EraRef
    can_reset: ClassVar[bool] = True

    def __init__(self, child: Child, max_frame: int, scratch: Scratch) -> None:
        super().__init__()
        self.word = 4
        self._child = child
        self._pid = os.getpid()
        self._max_frame = max_frame
        self._mounts = Mounts(scratch)
        self._symbols = wire.Symbols()
        self._functions: list[Callable[..., Arg]] = []
        self._watches: list[Watch] = []
        self._shield: Shield | None = None  # of the supervised work, lowered between its exchanges
        self._last_id = 0
        self.eras = Eras()
        self._time = 0  # of the runtime: orders to cancel are void in another one
        self._snapshot: _Snapshot | None = None
        # Runs at garbage collection, and at exit from `leave`: no child is left behind, and no zombie.
        self._finalizer = weakref.finalize(self, _end, child, self._pid, scratch)
        self._finalizer.atexit = False
        _alive.add(self)

    @classmethod
    def open(
        cls,
        *,
        node: Path,
        glue: Path,
        wasm: Path,
        mounts: Sequence[Path] = (),
        scratch: Path | None = None,
        heap_limit: int = MAX_HEAP,
        max_frame: int = _MAX_FRAME,
        startup_timeout: float = 120.0,
        image: Image | None = None,
    ) -> WasmEngine:
        """Start a runtime and initialise Lean (seconds); nothing is imported.

        *glue* is what :func:`leanhost.toolchain.glue.prepare_glue` wrote. Lean sees the host directories
        *mounts* under their own absolute paths, and no other files. It can read them and nothing more; it can
        write to *scratch*. Without one, see :meth:`scratch`. *heap_limit* bounds Lean's memory and *max_frame*
        one message, both in bytes; *startup_timeout* is in seconds. From an *image*, which is closed, Lean goes on as
        it was when that was saved, see :attr:`roots`; one that is damaged is as good as none, and ``roots`` is empty.

        Raises :class:`~leanhost.errors.EngineError` (or its :class:`~leanhost.errors.EngineLost`) when Lean
        does not come up.
        """
        if not _INITIAL_MEMORY <= heap_limit <= MAX_HEAP:
            raise UsageError(
                f"heap_limit must be between {_INITIAL_MEMORY} and {MAX_HEAP} bytes: {heap_limit}"
            )
        if max_frame < 4096:
            raise UsageError(f"max_frame must be at least 4096 bytes: {max_frame}")
        for path in (*mounts, *([scratch] if scratch else [])):
            mountable(path)
        config = {
            "glue": str(glue.absolute()),
            "wasm": str(wasm.absolute()),
            "maxFrame": max_frame,
            "heapMax": heap_limit,
            "initialMemory": max(_INITIAL_MEMORY, image.memory if image is not None else 0),
            "stackBytes": _C_STACK,
            **({"image": image.config()} if image is not None else {}),
        }
        place = Scratch(scratch)
        try:
            child = Child(node, config, place, [image.fd] if image is not None else ())
        except BaseException:
            place.remove()
            raise
        finally:
            if image is not None:
                image.close()
        engine = cls(child, max_frame, place)
        try:
            adopted = engine._await_start(time.monotonic() + startup_timeout)
            if image is not None:
                engine._take_over(image) if adopted else discard(image.path)
            for path in mounts:
                engine.mount(path)
            if scratch is not None:
                engine.scratch()
        except BaseException:
            engine.close()
            raise
        return engine

    @property
    def pid(self) -> int:
        """The process id of the runtime."""
        return self._child.pid

    @property
    def output_tail(self) -> str:
        """The last 64 KiB of what the runtime printed to its standard output and error."""
        return self._child.output()

    # --- one exchange

    def _await_start(self, deadline: float) -> bool:
        """Wait until Lean is there; whether it comes from the image."""

        def tick() -> float:
            left = deadline - time.monotonic()
            if left <= 0:
                self._lose("Lean did not start in time")
            return left

        try:
            frame = self._child.receive(self._max_frame, tick)
        except ChildGone:
            self._lose()
        if frame[4] == wire.CRASHED:
            self._crashed(frame[5:])
        return frame[5:] == b"\1"

    def _take_over(self, image: Image) -> None:
        self.notes = image.notes["notes"]
        self.roots = {name: EraRef(self, word) for name, word in image.notes["roots"].items()}

    def _request(self, operation: int, body: bytes) -> bytes:
        """Put one request and return its answer's payload; whatever it cannot be is raised."""
        if os.getpid() != self._pid:
            raise ForeignHandleError("this engine belongs to the process that forked this one")
        shield = self._shield
        try:
            if shield is None:
                with Shield() as shield:
                    status, payload, escaped = self._exchange(operation, body, shield)
            else:
                with shield.raised():
                    status, payload, escaped = self._exchange(operation, body, shield)
        except BaseException:
            if shield is not None:
                shield.deliver()
            raise
        if shield.pending or escaped is not None:
            try:
                shield.deliver()
                if escaped is not None:
                    raise escaped
            except BaseException:
                if (status == wire.OK and operation in _ANSWERED_BY_WORDS) or status == wire.THROWN:
                    self.released.extend(wire.words(payload))
                raise
        if status == wire.OK:
            return payload
        if status == wire.THROWN:
            raise Thrown(EraRef(self, wire.words(payload)[0]))
        if status == wire.TOO_LARGE:
            raise ObjectTooLarge("a Lean object is larger than the limit it was to be read with")
        raise EngineError(payload.decode("utf-8", "replace"))

    def _exchange(
        self, operation: int, body: bytes, shield: Shield
    ) -> tuple[int, bytes, BaseException | None]:
        self._last_id += 1
        request = self._last_id & 0xFFFFFFFF
        tick = self._ticker(shield)
        escaped: BaseException | None = None
        try:
            self._send(request, operation, body, tick)
            while True:
                frame = self._child.receive(self._max_frame + 16, tick)
                status = frame[4]
                if status == wire.CALLBACK:
                    answer, raised = self._serve(frame[5:], shield)
                    escaped = escaped or raised
                    self._send(request, wire.RETURN, answer, tick)
                    continue
                if status == wire.CRASHED:
                    self._crashed(frame[5:])
                if int.from_bytes(frame[:4], "little") != request:
                    self._lose("the runtime answered another request")
                return status, frame[5:], escaped
        except ChildGone:
            self._lose()
        except BaseException:
            if not self.lost:  # whatever it was, it left a request half done
                self._give_up("an exchange with the runtime was broken off")
            raise

    def _send(self, request: int, operation: int, body: bytes, tick: Callable[[], float]) -> None:
        header = (len(body) + 5).to_bytes(4, "little") + request.to_bytes(4, "little") + bytes((operation,))
        self._child.send(header + body, tick)

    def _ticker(self, shield: Shield) -> Callable[[], float]:
        interrupted: float | None = None

        def tick() -> float:
            nonlocal interrupted
            now = time.monotonic()
            wait = _IDLE_SLICE
            for watch in self._watches:
                wait = min(wait, watch.tick(now, shield.pending, self._cancel))
                if watch.stuck(now):
                    reason = (
                        f"Lean did not stop within {watch.guard.grace:g} s of being asked ({watch.guard.why})"
                    )
                    self._give_up(reason)
                    raise EngineStuck(reason, hint=self.lost_hint)
            if shield.pending and not self._watches:
                # Nobody can be asked to stop: leave the user waiting for a moment only.
                interrupted = interrupted or now
                if now - interrupted > _INTERRUPT_GRACE:
                    self._lose("interrupted in a call that cannot be cancelled")
            return wait

        return tick

    def _cancel(self, token: int) -> None:
        self._child.cancel(token, self._time)

    def _give_up(self, reason: str) -> None:
        if not self.lost:
            self.lost = reason
        self._child.end(kill=True)

    def _lose(self, reason: str = "", error: type[EngineLost] = EngineLost) -> NoReturn:
        self._child.end(kill=True)
        tail = self._child.output()
        if not reason:
            reason = f"the Lean process ended ({self._child.describe_end()})"
            if "heap out of memory" in tail or "out of memory" in tail[-2000:].lower():
                error = OutOfMemory
        self.lost = reason
        if said := _NOISE.sub("", tail).strip():
            reason += "; last output:\n" + said[-2000:]
        raise error(reason, hint=self.lost_hint)

    def _crashed(self, payload: bytes) -> NoReturn:
        kind, _, text = payload.decode("utf-8", "replace").partition("\n")
        tail = self._child.output()[-2000:].lower()
        memory = kind == "memory" or (kind in ("exit", "trap") and "out of memory" in tail)
        self._lose(f"{text} [{kind}]", OutOfMemory if memory else EngineLost)

    # --- callbacks

    def _serve(self, payload: bytes, shield: Shield) -> tuple[bytes, BaseException | None]:
        """Run a Python function for Lean and return the encoded answer, or what it raised."""
        number, *words = wire.words(payload)
        arguments = [EraRef(self, word) for word in words]
        try:
            shield.lowered = True
            value = self._functions[number](*arguments)
            shield.lowered = False
            del arguments
            self.check_alive()
            return b"\1" + self._encode(value), None
        except BaseException as error:
            shield.lowered = False
            if self.lost:
                raise
            return b"\0", error

    # --- the interface

    def _encode(self, arg: Arg) -> bytes:
        encoder = wire.Encoder(self, self._symbols)
        encoder.add(arg)
        return self._commit(encoder)

    def _commit(self, encoder: wire.Encoder) -> bytes:
        room = self._max_frame - encoder.size()
        if room < 0:
            raise UsageError(
                f"an argument of {encoder.size()} bytes exceeds the frame limit of {self._max_frame} bytes"
            )
        released: list[int] = []
        while self.released and len(released) < room // 4:
            released.append(self.released.popleft())
        return encoder.commit(released)

    def _eval(self, args: Sequence[Arg]) -> list[int]:
        encoder = wire.Encoder(self, self._symbols)
        encoder.body += wire.U32.pack(len(args))
        for arg in args:
            encoder.add(arg)
        return list(wire.words(self._request(wire.EVAL, self._commit(encoder))))

    def _data(self, arg: Arg, limit: int) -> Data:
        body = wire.U32.pack(min(max(limit, 0), 0xFFFFFFFF)) + self._encode(arg)
        return wire.decode(self._request(wire.EVAL_DATA, body))

    def _dump(self, word: int, limit: int) -> Data:
        lent = EraRef(self, word)
        try:
            return self._data(lent, limit)
        finally:
            lent.take()

    def eval_data(self, arg: Arg, limit: int = 100_000) -> Data:
        """Evaluate *arg*, copy its value out and release it, in one round trip."""
        with self.lock:
            self.check_alive()
            return self._data(arg, limit)

    def missing(self, symbols: Iterable[str]) -> list[str]:
        """Return those of *symbols* that the runtime does not export."""
        names = list(symbols)
        encoded = [name.encode("utf-8") for name in names]
        body = b"".join(
            (wire.U32.pack(len(names)), *(wire.U16.pack(len(name)) + name for name in encoded)),
        )
        with self.lock:
            self.check_alive()
            absent = self._request(wire.MISSING, body)
        return [name for name, gone in zip(names, absent, strict=True) if gone]

    def callback(self, arity: int, function: Callable[..., Arg]) -> Ref:
        """Return a Lean closure of *arity* parameters (1 to 16) that calls *function*."""
        check_callback(arity)
        with self.lock:
            self.check_alive()
            number = len(self._functions)
            self._functions.append(function)
            body = wire.U32.pack(number) + bytes((arity,))
            return EraRef(self, wire.words(self._request(wire.MAKE_CALLBACK, body))[0])

    def supervise(self, work: Callable[[], T], guard: Guard) -> T:
        """Run *work* under *guard*; see :meth:`leanhost.engine.base.Engine.supervise`."""
        with self.lock:
            self.check_alive()
            watch = Watch(guard, self.own(guard.token))
            outer = self._shield
            self._watches.append(watch)
            try:
                with Shield(lowered=True) as self._shield:
                    return work()
            except KeyboardInterrupt:
                guard.why = guard.why or "interrupt"
                raise
            finally:
                self._shield = outer
                self._watches.remove(watch)
                if watch.asked:
                    self._settle()

    def _settle(self) -> None:
        """Void the order to cancel that may still be under way: its token may be freed, and the memory used again."""
        with suppress(EngineError):
            self.check_alive()
            self._request(wire.SETTLE, b"")
            self._time += 1
            for watch in self._watches:
                watch.repeat(self._cancel)

    def mount(self, directory: Path, writable: bool = False) -> None:
        """Let Lean see one more host directory under its own absolute path; write to it, if in the scratch one."""
        with self.lock:
            self.check_alive()
            for path, writing in self._mounts.due(directory, writable):
                self._request(wire.MOUNT, bytes((writing,)) + str(path).encode())
                self._mounts.done[path] = writing

    def scratch(self) -> Path:
        """Return the one directory that Lean can write to.

        Where :meth:`open` was given none it is a private one: Lean sees it from the first call of this on, and
        it is removed when the engine is closed.
        """
        self.mount(self._mounts.scratch.path, writable=True)
        return self._mounts.scratch.path

    def snapshot(self) -> None:
        """Keep Lean's state; see :meth:`leanhost.engine.base.Engine.snapshot`."""
        self.drain()
        with self.lock:
            self.check_alive()
            self._request(wire.KEEP, b"")
            self.eras.keep()
            self._snapshot = _Snapshot(len(self._functions), dict(self._mounts.done))

    def reset(self) -> None:
        """Put Lean back; see :meth:`leanhost.engine.base.Engine.reset`. A private scratch directory is emptied."""
        with self.lock:
            self.check_alive()
            if self._snapshot is None:
                raise UsageError("there is no snapshot to reset Lean to")
            if self._watches:
                raise UsageError("Lean cannot be reset while it works")
            self.eras.reset()
            self.released.clear()
            del self._functions[self._snapshot.functions :]
            self._request(wire.RESET, b"")
            self._time += 1
            self._mounts.reset(self._snapshot.mounts)
            self._child.forget_output()

    def save(self, out: IO[bytes], key: str, roots: Mapping[str, Ref], notes: Mapping[str, Any]) -> None:
        """Write an image of Lean; see :meth:`leanhost.engine.base.Engine.save`."""
        self.drain()
        with self.lock:
            self.check_alive()
            runtime = json.loads(self._request(wire.DESCRIBE, b""))
            words = {name: self.own(ref) for name, ref in roots.items()}

            def read(address: int, size: int) -> bytes:
                return self._request(wire.READ, wire.U32.pack(address) + wire.U32.pack(size))

            write_image(out, key, runtime, {"roots": words, "notes": dict(notes)}, read)

    def private_bytes(self) -> int:
        """Return the bytes of memory Lean's allocator has taken so far; it keeps what is freed for itself."""
        with self.lock:
            self.check_alive()
            return wire.words(self._request(wire.USAGE, b""))[0]

    def close(self) -> None:
        """End the child process; handles into it are gone. Another thread's call in it ends as lost."""
        if not self.lost:
            self.lost = _CLOSED
        if os.getpid() != self._pid:
            self._finalizer()  # the lock may be held by a thread that only the other process has
            return
        self._child.kill()
        with self.lock:
            self._finalizer()

    def leave(self) -> None:
        """End the child at the interpreter's exit, unless a daemon thread waits for it.

        Its pipes must not be closed under such a thread, which the exit ends without a word. The child notices that
        this process has gone. A thread that wants the lock later waits for its own end.
        """
        if self.lock.acquire(blocking=False):
            self._finalizer()


_alive: weakref.WeakSet[WasmEngine] = weakref.WeakSet()


@atexit.register
def _at_exit() -> None:
    for engine in tuple(_alive):
        engine.leave()


_ANSWERED_BY_WORDS = (wire.EVAL, wire.MAKE_CALLBACK)


def _end(child: Child, owner: int, scratch: Scratch) -> None:
    if os.getpid() == owner:
        child.end(kill=True)
        scratch.remove()
    else:
        child.forget()
