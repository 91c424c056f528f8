"""``MetaM`` programs in Python: one state that every call reads and changes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg, ArrayOf
from leanhost.engine.values import Ref, Thrown
from leanhost.errors import Cancelled, MetaError, UsageError
from leanhost.lean import names
from leanhost.lean.monads import Contexts, Saved
from leanhost.lean.tables.exprs import BINDER_KINDS, EXPRS
from leanhost.lean.tables.monads import METAVAR_KINDS, Six
from leanhost.services.terms.builder import ExprBuilder
from leanhost.services.terms.expr import Expr, Home, Name, NameLike
from leanhost.services.terms.meta_answers import (
    LIMIT_HINTS,
    Failed,
    MetaOptions,
    MetaUnsupported,
    TimeoutOrHeartbeat,
)
from leanhost.services.terms.meta_runner import MetaRunner
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.limits import WORDS
from leanhost.services.values.validate import one_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LocalDecl:
    """A hypothesis: its variable, its name for people, its type, its value for a ``let``, and its binder."""

    fvar: Expr
    name: Name
    type: Expr
    value: Expr | None
    binder: str


class Meta:
    """``MetaM`` for a Python program: one state, which every call reads and changes.

    Lean's exceptions arrive as :class:`~leanhost.errors.MetaError`; limits as
    :class:`~leanhost.errors.MetaError` with ``limit`` set, cancellation as :class:`~leanhost.errors.Cancelled`.
    Usable only until the function it was passed to returns.
    """

    def __init__(self, service: MetaRunner, contexts: Contexts, guard: Guard, options: MetaOptions) -> None:
        self._service = service
        self._contexts = contexts
        self._guard = guard
        self._options = options
        self._lean = service.lean
        self._six = contexts.at(options.transparency)
        self._expired = False
        self.build = ExprBuilder(service.home)
        """Builds terms (``m.build.app(f, x)``)."""

    def _expire(self) -> None:
        """Make every further use an error."""
        self._expired = True

    def _check_running(self) -> None:
        if self._expired:
            raise UsageError("this MetaM program has ended; its `m` cannot be used any more")

    def _eval(self, action: Arg) -> Ref:
        self._check_running()
        limit = self._guard.limit
        if limit is not None:
            raise Cancelled(f"the MetaM program was stopped: {WORDS[limit]}")
        try:
            return self._lean.engine.eval(action)
        except Thrown as thrown:
            match self._service.failure(thrown, self._guard, self._options.diagnostic_bytes):
                case Failed(message) | MetaUnsupported(message):
                    raise MetaError(message) from None
                case TimeoutOrHeartbeat(limit):
                    if self._guard.why:
                        raise Cancelled(f"the MetaM program was stopped: {WORDS[limit]}") from None
                    hint = LIMIT_HINTS.get(limit, "")
                    raise MetaError(f"a limit was hit: {limit}", limit=limit, hint=hint) from None

    def _expr(self, action: Arg) -> Expr:
        return Expr(self._service.home, self._eval(action))

    def _ref(self, expr: Expr) -> Ref:
        return self._service.home.expr(expr)

    # --- queries ---

    def infer_type(self, expr: Expr) -> Expr:
        """The type of a term (``Lean.Meta.inferType``)."""
        return self._expr(self._lean.table.infer_type(self._ref(expr), self._six))

    def whnf(self, expr: Expr) -> Expr:
        """Weak head normal form (``Lean.Meta.whnf``)."""
        return self._expr(self._lean.table.whnf(self._ref(expr), self._six))

    def is_def_eq(self, left: Expr, right: Expr) -> bool:
        """Definitional equality (``Lean.Meta.isExprDefEq``); may assign metavariables."""
        answer = self._eval(self._lean.table.is_def_eq(self._ref(left), self._ref(right), self._six))
        return bool(answer.unbox())

    def reduce(self, expr: Expr) -> Expr:
        """Full reduction, types and proofs left alone (``Lean.Meta.reduce``)."""
        action = self._lean.table.reduce(self._ref(expr), self._six, explicit=True, types=True, proofs=True)
        return self._expr(action)

    def check(self, expr: Expr) -> None:
        """Type-check a term (``Lean.Meta.check``); :class:`MetaError` when it is wrong."""
        self._eval(self._lean.table.check_type(self._ref(expr), self._six)).close()

    def synth_instance(self, type_: Expr) -> Expr:
        """Find an instance (``Lean.Meta.synthInstance``); :class:`MetaError` when there is none."""
        return self._expr(self._lean.table.synth_instance(self._ref(type_), self._six))

    def instantiate_mvars(self, expr: Expr) -> Expr:
        """Replace the metavariables assigned so far (``Lean.instantiateMVars``)."""
        table = self._lean.table
        state = self._eval(table.get_ref(self._six.meta_state))
        return self._expr(table.instantiated(table.meta_mctx(state), self._ref(expr)))

    def pp_expr(self, expr: Expr) -> str:
        """The term as Lean prints it in the current local context (``Lean.Meta.ppExpr``)."""
        with self._eval(self._lean.table.pp_meta(self._ref(expr), self._six)) as text:
            return str(self._lean.engine.dump(text))

    def elaborate(self, term: str, expected: Expr | None = None) -> Expr:
        """Elaborate a term's text in the current local context, coerced to *expected* if that is given.

        ``Lean.Elab.Term.elabTermAndSynthesize``, or ``elabTermEnsuringType`` with *expected*. :class:`MetaError` when
        it does not parse or elaborate.
        """
        table = self._lean.table
        env = self._eval(table.core_env(table.get_ref(self._six.core_state)))
        try:
            syntax = self._lean.engine.eval(
                table.parse_category(env, self._lean.name("term"), term, "<term>")
            )
        except Thrown as thrown:
            raise MetaError(str(self._lean.engine.dump(thrown.error))) from None
        wanted = None if expected is None else self._ref(expected)
        if wanted is None:
            return self._expr(table.elab_term(syntax, None, self._strict))
        result = self._eval(table.elab_term_ensuring_type(syntax, wanted, self._strict))
        self._eval(table.synthesize_no_postponing(self._six)).close()
        return self.instantiate_mvars(Expr(self._service.home, result))

    @property
    def _strict(self) -> Six:
        return self._six._replace(term=self._contexts.strict.term)

    # --- metavariables and local context ---

    def fresh_mvar(self, type_: Expr, *, name: NameLike = (), kind: str = "natural") -> Expr:
        """A new metavariable (``Lean.Meta.mkFreshExprMVar``)."""
        one_of("kind", kind, METAVAR_KINDS)
        user_name = self._lean.name(Name(name).parts)
        action = self._lean.table.fresh_mvar(
            self._ref(type_), self._six, kind=METAVAR_KINDS.index(kind), name=user_name
        )
        return self._expr(action)

    @contextmanager
    def local(self, name: NameLike, type_: Expr, binder: str = "default") -> Iterator[Expr]:
        """Add a variable to the local context for the block (``withLocalDecl``)."""
        one_of("binder", binder, BINDER_KINDS)
        before = self._six
        variable = self._declare(
            self._lean.name(Name(name).parts), self._ref(type_), BINDER_KINDS.index(binder)
        )
        try:
            yield variable
        finally:
            self._six = before

    def _declare(self, user_name: Arg, type_: Ref, binder: int) -> Expr:
        """Add a variable to the local context, and to the local instances when its type is a class."""
        table = self._lean.table
        fvar_id = self._eval(self._lean.name(self._lean.fresh_name()))
        lctx = self._eval(
            table.mk_local_decl(table.meta_context_lctx(self._six.meta), fvar_id, user_name, type_, binder)
        )
        fvar = self._eval(table.fvar(fvar_id))
        instances: Arg = table.meta_context_instances(self._six.meta)
        class_name = self._eval(table.is_class(type_, self._six))
        if not class_name.is_none:
            instances = table.push_instance(instances, table.option_value(class_name), fvar)
        meta = self._eval(table.with_local_context(self._six.meta, lctx, instances))
        self._six = self._six._replace(meta=meta)
        return Expr(self._service.home, fvar)

    @contextmanager
    def forall_telescope(self, type_: Expr, *, limit: int | None = None) -> Iterator[tuple[list[Expr], Expr]]:
        """Open the binders of a ``∀``: the variables and the body, valid inside the block.

        The body is reduced to weak head normal form to find more binders (``forallTelescopeReducing``).
        """
        with self._telescope(type_, "forall", limit) as opened:
            yield opened

    @contextmanager
    def lambda_telescope(self, expr: Expr, *, limit: int | None = None) -> Iterator[tuple[list[Expr], Expr]]:
        """Open the binders of a function: the variables and the body, valid inside the block (``lambdaTelescope``)."""
        with self._telescope(expr, "lam", limit) as opened:
            yield opened

    @contextmanager
    def _telescope(self, expr: Expr, kind: str, limit: int | None) -> Iterator[tuple[list[Expr], Expr]]:
        table, before = self._lean.table, self._six
        variables: list[Expr] = []
        body = expr
        try:
            while limit is None or len(variables) < limit:
                if body.kind != kind and kind == "forall":
                    reduced = self.whnf(body)
                    body = reduced if reduced.kind == kind else body
                if body.kind != kind:
                    break
                ref = self._ref(body)
                parts = [EXPRS[kind].get(ref, part) for part in ("name", "type", "body")]
                name, type_, rest = self._lean.engine.eval_all(parts)
                binder = self._lean.number(table.binder_info(ref))
                variable = self._declare(name, type_, binder)
                variables.append(variable)
                body = self._expr(table.instantiate1(rest, self._ref(variable)))
            yield variables, body
        finally:
            self._six = before

    def mk_lambda(self, variables: Sequence[Expr], body: Expr) -> Expr:
        """Abstract variables into a function (``mkLambdaFVars``)."""
        refs: list[Arg] = [self._ref(v) for v in variables]
        return self._expr(self._lean.table.mk_lambda(ArrayOf(refs), self._ref(body), self._six))

    def mk_forall(self, variables: Sequence[Expr], body: Expr) -> Expr:
        """Abstract variables into a ``∀`` (``mkForallFVars``)."""
        refs: list[Arg] = [self._ref(v) for v in variables]
        return self._expr(self._lean.table.mk_forall(ArrayOf(refs), self._ref(body), self._six))

    def local_context(self) -> list[LocalDecl]:
        """The variables in scope, oldest first."""
        return local_decls(self._service.home, self._eval(self._lean.table.meta_context_lctx(self._six.meta)))

    # --- backtracking ---

    def save(self) -> Saved:
        """The state now: metavariables, environment, messages; :meth:`restore` comes back to it, as often as wanted.

        The local context is no part of it: that is the ``with`` blocks around the call.
        """
        self._check_running()
        return self._contexts.save()

    def restore(self, saved: Saved) -> None:
        """Go back to a saved state."""
        self._check_running()
        if not isinstance(saved, Saved):
            raise UsageError(f"a state that m.save() returned is wanted, not {type(saved).__name__}")
        self._contexts.restore(saved)

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """Try something: a :class:`MetaError` inside undoes it and ends the block quietly.

        ``with m.attempt() as tried: ...`` then ``if tried.ok``. Any other exception undoes it too and travels on.
        """
        saved, six = self.save(), self._six
        tried = Attempt()
        try:
            yield tried
            tried.ok = True
        except MetaError as error:
            self.restore(saved)
            tried.error = error
        except BaseException:
            self.restore(saved)
            raise
        finally:
            self._six = six


@dataclass(slots=True)
class Attempt:
    """How a :meth:`Meta.attempt` block ended: ``ok``, or the ``error`` that undid it."""

    ok: bool = False
    error: MetaError | None = None


def local_decls(home: Home, lctx: Ref) -> list[LocalDecl]:
    """Copy a ``LocalContext`` out, implementation details left out."""
    lean, table = home.lean, home.lean.table
    decls = lean.engine.eval(table.local_decls(lctx))
    found: list[LocalDecl] = []
    for decl in lean.present(decls):
        is_let, detail = (
            bool(x)
            for x in lean.array(ArrayOf([table.local_is_let(decl), table.is_implementation_detail(decl)]))
        )
        if detail:
            continue
        fvar, name, type_ = lean.engine.eval_all(
            [table.fvar(table.local_fvar_id(decl)), table.local_user_name(decl), table.local_type(decl)]
        )
        value = Expr(home, lean.engine.eval(table.local_value(decl))) if is_let else None
        binder = "default" if is_let else BINDER_KINDS[lean.number(table.decl_binder_info(decl))]
        user = Name(names.decode(lean.engine.dump(name)))
        found.append(LocalDecl(Expr(home, fvar), user, Expr(home, type_), value, binder))
    return found


def run_program(
    service: MetaRunner,
    function: Callable[[Meta], T],
    options: MetaOptions,
    cancellation: CancellationToken | None = None,
) -> T:
    """Run ``function(m)`` inside one ``MetaM`` state under *options*; its value comes back, its exceptions travel.

    Python runs between Lean's calls, never below them: an exception cannot cross Lean's stack.
    """

    def work(contexts: Contexts, guard: Guard) -> T:
        with contexts.scope():
            meta = Meta(service, contexts, guard, options)
            try:
                value = function(meta)
            finally:
                meta._expire()
            if isinstance(value, Coroutine):
                value.close()
                raise UsageError("a MetaM program is no coroutine", hint="write def, not async def")
            return value

    return service.supervised(work, options, cancellation)
