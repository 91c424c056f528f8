"""Bounded ``MetaM``: typed answers to single questions, and programs in Python that run in one ``MetaM`` state."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeAlias, TypeVar

from leanhost.engine.base import Arg, Field, Guard, Ref, Thrown
from leanhost.errors import UsageError
from leanhost.lean.core import Lean, OptionValue
from leanhost.lean.monads import Contexts, Scope
from leanhost.lean.tables.monads import TRANSPARENCIES, Six
from leanhost.services.cancellation import CancellationToken
from leanhost.services.elaboration import WHY_LIMITS
from leanhost.services.exprs import Expr, Home
from leanhost.services.options import ElabOptions
from leanhost.services.results import Limit

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MetaOptions:
    """Limits of one ``MetaM`` call.

    Attributes:
        heartbeats: in thousands of small allocations, as ``maxHeartbeats``; 0 turns the limit off.
        transparency: which definitions may be unfolded: ``all``, ``default``, ``reducible``, ``instances``.
        diagnostic_bytes: how many UTF-8 bytes of a failure's message to keep.
        timeout: wall clock in seconds.
    """

    heartbeats: int = 200_000
    transparency: str = "default"
    diagnostic_bytes: int = 1 << 16
    timeout: float = 30.0

    def __post_init__(self) -> None:
        if self.transparency not in TRANSPARENCIES:
            raise UsageError(f"transparency is one of {', '.join(TRANSPARENCIES)}, not {self.transparency!r}")
        for name in ("heartbeats", "diagnostic_bytes"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise UsageError(f"{name} must be a natural number, not {value!r}")
        if not isinstance(self.timeout, int | float) or not 0 < self.timeout < 1e7:
            raise UsageError(f"timeout must be a positive number of seconds, not {self.timeout!r}")


@dataclass(frozen=True, slots=True)
class Ok(Generic[T]):
    """The answer."""

    value: T


@dataclass(frozen=True, slots=True)
class Failed:
    """Lean threw; ``truncated`` says that the message was cut."""

    message: str
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class TimeoutOrHeartbeat:
    """A limit was hit: ``heartbeats``, ``rec_depth``, ``timeout`` or ``cancelled``."""

    limit: Limit


@dataclass(frozen=True, slots=True)
class MetaUnsupported:
    """This toolchain cannot answer; ``message`` says what is missing."""

    message: str


MetaResponse: TypeAlias = Ok[T] | Failed | TimeoutOrHeartbeat | MetaUnsupported
"""What a bounded ``MetaM`` call returns; use ``match``."""

DEFAULT = MetaOptions()

_BULK = 64
"""How many questions of a bulk call go into one step."""

_KEPT_CONTEXTS = 8
"""How many sets of contexts a session keeps; a capture costs tens of microseconds on the native engine."""


@dataclass(slots=True)
class _Desk:
    """What single questions under the same options share."""

    options: MetaOptions
    contexts: Contexts
    six: Six
    guard: Guard


def _truth(answer: Ref) -> bool:
    with answer:
        return answer.ptr() >> 1 == 1


class MetaService:
    """Single ``MetaM`` questions over one session's environment (``session.meta``).

    Every call starts from the same fresh state and leaves none behind, and counts its heartbeats from zero: a
    session never tires and never grows.
    """

    def __init__(self, lean: Lean, env: Ref, options: ElabOptions) -> None:
        self.lean = lean
        self.env = env
        self._options = options
        self._contexts: dict[tuple[int, Scope | None, frozenset[tuple[str, OptionValue]]], Contexts] = {}
        self._home: Home | None = None
        self._last_desk: _Desk | None = None

    @property
    def home(self) -> Home:
        """Where the session's terms live."""
        if self._home is None:
            self._home = Home(self.lean, self._pp)
        return self._home

    def contexts(
        self,
        heartbeats: int,
        scope: Scope | None = None,
        lean_options: frozenset[tuple[str, OptionValue]] = frozenset(),
    ) -> Contexts:
        """Return contexts with a heartbeat limit; captured once for each kind, anew after a cancellation."""
        key = (heartbeats, scope, lean_options)
        found = self._contexts.get(key)
        if found is None:
            lean = self.lean
            values = {**self._options.lean_options(), **dict(lean_options), "maxHeartbeats": heartbeats}
            with lean.options(values) as options:
                token = lean.engine.eval(lean.table.new_cancel_token())
                found = self._contexts[key] = Contexts(lean, self.env, options, token, scope=scope)
            while len(self._contexts) > _KEPT_CONTEXTS:
                self._contexts.pop(next(iter(self._contexts))).close()
        return found

    def _pp(self, ref: Ref) -> str:
        contexts = self.contexts(DEFAULT.heartbeats)
        lean = self.lean
        try:
            with lean.engine.lock, contexts.meta(lean.table.pp_meta(ref, contexts.six)) as text:
                return str(lean.engine.dump(text))
        except Thrown as thrown:
            return f"<not printable: {lean.text(lean.table.exception_text(thrown.error))[:200]}>"

    # --- running under limits ---

    def supervised(
        self,
        work: Callable[[Contexts, Guard], T],
        options: MetaOptions,
        cancellation: CancellationToken | None = None,
        *,
        brief: bool = False,
        scope: Scope | None = None,
        lean_options: frozenset[tuple[str, OptionValue]] = frozenset(),
    ) -> T:
        """Run *work* under *options*; ``brief`` for what Lean itself bounds by heartbeats."""
        contexts = self.contexts(options.heartbeats, scope, lean_options)
        guard = Guard(contexts.token, time.monotonic() + options.timeout, self._options.grace, cancellation)
        run = self.lean.engine.brief if brief else self.lean.engine.supervise
        try:
            return run(lambda: work(contexts, guard), guard)
        finally:
            if guard.why:
                # The token stays set for ever, so these contexts have had their day.
                self._contexts.pop((options.heartbeats, scope, lean_options), contexts).close()

    def _desk(self, options: MetaOptions) -> _Desk:
        """Return what calls under *options* need, made once: single questions are asked in tight loops."""
        last = self._last_desk
        if last is not None and last.options is options and not last.guard.why:
            return last
        contexts = self.contexts(options.heartbeats)
        guard = Guard(contexts.token, None, self._options.grace)
        self._last_desk = _Desk(options, contexts, contexts.at(options.transparency), guard)
        return self._last_desk

    def _ask(
        self,
        build: Callable[..., Arg],
        exprs: Sequence[Expr],
        wrap: Callable[[Ref], T],
        options: MetaOptions | None,
        cancellation: CancellationToken | None,
    ) -> MetaResponse[T]:
        """Put one question and turn the answer, or what Lean threw, into a value."""
        options = options or DEFAULT
        home = self._home or self.home
        desk = self._desk(options)
        guard = desk.guard
        if cancellation is not None:
            guard = Guard(guard.token, None, guard.grace, cancellation)
        guard.deadline = time.monotonic() + options.timeout
        action = build(*[expr.ref(home) for expr in exprs], desk.six)
        try:
            return Ok(wrap(self.lean.engine.brief(partial(desk.contexts.meta, action), guard)))
        except Thrown as thrown:
            return self.failure(thrown, guard, options.diagnostic_bytes)
        finally:
            if guard.why:
                self._last_desk = None
                self._contexts.pop((options.heartbeats, None, frozenset()), desk.contexts).close()

    def _ask_many(
        self,
        build: Callable[..., Arg],
        items: Sequence[Sequence[Expr]],
        wrap: Callable[[Ref], T],
        options: MetaOptions | None,
        cancellation: CancellationToken | None,
    ) -> list[MetaResponse[T]]:
        """Put many questions, a few dozen in one step; one that fails is asked again on its own."""
        options = options or DEFAULT
        home = self.home
        refs = [[expr.ref(home) for expr in item] for item in items]
        results: list[MetaResponse[T]] = []
        for start in range(0, len(items), _BULK):
            desk = self._desk(options)
            guard = Guard(
                desk.guard.token, time.monotonic() + options.timeout, desk.guard.grace, cancellation
            )
            actions = [build(*each, desk.six) for each in refs[start : start + _BULK]]
            contexts = desk.contexts
            try:
                answers = self.lean.engine.brief(lambda: contexts.meta_many(actions), guard)  # noqa: B023 - runs now
                results.extend(Ok(wrap(answer)) for answer in answers)
            except Thrown:
                if guard.why:
                    self._last_desk = None
                    self._contexts.pop((options.heartbeats, None, frozenset()), contexts).close()
                for item in items[start : start + _BULK]:
                    results.append(self._ask(build, item, wrap, options, cancellation))
        return results

    def _respond(
        self,
        ask: Callable[[Contexts, Six], T],
        options: MetaOptions | None,
        cancellation: CancellationToken | None,
    ) -> MetaResponse[T]:
        chosen = options or DEFAULT

        def work(contexts: Contexts, guard: Guard) -> MetaResponse[T]:
            try:
                return Ok(ask(contexts, contexts.at(chosen.transparency)))
            except Thrown as thrown:
                return self.failure(thrown, guard, chosen.diagnostic_bytes)

        return self.supervised(work, chosen, cancellation, brief=True)

    def failure(self, thrown: Thrown, guard: Guard, budget: int) -> Failed | TimeoutOrHeartbeat:
        """Turn what Lean threw into a typed answer."""
        lean, table = self.lean, self.lean.table
        if guard.why:
            return TimeoutOrHeartbeat(WHY_LIMITS[guard.why])
        heartbeat, depth = lean.flags(
            [table.is_max_heartbeat(thrown.error), table.is_max_rec_depth(thrown.error)]
        )
        if heartbeat:
            return TimeoutOrHeartbeat(Limit.HEARTBEATS)
        if depth:
            return TimeoutOrHeartbeat(Limit.REC_DEPTH)
        raw = lean.text(table.exception_text(thrown.error)).encode("utf-8", "replace")
        return Failed(raw[:budget].decode("utf-8", "ignore"), len(raw) > budget)

    def _expr(self, ref: Ref) -> Expr:
        return Expr(self.home, ref)

    # --- the questions ---

    def infer_type(
        self, expr: Expr, options: MetaOptions | None = None, *, cancellation: CancellationToken | None = None
    ) -> MetaResponse[Expr]:
        """The type of a term (``Lean.Meta.inferType``)."""
        return self._ask(self.lean.table.infer_type, (expr,), self._expr, options, cancellation)

    def whnf(
        self, expr: Expr, options: MetaOptions | None = None, *, cancellation: CancellationToken | None = None
    ) -> MetaResponse[Expr]:
        """Weak head normal form (``Lean.Meta.whnf``)."""
        return self._ask(self.lean.table.whnf, (expr,), self._expr, options, cancellation)

    def is_def_eq(
        self,
        left: Expr,
        right: Expr,
        options: MetaOptions | None = None,
        *,
        cancellation: CancellationToken | None = None,
    ) -> MetaResponse[bool]:
        """Definitional equality (``Lean.Meta.isExprDefEq``)."""
        return self._ask(self.lean.table.is_def_eq, (left, right), _truth, options, cancellation)

    def infer_type_bulk(
        self,
        exprs: Sequence[Expr],
        options: MetaOptions | None = None,
        *,
        cancellation: CancellationToken | None = None,
    ) -> list[MetaResponse[Expr]]:
        """:meth:`infer_type` of many: one result each, in order; limits are for each item."""
        items = [(expr,) for expr in exprs]
        return self._ask_many(self.lean.table.infer_type, items, self._expr, options, cancellation)

    def whnf_bulk(
        self,
        exprs: Sequence[Expr],
        options: MetaOptions | None = None,
        *,
        cancellation: CancellationToken | None = None,
    ) -> list[MetaResponse[Expr]]:
        """:meth:`whnf` of many: one result each, in order; limits are for each item."""
        return self._ask_many(
            self.lean.table.whnf, [(expr,) for expr in exprs], self._expr, options, cancellation
        )

    def is_def_eq_bulk(
        self,
        pairs: Sequence[tuple[Expr, Expr]],
        options: MetaOptions | None = None,
        *,
        cancellation: CancellationToken | None = None,
    ) -> list[MetaResponse[bool]]:
        """:meth:`is_def_eq` of many pairs: one result each, in order; limits are for each item."""
        return self._ask_many(self.lean.table.is_def_eq, pairs, _truth, options, cancellation)

    def pp_expr_bulk(
        self,
        exprs: Sequence[Expr],
        options: MetaOptions | None = None,
        *,
        cancellation: CancellationToken | None = None,
    ) -> list[MetaResponse[str]]:
        """:meth:`pp_expr` of many: one result each, in order; limits are for each item."""
        items = [(expr,) for expr in exprs]
        return self._ask_many(self.lean.table.pp_meta, items, self._text, options, cancellation)

    def _text(self, answer: Ref) -> str:
        with answer:
            return str(self.lean.engine.dump(answer))

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
        table, ref = self.lean.table, expr.ref(self.home)

        def ask(contexts: Contexts, six: Six) -> Expr:
            action = table.reduce(ref, six, explicit=explicit_only, types=skip_types, proofs=skip_proofs)
            return self._expr(contexts.meta(action))

        return self._respond(ask, options, cancellation)

    def synth_instance(
        self,
        type_: Expr,
        options: MetaOptions | None = None,
        *,
        cancellation: CancellationToken | None = None,
    ) -> MetaResponse[Expr]:
        """Find an instance of a class (``Lean.Meta.synthInstance``)."""
        table, ref = self.lean.table, type_.ref(self.home)
        return self._respond(
            lambda c, six: self._expr(c.meta(table.synth_instance(ref, six))), options, cancellation
        )

    def instantiate_mvars(
        self, expr: Expr, options: MetaOptions | None = None, *, cancellation: CancellationToken | None = None
    ) -> MetaResponse[Expr]:
        """Replace assigned metavariables (``Lean.instantiateMVars``); a closed term comes back as it is."""
        return self._respond(lambda c, six: self._instantiated(c, expr), options, cancellation)

    def _instantiated(self, contexts: Contexts, expr: Expr) -> Expr:
        table = self.lean.table
        mctx = table.meta_mctx(table.get_ref(contexts.six.meta_state))
        return self._expr(self.lean.engine.eval(Field(table.instantiate_mvars(mctx, expr.ref(self.home)), 1)))

    def pp_expr(
        self, expr: Expr, options: MetaOptions | None = None, *, cancellation: CancellationToken | None = None
    ) -> MetaResponse[str]:
        """The term as Lean prints it (``Lean.Meta.ppExpr``)."""
        table, ref = self.lean.table, expr.ref(self.home)

        def ask(contexts: Contexts, six: Six) -> str:
            with contexts.meta(table.pp_meta(ref, six)) as text:
                return str(self.lean.engine.dump(text))

        return self._respond(ask, options, cancellation)

    def heartbeat_burn(
        self, options: MetaOptions | None = None, *, cancellation: CancellationToken | None = None
    ) -> MetaResponse[int]:
        """Spend heartbeats until a limit stops it; for tests of limits. Never ``Ok`` while a limit is on."""
        table = self.lean.table

        def ask(contexts: Contexts, six: Six) -> int:
            engine = self.lean.engine
            contexts.begin()
            # Every step allocates and then asks Lean whether a limit was hit.
            prop = engine.eval(table.sort(table.level_zero()))
            name = self.lean.name("x")
            steps = 0
            while steps < 1_000_000:
                steps += 1
                term: Arg = prop
                for _ in range(64):
                    term = table.forall(name, prop, term, 0)
                built = engine.eval(term)
                built.close()
                engine.eval(table.check_system("heartbeat_burn", six)).close()
            return steps

        return self._respond(ask, options, cancellation)

    def close(self) -> None:
        """Let the contexts go."""
        self._last_desk = None
        for contexts in self._contexts.values():
            contexts.close()
        self._contexts.clear()
