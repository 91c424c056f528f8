"""Sessions whose calls run in a pool's workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from leanhost.errors import UsageError
from leanhost.lean.core import OptionValue
from leanhost.services.cancellation import Cancellation
from leanhost.services.evidence import ElabFailure, Evidence, EvidenceStatus, KernelOutcome
from leanhost.services.exprs import NameLike
from leanhost.services.matching import Match
from leanhost.services.meta_answers import MetaOptions
from leanhost.services.options import AllowedAxioms, ElabOptions
from leanhost.services.progress import ProgressSink
from leanhost.services.proof_answers import TacticFailure
from leanhost.services.results import CommandResult
from leanhost.services.stats import SessionStats
from leanhost.workers.calls import Desk, first, later, now
from leanhost.workers.remote_declarations import WorkerDeclarations
from leanhost.workers.remote_evidence import matches, status
from leanhost.workers.remote_meta import WorkerMeta
from leanhost.workers.remote_proofs import WorkerProofState, proving
from leanhost.workers.remote_sources import (
    EXTEND,
    GOALS_AT,
    INSPECT,
    KERNEL_CHECK,
    RUN,
    WorkerSourceView,
    positions_out,
    text,
)
from leanhost.workers.remote_terms import TermText, elaborating

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
    and come back as :class:`~leanhost.workers.remote_terms.TermText`. Evidence is the worker's word, as the
    verdict of :meth:`WorkerPool.check` is, and cannot be exported. *timeout* is in seconds, the session's if left
    out, and counts once the imports, and what the session was extended by, are there.
    """

    options: ElabOptions
    """The limits of its calls."""
    meta: WorkerMeta
    """Bounded ``MetaM``: ``session.meta.infer_type("fun n => n + 1")`` and the like."""
    declarations: WorkerDeclarations
    """Queries about declarations: ``session.declarations.inspect("Nat.add_comm")``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.options = desk.options
        self.meta = WorkerMeta(desk)
        self.declarations = WorkerDeclarations(desk)

    @property
    def imports(self) -> tuple[str, ...]:
        """The modules the session is over, in order."""
        return tuple(i.text for i in self._desk.imports)

    @property
    def stats(self) -> SessionStats:
        """What the session, and those that extend it, were used for so far."""
        return self._desk.meter.snapshot()

    # --- holding a worker ---

    def __enter__(self) -> WorkerSession:
        """Hold one worker for the calls of this session, and of those that extend it, until the block ends.

        The worker comes with the first call, counts as one of the pool's ``workers`` all the while, and keeps what
        calls stand on: the extended session, proof states, info trees. Calls from several threads are served in
        turn. What ends the worker ends one call, and the next one gets another worker. After the block the worker
        ends, or serves others if no code of a source ran in it, and the session's calls take any worker again.
        Raises :class:`~leanhost.errors.UsageError` when the session holds one already.
        """
        self._desk.hold.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._desk.hold.end()

    async def __aenter__(self) -> WorkerSession:
        """``async with`` is the same."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    # --- sources ---

    @now
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
        return self._desk.ask(
            RUN,
            {"source": text(source), "file": file},
            seconds=timeout,
            cancellation=cancellation,
            progress=progress,
        )

    @now
    def run_bulk(
        self,
        sources: Sequence[str],
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[CommandResult]:
        """:meth:`run` of many sources, as many at once as the pool has workers: one result each, in order.

        *timeout* is for each. *progress* hears of the phase ``bulk``, in sources. After a cancellation the rest have
        the limit ``cancelled``. What ends a worker ends the call.
        """
        return self._desk.ask_each(
            RUN,
            [{"source": source, "file": _FILE} for source in _sources(sources)],
            seconds=timeout,
            cancellation=cancellation,
            progress=progress,
        )

    @now
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
        named = AllowedAxioms.of(allow_axioms).entries
        made = {"source": text(source), "file": file, "allow_axioms": named}
        return self._desk.ask_then(
            lambda outcome: self._desk.owned(made, outcome),
            KERNEL_CHECK,
            made,
            seconds=timeout,
            cancellation=cancellation,
            progress=progress,
        )

    @now
    def kernel_check_bulk(
        self,
        sources: Sequence[str],
        *,
        allow_axioms: Iterable[str] = (),
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[KernelOutcome]:
        """:meth:`kernel_check` of many sources, as many at once as the pool has workers: one outcome each, in order.

        *timeout* and *progress* are as for :meth:`run_bulk`. After a cancellation the rest are ``Unavailable``. What
        ends a worker ends the call.
        """
        named = AllowedAxioms.of(allow_axioms).entries
        every = [{"source": s, "file": _FILE, "allow_axioms": named} for s in _sources(sources)]

        def own(outcomes: list[KernelOutcome]) -> list[KernelOutcome]:
            return [self._desk.owned(made, each) for made, each in zip(every, outcomes, strict=True)]

        return self._desk.ask_each(
            KERNEL_CHECK,
            every,
            then=own,
            seconds=timeout,
            cancellation=cancellation,
            progress=progress,
        )

    @now
    def goals_at(
        self,
        source: str,
        positions: Sequence[tuple[int, int]],
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> list[tuple[str, ...]]:
        """The goals at many ``(line, column)`` positions, as :meth:`leanhost.Session.goals_at`."""
        return self._desk.ask(
            GOALS_AT,
            {"source": text(source), "file": _FILE, "positions": positions_out(positions)},
            seconds=timeout,
            items=len(positions),
            cancellation=cancellation,
        )

    @now
    def inspect(
        self,
        source: str,
        *,
        file: str = _FILE,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> WorkerSourceView:
        """Elaborate *source* with its info trees kept, to ask about positions, as :meth:`leanhost.Session.inspect`."""
        arguments = {"source": text(source), "file": file}

        def view(result: CommandResult) -> WorkerSourceView:
            return WorkerSourceView(result, self._desk, arguments, timeout)

        return self._desk.ask_then(view, INSPECT, arguments, seconds=timeout, cancellation=cancellation)

    @now
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

        A worker that has not got the extended session elaborates *source* again before its first call, each time
        within *timeout*. Raises :class:`~leanhost.errors.ElaborationError` when it does not elaborate.
        """
        grown = replace(self._desk, grown=(*self._desk.grown, (text(source), file)))
        return self._desk.ask_then(
            lambda _: WorkerSession(grown),
            EXTEND,
            {"source": source, "file": file},
            seconds=timeout,
            cancellation=cancellation,
            progress=progress,
        )

    # --- terms ---

    @now
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
        cancellation: Cancellation = None,
    ) -> TermText | ElabFailure:
        """Elaborate a term and print it with its type; arguments are those of :meth:`leanhost.Session.elaborate`."""
        return first(
            elaborating(
                self._desk,
                [term],
                expected_type,
                options,
                namespace,
                open_namespaces,
                levels,
                lean_options,
                cancellation,
            )
        )

    @now
    def elaborate_bulk(
        self,
        terms: Sequence[str],
        expected_type: str | None = None,
        options: MetaOptions | None = None,
        *,
        namespace: NameLike = (),
        open_namespaces: Sequence[NameLike] = (),
        levels: Sequence[NameLike] = (),
        lean_options: Mapping[str, OptionValue] | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[TermText | ElabFailure]:
        """:meth:`elaborate` of many terms: one result each, in order."""
        return elaborating(
            self._desk,
            terms,
            expected_type,
            options,
            namespace,
            open_namespaces,
            levels,
            lean_options,
            cancellation,
            progress,
        )

    # --- proofs ---

    @now
    def prove(
        self, statement: str, options: MetaOptions | None = None, *, cancellation: Cancellation = None
    ) -> WorkerProofState | TacticFailure:
        """Start a proof of *statement* (a type), as :meth:`leanhost.Session.prove`."""
        return first(proving(self._desk, [statement], options, cancellation))

    @now
    def prove_bulk(
        self,
        statements: Sequence[str],
        options: MetaOptions | None = None,
        *,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[WorkerProofState | TacticFailure]:
        """:meth:`prove` of many statements: one result each, in order; limits are for each."""
        return proving(self._desk, statements, options, cancellation, progress)

    # --- evidence ---

    @now
    def status(self, evidence: Evidence, *, cancellation: Cancellation = None) -> EvidenceStatus:
        """Ask the kernel again, in a worker that makes the evidence again first, as :meth:`leanhost.Session.status`.

        *evidence* is a worker's over the same imports. Raises :class:`~leanhost.errors.ForeignHandleError` for other
        evidence, and :class:`~leanhost.errors.NotReproduced` when it cannot be had again.
        """
        return first(status(self._desk, [evidence], cancellation, None))

    @now
    def status_bulk(
        self,
        evidence: Sequence[Evidence],
        *,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[EvidenceStatus]:
        """:meth:`status` of many: one answer each, in order; limits are for each."""
        return status(self._desk, evidence, cancellation, progress)

    @now
    def matches(self, evidence: Evidence, reference: str, *, cancellation: Cancellation = None) -> Match:
        """Compare what the evidence proves with a reference statement, as :meth:`leanhost.Session.matches`.

        *evidence* is as for :meth:`status`.
        """
        return first(matches(self._desk, [evidence], reference, cancellation, None))

    @now
    def matches_bulk(
        self,
        evidence: Sequence[Evidence],
        reference: str,
        *,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[Match]:
        """:meth:`matches` of many with one reference: one answer each, in order."""
        return matches(self._desk, evidence, reference, cancellation, progress)

    arun = later(run)
    arun_bulk = later(run_bulk)
    akernel_check = later(kernel_check)
    akernel_check_bulk = later(kernel_check_bulk)
    agoals_at = later(goals_at)
    ainspect = later(inspect)
    aextend = later(extend)
    aelaborate = later(elaborate)
    aelaborate_bulk = later(elaborate_bulk)
    aprove = later(prove)
    aprove_bulk = later(prove_bulk)
    astatus = later(status)
    astatus_bulk = later(status_bulk)
    amatches = later(matches)
    amatches_bulk = later(matches_bulk)

    def __repr__(self) -> str:
        count = len(self._desk.grown)
        grown = f", extended {'once' if count == 1 else f'{count} times'}" if count else ""
        return f"<WorkerSession over {', '.join(self.imports)}{grown}>"


def _sources(sources: Sequence[str]) -> list[str]:
    if isinstance(sources, str):
        raise UsageError("sources are a sequence of texts, not one text")
    return [text(source) for source in sources]
