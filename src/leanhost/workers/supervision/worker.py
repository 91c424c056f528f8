"""One worker process under supervision: its channel, its output, its deadlines and its end."""

from __future__ import annotations

import enum
import selectors
import time
from dataclasses import replace
from typing import Protocol

from leanhost.errors import LeanHostError, WorkerStartError
from leanhost.services.values.results import CheckResult, Status
from leanhost.system.process_limits import anonymous_bytes, family
from leanhost.workers.jobs.import_profiles import ImportProfile
from leanhost.workers.jobs.job import Job
from leanhost.workers.jobs.lease import Lease
from leanhost.workers.jobs.settings import Settings
from leanhost.workers.protocol.framing import MAX_REQUEST_BYTES, Frame, ProtocolError, Unpacker, pack
from leanhost.workers.protocol.messages import (
    Begun,
    Cancel,
    Check,
    Config,
    Done,
    Failed,
    Order,
    Ready,
    Reply,
    Reset,
    Told,
    error_in,
)
from leanhost.workers.supervision import exit_status
from leanhost.workers.supervision.process import Drain, Ends, Process
from leanhost.workers.values.known_faults import FaultNotice

WATCH_S = 0.2
"""Seconds between two looks at the memory of a worker that works, and before the one after its last check."""

REAP_S = 0.005
"""Seconds between two looks at a process that is about to end."""

LINGER_S = 5.0
"""Seconds after which a killed process that has not ended is no longer waited for."""

_LATE = "did not start in time"


class State(enum.Enum):
    """Where a worker is in its life."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    DYING = "dying"
    GONE = "gone"


class WorkerOwner(Protocol):
    """Whom a worker tells."""

    settings: Settings
    selector: selectors.BaseSelector

    def start_failed(self, worker: Worker, error: LeanHostError, lasting: bool) -> None:
        """The worker ended before it was ready; *lasting*: another would do the same."""

    def never_begun(self, job: Job) -> bool:
        """The worker ended by itself before it looked at the source; whether the owner sees to the job."""

    def dying(self, worker: Worker, why: str) -> None:
        """The worker takes no more work; its job, if any, is answered once it is gone."""

    def gone(self, worker: Worker) -> None:
        """The process has ended."""

    def answered(self, job: Job, result: CheckResult) -> None:
        """The worker has given this verdict and is free."""

    def up(self, worker: Worker) -> None:
        """The process is ready for work."""

    def notice(self, worker: Worker) -> FaultNotice:
        """Return what is said about the verdicts of the worker's Lean."""

    def overfull(self, worker: Worker) -> str | None:
        """Return what of its directory is more than the worker may have in it, if anything is."""


class Worker:
    """A process that checks one source at a time. All methods run on the supervisor's thread."""

    def __init__(self, owner: WorkerOwner, profile: ImportProfile, process: Process, ends: Ends) -> None:
        self._owner = owner
        self.profile = profile
        self.process = process
        self._ends = ends
        self._unpacker: Unpacker[Reply] = Unpacker(Reply)
        self._unsent = bytearray()
        self.state = State.STARTING
        self.job: Job | None = None
        self.lease: Lease | None = None
        self.served = 0
        self.touched = False
        """Whether a candidate was given to it, whose code may have run in it, and it was not reset since."""
        self.sandbox = ""
        self.label = owner.settings.label
        self.lean = (owner.settings.toolchain.version, owner.settings.toolchain.platform)
        """The version and the platform of its Lean; not told by the toolchain's files where those are without."""
        self.born = self._since = time.monotonic()
        self.deadline = self.born + owner.settings.startup_timeout
        self._begun = False
        self._cause: tuple[Status, str] | None = None
        self._failed: LeanHostError | None = None
        self._lasting = False
        self._watch_at = float("inf")
        self._memory_at_start = 0
        self._grown = 0
        self._was_starting = False
        self._keeps_state = False
        """Whether it was told to keep what its requests leave, and not yet to be reset."""
        self._why = ""
        self._gone_at = float("inf")
        self._awaited = selectors.EVENT_READ
        owner.selector.register(ends.channel, self._awaited, self._on_channel)
        owner.selector.register(ends.stdout.fd, selectors.EVENT_READ, lambda _: self._on_output(ends.stdout))
        owner.selector.register(ends.stderr.fd, selectors.EVENT_READ, lambda _: self._on_output(ends.stderr))

    @property
    def is_judge(self) -> bool:
        """Whether it has verified what others elaborated, and done nothing else; any worker can that is reset."""
        return self.served > 0 and not self.touched and not self._owner.settings.resets

    # --- work ---

    def configure(self, config: Config) -> None:
        """Send the first frame."""
        self._send(pack(config, limit=MAX_REQUEST_BYTES))

    def assign(self, job: Job) -> None:
        """Give the worker a job; it may still be starting.

        Raises :class:`ProtocolError`, with nothing done, when the request is larger than a frame.
        """
        held = self.lease is not None
        order = Order(job.identity, replace(job.request, id=None), job.question, held)
        frame = pack(order, job.payload, job.text, limit=MAX_REQUEST_BYTES)
        self._keeps_state = self._keeps_state or held
        self.job = job
        self.touched = self.touched or not job.question.judging
        self._begun = False
        if self.state is State.IDLE:
            self._start_clock()
        self._send(frame)

    def cancel(self, job: Job) -> None:
        """Ask the job to stop, and make sure that it does."""
        if self.job is not job or self.state is State.DYING:
            return
        if self.state is State.STARTING:
            self.kill(Status.CANCELLED, "the caller cancelled")
            return
        self._send(pack(Cancel(job.identity), limit=MAX_REQUEST_BYTES))
        self._cause = (Status.CANCELLED, "the caller cancelled; Lean did not stop and was killed")
        self.deadline = min(self.deadline, time.monotonic() + self._owner.settings.grace)

    def _start_clock(self) -> None:
        self.state = State.BUSY
        self._since = time.monotonic()
        # Until the worker says that the imports are there, it has what a start may take.
        self.deadline = self._since + self._owner.settings.startup_timeout
        # Short checks in a row are looked at now and then, too; a look takes longer than answering one of them.
        self._watch_at = min(self._watch_at, self._since + WATCH_S)

    def _take(self, frame: Frame[Reply]) -> None:
        message = frame.message
        if self.state is State.STARTING:
            self._take_first(frame)
            return
        job = self.job
        if isinstance(message, Ready | Failed) or job is None or message.id != job.identity:
            raise ProtocolError("an answer to no question")
        match message:
            case Begun() if not self._begun:
                self._begun = True
                if self._cause is None:
                    self.deadline = time.monotonic() + job.request.timeout + self._owner.settings.grace
            case Told(event=event) if self._begun and job.told is not None:
                job.told.append(event)
            case Done(result=result, spent=spent):
                stdout, stderr = self._ends.stdout.take(), self._ends.stderr.take()
                result = replace(result, file=job.request.file, stdout=stdout, stderr=stderr, id=None)
                if self._cause is not None and self._cause[0] is Status.CANCELLED:
                    result = replace(result, status=Status.CANCELLED)
                if isinstance(job.question, Check) and not job.question.second:
                    result = self._owner.notice(self).on_check(result)
                job.reply = Frame(message, frame.payload, frame.text)
                self._answered(job, result, spent=spent)
            case _:
                raise ProtocolError("a frame at the wrong time")

    def start_error(self, error: LeanHostError, lasting: bool) -> None:
        """The process will never be, and why."""
        if self.state is State.STARTING:
            self._failed, self._lasting = error, lasting
            self.kill(None, "failed to start")

    def _take_first(self, frame: Frame[Reply]) -> None:
        if isinstance(frame.message, Failed):
            self.start_error(error_in(frame.payload), lasting=True)
        elif isinstance(frame.message, Ready):
            self.label = frame.message.label[:400]
            self.lean = frame.message.lean or self.lean
            self.sandbox = frame.message.sandbox[:400]
            # Of its start; what comes now may be of the check already.
            self._ends.stdout.clear()
            self._ends.stderr.clear()
            self._owner.up(self)
            if self.job is not None:
                self._start_clock()
            else:
                self.state = State.IDLE
                self.deadline = float("inf")
            self._memory_at_start = self.memory()
        else:
            raise ProtocolError("a frame at the wrong time")

    def _answered(self, job: Job, result: CheckResult, *, spent: bool) -> None:
        settings = self._owner.settings
        self.job = None
        self._cause = None
        self.served += 1
        self.state = State.IDLE
        self.deadline = float("inf")
        self._owner.answered(job, result)
        if self._owner.settings.resets and not self._keeps_state:
            self.touched = False
        if spent:
            self.kill(None, "spent")
        elif self.lease is None:
            self._retire()
        elif self._grown > settings.max_growth_bytes:
            self.kill(None, "memory")

    def let_go(self) -> None:
        """Serve others than the session that held it, or end if it has served enough."""
        if self.state is State.IDLE:
            self._retire()

    def _retire(self) -> None:
        """End the process if it has served long enough; else have it reset, if a session left something in it."""
        settings = self._owner.settings
        if self.served >= settings.max_requests:
            self.kill(None, "requests")
        elif time.monotonic() - self.born > settings.max_age:
            self.kill(None, "age")
        elif self._grown > settings.max_growth_bytes:
            self.kill(None, "memory")
        elif self._keeps_state and settings.resets:
            self._send(pack(Reset(), limit=MAX_REQUEST_BYTES))
            self._keeps_state = self.touched = False

    # --- memory ---

    def memory(self) -> int:
        """Anonymous memory in bytes of the process and what it started."""
        return sum(map(anonymous_bytes, family(self.process.pid))) if self.process.pid else 0

    def growth(self) -> int:
        """Bytes of memory since the worker was ready."""
        return self.memory() - self._memory_at_start

    # --- time ---

    def next_look(self) -> float:
        """When :meth:`tick` wants to be called, on :func:`time.monotonic`."""
        if self.state is State.DYING:
            return time.monotonic() + REAP_S
        return min(self.deadline, self._watch_at)

    def tick(self, now: float) -> None:
        """Enforce what is due."""
        if self.state is State.DYING:
            self._reap(now)
        elif now >= self.deadline:
            self._overdue()
        elif now >= self._watch_at:
            self._look(now)

    def _look(self, now: float) -> None:
        settings = self._owner.settings
        self._grown = self.growth()
        if self.job is None:
            self._watch_at = float("inf")
            if self._grown > settings.max_growth_bytes:
                self.kill(None, "memory")
            return
        self._watch_at = now + WATCH_S
        if self._grown > settings.memory_limit:
            why = f"the check used more than {settings.memory_limit} bytes of memory"
            self.kill(Status.OUT_OF_MEMORY, why)
        elif (too_much := self._owner.overfull(self)) is not None:
            self.kill(Status.OUT_OF_MEMORY, too_much)

    def _overdue(self) -> None:
        if self._cause is not None:
            self.kill(*self._cause)
        elif self.state is State.STARTING:
            self.kill(None, _LATE)
        elif self._begun:
            assert self.job is not None
            why = f"the wall-clock limit of {self.job.request.timeout:g} s ran out; Lean did not stop and was killed"
            self.kill(Status.TIMEOUT, why)
        else:
            self.kill(
                Status.TIMEOUT, f"getting ready took more than {self._owner.settings.startup_timeout:g} s"
            )

    # --- the end ---

    def kill(self, status: Status | None, why: str) -> None:
        """End the process now; *status* is the verdict of the job it has, ``None`` to read it from the end."""
        if self.state in (State.DYING, State.GONE):
            return
        self._cause = None if status is None else (status, why)
        self.process.kill()
        self._leave(why)

    def _leave(self, why: str) -> None:
        self._was_starting = self.state is State.STARTING
        self._why = why
        self.state = State.DYING
        self._gone_at = time.monotonic() + LINGER_S
        for source in (self._ends.channel, self._ends.stdout.fd, self._ends.stderr.fd):
            self._forget(source)
        self._owner.dying(self, why if self._cause is None else str(self._cause[0]))

    def _forget(self, source: object) -> None:
        try:
            self._owner.selector.unregister(source)  # type: ignore[arg-type]
        except (KeyError, ValueError):
            pass

    def _reap(self, now: float) -> None:
        code = self.process.status()
        if code is None and now < self._gone_at:
            return
        self.state = State.GONE
        stdout, stderr = self._ends.stdout.take(), self._ends.stderr.take()
        self.close()
        self._owner.gone(self)
        job, self.job = self.job, None
        if self._was_starting and (self._cause is None or job is None):
            error = self._failed or self._not_started(code, stderr)
            if job is not None:
                self.job = job
            self._owner.start_failed(self, error, self._lasting)
            return
        if job is not None:
            if self._cause is None and not self._begun and self._owner.never_begun(job):
                return
            status, why = self._cause or exit_status.status_of_exit(code, stderr)
            result = job.instead(status, why, self.label, now - self._since)
            job.finish(replace(result, stdout=stdout, stderr=stderr))

    def _not_started(self, code: int | None, stderr: str) -> WorkerStartError:
        if self._why == _LATE:
            limit = self._owner.settings.startup_timeout
            return WorkerStartError(
                f"a worker was not ready within {limit:g} s, and was killed",
                hint="allow more with startup_timeout=",
            )
        return WorkerStartError(
            f"a worker {self._why} while starting: {exit_status.status_of_exit(code, stderr)[1]}"
        )

    def close(self) -> None:
        """Release everything; the process must have been killed or have ended."""
        self.state = State.GONE
        for source in (self._ends.channel, self._ends.stdout.fd, self._ends.stderr.fd):
            self._forget(source)
        self._ends.close()
        self.process.close()

    # --- bytes ---

    def _send(self, frame: bytes) -> None:
        self._unsent += frame
        self._flush()

    def _flush(self) -> None:
        try:
            while self._unsent:
                # Given back by hand: a profiler that lists all objects may hold the views a moment longer.
                with memoryview(self._unsent) as whole, whole[: 1 << 20] as part:
                    sent = self._ends.channel.send(part)
                del self._unsent[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()  # the end of the channel is read next
        if self.state not in (State.DYING, State.GONE):
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
            if wanted != self._awaited:
                self._awaited = wanted
                self._owner.selector.modify(self._ends.channel, wanted, self._on_channel)

    def _on_channel(self, mask: int) -> None:
        if self.state in (State.DYING, State.GONE):
            return
        if mask & selectors.EVENT_WRITE:
            self._flush()
        if not mask & selectors.EVENT_READ:
            return
        try:
            data = self._ends.channel.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._ended()
            return
        try:
            for frame in self._unpacker.feed(data):
                self._take(frame)
                if self.state in (State.DYING, State.GONE):
                    break
        except (ProtocolError, LeanHostError) as error:
            self.kill(Status.CRASHED, f"the worker did not keep to the protocol: {error}")

    def _ended(self) -> None:
        # What is left of its group goes too; how it ended is read when it is reaped.
        self.process.kill()
        self._leave("ended by itself")

    def _on_output(self, drain: Drain) -> None:
        if self.state not in (State.DYING, State.GONE) and not drain.read():
            self._forget(drain.fd)

    def abandon(self) -> None:
        """In a forked process: close the copies of the descriptors and leave the worker alone."""
        self._ends.abandon()
