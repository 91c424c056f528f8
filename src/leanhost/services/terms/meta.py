"""Bounded ``MetaM``: typed answers to single questions, and to many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg
from leanhost.engine.values import Ref, Thrown
from leanhost.lean.core import Lean
from leanhost.lean.monads import Contexts
from leanhost.lean.tables.monads import Six
from leanhost.services.terms.expr import Expr
from leanhost.services.terms.meta_answers import DEFAULT, MetaOptions, MetaResponse, Ok
from leanhost.services.terms.meta_runner import CANCELLED, MetaRunner
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.lifecycle import Lifecycle, NotStarted
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.progress import ProgressSink

_SHORT = 512


def is_short(text: str) -> bool:
    """Tell whether *text* may be parsed on the caller's thread.

    Lean's parser recurses without looking at the stack, at a few kilobytes for each nested bracket.
    """
    return len(text) <= _SHORT


def _each(exprs: Sequence[Expr]) -> list[tuple[Expr]]:
    return [(expr,) for expr in exprs]


def _truth(answer: Ref) -> bool:
    with answer:
        return bool(answer.unbox())


class MetaService(MetaRunner):
    """Single ``MetaM`` questions over one session's environment (``session.meta``).

    Every call starts from the same fresh state and leaves none behind, and counts its heartbeats from zero: a
    session never tires and never grows. Answers are a :data:`MetaResponse`, never an exception, except that a
    closed session, a lost engine and an argument that is no term of this host raise.

    A ``_bulk`` form gives one answer an item, in the order of the items; limits are for each item. *progress*
    hears of the phase that has the question's name, in items. A cancelled call answers what is left with
    ``TimeoutOrHeartbeat(Limit.CANCELLED)``.
    """

    def __init__(self, owner: Lifecycle, lean: Lean, env: Ref, options: ElabOptions) -> None:
        super().__init__(owner, lean, env, options)
        self._reductions: dict[tuple[bool, bool, bool], Callable[..., Arg]] = {}

    def infer_type(
        self, expr: Expr, options: MetaOptions | None = None, *, cancellation: CancellationToken | None = None
    ) -> MetaResponse[Expr]:
        """The type of a term (``Lean.Meta.inferType``)."""
        return self._ask(
            "meta.infer_type", self.lean.table.infer_type, (expr,), self._expr, options, cancellation
        )

    def infer_type_bulk(
        self,
        exprs: Sequence[Expr],
        options: MetaOptions | None = None,
        *,
        cancellation: CancellationToken | None = None,
        progress: ProgressSink | None = None,
    ) -> list[MetaResponse[Expr]]:
        """:meth:`infer_type` of many."""
        return self._ask_many(
            "meta.infer_type",
            self.lean.table.infer_type,
            _each(exprs),
            self._expr,
            options,
            cancellation,
            progress,
        )

    def whnf(
        self, expr: Expr, options: MetaOptions | None = None, *, cancellation: CancellationToken | None = None
    ) -> MetaResponse[Expr]:
        """Weak head normal form (``Lean.Meta.whnf``)."""
        return self._ask("meta.whnf", self.lean.table.whnf, (expr,), self._expr, options, cancellation)

    def whnf_bulk(
        self,
        exprs: Sequence[Expr],
        options: MetaOptions | None = None,
        *,
        cancellation: CancellationToken | None = None,
        progress: ProgressSink | None = None,
    ) -> list[MetaResponse[Expr]]:
        """:meth:`whnf` of many."""
        return self._ask_many(
            "meta.whnf", self.lean.table.whnf, _each(exprs), self._expr, options, cancellation, progress
        )

    def is_def_eq(
        self,
        left: Expr,
        right: Expr,
        options: MetaOptions | None = None,
        *,
        cancellation: CancellationToken | None = None,
    ) -> MetaResponse[bool]:
        """Definitional equality (``Lean.Meta.isExprDefEq``)."""
        return self._ask(
            "meta.is_def_eq", self.lean.table.is_def_eq, (left, right), _truth, options, cancellation
        )

    def is_def_eq_bulk(
        self,
        pairs: Sequence[tuple[Expr, Expr]],
        options: MetaOptions | None = None,
        *,
        cancellation: CancellationToken | None = None,
        progress: ProgressSink | None = None,
    ) -> list[MetaResponse[bool]]:
        """:meth:`is_def_eq` of many pairs."""
        pairs = [(left, right) for left, right in pairs]
        return self._ask_many(
            "meta.is_def_eq", self.lean.table.is_def_eq, pairs, _truth, options, cancellation, progress
        )

    def pp_expr(
        self, expr: Expr, options: MetaOptions | None = None, *, cancellation: CancellationToken | None = None
    ) -> MetaResponse[str]:
        """The term as Lean prints it (``Lean.Meta.ppExpr``)."""
        return self._ask("meta.pp_expr", self.lean.table.pp_meta, (expr,), self._text, options, cancellation)

    def pp_expr_bulk(
        self,
        exprs: Sequence[Expr],
        options: MetaOptions | None = None,
        *,
        cancellation: CancellationToken | None = None,
        progress: ProgressSink | None = None,
    ) -> list[MetaResponse[str]]:
        """:meth:`pp_expr` of many."""
        return self._ask_many(
            "meta.pp_expr", self.lean.table.pp_meta, _each(exprs), self._text, options, cancellation, progress
        )

    def reduce(
        self,
        expr: Expr,
        options: MetaOptions | None = None,
        *,
        explicit_only: bool = True,
        skip_types: bool = True,
        skip_proofs: bool = True,
        cancellation: CancellationToken | None = None,
    ) -> MetaResponse[Expr]:
        """Full reduction (``Lean.Meta.reduce``)."""
        build = self._reducing(explicit_only, skip_types, skip_proofs)
        return self._ask("meta.reduce", build, (expr,), self._expr, options, cancellation)

    def reduce_bulk(
        self,
        exprs: Sequence[Expr],
        options: MetaOptions | None = None,
        *,
        explicit_only: bool = True,
        skip_types: bool = True,
        skip_proofs: bool = True,
        cancellation: CancellationToken | None = None,
        progress: ProgressSink | None = None,
    ) -> list[MetaResponse[Expr]]:
        """:meth:`reduce` of many."""
        build = self._reducing(explicit_only, skip_types, skip_proofs)
        return self._ask_many("meta.reduce", build, _each(exprs), self._expr, options, cancellation, progress)

    def _reducing(self, explicit: bool, types: bool, proofs: bool) -> Callable[..., Arg]:
        """Return the build of a reduction; the same one every time, since steps are kept by it."""
        return self._reductions.setdefault(
            (explicit, types, proofs),
            partial(self.lean.table.reduce, explicit=explicit, types=types, proofs=proofs),
        )

    def synth_instance(
        self,
        type_: Expr,
        options: MetaOptions | None = None,
        *,
        cancellation: CancellationToken | None = None,
    ) -> MetaResponse[Expr]:
        """Find an instance of a class (``Lean.Meta.synthInstance``)."""
        return self._ask(
            "meta.synth_instance", self.lean.table.synth_instance, (type_,), self._expr, options, cancellation
        )

    def synth_instance_bulk(
        self,
        types: Sequence[Expr],
        options: MetaOptions | None = None,
        *,
        cancellation: CancellationToken | None = None,
        progress: ProgressSink | None = None,
    ) -> list[MetaResponse[Expr]]:
        """:meth:`synth_instance` of many."""
        build = self.lean.table.synth_instance
        return self._ask_many(
            "meta.synth_instance", build, _each(types), self._expr, options, cancellation, progress
        )

    def instantiate_mvars(
        self, expr: Expr, options: MetaOptions | None = None, *, cancellation: CancellationToken | None = None
    ) -> MetaResponse[Expr]:
        """Replace assigned metavariables (``Lean.instantiateMVars``); a closed term comes back as it is."""
        build = self._instantiating
        return self._ask("meta.instantiate_mvars", build, (expr,), self._expr, options, cancellation)

    def instantiate_mvars_bulk(
        self,
        exprs: Sequence[Expr],
        options: MetaOptions | None = None,
        *,
        cancellation: CancellationToken | None = None,
        progress: ProgressSink | None = None,
    ) -> list[MetaResponse[Expr]]:
        """:meth:`instantiate_mvars` of many."""
        build = self._instantiating
        return self._ask_many(
            "meta.instantiate_mvars", build, _each(exprs), self._expr, options, cancellation, progress
        )

    def _instantiating(self, expr: Arg, six: Six) -> Arg:
        table = self.lean.table
        return table.instantiated(table.meta_mctx(table.get_ref(six.meta_state)), expr)

    def _text(self, answer: Ref) -> str:
        with answer:
            return str(self.lean.engine.dump(answer))

    def heartbeat_burn(
        self, options: MetaOptions | None = None, *, cancellation: CancellationToken | None = None
    ) -> MetaResponse[int]:
        """Spend heartbeats until a limit stops it; for tests of limits. Never ``Ok`` while a limit is on."""
        chosen = options or DEFAULT
        engine, table = self.lean.engine, self.lean.table

        def burn(contexts: Contexts, guard: Guard) -> MetaResponse[int]:
            contexts.begin()
            # Every step allocates and then asks Lean whether a limit was hit.
            prop = engine.eval(table.sort(table.level_zero()))
            name = self.lean.name("x")
            steps = 0
            try:
                while steps < 1_000_000:
                    steps += 1
                    term: Arg = prop
                    for _ in range(64):
                        term = table.forall(name, prop, term)
                    engine.eval(term).close()
                    engine.eval(table.check_system("heartbeat_burn", contexts.six)).close()
            except Thrown as thrown:
                return self.failure(thrown, guard, chosen.diagnostic_bytes)
            return Ok(steps)

        try:
            with self.owner.calling("meta.heartbeat_burn", cancellation):
                return self.supervised(burn, chosen, cancellation, brief=True)
        except NotStarted:
            return CANCELLED
