"""Sessions whose calls run in a pool's workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from leanhost.errors import (
    Cancelled,
    ElaborationError,
    EngineLost,
    EngineStuck,
    LeanHostError,
    OutOfMemory,
    UnsupportedToolchain,
    UsageError,
)
from leanhost.lean.core import Import
from leanhost.services.cancellation import Cancellation
from leanhost.services.evidence import KernelOutcome, Unavailable
from leanhost.services.options import AllowedAxioms, ElabOptions
from leanhost.services.results import CommandResult, Limit, Status
from leanhost.services.session import Session
from leanhost.workers import codec, values
from leanhost.workers.items import Request
from leanhost.workers.job import Job
from leanhost.workers.wire import Message

if TYPE_CHECKING:
    from leanhost.workers.pool import WorkerPool

CANCEL_LOOK_S = 0.05
"""Seconds between two looks at a caller's token."""

T = TypeVar("T")

OPERATIONS: Mapping[str, Callable[[Session, Message, Cancellation], object]] = {
    "run": lambda session, a, token: session.run(a["source"], file=a["file"], cancellation=token),
    "kernel_check": lambda session, a, token: session.kernel_check(
        a["source"], file=a["file"], allow_axioms=a["allow_axioms"], cancellation=token
    ),
    "goals_at": lambda session, a, token: session.goals_at(a["source"], [(x, y) for x, y in a["positions"]]),
}
"""What a worker can be asked of a session over its imports, by name."""

_RAISED: Mapping[Status, type[LeanHostError]] = {
    Status.TIMEOUT: EngineStuck,
    Status.OUT_OF_MEMORY: OutOfMemory,
    Status.CANCELLED: Cancelled,
    Status.REFUSED: UsageError,
    Status.UNSUPPORTED: UnsupportedToolchain,
}
_CANCELLED = "the caller cancelled"


class WorkerSession:
    """The operations of a :class:`~leanhost.Session`, each run in a worker of a pool.

    Made by :meth:`WorkerPool.session`. It holds no process: every call is a request to the pool with its queue
    and its limits, takes any worker that has the imports (forked for it, on native), and may run beside others.
    What ends a worker ends one call: with :class:`~leanhost.errors.EngineLost`,
    :class:`~leanhost.errors.OutOfMemory`, or :class:`~leanhost.errors.EngineStuck` when Lean did not stop at the
    time limit. Calls also raise what :meth:`WorkerPool.check` does, and
    :class:`~leanhost.errors.ImportFailed`. Each has a twin for asyncio and trio whose name begins with ``a``.

    Results are those of a session in this process, but for evidence: it is the worker's word, as the verdict of
    :meth:`WorkerPool.check` is, and cannot be exported or asked again.
    """

    def __init__(
        self,
        pool: WorkerPool,
        imports: tuple[Import, ...],
        options: ElabOptions,
        prefix: tuple[str, ...] = (),
    ) -> None:
        self._pool = pool
        self._imports = imports
        self._prefix = prefix
        self.options = options

    @property
    def imports(self) -> tuple[str, ...]:
        """The modules the session is over, in order."""
        return tuple(i.text for i in self._imports)

    def run(
        self,
        source: str,
        *,
        file: str = "<input>",
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> CommandResult:
        """Elaborate any number of commands and report, as :meth:`leanhost.Session.run`."""
        return self._wait(self._ask("run", timeout, source=source, file=file), _result, cancellation)

    async def arun(
        self, source: str, *, file: str = "<input>", timeout: float | None = None
    ) -> CommandResult:
        """:meth:`run` from asyncio or trio; cancelling the task stops it."""
        return await self._await("run", _result, timeout, source=source, file=file)

    def kernel_check(
        self,
        source: str,
        *,
        allow_axioms: Iterable[str] = (),
        file: str = "<input>",
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> KernelOutcome:
        """Elaborate *source* and judge what it declares, as :meth:`leanhost.Session.kernel_check`."""
        named = sorted(AllowedAxioms.of(allow_axioms).named)
        job = self._ask("kernel_check", timeout, source=source, file=file, allow_axioms=named)
        return self._wait(job, _outcome, cancellation)

    async def akernel_check(
        self,
        source: str,
        *,
        allow_axioms: Iterable[str] = (),
        file: str = "<input>",
        timeout: float | None = None,
    ) -> KernelOutcome:
        """:meth:`kernel_check` from asyncio or trio; cancelling the task stops it."""
        named = sorted(AllowedAxioms.of(allow_axioms).named)
        return await self._await(
            "kernel_check", _outcome, timeout, source=source, file=file, allow_axioms=named
        )

    def kernel_check_bulk(
        self,
        sources: Sequence[str],
        *,
        allow_axioms: Iterable[str] = (),
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> list[KernelOutcome]:
        """:meth:`kernel_check` of many sources, as many at once as the pool has workers: one outcome each, in order.

        After a cancellation the rest are ``Unavailable``. What ends a worker ends the call.
        """
        named = sorted(AllowedAxioms.of(allow_axioms).named)
        jobs: list[Job] = []
        try:
            for source in sources:
                waiting = [job.future for job in jobs if not job.future.done()]
                if len(waiting) >= 4 * self._pool.workers:
                    wait(
                        waiting,
                        timeout=None if cancellation is None else CANCEL_LOOK_S,
                        return_when=FIRST_COMPLETED,
                    )
                arguments = {"source": source, "file": "<input>", "allow_axioms": named}
                jobs.append(self._ask("kernel_check", timeout, bounded=False, **arguments))
                if cancellation is not None and cancellation.is_cancelled:
                    self._pool.cancel(jobs[-1])
            return [self._wait(job, _outcome, cancellation) for job in jobs]
        except BaseException:
            for job in jobs:
                self._pool.cancel(job)
            raise

    def goals_at(
        self, source: str, positions: Sequence[tuple[int, int]], *, timeout: float | None = None
    ) -> list[tuple[str, ...]]:
        """The goals at many ``(line, column)`` positions, as :meth:`leanhost.Session.goals_at`."""
        job = self._ask("goals_at", timeout, source=source, positions=[list(p) for p in positions])
        return self._wait(job, _goals, None)

    async def agoals_at(
        self, source: str, positions: Sequence[tuple[int, int]], *, timeout: float | None = None
    ) -> list[tuple[str, ...]]:
        """:meth:`goals_at` from asyncio or trio; cancelling the task stops it."""
        return await self._await(
            "goals_at", _goals, timeout, source=source, positions=[list(p) for p in positions]
        )

    def extend(
        self, source: str, *, timeout: float | None = None, cancellation: Cancellation = None
    ) -> WorkerSession:
        """Return a session over what *source* adds, as :meth:`leanhost.Session.extend`.

        Workers keep nothing between calls: each call of the new session elaborates *source* first, within its
        own time. Raises :class:`~leanhost.errors.ElaborationError` when it does not elaborate.
        """
        result = self.run(source, timeout=timeout, cancellation=cancellation)
        if Limit.CANCELLED in result.limits:
            raise Cancelled("the extension of the session was cancelled")
        if not result.ok:
            first = str(result.errors[0]) if result.errors else ", ".join(result.limits)
            raise ElaborationError(f"the session cannot be extended: {first}", result=result)
        return WorkerSession(self._pool, self._imports, self.options, (*self._prefix, source))

    # --- asking ---

    def _ask(self, operation: str, timeout: float | None, *, bounded: bool = True, **arguments: Any) -> Job:
        options = self.options if timeout is None else replace(self.options, timeout=timeout)
        if not isinstance(arguments["source"], str):
            raise UsageError(f"a source is a str, not {type(arguments['source']).__name__}")
        more: Message = {
            "operation": operation,
            "arguments": arguments,
            "options": codec.options_out(options),
            "prefix": list(self._prefix),
        }
        request = Request("", str(arguments.get("file", "<input>")), self._imports, (), options.timeout)
        return self._pool.ask(request, more, bounded=bounded)

    def _wait(self, job: Job, read: Callable[[Job], T], cancellation: Cancellation) -> T:
        try:
            while not job.future.done():
                wait([job.future], timeout=None if cancellation is None else CANCEL_LOOK_S)
                if cancellation is not None and cancellation.is_cancelled:
                    self._pool.cancel(job)
                    cancellation = None
            return read(job)
        except BaseException:
            self._pool.cancel(job)
            raise

    async def _await(
        self, operation: str, read: Callable[[Job], T], timeout: float | None, **arguments: Any
    ) -> T:
        from leanhost.workers.aio import Bell, in_thread

        jobs: list[Job] = []
        try:
            await in_thread(lambda: jobs.append(self._ask(operation, timeout, **arguments)))
            bell = Bell()
            bell.hang_on(jobs[0].future)
            await bell.rung()
            return read(jobs[0])
        except BaseException:
            for job in jobs:
                self._pool.cancel(job)
            raise

    def __repr__(self) -> str:
        grown = f", extended {len(self._prefix)} times" if self._prefix else ""
        return f"<WorkerSession over {', '.join(self.imports)}{grown}>"


def answered(session: Session, message: Message, cancelled: Cancellation) -> object:
    """Perform in a worker what a :class:`WorkerSession` asked for; encoded."""
    grown = session
    for source in message["prefix"]:
        grown = grown.extend(source, cancellation=cancelled)
    return values.out(OPERATIONS[message["operation"]](grown, message["arguments"], cancelled))


def _read(job: Job, wanted: Any) -> Any:
    result = job.future.result()
    extra = job.extra
    if isinstance(extra, dict) and "value" in extra and result.status is Status.ACCEPTED:
        return values.into(wanted, extra["value"])
    if isinstance(extra, dict) and "error" in extra:
        raise codec.error_in(extra["error"])
    why = result.reasons[0] if result.reasons else "the worker gave no answer"
    raise _RAISED.get(result.status, EngineLost)(why)


def _result(job: Job) -> CommandResult:
    if job.future.result().status is Status.CANCELLED:
        return CommandResult((), (), (), 0.0, 0.0, (Limit.CANCELLED,))
    result: CommandResult = _read(job, CommandResult)
    return result


def _outcome(job: Job) -> KernelOutcome:
    if job.future.result().status is Status.CANCELLED:
        return Unavailable(Limit.CANCELLED, _CANCELLED)
    outcome: KernelOutcome = _read(job, KernelOutcome)
    return outcome


def _goals(job: Job) -> list[tuple[str, ...]]:
    goals: list[tuple[str, ...]] = _read(job, list[tuple[str, ...]])
    return goals
