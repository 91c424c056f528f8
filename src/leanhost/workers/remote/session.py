"""Sessions whose calls run in a pool's workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from leanhost.lean.core import OptionValue
from leanhost.services.kernel.equivalence import Match
from leanhost.services.proofs.answers import TacticFailure
from leanhost.services.terms.expr import NameLike
from leanhost.services.terms.meta_answers import MetaOptions, within
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.options import AllowedAxioms, ElabOptions
from leanhost.services.values.outcomes import ElabFailure, Evidence, EvidenceStatus, KernelOutcome
from leanhost.services.values.progress import ProgressSink
from leanhost.services.values.results import CommandResult
from leanhost.services.values.stats import SessionStats
from leanhost.services.values.validate import text, texts
from leanhost.workers.remote.declarations import WorkerDeclarations
from leanhost.workers.remote.evidence import matches, recheck
from leanhost.workers.remote.meta import WorkerMeta
from leanhost.workers.remote.proofs import WorkerProofState, proving
from leanhost.workers.remote.rpc import RemoteContext, async_twin, blocking, first
from leanhost.workers.remote.sources import (
    EXTEND,
    GOALS_AT,
    KERNEL_CHECK,
    RUN,
    VIEW,
    At,
    KernelCheck,
    Run,
    WorkerSourceView,
    positions_out,
)
from leanhost.workers.remote.terms import TermText, elaborating

if TYPE_CHECKING:
    from types import TracebackType

_FILE = "<input>"


class WorkerSession:
    """The operations of a :class:`~leanhost.Session`, each run in a worker of a pool.

    Made by :meth:`WorkerPool.session`. Outside of a ``with`` block it holds no process: every call is a request
    to the pool with its queue and its limits, takes any worker that has the imports (forked for it, on native), and
    may run beside others. In a ``with`` block the calls go to one worker, which stays warm between them.

    What ends a worker ends one call: with :class:`~leanhost.errors.EngineLost`,
    :class:`~leanhost.errors.OutOfMemory`, or :class:`~leanhost.errors.EngineStuck` when Lean did not stop at the
    time limit. Calls also raise what :meth:`WorkerPool.check` does, and
    :class:`~leanhost.errors.ImportFailed`. Each has a twin for asyncio and trio whose name begins with ``a``.

    Answers are plain values, those of a session in this process where these are plain: terms are given as text
    and come back as :class:`~leanhost.workers.remote.terms.TermText`. Evidence is the worker's word, as the
    verdict of :meth:`WorkerPool.check` is, and cannot be exported. *timeout* is in seconds, the session's if left
    out, and counts once the imports, and what the session was extended by, are there.
    """

    options: ElabOptions
    """The limits of its calls."""
    meta: WorkerMeta
    """Bounded ``MetaM``: ``session.meta.infer_type("fun n => n + 1")`` and the like."""
    declarations: WorkerDeclarations
    """Queries about declarations: ``session.declarations.inspect("Nat.add_comm")``."""

    def __init__(self, context: RemoteContext) -> None:
        self._context = context
        self.options = context.options
        self.meta = WorkerMeta(context)
        self.declarations = WorkerDeclarations(context)

    @property
    def imports(self) -> tuple[str, ...]:
        """The modules the session is over, in order."""
        return tuple(i.text for i in self._context.imports)

    @property
    def stats(self) -> SessionStats:
        """What the session, and those that extend it, were used for so far."""
        return self._context.meter.snapshot()

    # --- holding a worker ---

    def __enter__(self) -> WorkerSession:
        """Hold one worker for the calls of this session, and of those that extend it, until the block ends.

        The worker comes with the first call, counts as one of the pool's ``workers`` all the while, and keeps what
        calls stand on: the extended session, proof states, info trees. Calls from several threads are served in
        turn. What ends the worker ends one call, and the next one gets another worker. After the block the worker
        ends, or serves others if no code of a source ran in it, and the session's calls take any worker again.
        Raises :class:`~leanhost.errors.UsageError` when the session holds one already.
        """
        self._context.hold.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.hold.end()

    async def __aenter__(self) -> WorkerSession:
        """``async with`` is the same."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    # --- sources ---

    @blocking
    def run(
        self,
        source: str,
        *,
        file: str = _FILE,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> CommandResult:
        """Elaborate any number of commands and report, as :meth:`leanhost.Session.run`."""
        return self._context.ask(
            RUN,
            Run(text("a source", source), file),
            seconds=timeout,
            cancellation=cancellation,
            progress=progress,
        )

    @blocking
    def run_many(
        self,
        sources: Sequence[str],
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[CommandResult]:
        """:meth:`run` of many sources, as many at once as the pool has workers: one result each, in order.

        *timeout* is for each. *progress* receives the phase ``bulk``, in sources. After a cancellation the rest have
        the limit ``cancelled``. What ends a worker ends the call.
        """
        return self._context.ask_each(
            RUN,
            [Run(source, _FILE) for source in texts("sources", sources)],
            seconds=timeout,
            cancellation=cancellation,
            progress=progress,
        )

    @blocking
    def kernel_check(
        self,
        source: str,
        *,
        allow_axioms: Iterable[str] = (),
        file: str = _FILE,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> KernelOutcome:
        """Elaborate *source* and judge what it declares, as :meth:`leanhost.Session.kernel_check`."""
        named = tuple(AllowedAxioms.of(allow_axioms).entries)
        made = KernelCheck(text("a source", source), file, named)
        return self._context.ask_then(
            lambda outcome: self._context.with_provenance(made, outcome),
            KERNEL_CHECK,
            made,
            seconds=timeout,
            cancellation=cancellation,
            progress=progress,
        )

    @blocking
    def kernel_check_many(
        self,
        sources: Sequence[str],
        *,
        allow_axioms: Iterable[str] = (),
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[KernelOutcome]:
        """:meth:`kernel_check` of many sources, as many at once as the pool has workers: one outcome each, in order.

        *timeout* and *progress* are as for :meth:`run_many`. After a cancellation the rest are ``Unavailable``. What
        ends a worker ends the call.
        """
        named = tuple(AllowedAxioms.of(allow_axioms).entries)
        every = [KernelCheck(source, _FILE, named) for source in texts("sources", sources)]

        def own(outcomes: list[KernelOutcome]) -> list[KernelOutcome]:
            return [
                self._context.with_provenance(made, each) for made, each in zip(every, outcomes, strict=True)
            ]

        return self._context.ask_each(
            KERNEL_CHECK,
            every,
            then=own,
            seconds=timeout,
            cancellation=cancellation,
            progress=progress,
        )

    @blocking
    def goals_at(
        self,
        source: str,
        positions: Sequence[tuple[int, int]],
        *,
        file: str = _FILE,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[tuple[str, ...]]:
        """The goals at many ``(line, column)`` positions, as :meth:`leanhost.Session.goals_at`."""
        return self._context.ask(
            GOALS_AT,
            At(text("a source", source), file, positions_out(positions)),
            seconds=timeout,
            items=len(positions),
            cancellation=cancellation,
            progress=progress,
        )

    @blocking
    def view(
        self,
        source: str,
        *,
        file: str = _FILE,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> WorkerSourceView:
        """Elaborate *source* with its info trees kept, to ask about positions, as :meth:`leanhost.Session.view`."""
        arguments = At(text("a source", source), file)

        return self._context.ask_then(
            lambda result: WorkerSourceView(result, self._context, arguments, timeout),
            VIEW,
            arguments,
            seconds=timeout,
            cancellation=cancellation,
            progress=progress,
        )

    @blocking
    def extend(
        self,
        source: str,
        *,
        file: str = _FILE,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> WorkerSession:
        """Return a session over what *source* adds, as :meth:`leanhost.Session.extend`.

        A worker without the extended session elaborates *source* again before its first call, each time
        within *timeout*. Raises :class:`~leanhost.errors.ElaborationError` when it does not elaborate.
        """
        grown = replace(self._context, grown=(*self._context.grown, (text("a source", source), file)))
        return self._context.ask_then(
            lambda _: WorkerSession(grown),
            EXTEND,
            Run(source, file),
            seconds=timeout,
            cancellation=cancellation,
            progress=progress,
        )

    # --- terms ---

    @blocking
    def elaborate(
        self,
        term: str,
        expected_type: str | None = None,
        options: MetaOptions | None = None,
        *,
        namespace: NameLike = (),
        open_namespaces: Sequence[NameLike] = (),
        levels: Sequence[NameLike] = (),
        lean_options: Mapping[str, OptionValue] | None = None,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> TermText | ElabFailure:
        """Elaborate a term and print it with its type; arguments are those of :meth:`leanhost.Session.elaborate`."""
        return first(
            elaborating(
                self._context,
                [term],
                expected_type,
                within(options, timeout),
                namespace,
                open_namespaces,
                levels,
                lean_options,
                cancellation,
            )
        )

    @blocking
    def elaborate_many(
        self,
        terms: Sequence[str],
        expected_type: str | None = None,
        options: MetaOptions | None = None,
        *,
        namespace: NameLike = (),
        open_namespaces: Sequence[NameLike] = (),
        levels: Sequence[NameLike] = (),
        lean_options: Mapping[str, OptionValue] | None = None,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[TermText | ElabFailure]:
        """:meth:`elaborate` of many terms: one result each, in order."""
        return elaborating(
            self._context,
            terms,
            expected_type,
            within(options, timeout),
            namespace,
            open_namespaces,
            levels,
            lean_options,
            cancellation,
            progress,
        )

    # --- proofs ---

    @blocking
    def prove(
        self,
        statement: str,
        options: MetaOptions | None = None,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> WorkerProofState | TacticFailure:
        """Start a proof of *statement* (a type), as :meth:`leanhost.Session.prove`."""
        return first(proving(self._context, [statement], options, timeout, cancellation))

    @blocking
    def prove_many(
        self,
        statements: Sequence[str],
        options: MetaOptions | None = None,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[WorkerProofState | TacticFailure]:
        """:meth:`prove` of many statements: one result each, in order; limits are for each."""
        return proving(self._context, statements, options, timeout, cancellation, progress)

    # --- evidence ---

    @blocking
    def recheck(
        self, evidence: Evidence, *, timeout: float | None = None, cancellation: Cancellation = None
    ) -> EvidenceStatus:
        """Ask the kernel again, in a worker that makes the evidence again first, as :meth:`leanhost.Session.recheck`.

        *evidence* is a worker's over the same imports. Raises :class:`~leanhost.errors.ForeignHandleError` for other
        evidence, and :class:`~leanhost.errors.NotReproduced` when it cannot be had again.
        """
        return first(recheck(self._context, [evidence], timeout, cancellation, None))

    @blocking
    def recheck_many(
        self,
        evidence: Sequence[Evidence],
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[EvidenceStatus]:
        """:meth:`recheck` of many: one answer each, in order; limits are for each."""
        return recheck(self._context, evidence, timeout, cancellation, progress)

    @blocking
    def matches(
        self,
        evidence: Evidence,
        reference: str,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> Match:
        """Compare what the evidence proves with a reference statement, as :meth:`leanhost.Session.matches`.

        *evidence* is as for :meth:`recheck`.
        """
        return first(matches(self._context, [evidence], reference, timeout, cancellation, None))

    @blocking
    def matches_many(
        self,
        evidence: Sequence[Evidence],
        reference: str,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[Match]:
        """:meth:`matches` of many with one reference: one answer each, in order."""
        return matches(self._context, evidence, reference, timeout, cancellation, progress)

    arun = async_twin(run)
    arun_many = async_twin(run_many)
    akernel_check = async_twin(kernel_check)
    akernel_check_many = async_twin(kernel_check_many)
    agoals_at = async_twin(goals_at)
    aview = async_twin(view)
    aextend = async_twin(extend)
    aelaborate = async_twin(elaborate)
    aelaborate_many = async_twin(elaborate_many)
    aprove = async_twin(prove)
    aprove_many = async_twin(prove_many)
    arecheck = async_twin(recheck)
    arecheck_many = async_twin(recheck_many)
    amatches = async_twin(matches)
    amatches_many = async_twin(matches_many)

    def __repr__(self) -> str:
        count = len(self._context.grown)
        grown = f", extended {'once' if count == 1 else f'{count} times'}" if count else ""
        return f"<WorkerSession over {', '.join(self.imports)}{grown}>"
