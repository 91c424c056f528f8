"""Evidence after the check: asked again, compared with a reference, written to a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leanhost.engine.base import Ref
from leanhost.errors import ElaborationError, ForeignHandleError, UsageError
from leanhost.lean.core import Constant
from leanhost.lean.names import NameTuple
from leanhost.services.cancellation import CancellationToken
from leanhost.services.evidence import ElabFailure, Evidence, EvidenceStatus
from leanhost.services.exports.write import ExportReport, Target, export
from leanhost.services.exprs import Expr, Name, NameLike
from leanhost.services.matching import Match, Statement, matches, recheck, statement_of
from leanhost.services.progress import ProgressSink
from leanhost.services.questions import Questions

if TYPE_CHECKING:
    from leanhost.services.imports import Imported


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

        ``unavailable`` when a limit kept the kernel from a verdict.
        """
        with self.calling("status", cancellation), self._base() as base:
            constant = self._constant(evidence)
            found = recheck(
                self._lean, base, constant, evidence._with, options=self.options, cancellation=cancellation
            )
            return EvidenceStatus(found.status)

    def matches(
        self, evidence: Evidence, reference: str | Expr, *, cancellation: CancellationToken | None = None
    ) -> Match:
        """Compare what the evidence proves with a reference statement, as terms and by the kernel.

        *reference* is a type, as text or as a term over this session. The names of binders and of universe
        parameters do not matter. Raises :class:`~leanhost.errors.ElaborationError` when the text is no type.
        """
        constant = self._constant(evidence)
        if isinstance(reference, str):
            found = self.elaborate(reference, cancellation=cancellation)
            if isinstance(found, ElabFailure):
                raise ElaborationError(f"the reference statement: {found.message}", result=found)
            reference = found
        lean = self._lean
        with self.calling("matches", cancellation):
            term = self.meta.home.expr(reference)
            universes = lean.name_array(lean.table.collect_level_params(term))
            with lean.engine.eval(lean.table.kernel_env(self._env)) as kernel_env:
                return matches(
                    lean,
                    kernel_env,
                    statement_of(lean, constant.info),
                    Statement(tuple(universes), term),
                    options=self.options,
                    cancellation=cancellation,
                )

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

        *target* is a path, which then appears whole or not at all, or a binary file. See
        :func:`leanhost.services.exports.write.export` for what is raised.
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
