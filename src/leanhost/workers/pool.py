"""The worker pool: sources checked in processes of their own, bounded in number, time, memory and output."""

from __future__ import annotations

import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from leanhost.engine import can_fork
from leanhost.errors import UsageError
from leanhost.lean.core import Import
from leanhost.services.cancellation import CancellationToken
from leanhost.services.imports import parse_imports
from leanhost.services.options import ElabOptions
from leanhost.services.results import CheckResult, Status
from leanhost.toolchain import Toolchain, lean_path, load_project, resolve
from leanhost.workers.heads import head_of, importable
from leanhost.workers.items import CheckItem, prepare_item
from leanhost.workers.job import Job
from leanhost.workers.settings import SandboxMode, Settings
from leanhost.workers.supervisor import Supervisor

if TYPE_CHECKING:
    from types import TracebackType

CANCEL_LOOK_S = 0.05
"""Seconds between two looks at a caller's token."""


@dataclass(frozen=True, slots=True)
class CheckProgress:
    """How far :meth:`WorkerPool.check_many` has come: items taken, items answered, answers by status."""

    taken: int
    done: int
    statuses: dict[Status, int] = field(default_factory=dict)


class WorkerPool:
    """Checks sources in worker processes. A crash, a hang or a flood costs the request that caused it.

    A context manager; made lazily: the first request starts the first worker. Safe to use from many threads.
    Nothing of it outlives the process that made it, however that ends.

    Args:
        toolchain: a name, a path or a :class:`~leanhost.Toolchain`; ``None`` for the usual discovery.
        project: a directory inside a built Lake project, as for :func:`leanhost.open`.
        search_path: further directories of ``.olean`` files, looked at first.
        workers: how many sources are checked at once.
        options: limits of a check; its ``timeout`` is the default of every item.
        allow_axioms: axioms allowed in every item.
        imports: for sources without a header of their own; ``None`` for ``Init``.
        strict: refuse a Lean that no version table names.
        startup_timeout: seconds a worker may take to start, and an import to load.
        grace: seconds a check that ran out of time may take to stop before its worker is killed.
        memory_limit: bytes a check may use on top of what its worker had when it started.
        output_limit: bytes of standard output, and of standard error, kept of a check.
        max_requests: checks after which a worker is replaced; ``None``: after every one where a fork makes that
            cheap (native), after 1000 elsewhere.
        max_age: seconds after which a worker is replaced, once it is free.
        max_private_bytes: growth in bytes beyond which a worker is replaced, once it is free.
        spares: workers kept started ahead of need, once workers were seen to be used up.
        max_waiting: requests that may wait for a worker; one more is refused.
        queue_timeout: seconds a request may wait for a worker.
        max_zygotes: imported environments kept in memory to fork from (native engine).
        sandbox: ``"auto"`` takes what the machine has, ``"required"`` refuses to run without, ``"off"``.

    Raises :class:`~leanhost.errors.ToolchainError`, :class:`~leanhost.errors.ProjectError` or
    :class:`~leanhost.errors.UsageError`.
    """

    def __init__(
        self,
        *,
        toolchain: str | Path | Toolchain | None = None,
        project: str | Path | None = None,
        search_path: Sequence[Path | str] = (),
        workers: int = 1,
        options: ElabOptions | None = None,
        allow_axioms: Iterable[str] = (),
        imports: Sequence[str | Import] | None = None,
        strict: bool = False,
        startup_timeout: float = 120.0,
        grace: float = 2.0,
        memory_limit: int = 4 << 30,
        output_limit: int = 1 << 16,
        max_requests: int | None = None,
        max_age: float = 3600.0,
        max_private_bytes: int = 1 << 30,
        spares: int = 1,
        max_waiting: int = 1024,
        queue_timeout: float = 600.0,
        max_zygotes: int = 4,
        sandbox: SandboxMode = "auto",
    ) -> None:
        if isinstance(allow_axioms, str):
            raise UsageError(f"allow_axioms is a sequence of names; write [{allow_axioms!r}]")
        lake = load_project(Path(project)) if project is not None else None
        where = Path(project) if project is not None else None
        found = toolchain if isinstance(toolchain, Toolchain) else resolve(toolchain, where)
        options = options or ElabOptions()
        self._settings = Settings(
            toolchain=found,
            search_path=(*map(Path, search_path), *(lake.search_path if lake else ()), *lean_path()),
            strict=strict,
            workers=workers,
            # The child cancels at the timeout; being killed after the grace is the supervisor's decision.
            options=replace(options, grace=max(options.grace, 2 * grace)),
            imports=None if imports is None else parse_imports(imports),
            allow_axioms=tuple(allow_axioms),
            startup_timeout=startup_timeout,
            grace=grace,
            memory_limit=memory_limit,
            output_limit=output_limit,
            max_requests=(1 if can_fork(found) else 1000) if max_requests is None else max_requests,
            max_age=max_age,
            max_private_bytes=max_private_bytes,
            spares=spares,
            max_waiting=max_waiting,
            queue_timeout=queue_timeout,
            max_zygotes=max_zygotes,
            sandbox=sandbox,
        )
        self._roots = (*self._settings.search_path, *((found.core,) if found.core is not None else ()))
        self._supervisor = Supervisor(self._settings)
        self._close = weakref.finalize(self, self._supervisor.close)

    @property
    def workers(self) -> int:
        """How many sources are checked at once."""
        return self._settings.workers

    @property
    def closed(self) -> bool:
        """Whether the pool was closed."""
        return self._supervisor.closed

    @property
    def sandbox(self) -> str:
        """What confines the workers (``"Landlock 7 and seccomp"``, ``"none"``, ``"off"``); empty until one is up."""
        return self._supervisor.sandbox

    def check(self, item: CheckItem | str) -> CheckResult:
        """Check one item (or source text) and return its verdict, whatever becomes of the worker.

        Raises :class:`~leanhost.errors.TooManyRequests` when the queue is full,
        :class:`~leanhost.errors.PoolTimeout` when no worker became free in time,
        :class:`~leanhost.errors.PoolClosed`, and what keeps a worker from starting
        (:class:`~leanhost.errors.ToolchainError`, :class:`~leanhost.errors.WorkerStartError`).
        """
        queued = self._submit(item, bounded=True)
        if isinstance(queued, CheckResult):
            return queued
        try:
            return queued.future.result()
        except BaseException:
            self._supervisor.cancel(queued)
            raise

    def check_many(
        self,
        items: Iterable[CheckItem | str],
        *,
        ordered: bool = True,
        progress: Callable[[CheckProgress], None] | None = None,
        cancellation: CancellationToken | None = None,
    ) -> Iterator[CheckResult]:
        """Check any number of items, as many at once as there are workers; yield a verdict for each.

        *items* may be endless: it is read a bounded number of items ahead, in the caller's thread. Results come
        in the order of *items*, or with ``ordered=False`` as they are known. *progress* is called after each
        answer. Once *cancellation* is cancelled nothing more is read, and what was read is answered as ``cancelled``;
        leaving the iterator early stops what still runs. Raises as :meth:`check` does, except that waiting for
        a worker has no limit.
        """
        ahead = 8 + 4 * self._settings.workers
        pending: deque[Job | CheckResult] = deque()
        source = iter(items)
        exhausted = stopped = False
        taken = done = 0
        statuses: dict[Status, int] = {}
        try:
            while True:
                if cancellation is not None and cancellation.is_cancelled and not stopped:
                    exhausted = stopped = True
                    self._cancel_all(pending)
                while not exhausted and len(pending) < ahead and (not _first_done(pending, ordered)):
                    try:
                        item = next(source)
                    except StopIteration:
                        exhausted = True
                        break
                    pending.append(self._submit(item, bounded=False))
                    taken += 1
                if not pending:
                    return
                result = self._take(pending, ordered, None if stopped else cancellation)
                if result is None:
                    continue
                done += 1
                statuses[result.status] = statuses.get(result.status, 0) + 1
                if progress is not None:
                    progress(CheckProgress(taken, done, dict(statuses)))
                yield result
        finally:
            self._cancel_all(pending)
            wait([job.future for job in pending if isinstance(job, Job)], timeout=self._settings.grace + 10)

    def _take(
        self, pending: deque[Job | CheckResult], ordered: bool, cancellation: CancellationToken | None
    ) -> CheckResult | None:
        """Wait for the next result and take it out; ``None`` when the caller cancelled first."""
        while True:
            for index, entry in enumerate(pending):
                if isinstance(entry, CheckResult) or entry.future.done():
                    del pending[index]
                    return entry if isinstance(entry, CheckResult) else entry.future.result()
                if ordered:
                    break
            if cancellation is not None and cancellation.is_cancelled:
                return None
            jobs: list[Future[CheckResult]] = [entry.future for entry in pending if isinstance(entry, Job)]
            wait(
                jobs[:1] if ordered else jobs,
                timeout=None if cancellation is None else CANCEL_LOOK_S,
                return_when=FIRST_COMPLETED,
            )

    def _cancel_all(self, pending: Iterable[Job | CheckResult]) -> None:
        for entry in pending:
            if isinstance(entry, Job):
                self._supervisor.cancel(entry)

    def _submit(self, item: CheckItem | str, *, bounded: bool) -> Job | CheckResult:
        settings = self._settings
        request = prepare_item(
            item,
            imports=settings.imports,
            allow_axioms=settings.allow_axioms,
            timeout=settings.options.timeout,
            toolchain=self._supervisor.label,
        )
        if isinstance(request, CheckResult):
            return request
        head = settings.default_head
        if settings.forks:
            wanted = head_of(request.source, request.imports)
            if wanted != head and importable(wanted.modules, self._roots):
                head = wanted
        job = Job(request, head, time.monotonic() + settings.queue_timeout if bounded else None)
        self._supervisor.submit(job, bounded=bounded)
        return job

    def close(self) -> None:
        """Kill the workers, refuse whoever waits with :class:`~leanhost.errors.PoolClosed`; twice is fine."""
        self._close()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{self._supervisor.waiting} requests"
        return f"<WorkerPool of {self.workers} over {self._supervisor.label}: {state}>"


def _first_done(pending: deque[Job | CheckResult], ordered: bool) -> bool:
    """Whether a result can be yielded before more is read."""
    for entry in pending:
        if isinstance(entry, CheckResult) or entry.future.done():
            return True
        if ordered:
            return False
    return False
