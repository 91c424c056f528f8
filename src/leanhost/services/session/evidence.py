"""Evidence after the check: asked again, compared with a reference, written to a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from leanhost.engine.values import Ref
from leanhost.errors import ElaborationError, ForeignHandleError
from leanhost.lean.core import Constant
from leanhost.lean.names import NameTuple, show
from leanhost.services.exports.write.export import ExportReport, Target, export
from leanhost.services.kernel.equivalence import (
    Match,
    Statement,
    matches,
    other_meaning,
    recheck,
    statement_of,
)
from leanhost.services.session.state import SessionState
from leanhost.services.terms.elaborate import TermContext, elaborate_terms
from leanhost.services.terms.expr import Expr, Name, NameLike
from leanhost.services.terms.meta_runner import MetaRunner
from leanhost.services.values.lifecycle import Lifecycle, NotStarted
from leanhost.services.values.limits import WORDS, CallContext
from leanhost.services.values.outcomes import ElabFailure, Evidence, EvidenceStatus
from leanhost.services.values.progress import Phase
from leanhost.services.values.results import Limit
from leanhost.services.values.validate import many


@dataclass(frozen=True, slots=True)
class EvidenceQuestions:
    """Answers questions about evidence over the environment of a session."""

    state: SessionState
    lifecycle: Lifecycle
    meta: Callable[[], MetaRunner]

    def recheck(self, evidence: Sequence[Evidence], call: CallContext) -> list[EvidenceStatus]:
        """Ask the kernel again about each, on top of the session's imports."""
        constants = [self._constant(item) for item in evidence]
        lean = self.state.lean
        found: list[EvidenceStatus] = []
        try:
            with self.lifecycle.calling("recheck", call.cancellation, len(constants)), self._base() as base:
                for item, constant in Phase(call.progress, "recheck", len(constants)).over(
                    zip(evidence, constants, strict=True)
                ):
                    again = recheck(lean, base, constant, item._with, self.state.options, _quiet(call))
                    found.append(again.status)
        except NotStarted:
            pass
        return found + [EvidenceStatus.UNAVAILABLE] * (len(constants) - len(found))

    def matches(self, evidence: Sequence[Evidence], reference: str | Expr, call: CallContext) -> list[Match]:
        """Compare what each proves with *reference*, which is elaborated once if it is a text."""
        constants = [self._constant(item) for item in evidence]
        try:
            with self.lifecycle.calling("matches", call.cancellation, len(constants)):
                found = self._matches(evidence, constants, reference, call)
        except NotStarted:
            found = []
        stopped = Match(False, None, Limit.CANCELLED, WORDS[Limit.CANCELLED])
        return found + [stopped] * (len(constants) - len(found))

    def _matches(
        self,
        evidence: Sequence[Evidence],
        constants: Sequence[Constant],
        reference: str | Expr,
        call: CallContext,
    ) -> list[Match]:
        lean, options, meta = self.state.lean, self.state.options, self.meta()
        if isinstance(reference, str):
            (term,) = elaborate_terms(meta, [reference], None, TermContext(), None, _quiet(call))
            if isinstance(term, ElabFailure):
                if term.limit is None:
                    raise ElaborationError(f"the reference statement: {term.message}", result=term)
                return [Match(False, None, term.limit, term.message)] * len(constants)
            reference = term
        type_ = meta.home.expr(reference)
        wanted = Statement(tuple(lean.name_array(lean.table.collect_level_params(type_))), type_)
        found: list[Match] = []
        with lean.engine.eval(lean.table.kernel_env(self.state.env)) as kernel_env:
            for item, constant in Phase(call.progress, "matches", len(constants)).over(
                zip(evidence, constants, strict=True)
            ):
                odd = other_meaning(lean, kernel_env, constant, item._with)
                if odd is not None:
                    found.append(
                        Match(False, False, message=f"{show(odd)} is something else in this session")
                    )
                    continue
                proved = statement_of(lean, constant.info)
                found.append(matches(lean, kernel_env, proved, wanted, options, _quiet(call)))
        return found

    def export(
        self, wanted: Evidence | Sequence[NameLike], target: Target, call: CallContext
    ) -> ExportReport:
        """Write evidence, or constants by name, with everything they rest on."""
        names: list[NameTuple]
        added: tuple[Constant, ...]
        if isinstance(wanted, Evidence):
            names, added = [self._constant(wanted).name], wanted._with
        else:
            many("wanted", wanted)
            names, added = [Name(name).parts for name in wanted], self.state.added
        state = self.state
        with self.lifecycle.calling("export", call.cancellation, len(names)):
            return export(
                state.lean,
                state.env,
                names,
                target,
                added=added,
                timeout=call.timeout,
                grace=state.options.grace,
                cancellation=call.cancellation,
                progress=call.progress,
            )

    def _constant(self, evidence: Evidence) -> Constant:
        constant = evidence._constant
        if constant is None or constant.info.engine is not self.state.lean.engine:
            raise ForeignHandleError(
                "this evidence belongs to another host (or to an engine that was lost)",
                hint="check the source again with this session",
            )
        return constant

    def _base(self) -> Ref:
        lean = self.state.lean
        return lean.engine.eval(lean.table.kernel_env(self.state.imported.env))


def _quiet(call: CallContext) -> CallContext:
    """Return the context of one of many: the whole tells how far it is."""
    return replace(call, progress=None)
