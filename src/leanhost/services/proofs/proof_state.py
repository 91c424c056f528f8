"""Proof states: immutable values with goals, stepped by tactics, finished into evidence by the kernel."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, TypeVar

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg, ListOf
from leanhost.engine.values import Ref, Thrown
from leanhost.errors import Cancelled
from leanhost.lean import names
from leanhost.lean.constants import new_constants
from leanhost.lean.core import Constant, Lean
from leanhost.lean.monads import Contexts, Saved
from leanhost.lean.names import NameTuple
from leanhost.lean.tables import Table
from leanhost.lean.tables.exprs import EXPRS
from leanhost.lean.tables.monads import METAVAR_KINDS, Six
from leanhost.services.elaboration.commands import Messages, parser_diagnostic
from leanhost.services.proofs.answers import Goal, Hypothesis, TacticFailure, check_goal, counted, left_open
from leanhost.services.proofs.prover import FILE, Prover, unparsed
from leanhost.services.terms.expr import Expr, Name, NameLike
from leanhost.services.terms.meta_program import LocalDecl, local_decls
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.lifecycle import NotStarted
from leanhost.services.values.limits import WORDS
from leanhost.services.values.progress import Phase, ProgressSink
from leanhost.services.values.results import Diagnostic, Limit
from leanhost.services.values.text import prepare
from leanhost.services.values.validate import texts

if TYPE_CHECKING:
    from leanhost.services.values.outcomes import KernelOutcome

T = TypeVar("T")

STATEMENT = "<statement>"
"""The label of a statement's text in what Lean says about it."""


class ProofState:
    """A state of a proof: goals left to prove. Immutable; applying a tactic returns another one.

    Branching and backtracking are free: keep any state and apply to it again. *timeout* in seconds overrides that of
    the proof's options.
    """

    __slots__ = ("_goals", "_ids", "_prover", "_root", "_saved", "_seen")

    def __init__(self, prover: Prover, saved: Saved, root: Ref, ids: tuple[Ref, ...]) -> None:
        self._prover = prover
        self._saved = saved
        self._root = root
        self._ids = ids
        self._goals: tuple[Goal, ...] | None = None
        self._seen: tuple[NameTuple, ...] | None = None

    # --- looking ---

    @property
    def remaining(self) -> int:
        """How many goals are left."""
        return len(self._ids)

    @property
    def is_solved(self) -> bool:
        """Whether no goal is left. Only :meth:`finish` says whether that is a proof."""
        return not self._ids

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The goals, as text; read from Lean when first asked for.

        Raises :class:`~leanhost.errors.MetaError` when a limit of the proof's options is hit while they are printed.
        """
        if self._goals is None:
            self._goals = self._prover.guarded("proof.goals", self._read)
        return self._goals

    def _read(self, contexts: Contexts, guard: Guard) -> tuple[Goal, ...]:
        lean, table = self._prover.lean, self._prover.lean.table
        with contexts.scope(self._saved):
            mctx = lean.engine.eval(table.meta_mctx(table.get_ref(contexts.six.meta_state)))
            shared = self._mvars(contexts, mctx)
            return tuple(self._goal(contexts, mctx, i, shared) for i in range(len(self._ids)))

    def _mvars(self, contexts: Contexts, mctx: Ref) -> list[set[NameTuple]]:
        lean, table = self._prover.lean, self._prover.lean.table
        own = [names.decode(lean.engine.dump(goal)) for goal in self._ids]
        found: list[set[NameTuple]] = []
        for goal, name in zip(self._ids, own, strict=True):
            type_ = table.mvar_type(table.mvar_decl(mctx, goal))
            array = lean.array(table.mvars_of(type_, contexts.six))
            found.append({name, *(names.decode(item) for item in array)})
        return found

    def _goal(self, contexts: Contexts, mctx: Ref, index: int, shared: list[set[NameTuple]]) -> Goal:
        lean, table = self._prover.lean, self._prover.lean.table
        home = self._prover.meta.home
        goal = self._ids[index]
        decl = lean.engine.eval(table.mvar_decl(mctx, goal))
        parts = (table.mvar_user_name, table.mvar_lctx, table.mvar_type, table.mvar_instances)
        user_name, lctx, type_, instances = lean.engine.eval_all([part(decl) for part in parts])
        meta = lean.engine.eval(table.with_local_context(contexts.six.meta, lctx, instances))
        six = contexts.six._replace(meta=meta)

        def text(expr: Expr) -> str:
            return lean.text(table.pp_meta(home.expr(expr), six))

        hypotheses = tuple(
            Hypothesis(str(d.name), text(d.type), None if d.value is None else text(d.value), d.binder)
            for d in local_decls(home, lctx)
        )
        case = names.decode(lean.engine.dump(user_name))
        coupled = tuple(i for i, other in enumerate(shared) if i != index and other & shared[index])
        return Goal(
            target=text(Expr(home, type_)),
            hypotheses=hypotheses,
            case=names.show(case) if case else None,
            pretty=lean.text(table.pp_goal(goal, six)),
            coupled=coupled,
        )

    def local_context(
        self,
        goal: int = 0,
        *,
        timeout: float | None = None,
        cancellation: CancellationToken | None = None,
    ) -> list[LocalDecl]:
        """The hypotheses of a goal as handles."""

        def read(contexts: Contexts, guard: Guard) -> list[LocalDecl]:
            lean, table = self._prover.lean, self._prover.lean.table
            with contexts.scope(self._saved):
                mctx = table.meta_mctx(table.get_ref(contexts.six.meta_state))
                lctx = lean.engine.eval(table.mvar_lctx(table.mvar_decl(mctx, self._id(goal))))
                return local_decls(self._prover.meta.home, lctx)

        return self._prover.guarded("proof.local_context", read, cancellation, timeout=timeout)

    def _id(self, goal: int) -> Ref:
        check_goal(goal, len(self._ids))
        return self._ids[goal]

    # --- stepping ---

    def apply(
        self,
        tactic: str,
        goal: int = 0,
        *,
        timeout: float | None = None,
        cancellation: CancellationToken | None = None,
    ) -> ProofState | TacticFailure:
        """Run a tactic (``Lean.Elab.Tactic.run``) on one goal, counted from 0; its new goals come first.

        *tactic* may be several, on lines or with ``;``. One that leaves an error behind, also a recovered one, that
        meets a limit or is cancelled is a :class:`TacticFailure`. Raises :class:`~leanhost.errors.UsageError` where
        there is no such goal.
        """
        return self.apply_many([tactic], goal, timeout=timeout, cancellation=cancellation)[0]

    def _apply(
        self, contexts: Contexts, guard: Guard, tactic: str, target: Ref, goal: int
    ) -> ProofState | TacticFailure:
        prover, lean = self._prover, self._prover.lean
        with contexts.scope(self._saved):
            text = prepare(tactic, FILE)
            if isinstance(text, Diagnostic):
                return TacticFailure(text.message, None, (text,))
            (env,) = lean.step(_environment)(self._saved.core)
            parsed = prover.parse(env, text)
            if isinstance(parsed, TacticFailure):
                return parsed
            try:
                (produced,) = lean.step(_run)(target, parsed.syntax, *contexts.strict)
            except Thrown as thrown:
                return prover.failed(thrown, guard)
            if guard.limit is not None:
                return TacticFailure(f"the tactic was stopped: {WORDS[guard.limit]}", guard.limit)
            saved = contexts.save()
            objections = self._logged(saved, text, parsed.before)
            if objections:
                return TacticFailure(objections[0].message, None, tuple(objections))
            new = lean.items(produced)
            others = [ref for i, ref in enumerate(self._ids) if i != goal]
            return ProofState(prover, saved, self._root, self._open(saved, [*new, *others]))

    def _logged(self, saved: Saved, text: str, before: int) -> list[Diagnostic]:
        lean, table = self._prover.lean, self._prover.lean.table
        log, wrong = lean.step(_log)(saved.core)
        if not lean.small(wrong):
            return []
        budget = self._prover.options.diagnostic_bytes
        messages = Messages(lean, FILE, budget, text=text, start=before)
        messages.take(lean.engine.eval(table.message_list(log)))
        return [d for d in messages.found if d.is_error]

    def _open(self, saved: Saved, ids: list[Ref]) -> tuple[Ref, ...]:
        """Drop the goals that were solved on the way, and repeated ones."""
        lean, table = self._prover.lean, self._prover.lean.table
        if not ids:
            return ()
        mctx = lean.engine.eval(table.meta_mctx(saved.meta))
        questions: list[Arg] = [q(mctx, i) for i in ids for q in (table.assignment, table.delayed_assignment)]
        answers = [not answer.is_none for answer in lean.engine.eval_all(questions)]
        found: dict[NameTuple, Ref] = {}
        for i, ref in enumerate(ids):
            if not answers[2 * i] and not answers[2 * i + 1]:
                found.setdefault(names.decode(lean.engine.dump(ref)), ref)
        return tuple(found.values())

    def apply_many(
        self,
        tactics: Sequence[str],
        goal: int = 0,
        *,
        timeout: float | None = None,
        cancellation: CancellationToken | None = None,
        progress: ProgressSink | None = None,
    ) -> list[ProofState | TacticFailure]:
        """Try many tactics on the same goal, each on its own; one result each, in order; see :meth:`apply`.

        Limits are for each tactic. *progress* receives the phase ``proof.apply``, in tactics. After a
        cancellation the rest are :class:`TacticFailure` with that limit.
        """
        texts("tactics", tactics, hint="apply(text) runs one tactic")
        target = self._id(goal)
        results: list[ProofState | TacticFailure] = []
        try:
            for tactic in Phase(progress, "proof.apply", len(tactics)).over(tactics):

                def work(
                    contexts: Contexts, guard: Guard, tactic: str = tactic
                ) -> ProofState | TacticFailure:
                    return self._apply(contexts, guard, tactic, target, goal)

                results.append(
                    self._prover.guarded("proof.apply", work, cancellation, (tactic,), timeout=timeout)
                )
        except NotStarted:
            pass
        stopped = TacticFailure(WORDS[Limit.CANCELLED], Limit.CANCELLED)
        return results + [stopped] * (len(tactics) - len(results))

    def focus(self, goal: int) -> ProofState:
        """Return the same state with another goal, counted from 0, in front."""
        front = self._id(goal)
        rest = [ref for i, ref in enumerate(self._ids) if i != goal]
        return ProofState(self._prover, self._saved, self._root, (front, *rest))

    def have(
        self,
        name: NameLike,
        type_: str,
        *,
        timeout: float | None = None,
        cancellation: CancellationToken | None = None,
    ) -> ProofState | TacticFailure:
        """Introduce a claim: one goal proves it, one is the old goal with it as a hypothesis (Lean's order)."""
        return self.apply(f"have {Name(name)} : {type_} := ?_", timeout=timeout, cancellation=cancellation)

    # --- ending ---

    def finish(
        self,
        name: NameLike = "proved",
        *,
        allow_axioms: Collection[str] = (),
        timeout: float | None = None,
        cancellation: CancellationToken | None = None,
    ) -> KernelOutcome:
        """Assemble the proof, check it with the kernel, and return evidence under *name*.

        ``Rejected`` for goals left, an unassigned metavariable, a term that leaves the goal's context, ``sorry``,
        an axiom outside the allow-list, or the kernel's objection.
        """
        from leanhost.services.values.outcomes import ElabFailure, Rejected, Unavailable

        if self._ids:
            message = left_open(len(self._ids))
            return Rejected(ElabFailure("elaboration", message))

        def work(contexts: Contexts, guard: Guard) -> KernelOutcome:
            lean, table = self._prover.lean, self._prover.lean.table
            engine = lean.engine
            with contexts.scope(self._saved):
                mctx = table.meta_mctx(table.get_ref(contexts.six.meta_state))
                proof = engine.eval(table.instantiated(mctx, self._root))
                type_ = self._prover.statement  # a tactic could have changed the type of the goal
                loose_mvar, loose_fvar = lean.flags([table.has_mvar(proof), table.has_fvar(proof)])
                if loose_mvar:
                    return Rejected(ElabFailure("elaboration", "the proof has an unassigned metavariable"))
                if loose_fvar:
                    return Rejected(
                        ElabFailure("elaboration", "the proof uses a variable outside its context")
                    )
                params = lean.name_array(table.collect_level_params(table.app(proof, type_)))
                env = engine.eval(table.core_env(self._saved.core))
                added = new_constants(lean, env, self._prover.known)
                theorem = _theorem(lean, Name(name).parts, params, type_, proof)
                return self._prover.judge([*added, theorem], env, guard, allow_axioms)

        try:
            return self._prover.guarded("proof.finish", work, cancellation, timeout=timeout)
        except Cancelled:
            return Unavailable(Limit.CANCELLED, WORDS[Limit.CANCELLED])

    def __repr__(self) -> str:
        return f"<ProofState, {counted(self.remaining)}>" if self._ids else "<ProofState, solved>"

    def __str__(self) -> str:
        return "\n\n".join(goal.pretty for goal in self.goals) or "no goals"


def start(
    prover: Prover,
    env: Ref,
    statement: str,
    timeout: float | None,
    cancellation: CancellationToken | None,
) -> ProofState | TacticFailure:
    """Elaborate *statement* as a type and return the state with one goal for it."""
    text = prepare(statement, STATEMENT, "a statement")
    if isinstance(text, Diagnostic):
        return TacticFailure(text.message, None, (text,))

    def work(contexts: Contexts, guard: Guard) -> ProofState | TacticFailure:
        lean, table = prover.lean, prover.lean.table
        engine = lean.engine
        try:
            syntax = engine.eval(table.parse_category(env, lean.name(("term",)), text, STATEMENT))
        except Thrown as thrown:
            return unparsed(parser_diagnostic(str(engine.dump(thrown.error)), STATEMENT))
        with contexts.scope():
            try:
                six: Six = contexts.strict
                type_ = engine.eval(table.elab_type(syntax, six))
                engine.eval(table.synthesize_no_postponing(six)).close()
                mctx = table.meta_mctx(table.get_ref(six.meta_state))
                type_ = engine.eval(table.instantiated(mctx, type_))
                type_ = engine.eval(table.level_mvars_to_params(type_, six))
                if lean.flags([table.has_mvar(type_)])[0]:
                    return TacticFailure(
                        f"the statement leaves something open: {Expr(prover.meta.home, type_)}"
                    )
                prover.statement = type_
                kind = METAVAR_KINDS.index("synthetic_opaque")
                root = engine.eval(table.fresh_mvar(type_, six, kind=kind, name=lean.name(())))
            except Thrown as thrown:
                return prover.failed(thrown, guard)
            return ProofState(prover, contexts.save(), root, (engine.eval(EXPRS["mvar"].get(root, "name")),))

    try:
        return prover.guarded("prove", work, cancellation, (statement,), timeout=timeout)
    except NotStarted:
        return TacticFailure(WORDS[Limit.CANCELLED], Limit.CANCELLED)


# The steps of a tactic, each prepared once for a Lean.


def _environment(table: Table, core: Arg) -> tuple[Arg, ...]:
    return (table.core_env(core),)


def _run(table: Table, goal: Arg, syntax: Arg, *six: Arg) -> tuple[Arg, ...]:
    return (table.run_tactic(goal, syntax, Six(*six)),)


def _log(table: Table, core: Arg) -> tuple[Arg, ...]:
    log = table.core_messages(core)
    return (log, table.has_errors(log))


def _theorem(lean: Lean, name: NameTuple, params: list[NameTuple], type_: Arg, proof: Ref) -> Constant:
    """``ConstantInfo.thmInfo`` of a finished proof."""
    built, table = lean.name(name), lean.table
    header = table.constant_header(built, ListOf([lean.name(p) for p in params]), type_)
    return Constant(name, "theorem", lean.engine.eval(table.theorem_info(header, proof, ListOf([built]))))
