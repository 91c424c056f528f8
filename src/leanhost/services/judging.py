"""How a session elaborates a source, and judges what that adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from leanhost.engine.base import Guard, Ref
from leanhost.lean.constants import kernel_constants
from leanhost.lean.core import Constant
from leanhost.lean.names import NameTuple, show
from leanhost.services.allowances import elaborated
from leanhost.services.cancellation import Cancellation
from leanhost.services.certificates import Certificates
from leanhost.services.elaboration import WHY_LIMITS, WORDS, Additions, elaborate, new_guard, summarise
from leanhost.services.evidence import (
    Checked,
    ElabFailure,
    Ground,
    Judgement,
    KernelOutcome,
    Rejected,
    Unavailable,
    Unsupported,
    judge,
    open_question,
)
from leanhost.services.header import first_command
from leanhost.services.kernel import Objection
from leanhost.services.kernel import replay as kernel_replay
from leanhost.services.matching import says
from leanhost.services.options import AllowedAxioms
from leanhost.services.progress import ProgressSink
from leanhost.services.results import CommandResult, Diagnostic, Limit
from leanhost.services.source import prepare

STOPPED = (Limit.TIMEOUT, Limit.CANCELLED)

T = TypeVar("T")


@dataclass(slots=True)
class Run:
    """A finished elaboration with its handles, inside its guard."""

    result: CommandResult
    env: Ref
    added: Additions
    guard: Guard


class Judging(Certificates):
    """The part of a session that elaborates and judges."""

    _env: Ref
    _known: frozenset[NameTuple]
    _lean_options: Ref
    _verified: Ref | None

    def _run(
        self,
        operation: str,
        source: str,
        file: str,
        timeout: float | None,
        cancellation: Cancellation,
        progress: ProgressSink | None,
        then: Callable[[Run], T],
        unreadable: Callable[[Diagnostic], T],
        start: int = 0,
        watch: Callable[[int, int, Ref], None] | None = None,
    ) -> T:
        if timeout is not None:
            replace(self.options, timeout=timeout)  # the same rules as for the session's own
        text = prepare(source, file)
        with self.calling(operation, cancellation) as said:
            if isinstance(text, Diagnostic):
                return unreadable(text)
            said.set("source_chars", len(text))
            lean = self._lean
            if not start:
                start = first_command(lean, text, file)
            guard = new_guard(lean, self.options, timeout, cancellation, progress)

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
                    watch=watch,
                )
                result, added = summarise(lean, done, self._known)
                said.set("declarations", len(result.declarations))
                said.set("errors", len(result.errors))
                return then(Run(result, done.env, added, guard))

            try:
                return lean.engine.supervise(work, guard)
            finally:
                if guard.why:
                    said.set("stopped", guard.why)
                guard.token.close()

    def _outcome(self, run: Run, allowed: AllowedAxioms) -> KernelOutcome:
        result = run.result
        for limit in result.limits:
            if limit in STOPPED or (limit in WORDS and result.errors):
                return Unavailable(limit, WORDS[limit], result.diagnostics)
        return _kernel_outcome(self._judge(run, allowed), result)

    def _judge_constants(
        self, added: list[Constant], env: Ref, allowed: AllowedAxioms, guard: Guard
    ) -> KernelOutcome:
        """Judge constants that no source declared: the last is the one that matters to the caller."""
        result = CommandResult((), (), (), 0.0, 0.0)
        run = Run(result, env, Additions(added, [(added[-1], None)]), guard)
        return _kernel_outcome(self._judge(run, allowed), result)

    def _judge(self, run: Run, allowed: AllowedAxioms) -> Judgement:
        lean, guard, result = self._lean, run.guard, run.result
        # The kernel's options are the host's own: neither the source nor the caller's Lean options can tell
        # it to look away (debug.skipKernelTC).
        kernel_options = self._host.kernel_options(lean, self.options)
        ground = self._ground(guard, kernel_options)
        if isinstance(ground, Objection):
            text = f"the kernel does not accept what the session was extended by: {ground.text}"
            failure = ElabFailure("kernel", text, result.diagnostics)
            if guard.why or ground.reason != "rejected":
                limit = WHY_LIMITS[guard.why] if guard.why else open_question(ground.reason)
                return Judgement([], [], [failure], (), limit)
            return Judgement([], [], [failure], ())
        allowed = self._allowed(allowed, (*ground.added, *run.added.constants), ground, kernel_options, guard)
        return judge(
            lean, ground, run.env, self._lean_options, kernel_options, run.added, result, allowed, guard
        )

    def _allowed(
        self,
        allowed: AllowedAxioms,
        declared: Iterable[Constant],
        ground: Ground,
        kernel_options: Ref,
        guard: Guard,
    ) -> AllowedAxioms:
        """Return *allowed* with the names of those that are allowed with a type and have it.

        The types are read in the environment that the source was given: it has no say in what they mean.
        """
        if not allowed.typed:
            return allowed
        axioms = {constant.name: constant for constant in declared if constant.kind == "axiom"}
        found: list[str] = []
        for each in elaborated(self.meta, allowed.typed):
            axiom = axioms.get(each.name) or self._library_axiom(each.name)
            if axiom is not None and says(
                self._lean, ground.kernel_env, axiom, each.statement, kernel_options, guard
            ):
                found.append(show(each.name))
        return allowed.also(found)

    def _library_axiom(self, name: NameTuple) -> Constant | None:
        lean = self._lean
        (info,) = lean.find(self._imported.env, [name])
        return Constant(name, "axiom", info) if info and lean.constant_kind(info) == "axiom" else None

    def _ground(self, guard: Guard, kernel_options: Ref) -> Ground | Objection:
        """Return what new declarations are judged against; an extended session is replayed once."""
        if self._verified is None:
            lean = self._lean
            kernel_env = lean.engine.eval(lean.table.kernel_env(self._imported.env))
            if self._added:
                added = list(self._added)
                used = dict(zip((c.name for c in added), kernel_constants(lean, added), strict=True))
                grown = kernel_replay(
                    lean,
                    kernel_env,
                    added,
                    used,
                    kernel_options,
                    guard.token,
                    self._imported.axioms.spelling,
                )
                if isinstance(grown, Objection):
                    return grown
                kernel_env = grown
            self._verified = kernel_env
        return Ground(self._imported.axioms, self._env, self._verified, self._added)


def _kernel_outcome(judgement: Judgement, result: CommandResult) -> KernelOutcome:
    if judgement.open is not None:
        message = judgement.failures[0].message if judgement.failures else WORDS[judgement.open]
        return Unavailable(judgement.open, message, result.diagnostics)
    if judgement.unsupported:
        return Unsupported(judgement.unsupported)
    if judgement.failures:
        return Rejected(judgement.failures[0])
    if not judgement.evidence:
        message = "the source declares nothing that the kernel checks"
        return Rejected(ElabFailure("nothing_declared", message, result.diagnostics))
    return Checked(judgement.evidence[-1], tuple(judgement.evidence))
