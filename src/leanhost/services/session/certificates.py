"""Evidence after the check: asked again, compared with a reference, written to a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leanhost.engine.values import Ref
from leanhost.errors import ElaborationError, ForeignHandleError, UsageError
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
from leanhost.services.session.questions import Questions
from leanhost.services.terms.expr import Expr, Name, NameLike
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.lifecycle import NotStarted
from leanhost.services.values.limits import WORDS
from leanhost.services.values.outcomes import ElabFailure, Evidence, EvidenceStatus
from leanhost.services.values.progress import Phase, ProgressSink
from leanhost.services.values.results import Limit

if TYPE_CHECKING:
    from leanhost.services.elaboration.environment import Imported


class Certificates(Questions):
    """The part of a session that deals in evidence."""

    _imported: Imported
    _added: tuple[Constant, ...]

    def _constant(self, evidence: Evidence) -> Constant:
        constant = evidence._constant
        if constant is None or constant.info.engine is not self._lean.engine:
            raise ForeignHandleError(
                "this evidence belongs to another host (or to an engine that was lost)",
                hint="check the source again with this session",
            )
        return constant

    def _base(self) -> Ref:
        lean = self._lean
        return lean.engine.eval(lean.table.kernel_env(self._imported.env))

    def status(self, evidence: Evidence, *, cancellation: CancellationToken | None = None) -> EvidenceStatus:
        """Ask the kernel again: the evidence's declaration and what it rests on, on top of the session's imports.

        ``unavailable`` when a limit or a cancellation kept the kernel from a verdict.
        """
        return self.status_bulk([evidence], cancellation=cancellation)[0]

    def status_bulk(
        self,
        evidence: Sequence[Evidence],
        *,
        cancellation: CancellationToken | None = None,
        progress: ProgressSink | None = None,
    ) -> list[EvidenceStatus]:
        """:meth:`status` of many: one answer each, in order; limits are for each.

        *progress* hears of the phase ``status``, in items. After a cancellation the rest are ``unavailable``.
        """
        constants = [self._constant(item) for item in evidence]
        listening = Phase(progress, "status", len(constants)) if progress is not None else None
        found: list[EvidenceStatus] = []
        try:
            with self.calling("status", cancellation, len(constants)), self._base() as base:
                for item, constant in zip(evidence, constants, strict=True):
                    again = recheck(
                        self._lean,
                        base,
                        constant,
                        item._with,
                        options=self.options,
                        cancellation=cancellation,
                    )
                    found.append(EvidenceStatus(again.status))
                    if listening is not None:
                        listening.at(len(found))
        except NotStarted:
            pass
        return found + [EvidenceStatus.UNAVAILABLE] * (len(constants) - len(found))

    def matches(
        self, evidence: Evidence, reference: str | Expr, *, cancellation: CancellationToken | None = None
    ) -> Match:
        """Compare what the evidence proves with a reference statement, as terms and by the kernel.

        *reference* is a type, as text or as a term over this session. The names of binders and of universe
        parameters do not matter; what the evidence's source defined has to be there, and the same, if the
        statement speaks of it. ``limit`` is set where a limit or a cancellation kept the kernel from an answer.
        Raises :class:`~leanhost.errors.ElaborationError` when the text is no type.
        """
        return self.matches_bulk([evidence], reference, cancellation=cancellation)[0]

    def matches_bulk(
        self,
        evidence: Sequence[Evidence],
        reference: str | Expr,
        *,
        cancellation: CancellationToken | None = None,
        progress: ProgressSink | None = None,
    ) -> list[Match]:
        """:meth:`matches` of many with one reference, which is elaborated once: one answer each, in order.

        *progress* hears of the phase ``matches``, in items. After a cancellation the rest are open.
        """
        constants = [self._constant(item) for item in evidence]
        if isinstance(reference, str):
            term = self.elaborate(reference, cancellation=cancellation)
            if isinstance(term, ElabFailure):
                if term.limit is None:
                    raise ElaborationError(f"the reference statement: {term.message}", result=term)
                return [Match(False, None, term.limit, term.message)] * len(constants)
            reference = term
        lean = self._lean
        listening = Phase(progress, "matches", len(constants)) if progress is not None else None
        found: list[Match] = []
        try:
            with self.calling("matches", cancellation, len(constants)):
                type_ = self.meta.home.expr(reference)
                wanted = Statement(tuple(lean.name_array(lean.table.collect_level_params(type_))), type_)
                with lean.engine.eval(lean.table.kernel_env(self._env)) as kernel_env:
                    for item, constant in zip(evidence, constants, strict=True):
                        odd = other_meaning(lean, kernel_env, constant, item._with)
                        if odd is not None:
                            message = f"{show(odd)} is something else in this session"
                            found.append(Match(False, False, message=message))
                        else:
                            found.append(
                                matches(
                                    lean,
                                    kernel_env,
                                    statement_of(lean, constant.info),
                                    wanted,
                                    options=self.options,
                                    cancellation=cancellation,
                                )
                            )
                        if listening is not None:
                            listening.at(len(found))
        except NotStarted:
            pass
        stopped = Match(False, None, Limit.CANCELLED, WORDS[Limit.CANCELLED])
        return found + [stopped] * (len(constants) - len(found))

    def export(
        self,
        wanted: Evidence | Sequence[NameLike],
        target: Target,
        *,
        timeout: float | None = None,
        cancellation: CancellationToken | None = None,
        progress: ProgressSink | None = None,
    ) -> ExportReport:
        """Write evidence, or constants by name, with everything they rest on, in lean4export's NDJSON format 3.1.

        *target* is a path, which then appears whole or not at all, or a binary file. The same environment gives the
        same bytes. *timeout* is in seconds. *progress* hears of the phases ``collect`` (constants found) and
        ``export`` (constants written).

        Raises :class:`~leanhost.errors.UsageError` for a name that is not there,
        :class:`~leanhost.errors.ObjectTooLarge` for a constant too large to copy,
        :class:`~leanhost.errors.Cancelled` when it was cancelled or *timeout* ran out, and ``OSError``.
        """
        names: list[NameTuple]
        added: tuple[Constant, ...]
        if isinstance(wanted, Evidence):
            names, added = [self._constant(wanted).name], wanted._with
        else:
            if isinstance(wanted, str):
                raise UsageError(f"wanted is a sequence of names, not one string; write [{wanted!r}]")
            names, added = [Name(name).parts for name in wanted], self._added
        with self.calling("export", cancellation, len(names)):
            return export(
                self._lean,
                self._env,
                names,
                target,
                added=added,
                timeout=timeout,
                grace=self.options.grace,
                cancellation=cancellation,
                progress=progress,
            )
