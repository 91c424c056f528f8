"""A session: typed questions to Lean over one immutable environment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from leanhost.engine.base import Guard, Ref
from leanhost.errors import ClosedError, ElaborationError, EngineLost, UsageError
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple
from leanhost.services.cancellation import Cancellation
from leanhost.services.elaboration import elaborate, new_guard, summarise
from leanhost.services.evidence import (
    Checked,
    ElabFailure,
    Ground,
    Judgement,
    KernelOutcome,
    Rejected,
    Unavailable,
    judge,
)
from leanhost.services.imports import Imported
from leanhost.services.kernel import Objection
from leanhost.services.kernel import replay as kernel_replay
from leanhost.services.options import DEFAULT_AXIOMS, ElabOptions
from leanhost.services.results import CommandResult, Diagnostic, Limit
from leanhost.services.source import prepare

if TYPE_CHECKING:
    from types import TracebackType

    from leanhost.services.host import Host

STOPPED = (Limit.TIMEOUT, Limit.CANCELLED)
WORDS = {
    Limit.TIMEOUT: "the wall-clock limit ran out",
    Limit.CANCELLED: "the caller cancelled",
    Limit.HEARTBEATS: "Lean's heartbeat limit ended the elaboration",
    Limit.REC_DEPTH: "Lean's recursion limit ended the elaboration",
}


T = TypeVar("T")


@dataclass(slots=True)
class Run:
    """A finished elaboration with its handles, inside its guard."""

    result: CommandResult
    env: Ref
    options: Ref
    added: list[Constant]
    guard: Guard


class Session:
    """Elaboration and judgement over one environment, which no call changes.

    Made by :meth:`leanhost.Host.session`; a context manager. One call runs at a time; calls from several threads
    wait for each other.
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
    ) -> None:
        self._host = host
        self._lean = lean
        self._imported = imported
        self._env = env if env is not None else imported.env
        self._owns_env = env is not None
        self._added = added
        self._known: frozenset[NameTuple] = frozenset(c.name for c in added)
        self.options = options
        self._lean_options = lean.options(options.lean_options())
        self._verified: Ref | None = None
        self._closed = False

    @property
    def imports(self) -> tuple[str, ...]:
        """The modules the session's environment was imported from, in order."""
        return tuple(i.text for i in self._imported.key.imports)

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    def run(
        self, source: str, *, file: str = "<input>", timeout: float | None = None, cancellation: Cancellation = None
    ) -> CommandResult:
        """Elaborate any number of commands and report; the session itself stays as it is.

        *timeout* in seconds overrides the session's; *cancellation* stops the elaboration.
        Raises :class:`~leanhost.errors.EngineStuck` when Lean ignored a cancellation.
        """
        return self._run(
            source, file, timeout, cancellation, lambda run: run.result, lambda fault: CommandResult((fault,), (), (), 0, 0)
        )

    def extend(
        self, source: str, *, file: str = "<input>", timeout: float | None = None, cancellation: Cancellation = None
    ) -> Session:
        """Return a new session over the environment that *source* makes of this one.

        Only declarations carry over; ``open``, ``namespace`` and ``variable`` end with the source. Raises
        :class:`~leanhost.errors.ElaborationError` (with the :class:`CommandResult` as ``result``) when the
        source has errors or hit a limit; this session stays good.
        """

        def extended(run: Run) -> Session:
            result = run.result
            if not result.ok:
                first = result.errors[0] if result.errors else None
                why = str(first) if first else ", ".join(WORDS[limit] for limit in result.limits if limit in WORDS)
                raise ElaborationError(f"the session cannot be extended: {why}", result=result)
            added = self._added + tuple(run.added)
            return Session(self._host, self._lean, self._imported, self.options, env=run.env, added=added)

        def unreadable(fault: Diagnostic) -> Session:
            raise ElaborationError(str(fault), result=CommandResult((fault,), (), (), 0, 0))

        return self._run(source, file, timeout, cancellation, extended, unreadable)

    def kernel_check(
        self,
        source: str,
        *,
        allow_axioms: Iterable[str] = (),
        file: str = "<input>",
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> KernelOutcome:
        """Elaborate *source* and judge what it declares.

        ``Checked`` only if nothing failed, nothing is ``sorry``, the kernel accepts every declaration again on
        top of the imports, and no axiom outside ``propext``, ``Classical.choice``, ``Quot.sound`` and
        *allow_axioms* is used. ``Unavailable`` when a limit left the question open.
        """
        allowed = DEFAULT_AXIOMS | frozenset(allow_axioms)

        def judged(run: Run) -> KernelOutcome:
            return self._outcome(run, allowed)

        return self._run(source, file, timeout, cancellation, judged, self._not_lean_text)

    def judged(
        self,
        source: str,
        *,
        allowed: Collection[str],
        file: str = "<input>",
        timeout: float | None = None,
        cancellation: Cancellation = None,
        start: int = 0,
    ) -> tuple[CommandResult, Judgement]:
        """Elaborate *source* from byte *start* and judge all it adds: what :meth:`Host.check_source` is made of.

        *source* must be Lean text as :func:`leanhost.services.source.prepare` returns it.
        """

        def unreadable(fault: Diagnostic) -> tuple[CommandResult, Judgement]:
            raise UsageError(str(fault))

        return self._run(
            source,
            file,
            timeout,
            cancellation,
            lambda run: (run.result, self._judge(run, allowed)),
            unreadable,
            start,
        )

    @staticmethod
    def _not_lean_text(fault: Diagnostic) -> KernelOutcome:
        return Rejected(ElabFailure("source", fault.message, (fault,)))

    def _outcome(self, run: Run, allowed: Collection[str]) -> KernelOutcome:
        result = run.result
        for limit in result.limits:
            if limit in STOPPED or (limit in WORDS and result.errors):
                return Unavailable(limit, WORDS[limit], result.diagnostics)
        judgement = self._judge(run, allowed)
        if judgement.open is not None:
            return Unavailable(judgement.open, judgement.failures[0].message, result.diagnostics)
        if judgement.failures:
            return Rejected(judgement.failures[0])
        if not judgement.evidence:
            return Rejected(ElabFailure("nothing_declared", "the source declares nothing", result.diagnostics))
        return Checked(judgement.evidence[-1], tuple(judgement.evidence))

    def _judge(self, run: Run, allowed: Collection[str]) -> Judgement:
        return judge(
            self._lean,
            self._ground(run.guard),
            run.env,
            run.options,
            self._lean_options,
            run.added,
            run.result,
            allowed,
            run.guard,
        )

    def _ground(self, guard: Guard) -> Ground:
        """Return what new declarations are judged against; an extended session is replayed once."""
        if self._verified is None:
            lean = self._lean
            kernel_env = lean.engine.eval(lean.table.kernel_env(self._imported.env))
            if self._added:
                added = list(self._added)
                used = dict(zip((c.name for c in added), lean.used_constants(added), strict=True))
                grown = kernel_replay(lean, kernel_env, added, used, self._lean_options, guard.token)
                if isinstance(grown, Objection):
                    raise ElaborationError(f"the kernel does not accept this session: {grown.text}", result=None)
                kernel_env = grown
            self._verified = kernel_env
        return Ground(self._imported.axioms, self._verified, self._added)

    def _run(
        self,
        source: str,
        file: str,
        timeout: float | None,
        cancellation: Cancellation,
        then: Callable[[Run], T],
        unreadable: Callable[[Diagnostic], T],
        start: int = 0,
    ) -> T:
        self._check_open()
        if not isinstance(source, str):
            raise UsageError(f"a source is a str, not {type(source).__name__}")
        if timeout is not None:
            replace(self.options, timeout=timeout)  # the same rules as for the session's own
        text = prepare(source, file)
        if isinstance(text, Diagnostic):
            return unreadable(text)
        lean = self._lean
        guard = new_guard(lean, self.options, timeout, cancellation)

        def work() -> T:
            done = elaborate(
                lean,
                self._env,
                text,
                lean_options=self._lean_options,
                options=self.options,
                file=file,
                guard=guard,
                start=start,
            )
            result, added = summarise(lean, done, self._known)
            return then(Run(result, done.env, done.options, added, guard))

        return lean.engine.supervise(work, guard)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this session is closed")
        if self._lean.engine.lost:
            raise EngineLost(self._lean.engine.lost, hint="take a new session from the host; it opens a new engine")

    def close(self) -> None:
        """Let the session's environment go; closing twice is fine."""
        if not self._closed:
            self._closed = True
            self._lean_options.close()
            if self._verified is not None:
                self._verified.close()
            if self._owns_env:
                self._env.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._added)} constants added"
        return f"<Session over {self._imported.key}: {state}>"
