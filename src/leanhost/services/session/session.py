"""A session: typed questions to Lean over one immutable environment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar

from leanhost.engine.base import Guard
from leanhost.engine.values import Ref
from leanhost.errors import Cancelled, ElaborationError, UsageError
from leanhost.lean.core import Constant, Lean, OptionValue
from leanhost.services.declarations.service import DeclarationService
from leanhost.services.elaboration.environment import Imported
from leanhost.services.elaboration.source_view import SourceView
from leanhost.services.exports.write.export import ExportReport, Target
from leanhost.services.kernel.equivalence import Match
from leanhost.services.kernel.judge import Judgement
from leanhost.services.proofs.answers import TacticFailure
from leanhost.services.proofs.proof_state import ProofState, start
from leanhost.services.proofs.prover import Prover
from leanhost.services.session.elaborator import Elaboration, Elaborator
from leanhost.services.session.evidence import EvidenceQuestions
from leanhost.services.session.judging import Judge
from leanhost.services.session.runners import Runners
from leanhost.services.session.state import SessionState
from leanhost.services.terms.builder import ExprBuilder
from leanhost.services.terms.elaborate import elaborate_terms, limited, term_context
from leanhost.services.terms.expr import Expr, NameLike
from leanhost.services.terms.meta import MetaService
from leanhost.services.terms.meta_answers import DEFAULT, MetaOptions, within
from leanhost.services.terms.meta_program import Meta, run_program
from leanhost.services.terms.meta_runner import MetaRunner
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.lifecycle import Access, Closing, Lifecycle, NotStarted, SessionOwner
from leanhost.services.values.limits import WORDS, CallContext
from leanhost.services.values.options import AllowedAxioms, ElabOptions, many_times
from leanhost.services.values.outcomes import (
    ElabFailure,
    Evidence,
    EvidenceStatus,
    KernelOutcome,
    Rejected,
    Unavailable,
)
from leanhost.services.values.progress import Phase, ProgressSink, phase
from leanhost.services.values.results import CommandResult, Diagnostic, Limit, Position, Theorem
from leanhost.services.values.stats import SessionStats
from leanhost.services.values.text import prepare
from leanhost.services.values.validate import many, texts

T = TypeVar("T")
P = ParamSpec("P")

_OTHER_TOOLCHAIN = "use a toolchain of your own: this one cannot run all code of its library"


Accepted: TypeAlias = "Callable[[Session, Ref, Sequence[Constant], Sequence[Theorem]], None]"
"""Receives a session, the environment after a source, and the constants and theorems that the source added."""


class Session(Closing):
    """Elaboration and judgement over one environment, which no call changes.

    Made by :meth:`leanhost.Host.session`; a context manager. Safe to use from several threads: one call runs
    at a time, the others wait for their turn, where a cancellation reaches them too. A session that is closed
    during a call ends when the call does.

    Calls take *cancellation*, a :class:`~leanhost.services.values.cancellation.CancellationToken` that stops
    it from any thread, and *progress*, a callable that takes
    :class:`~leanhost.services.values.progress.ProgressEvent` values on the calling thread. Any call can raise
    :class:`~leanhost.errors.ClosedError`, or :class:`~leanhost.errors.EngineLost` when Lean died under it.
    """

    def __init__(self, host: SessionOwner, state: SessionState, access: Access | None = None) -> None:
        """Make a session over *state*, which becomes its own; *access* says who may use it."""
        self._host = host
        self._state = state
        self._lifecycle = Lifecycle(host, state.lean, state.free, state.abandon, access or Access())
        self._elaborator = Elaborator(state, self._lifecycle)
        self._runners = Runners(state, self._lifecycle)
        self._judge = Judge(state, host, self._runners.get)

    @classmethod
    def _over(cls, host: SessionOwner, lean: Lean, imported: Imported, options: ElabOptions) -> Session:
        """Return a session over *imported*, one use of which becomes the session's."""
        return cls(host, SessionState(lean, imported, options, host._lean_options(lean, options)))

    # --- what it is ---

    @property
    def imports(self) -> tuple[str, ...]:
        """The modules the session's environment was imported from, in order."""
        return tuple(i.text for i in self._state.imported.key.imports)

    @property
    def options(self) -> ElabOptions:
        """The limits of its calls."""
        return self._state.options

    @property
    def closed(self) -> bool:
        """Whether the session or its host was closed."""
        return self._lifecycle.closed

    @property
    def stats(self) -> SessionStats:
        """What the session was used for so far."""
        return self._lifecycle.meter.snapshot()

    def close(self) -> None:
        """Release the session's environment once a running call has ended; closing twice is fine."""
        self._lifecycle.close()

    # For the floors above: what the session is made of.

    @property
    def _library(self) -> str:
        """Which library was imported (:attr:`Imported.identity`)."""
        return self._state.imported.identity

    @property
    def _lean(self) -> Lean:
        """The Lean it runs in."""
        return self._state.lean

    @property
    def _env(self) -> Ref:
        """Its ``Lean.Environment``; lent."""
        return self._state.env

    @property
    def _imported(self) -> Imported:
        """What its environment was imported as; lent."""
        return self._state.imported

    @property
    def _added(self) -> tuple[Constant, ...]:
        """What it was extended by, in the order in which Lean listed it."""
        return self._state.added

    @property
    def _shown(self) -> tuple[tuple[Constant, Position | None], ...]:
        """Those of :attr:`_added` that a user wrote or sees, and where, if that is known."""
        return self._state.shown

    # --- its parts ---

    @cached_property
    def meta(self) -> MetaService:
        """Bounded ``MetaM``: ``session.meta.infer_type(e)`` and the like."""
        return MetaService(self._runner)

    @cached_property
    def build(self) -> ExprBuilder:
        """Builds terms: ``session.build.app(f, x)``."""
        return ExprBuilder(self._runner.home)

    @cached_property
    def declarations(self) -> DeclarationService:
        """Queries about declarations: ``session.declarations.get("Nat.add_comm")``."""
        state = self._state
        return DeclarationService(state.lean, state.env, state.imported, self._runner)

    @property
    def _runner(self) -> MetaRunner:
        return self._runners.get()

    @cached_property
    def _evidence(self) -> EvidenceQuestions:
        return EvidenceQuestions(self._state, self._lifecycle, self._runners.get)

    # --- sources ---

    def run(
        self,
        source: str,
        *,
        file: str = "<input>",
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> CommandResult:
        """Elaborate any number of commands and report; the session itself stays as it is.

        *timeout* in seconds overrides the session's. *progress* receives the phase ``elaborate``, in bytes of
        *source*, after each command. Raises :class:`~leanhost.errors.EngineStuck` when Lean ignored a
        cancellation.
        """
        call = CallContext(timeout, cancellation, progress, file)
        try:
            return self._elaborator.run("run", source, call, lambda run: run.result, _unreadable)
        except NotStarted:
            return _cancelled()

    def run_many(
        self,
        sources: Sequence[str],
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[CommandResult]:
        """:meth:`run` of many sources, each on its own: one result each, in order.

        *timeout* is for each source. *progress* receives the phase ``bulk``, in sources. After a cancellation the
        rest have the limit ``cancelled``.
        """

        def run(source: str) -> CommandResult:
            return self.run(source, timeout=timeout, cancellation=cancellation)

        return self._bulk(run, sources, CallContext(timeout, cancellation, progress))

    def extend(
        self,
        source: str,
        *,
        file: str = "<input>",
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> Session:
        """Return a new session over the environment that *source* makes of this one.

        Only declarations carry over; ``open``, ``namespace`` and ``variable`` end with the source. The new
        session has a life of its own: either can be closed first. Raises :class:`~leanhost.errors.Cancelled`,
        and :class:`~leanhost.errors.ElaborationError` (with the :class:`CommandResult` as ``result``) when
        the source has errors or hit a limit; this session stays good.
        """

        def extended(run: Elaboration) -> Session:
            result = run.result
            if Limit.CANCELLED in result.limits:
                raise Cancelled("the extension of the session was cancelled")
            if not result.ok:
                raise self._not_extended(result)
            state = replace(
                self._state,
                imported=self._state.imported.share(),
                extended=run.env,
                added=(*self._state.added, *run.added.constants),
                shown=(*self._state.shown, *run.added.shown),
                give_back=None,
            )
            return Session(self._host, state)

        def unreadable(fault: Diagnostic) -> Session:
            raise ElaborationError(str(fault), result=_unreadable(fault))

        call = CallContext(timeout, cancellation, progress, file)
        return self._elaborator.run("extend", source, call, extended, unreadable)

    def _not_extended(self, result: CommandResult) -> ElaborationError:
        first = result.errors[0] if result.errors else None
        why = str(first) if first else ", ".join(WORDS[limit] for limit in result.limits if limit in WORDS)
        beyond = first is not None and self._state.lean.beyond(first.message)
        hint = _OTHER_TOOLCHAIN if beyond else ""
        return ElaborationError(f"the session cannot be extended: {why}", hint=hint, result=result)

    def kernel_check(
        self,
        source: str,
        *,
        allow_axioms: Iterable[str] = (),
        file: str = "<input>",
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> KernelOutcome:
        """Elaborate *source* and judge what it declares.

        ``Checked`` only if nothing failed, nothing is ``sorry``, the kernel accepts every declaration again
        on top of the imports, and no axiom outside ``propext``, ``Classical.choice``, ``Quot.sound`` and
        *allow_axioms* is used: names, ``"name : type"``, or ``"native_decide"``
        (:class:`~leanhost.services.values.options.AllowedAxioms`). ``Unavailable`` when a limit or a cancellation
        left the question open.
        *progress* receives the phases ``elaborate`` (bytes of source) and ``kernel`` (declarations).
        """
        allowed = AllowedAxioms.of(allow_axioms)
        call = CallContext(timeout, cancellation, progress, file)
        try:
            return self._elaborator.run(
                "kernel_check", source, call, lambda run: self._judge.outcome(run, allowed), _not_lean_text
            )
        except NotStarted:
            return Unavailable(Limit.CANCELLED, WORDS[Limit.CANCELLED])

    def kernel_check_many(
        self,
        sources: Sequence[str],
        *,
        allow_axioms: Iterable[str] = (),
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[KernelOutcome]:
        """:meth:`kernel_check` of many sources, each on its own: one outcome each, in order.

        *timeout* is for each source. *progress* receives the phase ``bulk``, in sources. After a cancellation the
        rest are ``Unavailable``.
        """
        many("allow_axioms", allow_axioms)
        allowed = tuple(allow_axioms)

        def check(source: str) -> KernelOutcome:
            return self.kernel_check(source, allow_axioms=allowed, timeout=timeout, cancellation=cancellation)

        return self._bulk(check, sources, CallContext(timeout, cancellation, progress))

    def _bulk(self, ask: Callable[[str], T], sources: Sequence[str], call: CallContext) -> list[T]:
        """Ask about each source, with one change of threads for all of them."""
        texts("sources", sources)
        self._lifecycle.check_open()
        lean, options = self._state.lean, self._state.options
        seconds = options.timeout if call.timeout is None else call.timeout
        guard = replace(call, timeout=many_times(seconds, len(sources))).guard(lean, options)

        def work() -> list[T]:
            return [ask(source) for source in phase(guard, "bulk", len(sources)).over(sources)]

        with guard.token:
            return lean.engine.supervise(work, guard)

    def _judged(
        self,
        source: str,
        *,
        allowed: AllowedAxioms,
        file: str = "<input>",
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
        start: int = 0,
        accepted: Accepted | None = None,
    ) -> tuple[CommandResult, Judgement]:
        """Elaborate *source* from byte *start* and judge all it adds: what :meth:`Host.check_source` is made
        of.

        *accepted* is told of what the kernel accepted while that is there. *source* must be Lean text as
        :func:`leanhost.services.values.text.prepare` returns it.
        """

        def unreadable(fault: Diagnostic) -> tuple[CommandResult, Judgement]:
            raise UsageError(str(fault))

        def judged(run: Elaboration) -> tuple[CommandResult, Judgement]:
            judgement = self._judge.judgement(run, allowed)
            if accepted is not None and not (judgement.failures or judgement.open or judgement.unsupported):
                accepted(self, run.env, run.added.constants, judgement.theorems)
            return run.result, judgement

        call = CallContext(timeout, cancellation, progress, file)
        try:
            return self._elaborator.run("judged", source, call, judged, unreadable, start=start)
        except NotStarted:
            return _cancelled(), Judgement([], [], [], (), Limit.CANCELLED)

    def view(
        self,
        source: str,
        *,
        file: str = "<input>",
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> SourceView:
        """Elaborate *source* once with its info trees kept, to ask about many positions.

        ``view.goals_at(line, column)``, ``view.type_at(...)``, ``view.references(...)``; close it when done.
        Raises :class:`~leanhost.errors.Cancelled`, and :class:`~leanhost.errors.ElaborationError` for what is
        no Lean text.
        """
        text = prepare(source, file)
        if isinstance(text, Diagnostic):
            raise ElaborationError(str(text), result=_unreadable(text))
        lean, options = self._state.lean, self._state.options

        def guarded(ask: Callable[[Guard], object], call: CallContext) -> object:
            with self._lifecycle.calling("view", call.cancellation):
                guard = call.guard(lean, options)
                with guard.token:
                    return lean.engine.supervise(lambda: ask(guard), guard)

        view = SourceView(lean, text, guarded)
        kept: list[tuple[int, int, Ref]] = []

        def collect(run: Elaboration) -> CommandResult:
            for each in kept:
                view._add(*each)
            return run.result

        view.result = self._elaborator.run(
            "view",
            source,
            CallContext(timeout, cancellation, progress, file),
            collect,
            _unreadable,
            watch=lambda start, end, state: kept.append((start, end, state)),
        )
        return view

    def goals_at(
        self,
        source: str,
        positions: Sequence[tuple[int, int]],
        *,
        file: str = "<input>",
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[tuple[str, ...]]:
        """The goals at many ``(line, column)`` positions of *source*, from one elaboration, in order.

        *timeout* is for the elaboration, and for each position. Raises as :meth:`view` does.
        """
        with self.view(
            source, file=file, timeout=timeout, cancellation=cancellation, progress=progress
        ) as view:
            return [
                view.goals_at(line, column, timeout=timeout, cancellation=cancellation)
                for line, column in positions
            ]

    # --- terms and proofs ---

    def elaborate(
        self,
        term: str,
        expected_type: Expr | str | None = None,
        options: MetaOptions | None = None,
        *,
        namespace: NameLike = (),
        open_namespaces: Sequence[NameLike] = (),
        levels: Sequence[NameLike] = (),
        lean_options: Mapping[str, OptionValue] | None = None,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> Expr | ElabFailure:
        """Elaborate a term, coerced to *expected_type* if one is given.

        *namespace* and *open_namespaces* decide what short names mean, *levels* are universe names that may be
        used, *lean_options* are ``set_option`` values. *timeout* in seconds overrides that of *options*. Returns an
        :class:`ElabFailure` with every diagnostic when the text does not elaborate, or, with its ``limit`` set, when a
        limit or a cancellation ended the work.
        """
        return self.elaborate_many(
            [term],
            expected_type,
            options,
            namespace=namespace,
            open_namespaces=open_namespaces,
            levels=levels,
            lean_options=lean_options,
            timeout=timeout,
            cancellation=cancellation,
        )[0]

    def elaborate_many(
        self,
        terms: Sequence[str],
        expected_type: Expr | str | None = None,
        options: MetaOptions | None = None,
        *,
        namespace: NameLike = (),
        open_namespaces: Sequence[NameLike] = (),
        levels: Sequence[NameLike] = (),
        lean_options: Mapping[str, OptionValue] | None = None,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[Expr | ElabFailure]:
        """Elaborate many terms: one result each, in order; see :meth:`elaborate`.

        Heartbeats are for each term, the wall clock for all of them together, times their number. *progress*
        receives the phase ``elaborate``, in terms.
        """
        context = term_context(namespace, open_namespaces, levels, lean_options or {})
        call = CallContext(None, cancellation, progress)
        try:
            with self._lifecycle.calling("elaborate", cancellation, len(terms)):
                limits = within(options, timeout)
                return elaborate_terms(self._runner, terms, expected_type, context, limits, call)
        except NotStarted:
            return [limited(Limit.CANCELLED)] * len(terms)

    def run_meta(
        self,
        function: Callable[Concatenate[Meta, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call ``function(m, *args, **kwargs)`` inside one ``MetaM`` state and return its value.

        ``m`` (:class:`~leanhost.services.terms.meta_program.Meta`) infers, unifies, opens binders and
        backtracks. Limits are those of :class:`MetaOptions`; use :meth:`run_meta_with` for others. What *function*
        raises comes out as itself; the state is put back in any case.
        """
        return self.run_meta_with(DEFAULT, lambda m: function(m, *args, **kwargs))

    def run_meta_with(
        self,
        options: MetaOptions,
        function: Callable[[Meta], T],
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> T:
        """Like :meth:`run_meta` under *options*, whose time-out *timeout* overrides.

        Raises :class:`~leanhost.errors.Cancelled` when stopped.
        """
        with self._lifecycle.calling("run_meta", cancellation):
            return run_program(self._runner, function, within(options, timeout) or DEFAULT, cancellation)

    def prove(
        self,
        statement: str,
        options: MetaOptions | None = None,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> ProofState | TacticFailure:
        """Start a proof of *statement* (a type): the state with that one goal.

        *options* are the limits of the statement and of every step; *timeout* in seconds overrides theirs for the
        statement. Returns a :class:`TacticFailure` when the statement does not elaborate to a closed type.
        """
        prover = Prover(self._runner, options or DEFAULT, self._finish, self._state.known)
        return start(prover, self._state.env, statement, timeout, cancellation)

    def prove_many(
        self,
        statements: Sequence[str],
        options: MetaOptions | None = None,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[ProofState | TacticFailure]:
        """Start a proof of each of many statements: one result each, in order; see :meth:`prove`.

        Limits are for each statement. *progress* receives the phase ``prove``, in statements. After a cancellation
        the rest are :class:`TacticFailure` with that limit.
        """
        texts("statements", statements, hint="prove(text) takes one statement")
        each = Phase(progress, "prove", len(statements)).over(statements)
        return [
            self.prove(statement, options, timeout=timeout, cancellation=cancellation) for statement in each
        ]

    def _finish(
        self, added: list[Constant], env: Ref, guard: Guard, allow_axioms: Collection[str]
    ) -> KernelOutcome:
        """Judge a finished proof like any other addition."""
        return self._judge.outcome_of_constants(added, env, AllowedAxioms.of(allow_axioms), guard)

    # --- evidence ---

    def recheck(
        self, evidence: Evidence, *, timeout: float | None = None, cancellation: Cancellation = None
    ) -> EvidenceStatus:
        """Ask the kernel again: the evidence's declaration and what it rests on, on top of the session's imports.

        *timeout* in seconds overrides the session's. ``unavailable`` when a limit or a cancellation kept the kernel
        from a verdict.
        """
        return self._evidence.recheck([evidence], CallContext(timeout, cancellation))[0]

    def recheck_many(
        self,
        evidence: Sequence[Evidence],
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[EvidenceStatus]:
        """:meth:`recheck` of many: one answer each, in order; limits are for each.

        *progress* receives the phase ``recheck``, in items. After a cancellation the rest are ``unavailable``.
        """
        return self._evidence.recheck(evidence, CallContext(timeout, cancellation, progress))

    def matches(
        self,
        evidence: Evidence,
        reference: str | Expr,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> Match:
        """Compare what the evidence proves with a reference statement, as terms and by the kernel.

        *reference* is a type, as text or as a term over this session. The names of binders and of universe
        parameters do not matter; what the evidence's source defined has to be there, and the same, if the
        statement speaks of it. ``limit`` is set where a limit or a cancellation kept the kernel from an answer.
        Raises :class:`~leanhost.errors.ElaborationError` when the text is not a type.
        """
        return self._evidence.matches([evidence], reference, CallContext(timeout, cancellation))[0]

    def matches_many(
        self,
        evidence: Sequence[Evidence],
        reference: str | Expr,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[Match]:
        """:meth:`matches` of many with one reference, which is elaborated once: one answer each, in order.

        *progress* receives the phase ``matches``, in items. After a cancellation the rest are open.
        """
        return self._evidence.matches(evidence, reference, CallContext(timeout, cancellation, progress))

    def export(
        self,
        wanted: Evidence | Sequence[NameLike],
        target: Target,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> ExportReport:
        """Write evidence, or constants by name, with everything they rest on, in lean4export's NDJSON format 3.1.

        *target* is a path, which then appears whole or not at all, or a binary file. The same environment gives the
        same bytes. *timeout* is in seconds. *progress* receives the phases ``collect`` (constants found) and
        ``export`` (constants written).

        Raises :class:`~leanhost.errors.UsageError` for a name that is not there,
        :class:`~leanhost.errors.ObjectTooLarge` for a constant too large to copy,
        :class:`~leanhost.errors.Cancelled` when it was cancelled or *timeout* ran out, and ``OSError``.
        """
        return self._evidence.export(wanted, target, CallContext(timeout, cancellation, progress))

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{len(self._state.added)} constants added"
        return f"<{type(self).__name__} over {self._state.imported.key}: {state}>"


def _cancelled() -> CommandResult:
    return CommandResult((), (), (), 0.0, 0.0, (Limit.CANCELLED,))


def _unreadable(fault: Diagnostic) -> CommandResult:
    return CommandResult((fault,), (), (), 0.0, 0.0)


def _not_lean_text(fault: Diagnostic) -> KernelOutcome:
    return Rejected(ElabFailure("source", fault.message, (fault,)))
