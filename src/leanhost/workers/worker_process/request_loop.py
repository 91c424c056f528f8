"""The worker's side of the channel: take a request, check it, answer; die when the pool has gone."""

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
from leanhost.services.values.results import CheckResult, Status
from leanhost.system import process_limits
from leanhost.workers.protocol import codec, encoding
from leanhost.workers.protocol.framing import MAX_REQUEST_BYTES, Message, ProtocolError, Unpacker, pack_reply
from leanhost.workers.remote import dispatch
from leanhost.workers.remote.session_cache import SessionCache
from leanhost.workers.values.items import Request
from leanhost.workers.verification import judge, replay_file
from leanhost.workers.verification.accepted import Added, Notes, export_library
from leanhost.workers.worker_process import kernel_worker as kernel

IMPORT_S = 120.0
"""Seconds that an import may take where nobody says."""

CPU_SHARE = 4.0
"""CPU seconds a check may use for each second of its timeout: Lean's own threads count too."""

_READ = 1 << 16

KINDS = ("check", "ask", "export", "verify", "replay", "library", "kernel")
"""What a worker is asked: each is the key of the request in its message."""


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
        self._unpacker = Unpacker(MAX_REQUEST_BYTES, check=None)
        self._lock = threading.Lock()
        """Held by the one thread that reads."""
        self._requests: deque[Message] = deque()
        self._token = Token(self, "")
        self._early = ""

    def watch(self) -> None:
        """Wait, whatever Lean does, until the pool has gone, and end the process then."""
        look = select.poll()
        look.register(self._connection, 0)  # only that the other end is closed
        look.poll()
        end_with_group()

    def next(self) -> tuple[Message, CancellationToken]:
        """Wait for a message; the token is cancelled with its request."""
        with self._lock:
            while not self._requests:
                self._read(0)
            message = self._requests.popleft()
            identity = str(message.get("id", ""))
            self._token = Token(self, identity)
            if identity and identity == self._early:
                self._token.cancel()
            return message, self._token

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
            for message in self._unpacker.feed(data):
                if "cancel" not in message:
                    self._requests.append(message)
                elif message["cancel"] == self._token.identity:
                    self._token.cancel()
                else:
                    self._early = str(message["cancel"])
        except Exception:  # whatever it is, nobody is left to hear of it
            end_with_group()

    def send(self, message: Message) -> None:
        """Send one frame; without a pool to hear it the process ends."""
        try:
            self._connection.sendall(pack_reply(message))
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

    An import may take *import_s* seconds; *helpers* are the processes of the engine.
    """
    allow_cpu = partial(process_limits.allow_cpu, helpers=helpers)
    cache = SessionCache(host)
    while True:
        message, cancelled = channel.next()
        answer(cache, options, message, cancelled, channel.send, allow_cpu, import_s)
        # For the import of the next request; what its check may take is set when that begins.
        allow_cpu(import_s * CPU_SHARE)


def answer(
    cache: SessionCache,
    options: ElabOptions,
    message: Message,
    cancelled: CancellationToken,
    send: Callable[[Message], None],
    allow_cpu: Callable[[float], None],
    import_s: float = IMPORT_S,
) -> None:
    """Answer one request through *send*; *allow_cpu* is told the CPU seconds that it may take from its import on."""
    identity = message["id"]
    kind = next(kind for kind in KINDS if kind in message)
    request = codec.request_in(message[kind])
    if request.timeout != options.timeout:
        options = replace(options, timeout=request.timeout)
    work = Work(cache.host, cache, request, options, cancelled, import_s)

    def begun() -> None:
        allow_cpu(request.timeout * CPU_SHARE + options.grace)
        send({"id": identity, "begun": True})

    def tell(more: Message) -> None:
        send({"id": identity, **more})

    result, extra, spent = work.done(kind, message, begun, tell)
    verdict: Message = {"id": identity, "result": codec.result_out(result), "spent": spent}
    try:
        send({**verdict, **_beside(extra)})
    except ProtocolError as error:
        why = (f"the verdict cannot be sent: {error.message}",)
        short = CheckResult(result.file, Status.REFUSED, reasons=why, toolchain=result.toolchain)
        send({**verdict, "result": codec.result_out(short)})


def _beside(extra: object) -> Message:
    """What goes with a verdict: a text, something else, or both."""
    if isinstance(extra, tuple):
        value, text = extra
        return {"extra": value, "text": text} if text else {"extra": value}
    return {"text" if isinstance(extra, str) else "extra": extra}


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
        self,
        kind: str,
        message: Message,
        begun: Callable[[], None],
        tell: Callable[[Message], None],
    ) -> tuple[CheckResult, object, bool]:
        """Return the verdict, what goes with it, and whether this process is of no further use."""
        try:
            match kind:
                case "export":
                    begun()
                    return *self._export(message["whole"]), False
                case "ask":
                    return *self._ask(message, begun, tell), False
                case "verify":
                    begun()
                    return *self._verify(message), False
                case "replay":
                    begun()
                    return *self._replay(message), False
                case "library":
                    return *self._library(message), False
                case "kernel":
                    return *self._kernel(message, begun), False
            return *self._check(begun, second="second" in message), False
        except EngineStuck as error:
            status = Status.CANCELLED if self.cancelled.is_cancelled else Status.TIMEOUT
            return self._instead(status, error), None, True
        except (OutOfMemory, MemoryError) as error:
            return self._instead(Status.OUT_OF_MEMORY, error), None, True
        except EngineLost as error:
            return self._instead(Status.CRASHED, error), None, True
        except UnsupportedToolchain as error:
            return self._instead(Status.UNSUPPORTED, error), None, False
        except Cancelled as error:
            status = Status.CANCELLED if self.cancelled.is_cancelled else Status.TIMEOUT
            return self._instead(status, error), None, False
        except UsageError as error:
            return self._instead(Status.REFUSED, error), None, False
        except Exception as error:
            return self._instead(Status.CRASHED, error), None, True

    def _check(self, begun: Callable[[], None], *, second: bool) -> tuple[CheckResult, object]:
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
        return result, ({"said": encoding.out(added.said)}, added.file) if second else None

    def _ask(
        self, message: Message, begun: Callable[[], None], tell: Callable[[Message], None]
    ) -> tuple[CheckResult, object]:
        accepted = CheckResult(self.request.file, Status.ACCEPTED, toolchain=self.host.label)
        try:
            timeout = self.request.timeout
            value = dispatch.answered(self.cache, message, timeout, self.cancelled, begun, tell)
            return accepted, {"value": value}
        except (EngineLost, Cancelled):
            raise
        except LeanHostError as error:
            return accepted, {"error": codec.error_out(error)}

    def _export(self, whole: bool) -> tuple[CheckResult, object]:
        return judge.export_added(self.host, self.request, self.options, self.cancelled, whole=whole)

    def _verify(self, message: Message) -> tuple[CheckResult, object]:
        start = codec.request_in(message["candidate"]) if "candidate" in message else None
        notes = Notes(self.options, self.cancelled, file=message.get("file", False))
        judged = judge.judge_export(
            self.host,
            self.request,
            message["text"],
            self.options,
            self.cancelled,
            whole=message["whole"],
            start=start,
            accepted=notes.take if "file" in message else None,
        )
        status = Status.REJECTED if judged.refusals else Status.ACCEPTED
        reasons = tuple(refusal.message for refusal in judged.refusals)
        result = CheckResult(self.request.file, status, reasons=reasons, toolchain=self.host.label)
        extra = {**codec.judgement_out(judged), "said": encoding.out(notes.said)}
        return result, (extra, notes.file)

    def _library(self, message: Message) -> tuple[CheckResult, object]:
        """Export a part of the library, which is getting ready: it has the time of an import."""
        identity, text = export_library(
            self.host,
            self.request,
            message["wanted"],
            message["known"],
            self.options,
            self.growing_s,
            self.cancelled,
            whole=message["whole"],
        )
        return self._data_read(), ({"library": identity}, text)

    def _kernel(self, message: Message, begun: Callable[[], None]) -> tuple[CheckResult, object]:
        said = kernel.answer(self.cache, message, self.options, self.growing_s, self.cancelled, begun)
        return self._data_read(), encoding.out(said)

    def _data_read(self) -> CheckResult:
        return CheckResult(self.request.file, Status.ACCEPTED, toolchain=self.host.label)

    def _replay(self, message: Message) -> tuple[CheckResult, object]:
        return replay_file.answer(self.host, self.request, message, self.options, self.cancelled)

    def _instead(self, status: Status, error: BaseException) -> CheckResult:
        why = error.message if isinstance(error, LeanHostError) else f"{type(error).__name__}: {error}"
        elapsed = time.monotonic() - self.since
        return CheckResult(
            self.request.file, status, reasons=(why,), elapsed=elapsed, toolchain=self.host.label
        )
