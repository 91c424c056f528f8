"""Calls of a session that run in a pool's workers: described once, made by waiting or from asyncio and trio.

A method describes its call; the decorator :func:`blocking` makes it, and :func:`async_twin` derives its asynchronous
twin, with the same parameters and the same answer to a type checker and to a reader.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from msgspec import Struct

from leanhost.errors import (
    Cancelled,
    EngineLost,
    EngineStuck,
    LeanHostError,
    OutOfMemory,
    UnsupportedToolchain,
    UsageError,
)
from leanhost.lean.core import Import
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.outcomes import KernelOutcome
from leanhost.services.values.progress import Phase, ProgressSink
from leanhost.services.values.results import CheckResult, Status
from leanhost.services.values.stats import Meter
from leanhost.services.values.tracing import span
from leanhost.workers.batch.submitted import LOOK_S
from leanhost.workers.jobs.import_profiles import ImportProfile
from leanhost.workers.jobs.job import Job
from leanhost.workers.jobs.lease import Hold
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.framing import ProtocolError
from leanhost.workers.protocol.messages import Ask, Invocation, Spec, error_in
from leanhost.workers.remote.operation import Operation
from leanhost.workers.remote.provenance import with_provenance
from leanhost.workers.values.items import Request

if TYPE_CHECKING:  # a worker, which imports this module, has no use for what starts processes
    from leanhost.workers.supervision.dispatcher import Dispatcher

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
S = TypeVar("S")
P = ParamSpec("P")

_RAISED: Mapping[Status, type[LeanHostError]] = {
    Status.TIMEOUT: EngineStuck,
    Status.OUT_OF_MEMORY: OutOfMemory,
    Status.REFUSED: UsageError,
    Status.UNSUPPORTED: UnsupportedToolchain,
}


@dataclass(slots=True)
class RemoteContext:
    """What the calls of one session have in common."""

    dispatcher: Dispatcher
    hold: Hold
    profile: ImportProfile
    imports: tuple[Import, ...]
    options: ElabOptions
    grown: tuple[tuple[str, str], ...] = ()
    """The sources the session was extended by, each with the label of its file."""
    meter: Meter = field(default_factory=Meter)

    def spec(self) -> Spec:
        """Return what a worker makes the session from."""
        return Spec(self.imports, self.options, self.grown)

    def with_provenance(self, made: Struct, outcome: KernelOutcome) -> KernelOutcome:
        """Return *outcome* with evidence that knows that it was made from *made* in this session."""
        return with_provenance(self.imports, self.grown, made, outcome)

    def ask(
        self,
        operation: Operation[B, T],
        arguments: B,
        *,
        seconds: float | None = None,
        items: int = 1,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> T:
        """Describe one call of *operation*, for a method under :func:`blocking`: it is made there, and answered.

        *seconds* are the session's if left out.
        """
        return self.ask_then(
            lambda answer: answer,
            operation,
            arguments,
            seconds=seconds,
            items=items,
            cancellation=cancellation,
            progress=progress,
        )

    def ask_then(
        self,
        then: Callable[[A], T],
        operation: Operation[B, A],
        arguments: B,
        *,
        seconds: float | None = None,
        items: int = 1,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> T:
        """:meth:`ask`, and return what *then* makes of the answer."""
        asked = self._request(operation, arguments, seconds)
        # The only place where a description goes by the type of its answer: `blocking` and `async_twin` cast it back.
        call = Call(self, operation, [asked], items, lambda found: then(found[0]), cancellation, progress)
        return cast("T", call)

    def ask_each(
        self,
        operation: Operation[B, A],
        arguments: Iterable[B],
        *,
        then: Callable[[list[A]], list[A]] = list,
        seconds: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[A]:
        """Describe many calls, made side by side by as many workers as there are; one answer each, in order."""
        asked = [self._request(operation, each, seconds) for each in arguments]
        call: Call[list[A]] = Call(self, operation, asked, 1, then, cancellation, progress, many=True)
        return cast("list[A]", call)

    def _request(
        self, operation: Operation[B, Any], arguments: B, seconds: float | None
    ) -> tuple[Request, bytes]:
        limits = self.options if seconds is None else replace(self.options, timeout=seconds)
        file = getattr(arguments, "file", "<input>")
        request = Request("", file, self.imports, (), limits.timeout)
        return request, codec.encode(Invocation(self.spec(), arguments))


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """Requests of one operation, not made yet; ``then`` makes the answer of theirs."""

    context: RemoteContext
    operation: Operation[Any, Any]
    requests: Sequence[tuple[Request, bytes]]
    items: int
    """How many items each request is about."""
    then: Callable[[list[Any]], T]
    cancellation: Cancellation
    progress: ProgressSink | None
    many: bool = False

    def make(self) -> T:
        """Make the call and wait for it."""
        steps = self._steps()
        try:
            while True:
                wait(next(steps), timeout=self._slice, return_when=FIRST_COMPLETED)
        except StopIteration as end:
            return cast("T", end.value)
        finally:
            steps.close()

    async def make_later(self) -> T:
        """Make the call under asyncio or trio; cancelling the task stops it."""
        from leanhost.workers.batch.futures import Notifier

        notifier = Notifier()
        heard: set[Future[CheckResult]] = set()
        steps = self._steps()
        try:
            while True:
                for future in next(steps):
                    if future not in heard:
                        heard.add(future)
                        notifier.watch(future)
                await notifier.wait(self._slice)
        except StopIteration as end:
            return cast("T", end.value)
        finally:
            steps.close()

    @property
    def _slice(self) -> float | None:
        return None if self.cancellation is None and self.progress is None else LOOK_S

    def _steps(self) -> Generator[list[Future[CheckResult]], None, T]:
        """Yield what is to be waited for, one of it at a time, until there is an answer."""
        begun = time.monotonic()
        count = self.items * len(self.requests)
        doing = Phase(self.progress if self.many else None, "bulk", count)
        room = 4 * self.context.dispatcher.workers if self.many else 1
        stopped = False
        jobs: list[Job] = []
        held = self.context.hold.lease is not None
        with span(f"leanhost.worker.{self.operation.name}", items=count, held=held):
            try:
                running: list[Job] = []
                while True:
                    if not stopped and self.cancellation is not None and self.cancellation.is_cancelled:
                        stopped = True
                        for job in running:
                            self.context.dispatcher.cancel(job)
                    while not stopped and len(running) < room and len(jobs) < len(self.requests):
                        running.append(self._start(*self.requests[len(jobs)]))
                        jobs.append(running[-1])
                    if not running:
                        break
                    yield [job.future for job in running]
                    for job in running:
                        while job.told and self.progress is not None:
                            self.progress(job.told.popleft())
                    running = [job for job in running if not job.future.done()]
                    doing.at(len(jobs) - len(running))
                found = [self._read(job) for job in jobs]
                return self.then(found + [self._stopped() for _ in self.requests[len(found) :]])
            except BaseException:
                for job in jobs:
                    self.context.dispatcher.cancel(job)
                raise
            finally:
                self.context.meter.count(self.operation.name, count, time.monotonic() - begun)

    def _start(self, request: Request, payload: bytes) -> Job:
        tell = self.progress is not None and not self.many
        return self.context.dispatcher.ask(
            request,
            Ask(self.operation.name, tell),
            payload,
            self.context.profile,
            lease=self.context.hold.lease,
            bounded=not self.many,
        )

    def _read(self, job: Job) -> Any:
        """Take an answer apart by its type; raise what is said instead of one."""
        result = job.future.result()
        reply = job.reply
        payload, raised = (reply.payload, reply.message.raised) if reply is not None else (b"", False)
        if payload and not raised and result.status in (Status.ACCEPTED, Status.CANCELLED):
            value = codec.decode(payload, self.operation.answer)
            if self.operation.each and len(value) != self.items:
                raise ProtocolError(f"{len(value)} answers to {self.items} questions")
            return value
        if payload and raised and result.status is Status.ACCEPTED:
            raise error_in(payload)
        if result.status is Status.CANCELLED:
            return self._stopped()
        why = result.reasons[0] if result.reasons else "the worker gave no answer"
        raise _RAISED.get(result.status, EngineLost)(why)

    def _stopped(self) -> Any:
        """Return the answer where a cancellation came first."""
        if self.operation.cancelled is None:
            raise Cancelled(f"{self.operation.name} was cancelled")
        if self.operation.each:
            return [self.operation.cancelled() for _ in range(self.items)]
        return self.operation.cancelled()


def first(described: list[T]) -> T:
    """Describe the call that answers with the first entry of what *described* answers with."""
    call = cast("Call[list[T]]", described)

    def only(found: list[Any]) -> T:
        return call.then(found)[0]

    return cast("T", replace(cast("Call[Any]", call), then=only))


def blocking(describe: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Turn a method that describes a call into one that makes it and waits for the answer."""

    @wraps(describe)
    def method(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        call = describe(self, *args, **kwargs)
        return cast("T", call.make()) if isinstance(call, Call) else call

    return cast("Callable[Concatenate[S, P], T]", method)


def async_twin(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Return the twin, for asyncio and trio, of a method that :func:`blocking` made."""
    describe: Callable[Concatenate[S, P], T] = method.__wrapped__  # type: ignore[attr-defined]

    async def twin(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        call = describe(self, *args, **kwargs)
        return cast("T", await call.make_later()) if isinstance(call, Call) else call

    twin.__name__ = f"a{describe.__name__}"
    twin.__qualname__ = describe.__qualname__.replace(describe.__name__, twin.__name__)
    twin.__doc__ = f":meth:`{describe.__name__}` from asyncio or trio; cancelling the task stops it."
    twin.__module__ = describe.__module__
    twin.__wrapped__ = describe  # type: ignore[attr-defined]
    return twin
