"""The worker's side of the channel: take a request, check it, answer; exit when the pool has ended."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, Protocol

from leanhost.errors import (
    Cancelled,
    EngineLost,
    EngineStuck,
    LeanHostError,
    OutOfMemory,
    UnsupportedToolchain,
    UsageError,
)
from leanhost.services.session.host import Host
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.limits import CallContext
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.progress import ProgressEvent
from leanhost.services.values.results import CheckResult, Status
from leanhost.system import process_limits
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.framing import MAX_REQUEST_BYTES, Frame, ProtocolError, Unpacker, pack_reply
from leanhost.workers.protocol.messages import (
    Ask,
    Begun,
    Check,
    Command,
    Done,
    Export,
    Kernel,
    Library,
    Order,
    Replay,
    Reply,
    Reset,
    Told,
    Verify,
    error_out,
)
from leanhost.workers.remote import dispatch
from leanhost.workers.remote.session_cache import SessionCache
from leanhost.workers.values.items import Request
from leanhost.workers.values.kernel_answers import KernelReply, Said
from leanhost.workers.values.verification import Judged
from leanhost.workers.verification import judge, replay_file
from leanhost.workers.verification.accepted import Added, Notes, export_library
from leanhost.workers.worker_process import kernel_worker as kernel

IMPORT_S = 120.0
"""Seconds that an import may take where nobody says."""

CPU_SHARE = 4.0
"""CPU seconds a check may use for each second of its timeout: Lean's own threads count too."""

_READ = 1 << 16


def end_with_group() -> None:
    """End this process and everything it started, at once."""
    for pid in process_limits.family(os.getpid())[:0:-1]:  # an engine's process may lead a group of its own
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(70)


class Channel:
    """The private socket to the pool.

    The thread that works reads it itself: to have another one hand requests over costs a short check more than the
    socket does. While it works, whoever looks at its :class:`Token` reads on; another thread only notices the end.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._unpacker: Unpacker[Command] = Unpacker(Command, MAX_REQUEST_BYTES, check=None)
        self._lock = threading.Lock()
        """Held by the one thread that reads."""
        self._requests: deque[Frame[Order] | None] = deque()
        self._token = Token(self, "")
        self._early = ""

    def watch(self) -> None:
        """Wait until the pool has ended, whatever Lean does, then end the process."""
        look = select.poll()
        look.register(self._connection, 0)  # only that the other end is closed
        look.poll()
        end_with_group()

    def next(self) -> tuple[Frame[Order] | None, CancellationToken]:
        """Wait for a request, whose token is cancelled with it; ``None`` where only a reset is asked for."""
        with self._lock:
            while not self._requests:
                self._read(0)
            frame = self._requests.popleft()
            identity = frame.message.id if frame is not None else ""
            self._token = Token(self, identity)
            if identity and identity == self._early:
                self._token.cancel()
            return frame, self._token

    def has_request(self) -> bool:
        """Whether somebody waits for an answer already."""
        self.look()
        return bool(self._requests)

    def look(self) -> None:
        """Take what has arrived, without waiting."""
        if self._lock.acquire(blocking=False):  # if not: it is being read
            try:
                self._read(socket.MSG_DONTWAIT)
            finally:
                self._lock.release()

    def _read(self, flags: int) -> None:
        try:
            data = self._connection.recv(_READ, flags)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            if not data:
                end_with_group()
            for message, payload, text in self._unpacker.feed(data):
                if isinstance(message, Order):
                    self._requests.append(Frame(message, payload, text))
                elif isinstance(message, Reset):
                    self._requests.append(None)
                elif message.id == self._token.identity:
                    self._token.cancel()
                else:
                    self._early = message.id
        except Exception:  # whatever it is, nothing is left to report it to
            end_with_group()

    def send(self, message: Reply, payload: bytes = b"", text: str | None = None) -> None:
        """Send one frame; without a pool to hear it the process ends."""
        try:
            self._connection.sendall(pack_reply(message, payload, text))
        except OSError:
            end_with_group()


class Token(CancellationToken):
    """Cancelled by the pool: to look at it is to look whether the pool has said so."""

    __slots__ = ("_channel", "identity")

    def __init__(self, channel: Channel, identity: str) -> None:
        super().__init__()
        self._channel = channel
        self.identity = identity

    @property
    def is_cancelled(self) -> bool:
        """Whether the pool has cancelled the request."""
        if not self._cancelled:
            self._channel.look()
        return self._cancelled


def serve(
    channel: Channel, host: Host, options: ElabOptions, import_s: float, helpers: Sequence[int] = ()
) -> None:
    """Answer requests until the pool closes the channel.

    An import may take *import_s* seconds; *helpers* are the processes of the engine. Where Lean can be reset, it is
    after each request, or when the session is over that holds this worker.
    """
    allow_cpu = partial(process_limits.allow_cpu, helpers=helpers)
    cache = SessionCache(host)
    resets = host._lean.engine.can_reset
    while True:
        frame, cancelled = channel.next()
        kept = False
        if frame is not None:
            answer(cache, options, frame, cancelled, channel.send, allow_cpu, import_s)
            # A kernel runs nothing of what it is sent, and the libraries it has grown are to stay.
            kept = frame.message.held or isinstance(frame.message.question, Kernel)
        if resets and not kept:
            put_back(cache)
        # For the import of the next request; what its check may take is set when that begins.
        allow_cpu(import_s * CPU_SHARE)


def put_back(cache: SessionCache) -> None:
    """Put Lean back to what it was before the first request; a process that fails to do so ends."""
    try:
        cache.clear()
        cache.host.reset()
    except Exception:
        end_with_group()


class Send(Protocol):
    """Sends replies to the pool."""

    def __call__(self, message: Reply, payload: bytes = b"", text: str | None = None) -> None:
        """Send one; :class:`ProtocolError` when the pool would not take it."""


class Answer(NamedTuple):
    """A verdict, and what goes with it: a payload, which is an error if *raised*, or a text."""

    result: CheckResult
    payload: bytes = b""
    text: str | None = None
    raised: bool = False
    spent: bool = False
    """Whether this process is of no further use."""


def answer(
    cache: SessionCache,
    options: ElabOptions,
    frame: Frame[Order],
    cancelled: CancellationToken,
    send: Send,
    allow_cpu: Callable[[float], None],
    import_s: float = IMPORT_S,
) -> None:
    """Answer one request through *send*; *allow_cpu* is told the CPU seconds that it may take from its import on."""
    identity, request = frame.message.id, frame.message.request
    if request.timeout != options.timeout:
        options = replace(options, timeout=request.timeout)
    work = Work(cache.host, cache, request, options, cancelled, import_s)

    def begun() -> None:
        allow_cpu(request.timeout * CPU_SHARE + options.grace)
        send(Begun(identity))

    def tell(event: ProgressEvent) -> None:
        send(Told(identity, event))

    result, payload, text, raised, spent = work.done(frame, begun, tell)
    try:
        send(Done(identity, result, spent, raised), payload, text)
    except ProtocolError as error:
        why = (f"the verdict cannot be sent: {error.message}",)
        short = CheckResult(result.file, Status.REFUSED, reasons=why, toolchain=result.toolchain)
        send(Done(identity, short, spent))


@dataclass(frozen=True, slots=True)
class Work:
    """One request being answered."""

    host: Host
    cache: SessionCache
    request: Request
    options: ElabOptions
    cancelled: CancellationToken
    growing_s: float
    """Seconds that a part of a library may take, to export or to replay."""
    since: float = field(default_factory=time.monotonic)

    def done(
        self, frame: Frame[Order], begun: Callable[[], None], tell: Callable[[ProgressEvent], None]
    ) -> Answer:
        """Do what is asked for."""
        try:
            match frame.message.question:
                case Check(second=second):
                    return self._check(begun, second=second)
                case Ask() as ask:
                    return self._ask(ask, frame.payload, begun, tell)
                case Export(whole=whole):
                    begun()
                    return self._export(whole)
                case Verify() as verify:
                    begun()
                    return self._verify(verify, frame.text or "")
                case Replay() as question:
                    begun()
                    result, payload = replay_file.answer(
                        self.host, self.request, question, self.options, self.cancelled
                    )
                    return Answer(result, payload)
                case Library() as library:
                    return self._library(library)
                case Kernel() as replay:
                    return self._kernel(replay, frame.text or "", begun)
        except EngineStuck as error:
            status = Status.CANCELLED if self.cancelled.is_cancelled else Status.TIMEOUT
            return self._instead(status, error, spent=True)
        except (OutOfMemory, MemoryError) as error:
            return self._instead(Status.OUT_OF_MEMORY, error, spent=True)
        except EngineLost as error:
            return self._instead(Status.CRASHED, error, spent=True)
        except UnsupportedToolchain as error:
            return self._instead(Status.UNSUPPORTED, error)
        except Cancelled as error:
            status = Status.CANCELLED if self.cancelled.is_cancelled else Status.TIMEOUT
            return self._instead(status, error)
        except UsageError as error:
            return self._instead(Status.REFUSED, error)
        except Exception as error:
            return self._instead(Status.CRASHED, error, spent=True)

    def _check(self, begun: Callable[[], None], *, second: bool) -> Answer:
        request = self.request
        added = Added(self.options, self.cancelled)
        result = self.host._check_source(
            request.source,
            CallContext(cancellation=self.cancelled, file=request.file),
            self.options,
            request.allow_axioms,
            request.imports,
            imported=begun,
            accepted=added.take if second else None,
        )
        if added.said is None:
            return Answer(result)
        return Answer(result, codec.encode(added.said, Said), added.file)

    def _ask(
        self, ask: Ask, arguments: bytes, begun: Callable[[], None], tell: Callable[[ProgressEvent], None]
    ) -> Answer:
        accepted = CheckResult(self.request.file, Status.ACCEPTED, toolchain=self.host.label)
        progress = tell if ask.progress else None
        timeout = self.request.timeout
        try:
            payload = dispatch.answered(
                self.cache, ask.operation, arguments, timeout, self.cancelled, begun, progress
            )
            return Answer(accepted, payload)
        except (EngineLost, Cancelled):
            raise
        except LeanHostError as error:
            return Answer(accepted, error_out(error), raised=True)

    def _export(self, whole: bool) -> Answer:
        result, text = judge.export_added(self.host, self.request, self.options, self.cancelled, whole=whole)
        return Answer(result, text=text)

    def _verify(self, verify: Verify, candidate: str) -> Answer:
        notes = Notes(self.options, self.cancelled, file=verify.file)
        judged = judge.judge_export(
            self.host,
            self.request,
            candidate,
            self.options,
            self.cancelled,
            whole=verify.whole,
            start=verify.start,
            accepted=notes.take if verify.second else None,
        )
        status = Status.REJECTED if judged.refusals else Status.ACCEPTED
        reasons = tuple(refusal.message for refusal in judged.refusals)
        result = CheckResult(self.request.file, status, reasons=reasons, toolchain=self.host.label)
        return Answer(result, codec.encode(Judged(judged, notes.said), Judged), notes.file or None)

    def _library(self, library: Library) -> Answer:
        """Export a part of the library, which is getting ready: it has the time of an import."""
        identity, text = export_library(
            self.host,
            self.request,
            library.wanted,
            library.known,
            self.options,
            self.growing_s,
            self.cancelled,
            whole=library.whole,
        )
        return Answer(self._data_read(), codec.encode(identity), text)

    def _kernel(self, question: Kernel, export: str, begun: Callable[[], None]) -> Answer:
        said = kernel.answer(
            self.cache, question, export, self.options, self.growing_s, self.cancelled, begun
        )
        return Answer(self._data_read(), codec.encode(said, KernelReply))

    def _data_read(self) -> CheckResult:
        return CheckResult(self.request.file, Status.ACCEPTED, toolchain=self.host.label)

    def _instead(self, status: Status, error: BaseException, *, spent: bool = False) -> Answer:
        why = error.message if isinstance(error, LeanHostError) else f"{type(error).__name__}: {error}"
        elapsed = time.monotonic() - self.since
        result = CheckResult(
            self.request.file, status, reasons=(why,), elapsed=elapsed, toolchain=self.host.label
        )
        return Answer(result, spent=spent)
