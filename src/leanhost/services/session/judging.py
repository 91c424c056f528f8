"""Judging what was added to the environment of a session."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from leanhost.engine.base import Guard
from leanhost.engine.values import Ref
from leanhost.lean.constants import kernel_constants
from leanhost.lean.core import Constant
from leanhost.lean.names import NameTuple, show
from leanhost.services.kernel.equivalence import says
from leanhost.services.kernel.judge import Additions, Judgement, JudgementBase, judge
from leanhost.services.kernel.replay import KernelRejection, replay_constants
from leanhost.services.session.allowances import elaborated
from leanhost.services.session.elaborator import Elaboration
from leanhost.services.session.state import SessionState
from leanhost.services.terms.meta_runner import MetaRunner
from leanhost.services.values.lifecycle import SessionOwner
from leanhost.services.values.limits import WORDS
from leanhost.services.values.options import AllowedAxioms
from leanhost.services.values.outcomes import (
    Checked,
    ElabFailure,
    KernelOutcome,
    Rejected,
    Unavailable,
    Unsupported,
)
from leanhost.services.values.results import CommandResult, Limit

STOPPED = (Limit.TIMEOUT, Limit.CANCELLED)
"""The limits that end a call before everything was elaborated."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Gives verdicts on what was added to the environment of a session."""

    state: SessionState
    host: SessionOwner
    meta: Callable[[], MetaRunner]

    def outcome(self, run: Elaboration, allowed: AllowedAxioms) -> KernelOutcome:
        """Return the verdict on a source."""
        result = run.result
        for limit in result.limits:
            if limit in STOPPED or (limit in WORDS and result.errors):
                return Unavailable(limit, WORDS[limit], result.diagnostics)
        return _outcome(self.judgement(run, allowed), result)

    def outcome_of_constants(
        self, added: list[Constant], env: Ref, allowed: AllowedAxioms, guard: Guard
    ) -> KernelOutcome:
        """Return the verdict on constants that no source declared; the last is the one that matters to the caller."""
        result = CommandResult((), (), (), 0.0, 0.0)
        run = Elaboration(result, env, Additions(added, [(added[-1], None)]), guard)
        return _outcome(self.judgement(run, allowed), result)

    def judgement(self, run: Elaboration, allowed: AllowedAxioms) -> Judgement:
        """Return everything the environment says about what *run* added."""
        state, guard, result = self.state, run.guard, run.result
        for limit in STOPPED:
            if limit in result.limits:
                return Judgement([], [], [], (), limit)
        # The kernel's options are the host's own: neither the source nor the caller's Lean options can tell
        # it to look away (debug.skipKernelTC).
        kernel_options = self.host._kernel_options(state.lean, state.options)
        base = self._base(guard, kernel_options)
        if isinstance(base, KernelRejection):
            text = f"the kernel does not accept what the session was extended by: {base.text}"
            failure = ElabFailure("kernel", text, result.diagnostics)
            return Judgement([], [], [failure], (), guard.limit or base.limit)
        allowed = self._allowed(allowed, (*base.added, *run.added.constants), base, kernel_options, guard)
        return judge(
            state.lean, base, run.env, state.lean_options, kernel_options, run.added, result, allowed, guard
        )

    def _allowed(
        self,
        allowed: AllowedAxioms,
        declared: Iterable[Constant],
        base: JudgementBase,
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
        for each in elaborated(self.meta(), allowed.typed):
            axiom = axioms.get(each.name) or self._library_axiom(each.name)
            if axiom is not None and says(
                self.state.lean, base.kernel_env, axiom, each.statement, kernel_options, guard
            ):
                found.append(show(each.name))
        return allowed.also(found)

    def _library_axiom(self, name: NameTuple) -> Constant | None:
        lean = self.state.lean
        (info,) = lean.find(self.state.imported.env, [name])
        return Constant(name, "axiom", info) if info and lean.constant_kind(info) == "axiom" else None

    def _base(self, guard: Guard, kernel_options: Ref) -> JudgementBase | KernelRejection:
        """Return what new declarations are judged against; an extended session is replayed once."""
        state = self.state
        if state.checked is None:
            lean = state.lean
            kernel_env = lean.engine.eval(lean.table.kernel_env(state.imported.env))
            if state.added:
                added = list(state.added)
                used = dict(zip((c.name for c in added), kernel_constants(lean, added), strict=True))
                spelling = state.imported.axioms.spelling
                grown = replay_constants(lean, kernel_env, added, used, kernel_options, guard.token, spelling)
                if isinstance(grown, KernelRejection):
                    return grown
                kernel_env = grown
            state.checked = kernel_env
        return JudgementBase(state.imported.axioms, state.env, state.checked, state.added)


def _outcome(judgement: Judgement, result: CommandResult) -> KernelOutcome:
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
