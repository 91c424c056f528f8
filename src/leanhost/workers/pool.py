"""The worker pool: sources checked in processes of their own, bounded in number, time, memory and output."""

from __future__ import annotations

import os
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from leanhost.engine import can_fork
from leanhost.errors import UsageError
from leanhost.lean.core import Import
from leanhost.services.elaboration.environment import parse_imports
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.lifecycle import Closing, ProcessBound
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.results import CheckResult
from leanhost.services.values.validate import many
from leanhost.toolchain import Toolchain, directories, lean_path, load_project, resolve
from leanhost.workers.batch.batch import BatchRun, ProgressCallback, check_iterable
from leanhost.workers.batch.submitted import Submitted, known
from leanhost.workers.jobs.job import Job
from leanhost.workers.jobs.lease import Hold
from leanhost.workers.jobs.settings import Settings
from leanhost.workers.kernels.checked import CheckedTwice
from leanhost.workers.kernels.choice import KernelChoice
from leanhost.workers.kernels.registry import Kernels
from leanhost.workers.protocol.messages import SandboxMode
from leanhost.workers.remote.rpc import RemoteContext
from leanhost.workers.remote.session import WorkerSession
from leanhost.workers.supervision.dispatcher import Dispatcher
from leanhost.workers.supervision.supervisor import Supervisor
from leanhost.workers.values.file_replay import FileReplay
from leanhost.workers.values.items import CheckItem, Request, with_timeout
from leanhost.workers.values.known_faults import FaultNotice, Policy
from leanhost.workers.values.stats import WorkerStats
from leanhost.workers.values.verification import Verification
from leanhost.workers.verification import replay_file
from leanhost.workers.verification.verify_job import Pair, VerifyJob


class WorkerPool(Closing, ProcessBound):
    """Checks sources in worker processes. A crash, a hang or a flood costs the request that caused it.

    A context manager; made lazily: the first request starts the first worker. Safe to use from many threads.
    Nothing of it outlives the process that made it, however that ends.

    Args:
        toolchain: a name, a path or a :class:`~leanhost.Toolchain`; ``None`` for the usual discovery.
        project: a directory inside a built Lake project, as for :func:`leanhost.open`.
        search_path: further directories of ``.olean`` files, looked at first.
        workers: how many sources are checked at once.
        options: limits of a check; its ``timeout`` is the default of every item, and in the place of its ``grace`` the
            pool's counts.
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
        max_growth_bytes: bytes of private memory a worker may have on top of what it had when it started; one that has
            more is replaced, once it is free.
        spares: workers kept started ahead of need, once workers were seen to be used up.
        max_waiting: requests that may wait for a worker; one more is refused.
        queue_timeout: seconds a request may wait for a worker.
        max_zygotes: imported environments kept in memory to fork from (native engine).
        kernels: other kernels that have to agree before :meth:`verify` accepts: toolchains, or commands with
            ``{file}`` in the place of an export (``["nanoda_bin {file}"]``). ``None`` for that of the newest Lean
            there is (``native-runtime``), where it is another; ``["none"]`` for none.
        sandbox: ``"auto"`` takes what the machine has, ``"required"`` refuses to run without, ``"off"``.
        known_faults: ``"tell"`` names in ``caveats`` the published soundness faults of the Lean in use that no other
            kernel covers, ``"refuse"`` gives no verdict of acceptance then (``Status.REFUSED``).

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
        max_growth_bytes: int = 1 << 30,
        spares: int = 1,
        max_waiting: int = 1024,
        queue_timeout: float = 600.0,
        max_zygotes: int = 4,
        kernels: Sequence[KernelChoice] | None = None,
        sandbox: SandboxMode = "auto",
        known_faults: Policy = "tell",
    ) -> None:
        many("allow_axioms", allow_axioms)
        lake = load_project(Path(project)) if project is not None else None
        where = Path(project) if project is not None else None
        found = toolchain if isinstance(toolchain, Toolchain) else resolve(toolchain, where)
        options = options or ElabOptions()
        self._settings = Settings(
            toolchain=found,
            search_path=(*directories(search_path), *(lake.search_path if lake else ()), *lean_path()),
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
            max_growth_bytes=max_growth_bytes,
            spares=spares,
            max_waiting=max_waiting,
            queue_timeout=queue_timeout,
            max_zygotes=max_zygotes,
            sandbox=sandbox,
            known_faults=known_faults,
        )
        self._kernels = Kernels(self._settings, kernels)
        self._supervisor = Supervisor(self._settings)
        self._dispatcher = Dispatcher(self._settings, self._supervisor)
        # Of the dispatcher: sessions and iterators go on using the workers when the pool itself is collected.
        self._close = weakref.finalize(self._dispatcher, _close, self._supervisor, self._kernels)
        self._close.atexit = False  # the supervisor looks after that

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

    def check(
        self,
        item: CheckItem | str,
        *,
        second_kernel: bool = False,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> CheckResult:
        """Check one item (or source text) and return its verdict, whatever becomes of the worker.

        With *second_kernel* the pool's other ``kernels`` have to accept what it adds, too, or it is ``rejected``.
        *timeout* in seconds overrides that of the item. A cancelled check has the status ``cancelled``.

        Raises :class:`~leanhost.errors.TooManyRequests` when the queue is full,
        :class:`~leanhost.errors.PoolTimeout` when no worker became free in time,
        :class:`~leanhost.errors.PoolClosed`, and what keeps a worker from starting
        (:class:`~leanhost.errors.ToolchainError`, :class:`~leanhost.errors.WorkerStartError`).
        """
        item = with_timeout(item, timeout)
        return self._check(item, bounded=True, second_kernel=second_kernel).wait(cancellation)

    def check_many(
        self,
        items: Iterable[CheckItem | str],
        *,
        second_kernel: bool = False,
        ordered: bool = True,
        progress: ProgressCallback | None = None,
        cancellation: Cancellation = None,
    ) -> Iterator[CheckResult]:
        """Check any number of items, as many at once as there are workers; yield a verdict for each.

        *items* may be endless: it is read a bounded number of items ahead, in the caller's thread. Results come
        in the order of *items*, or with ``ordered=False`` as they are known. *progress* is called with a
        :class:`CheckProgress` after each answer. Once *cancellation* is cancelled nothing more is read, and what
        was read is answered as ``cancelled``. Leaving the iterator early stops what still runs, and so does
        whatever *items* or *progress* raises. Raises as :meth:`check` does, except that waiting for a worker has
        no limit.
        """
        check_iterable(items, "check")
        send = partial(self._check, second_kernel=second_kernel)
        run = BatchRun(self._dispatcher, send, ordered=ordered, progress=progress, cancellation=cancellation)
        return run.results(items)

    async def acheck(
        self,
        item: CheckItem | str,
        *,
        second_kernel: bool = False,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> CheckResult:
        """Check one item from asyncio or trio; as :meth:`check`. Cancelling the task stops the check."""
        from leanhost.workers.batch.futures import awaited

        item = with_timeout(item, timeout)
        return await awaited(
            lambda: self._check(item, bounded=True, second_kernel=second_kernel), cancellation
        )

    def acheck_many(
        self,
        items: Iterable[CheckItem | str] | AsyncIterable[CheckItem | str],
        *,
        second_kernel: bool = False,
        ordered: bool = True,
        progress: ProgressCallback | None = None,
        cancellation: Cancellation = None,
    ) -> AsyncIterator[CheckResult]:
        """Check any number of items from asyncio or trio; as :meth:`check_many`.

        Close the iterator (``contextlib.aclosing``) when leaving it early.
        """
        check_iterable(items, "acheck")
        send = partial(self._check, second_kernel=second_kernel)
        run = BatchRun(self._dispatcher, send, ordered=ordered, progress=progress, cancellation=cancellation)
        return run.aresults(items)

    def verify(
        self,
        reference: CheckItem | str,
        candidate: CheckItem | str,
        *,
        from_scratch: bool = False,
        disproofs: bool = False,
        kernels: Sequence[KernelChoice] | None = None,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> Verification:
        """Tell whether *candidate* proves exactly what the theorems of *reference* state.

        *reference* is trusted; its proofs may be ``sorry``. *candidate* is elaborated in a worker, and what it
        added is exported there. Another process, which has run no candidate, has the kernel check the export
        on top of an import of its own and compares it with the reference: every theorem under the same name
        with the same statement, every other declaration of the reference the same to the kernel, axioms from the
        allow-list of *reference* only.

        With *from_scratch* the export holds what it mentions of the library too, the kernel begins with an empty
        environment, and the library is compared like everything else; without, that is only done where the two
        do not begin with the same imports.

        A definition that is ``sorry`` in the reference is a hole, which the candidate fills with a value of the same
        type. With *disproofs* a theorem may also be answered by a theorem of the same name that says its negation.
        A :class:`~leanhost.workers.values.items.Reference` names what is asked for.

        What was accepted goes to the other *kernels*, too, in processes of their own, and all of them have to accept it
        (``None`` for the pool's). *timeout* in seconds overrides that of both items. A cancelled call has the status
        ``cancelled``. Raises as :meth:`check` does.
        """
        pair = with_timeout(reference, timeout), with_timeout(candidate, timeout)
        return self._trying(from_scratch, disproofs, kernels, bounded=True)(pair).wait(cancellation)

    def verify_many(
        self,
        pairs: Iterable[Pair],
        *,
        from_scratch: bool = False,
        disproofs: bool = False,
        kernels: Sequence[KernelChoice] | None = None,
        ordered: bool = True,
        progress: ProgressCallback | None = None,
        cancellation: Cancellation = None,
    ) -> Iterator[Verification]:
        """Verify any number of pairs of a reference and a candidate, as many at once as there are workers.

        ``((reference, candidate) for candidate in candidates)`` are many candidates for one reference. The rest is as
        in :meth:`check_many`; which pair a :class:`Verification` is about, the ``id`` and the
        ``file`` of its ``candidate`` tell.
        """
        run = BatchRun(
            self._dispatcher,
            self._trying(from_scratch, disproofs, kernels),
            ordered=ordered,
            progress=progress,
            cancellation=cancellation,
        )
        return run.results(pairs)

    async def averify(
        self,
        reference: CheckItem | str,
        candidate: CheckItem | str,
        *,
        from_scratch: bool = False,
        disproofs: bool = False,
        kernels: Sequence[KernelChoice] | None = None,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> Verification:
        """Verify from asyncio or trio; as :meth:`verify`. Cancelling the task stops it."""
        from leanhost.workers.batch.futures import awaited

        send = self._trying(from_scratch, disproofs, kernels, bounded=True)
        pair = with_timeout(reference, timeout), with_timeout(candidate, timeout)
        return await awaited(lambda: send(pair), cancellation)

    def averify_many(
        self,
        pairs: Iterable[Pair] | AsyncIterable[Pair],
        *,
        from_scratch: bool = False,
        disproofs: bool = False,
        kernels: Sequence[KernelChoice] | None = None,
        ordered: bool = True,
        progress: ProgressCallback | None = None,
        cancellation: Cancellation = None,
    ) -> AsyncIterator[Verification]:
        """Verify any number of pairs from asyncio or trio; as :meth:`verify_many`.

        Close the iterator (``contextlib.aclosing``) when leaving it early.
        """
        run = BatchRun(
            self._dispatcher,
            self._trying(from_scratch, disproofs, kernels),
            ordered=ordered,
            progress=progress,
            cancellation=cancellation,
        )
        return run.aresults(pairs)

    def replay(
        self,
        file: str | os.PathLike[str],
        *,
        trusted: Collection[str] = (),
        label: str = "",
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> FileReplay:
        """Have the kernel check an export, in an environment that holds nothing else, in a worker.

        *file* is a regular file in lean4export's format, and may be anybody's. *trusted* as for
        :meth:`leanhost.Host.replay`, *timeout* in seconds, *label* what the answer calls the file.
        A cancelled replay has the status ``cancelled``.

        Raises ``OSError`` when it cannot be read, and otherwise as :meth:`check` does.
        """
        path = Path(file)
        with path.open("rb"):
            if not path.is_file():
                raise UsageError(f"{path} is not a regular file", hint="write what it holds to a file")
        item = CheckItem(source="", file=label or str(path), imports=(), timeout=timeout)
        request = self._dispatcher.request(item)
        assert isinstance(request, Request)
        job = self._dispatcher.queue(request, bounded=True, question=replay_file.question(path, trusted))
        result = Submitted(job.future, partial(self._dispatcher.cancel, job)).wait(cancellation)
        return self._notice().on_replay(replay_file.answered(result, job.reply.payload if job.reply else b""))

    def _notice(self) -> FaultNotice:
        """Return what is said about the verdicts of the Lean in use."""
        return self._dispatcher.notice()

    def session(
        self, imports: Sequence[str | Import] = ("Init",), options: ElabOptions | None = None
    ) -> WorkerSession:
        """Return a session over *imports* whose calls run in the workers.

        *options* are the pool's if left out; the pool's ``grace`` counts in any case. Nothing is imported yet: what
        cannot be is told by the first call.
        """
        settings = self._settings
        limits = settings.options if options is None else options
        limits = replace(limits, grace=max(limits.grace, 2 * settings.grace))
        parsed = parse_imports(imports)
        hold = Hold(self._supervisor.release)
        profile = self._dispatcher.profile("", parsed)
        return WorkerSession(RemoteContext(self._dispatcher, hold, profile, parsed, limits))

    @property
    def stats(self) -> WorkerStats:
        """What the pool has done and holds; reading memory costs a millisecond for each process.

        Raises :class:`~leanhost.errors.PoolTimeout` if the pool's thread gets no turn for ten seconds.
        """
        return self._supervisor.stats()

    def _submit(self, item: CheckItem | str, *, bounded: bool) -> Job | CheckResult:
        """Queue an item, for the frontends: a job whose ``future`` will hold the verdict, or the verdict itself."""
        return self._dispatcher.submit(item, bounded=bounded)

    def _check(
        self, item: CheckItem | str, *, bounded: bool = False, second_kernel: bool = False
    ) -> Submitted[CheckResult]:
        if second_kernel:
            request = self._dispatcher.request(item)
            if isinstance(request, CheckResult):
                return known(request)
            twice = CheckedTwice(self._dispatcher, self._kernels, request, bounded=bounded)
            return Submitted(twice.future, twice.cancel)
        queued = self._dispatcher.submit(item, bounded=bounded)
        if isinstance(queued, CheckResult):
            return known(queued)
        return Submitted(queued.future, partial(self._dispatcher.cancel, queued))

    def _trying(
        self,
        from_scratch: bool,
        disproofs: bool,
        kernels: Sequence[KernelChoice] | None,
        *,
        bounded: bool = False,
    ) -> Callable[[Pair], Submitted[Verification]]:
        def send(pair: Pair) -> Submitted[Verification]:
            job = VerifyJob(
                self._dispatcher,
                self._kernels,
                pair,
                from_scratch=from_scratch,
                disproofs=disproofs,
                bounded=bounded,
                kernels=kernels,
            )
            return Submitted(job.future, job.cancel)

        return send

    def _cancel(self, job: Job) -> None:
        """Stop what :meth:`_submit` returned; its verdict becomes ``cancelled`` unless it has one."""
        self._dispatcher.cancel(job)

    def close(self) -> None:
        """Kill the workers, refuse whoever waits with :class:`~leanhost.errors.PoolClosed`.

        From any thread and as often as wanted: each call returns once the workers are gone.
        """
        _close(self._supervisor, self._kernels)
        self._close.detach()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{self._supervisor.waiting} requests"
        return f"<WorkerPool of {self.workers} over {self._supervisor.label}: {state}>"


def _close(supervisor: Supervisor, kernels: Kernels) -> None:
    supervisor.close()
    kernels.close()
