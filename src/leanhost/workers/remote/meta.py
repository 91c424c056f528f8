"""``MetaM`` questions to workers, one at a time and many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leanhost.services.terms.meta_answers import DEFAULT, MetaOptions
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.progress import ProgressSink
from leanhost.workers.remote.rpc import RemoteContext, async_twin, blocking, first
from leanhost.workers.remote.terms import QUESTIONS, TERM_TIMES, MetaAnswer, TermText, texts_out


@dataclass(frozen=True, slots=True)
class WorkerMeta:
    """Single ``MetaM`` questions in a worker (``session.meta``), as :class:`~leanhost.MetaService` puts them.

    Terms are given as text, read as :meth:`WorkerSession.elaborate` reads them (``open Nat in succ 1`` opens a
    namespace), and come back as :class:`TermText`. Where a text is no term the answer is the
    :class:`~leanhost.ElabFailure`. A worker has twice ``options.timeout`` for each item, to read, answer and print.
    """

    _context: RemoteContext

    def _ask(
        self,
        question: str,
        items: Sequence[Sequence[str]],
        options: MetaOptions | None,
        cancellation: Cancellation,
        progress: ProgressSink | None = None,
        flags: Mapping[str, bool] | None = None,
    ) -> list[MetaAnswer[Any]]:
        options = options or DEFAULT
        asked = {"items": [texts_out(item) for item in items], "options": options, "flags": dict(flags or {})}
        return self._context.ask(
            QUESTIONS[question],
            asked,
            seconds=TERM_TIMES * options.timeout * max(1, len(items)),
            items=len(items),
            cancellation=cancellation,
            progress=progress,
        )

    @blocking
    def infer_type(
        self, expr: str, options: MetaOptions | None = None, *, cancellation: Cancellation = None
    ) -> MetaAnswer[TermText]:
        """The type of a term, as :meth:`leanhost.MetaService.infer_type`."""
        return first(self._ask("infer_type", [(expr,)], options, cancellation))

    @blocking
    def infer_type_bulk(
        self,
        exprs: Sequence[str],
        options: MetaOptions | None = None,
        *,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[MetaAnswer[TermText]]:
        """:meth:`infer_type` of many: one answer each, in order; limits are for each."""
        return self._ask("infer_type", _each(exprs), options, cancellation, progress)

    @blocking
    def whnf(
        self, expr: str, options: MetaOptions | None = None, *, cancellation: Cancellation = None
    ) -> MetaAnswer[TermText]:
        """Weak head normal form, as :meth:`leanhost.MetaService.whnf`."""
        return first(self._ask("whnf", [(expr,)], options, cancellation))

    @blocking
    def whnf_bulk(
        self,
        exprs: Sequence[str],
        options: MetaOptions | None = None,
        *,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[MetaAnswer[TermText]]:
        """:meth:`whnf` of many: one answer each, in order; limits are for each."""
        return self._ask("whnf", _each(exprs), options, cancellation, progress)

    @blocking
    def synth_instance(
        self, type_: str, options: MetaOptions | None = None, *, cancellation: Cancellation = None
    ) -> MetaAnswer[TermText]:
        """An instance of a class, as :meth:`leanhost.MetaService.synth_instance`."""
        return first(self._ask("synth_instance", [(type_,)], options, cancellation))

    @blocking
    def synth_instance_bulk(
        self,
        types: Sequence[str],
        options: MetaOptions | None = None,
        *,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[MetaAnswer[TermText]]:
        """:meth:`synth_instance` of many: one answer each, in order; limits are for each."""
        return self._ask("synth_instance", _each(types), options, cancellation, progress)

    @blocking
    def instantiate_mvars(
        self, expr: str, options: MetaOptions | None = None, *, cancellation: Cancellation = None
    ) -> MetaAnswer[TermText]:
        """A term with its assigned metavariables replaced, as :meth:`leanhost.MetaService.instantiate_mvars`."""
        return first(self._ask("instantiate_mvars", [(expr,)], options, cancellation))

    @blocking
    def instantiate_mvars_bulk(
        self,
        exprs: Sequence[str],
        options: MetaOptions | None = None,
        *,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[MetaAnswer[TermText]]:
        """:meth:`instantiate_mvars` of many: one answer each, in order; limits are for each."""
        return self._ask("instantiate_mvars", _each(exprs), options, cancellation, progress)

    @blocking
    def pp_expr(
        self, expr: str, options: MetaOptions | None = None, *, cancellation: Cancellation = None
    ) -> MetaAnswer[str]:
        """A term as Lean prints it, as :meth:`leanhost.MetaService.pp_expr`."""
        return first(self._ask("pp_expr", [(expr,)], options, cancellation))

    @blocking
    def pp_expr_bulk(
        self,
        exprs: Sequence[str],
        options: MetaOptions | None = None,
        *,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[MetaAnswer[str]]:
        """:meth:`pp_expr` of many: one answer each, in order; limits are for each."""
        return self._ask("pp_expr", _each(exprs), options, cancellation, progress)

    @blocking
    def is_def_eq(
        self, left: str, right: str, options: MetaOptions | None = None, *, cancellation: Cancellation = None
    ) -> MetaAnswer[bool]:
        """Whether two terms are equal by definition, as :meth:`leanhost.MetaService.is_def_eq`."""
        return first(self._ask("is_def_eq", [(left, right)], options, cancellation))

    @blocking
    def is_def_eq_bulk(
        self,
        pairs: Sequence[tuple[str, str]],
        options: MetaOptions | None = None,
        *,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[MetaAnswer[bool]]:
        """:meth:`is_def_eq` of many: one answer each, in order; limits are for each."""
        return self._ask("is_def_eq", pairs, options, cancellation, progress)

    @blocking
    def reduce(
        self,
        expr: str,
        options: MetaOptions | None = None,
        *,
        explicit_only: bool = True,
        skip_types: bool = True,
        skip_proofs: bool = True,
        cancellation: Cancellation = None,
    ) -> MetaAnswer[TermText]:
        """Full reduction, as :meth:`leanhost.MetaService.reduce`."""
        return first(
            self._ask(
                "reduce",
                [(expr,)],
                options,
                cancellation,
                flags=_reduction(explicit_only, skip_types, skip_proofs),
            )
        )

    @blocking
    def reduce_bulk(
        self,
        exprs: Sequence[str],
        options: MetaOptions | None = None,
        *,
        explicit_only: bool = True,
        skip_types: bool = True,
        skip_proofs: bool = True,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[MetaAnswer[TermText]]:
        """:meth:`reduce` of many: one answer each, in order; limits are for each."""
        return self._ask(
            "reduce",
            _each(exprs),
            options,
            cancellation,
            progress,
            flags=_reduction(explicit_only, skip_types, skip_proofs),
        )

    ainfer_type = async_twin(infer_type)
    ainfer_type_bulk = async_twin(infer_type_bulk)
    awhnf = async_twin(whnf)
    awhnf_bulk = async_twin(whnf_bulk)
    asynth_instance = async_twin(synth_instance)
    asynth_instance_bulk = async_twin(synth_instance_bulk)
    ainstantiate_mvars = async_twin(instantiate_mvars)
    ainstantiate_mvars_bulk = async_twin(instantiate_mvars_bulk)
    app_expr = async_twin(pp_expr)
    app_expr_bulk = async_twin(pp_expr_bulk)
    ais_def_eq = async_twin(is_def_eq)
    ais_def_eq_bulk = async_twin(is_def_eq_bulk)
    areduce = async_twin(reduce)
    areduce_bulk = async_twin(reduce_bulk)


def _each(terms: Sequence[str]) -> list[tuple[str]]:
    return [(term,) for term in texts_out(terms)]


def _reduction(explicit_only: bool, skip_types: bool, skip_proofs: bool) -> dict[str, bool]:
    return {"explicit_only": explicit_only, "skip_types": skip_types, "skip_proofs": skip_proofs}
