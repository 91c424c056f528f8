"""A session: typed questions to Lean over one immutable environment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from leanhost.engine.base import Guard, Ref
from leanhost.errors import Cancelled, ElaborationError, UsageError
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple
from leanhost.services.cancellation import Cancellation
from leanhost.services.elaboration import WORDS, new_guard
from leanhost.services.evidence import (
    ElabFailure,
    Judgement,
    KernelOutcome,
    Rejected,
    Theorem,
    Unavailable,
)
from leanhost.services.imports import Imported
from leanhost.services.judging import STOPPED, Judging, Run
from leanhost.services.lifetime import NotStarted
from leanhost.services.options import AllowedAxioms, ElabOptions
from leanhost.services.positions import SourceView
from leanhost.services.progress import ProgressSink, phase
from leanhost.services.results import CommandResult, Diagnostic, Limit, Position
from leanhost.services.source import prepare

if TYPE_CHECKING:
    from leanhost.services.host import Host

T = TypeVar("T")

_OTHER_TOOLCHAIN = "use a toolchain of your own: this one cannot run all code of its library"


Accepted: TypeAlias = "Callable[[Session, Ref, Sequence[Constant], Sequence[Theorem]], None]"
"""Told of a session, of the environment after a source, and of the constants and theorems that it added."""


class Session(Judging):
    """Elaboration and judgement over one environment, which no call changes.

    Made by :meth:`leanhost.Host.session`; a context manager. Safe to use from several threads: one call runs
    at a time, the others wait for their turn, where a cancellation reaches them too. A session that is closed
    during a call ends when the call does.

    Calls take *cancellation*, a :class:`~leanhost.services.cancellation.CancellationToken` that stops
    it from any thread, and *progress*, a callable that takes
    :class:`~leanhost.services.progress.ProgressEvent` values on the calling thread. Any call can raise
    :class:`~leanhost.errors.ClosedError`, or :class:`~leanhost.errors.EngineLost` when Lean died under it.
    """

    def __init__(
        self,
        host: Host,
        lean: Lean,
        imported: Imported,
        options: ElabOptions,
        *,
        env: Ref | None = None,
        added: tuple[Constant, ...] = (),
        shown: tuple[tuple[Constant, Position | None], ...] = (),
    ) -> None:
        """Make a session over *imported*, or over *env*, which extends it by *added* and then belongs to it.

        One use of *imported* becomes the session's.
        """
        self._imported = imported
        self._env = env if env is not None else imported.env
        self._owns_env = env is not None
        self._added = added
        self._shown = shown
        self._known: frozenset[NameTuple] = frozenset(c.name for c in added)
        self.options = options
        self._lean_options = host.lean_options(lean, options)
        self._verified: Ref | None = None
        super().__init__(host, lean)

    @property
    def imports(self) -> tuple[str, ...]:
        """The modules the session's environment was imported from, in order."""
        return tuple(i.text for i in self._imported.key.imports)

    # For the floors above, not for users: what the session is made of.

    @property
    def library(self) -> str:
        """Which library was imported (:attr:`Imported.identity`)."""
        return self._imported.identity

    @property
    def lean(self) -> Lean:
        """The Lean it runs in."""
        return self._lean

    @property
    def env(self) -> Ref:
        """Its ``Lean.Environment``; lent."""
        return self._env

    @property
    def imported(self) -> Imported:
        """What its environment was imported as; lent."""
        return self._imported

    @property
    def added(self) -> tuple[Constant, ...]:
        """What it was extended by, in the order in which Lean listed it."""
        return self._added

    @property
    def shown(self) -> tuple[tuple[Constant, Position | None], ...]:
        """Those of :attr:`added` that a user wrote or sees, and where, if that is known."""
        return self._shown

    # --- what it answers ---

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

        *timeout* in seconds overrides the session's. *progress* hears of the phase ``elaborate``, in bytes of
        *source*, after each command. Raises :class:`~leanhost.errors.EngineStuck` when Lean ignored a
        cancellation.
        """
        try:
            return self._run(
                "run",
                source,
                file,
                timeout,
                cancellation,
                progress,
                lambda run: run.result,
                _unreadable_result,
            )
        except NotStarted:
            return _cancelled_result()

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

        def extended(run: Run) -> Session:
            result = run.result
            if Limit.CANCELLED in result.limits:
                raise Cancelled("the extension of the session was cancelled")
            if not result.ok:
                first = result.errors[0] if result.errors else None
                why = (
                    str(first)
                    if first
                    else ", ".join(WORDS[limit] for limit in result.limits if limit in WORDS)
                )
                beyond = first is not None and self._lean.beyond(first.message)
                hint = _OTHER_TOOLCHAIN if beyond else ""
                raise ElaborationError(f"the session cannot be extended: {why}", hint=hint, result=result)
            added = self._added + tuple(run.added.constants)
            imported = self._imported.share()
            shown = self._shown + tuple(run.added.shown)
            return Session(
                self._host, self._lean, imported, self.options, env=run.env, added=added, shown=shown
            )

        def unreadable(fault: Diagnostic) -> Session:
            raise ElaborationError(str(fault), result=_unreadable_result(fault))

        return self._run("extend", source, file, timeout, cancellation, progress, extended, unreadable)

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
        (:class:`~leanhost.services.options.AllowedAxioms`). ``Unavailable`` when a limit or a cancellation left the
        question open.
        *progress* hears of the phases ``elaborate`` (bytes of source) and ``kernel`` (declarations).
        """
        allowed = AllowedAxioms.of(allow_axioms)

        def judged(run: Run) -> KernelOutcome:
            return self._outcome(run, allowed)

        try:
            return self._run(
                "kernel_check", source, file, timeout, cancellation, progress, judged, _not_lean_text
            )
        except NotStarted:
            return Unavailable(Limit.CANCELLED, WORDS[Limit.CANCELLED])

    def kernel_check_bulk(
        self,
        sources: Sequence[str],
        *,
        allow_axioms: Iterable[str] = (),
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[KernelOutcome]:
        """:meth:`kernel_check` of many sources, each on its own: one outcome each, in order.

        *timeout* is for each source. *progress* hears of the phase ``bulk``, in sources. After a cancellation the
        rest are ``Unavailable``.
        """
        allowed = tuple(allow_axioms) if not isinstance(allow_axioms, str) else allow_axioms

        def check(source: str) -> KernelOutcome:
            return self.kernel_check(source, allow_axioms=allowed, timeout=timeout, cancellation=cancellation)

        return self._bulk(check, sources, timeout, cancellation, progress)

    def run_bulk(
        self,
        sources: Sequence[str],
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[CommandResult]:
        """:meth:`run` of many sources, each on its own: one result each, in order.

        *timeout* is for each source. *progress* hears of the phase ``bulk``, in sources. After a cancellation the
        rest have the limit ``cancelled``.
        """

        def run(source: str) -> CommandResult:
            return self.run(source, timeout=timeout, cancellation=cancellation)

        return self._bulk(run, sources, timeout, cancellation, progress)

    def _bulk(
        self,
        ask: Callable[[str], T],
        sources: Sequence[str],
        timeout: float | None,
        cancellation: Cancellation,
        progress: ProgressSink | None,
    ) -> list[T]:
        """Ask about each source with one change of threads for all of them."""
        if isinstance(sources, str):
            raise UsageError("sources are a sequence of texts, not one text")
        self.check_open()
        seconds = (self.options.timeout if timeout is None else timeout) * max(1, len(sources))
        guard = new_guard(self._lean, self.options, seconds, cancellation, progress)

        def work() -> list[T]:
            listening = phase(guard, "bulk", len(sources))
            found: list[T] = []
            for source in sources:
                found.append(ask(source))
                if listening is not None:
                    listening.at(len(found))
            return found

        with guard.token:
            return self._lean.engine.supervise(work, guard)

    def inspect(
        self,
        source: str,
        *,
        file: str = "<input>",
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> SourceView:
        """Elaborate *source* once with its info trees kept, to ask about many positions.

        ``view.goals_at(line, column)``, ``view.type_at(...)``, ``view.references(...)``; close it when done.
        Raises :class:`~leanhost.errors.Cancelled`, and :class:`~leanhost.errors.ElaborationError` for what is
        no Lean text.
        """
        text = prepare(source, file)
        if isinstance(text, Diagnostic):
            raise ElaborationError(str(text), result=_unreadable_result(text))

        def guarded(ask: Callable[[Guard], object]) -> object:
            with self.calling("inspect"):
                guard = new_guard(self._lean, self.options, None, None)
                with guard.token:
                    return self._lean.engine.supervise(lambda: ask(guard), guard)

        view = SourceView(self._lean, text, guarded)
        kept: list[tuple[int, int, Ref]] = []

        def collect(run: Run) -> CommandResult:
            for start, end, state in kept:
                view.add(start, end, state)
            return run.result

        view.result = self._run(
            "inspect",
            source,
            file,
            timeout,
            cancellation,
            None,
            collect,
            _unreadable_result,
            watch=lambda start, end, state: kept.append((start, end, state)),
        )
        return view

    def goals_at(self, source: str, positions: Sequence[tuple[int, int]]) -> list[tuple[str, ...]]:
        """The goals at many ``(line, column)`` positions of *source*, from one elaboration, in order."""
        with self.inspect(source) as view:
            return [view.goals_at(line, column) for line, column in positions]

    def judged(
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
        :func:`leanhost.services.source.prepare` returns it.
        """

        def unreadable(fault: Diagnostic) -> tuple[CommandResult, Judgement]:
            raise UsageError(str(fault))

        def judged(run: Run) -> tuple[CommandResult, Judgement]:
            for limit in STOPPED:
                if limit in run.result.limits:
                    return run.result, Judgement([], [], [], (), limit)
            judgement = self._judge(run, allowed)
            if accepted is not None and not (judgement.failures or judgement.open or judgement.unsupported):
                accepted(self, run.env, run.added.constants, judgement.theorems)
            return run.result, judgement

        try:
            return self._run(
                "judged", source, file, timeout, cancellation, progress, judged, unreadable, start
            )
        except NotStarted:
            return _cancelled_result(), Judgement([], [], [], (), Limit.CANCELLED)

    def _free(self) -> None:
        if self._verified is not None:
            self._verified.close()
        if self._owns_env:
            self._env.close()
        self._added = self._shown = ()  # shared with evidence and with sessions that extend this one
        self._let_go()

    def _let_go(self) -> None:
        """Give the imported environment back."""
        self._imported.close()

    def _abandon(self) -> None:
        self._imported.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._added)} constants added"
        return f"<{type(self).__name__} over {self._imported.key}: {state}>"


def _cancelled_result() -> CommandResult:
    return CommandResult((), (), (), 0.0, 0.0, (Limit.CANCELLED,))


def _unreadable_result(fault: Diagnostic) -> CommandResult:
    return CommandResult((fault,), (), (), 0.0, 0.0)


def _not_lean_text(fault: Diagnostic) -> KernelOutcome:
    return Rejected(ElabFailure("source", fault.message, (fault,)))
