"""The monads' functions: contexts of ``TermElabM``, ``MetaM``, ``TacticM`` and what is called with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from leanhost.engine.expressions import Arg, Call, Closure, Const, Ctor, Field, ListOf, Unwrap, With
from leanhost.lean.tables.common import NIL, NONE, Table, W, some
from leanhost.lean.tables.declarations import DeclarationTable
from leanhost.lean.tables.environments import EnvironmentTable
from leanhost.lean.tables.exprs import ExprTable
from leanhost.lean.tables.infotree import InfoTreeTable
from leanhost.lean.tables.kernel import KernelTable
from leanhost.lean.tables.queries import QueryTable

TRANSPARENCIES = ("all", "default", "reducible", "instances")
"""``Lean.Meta.TransparencyMode``, by tag."""


class Six(NamedTuple):
    """The context and state pointers every ``TermElabM`` action takes."""

    term: Arg
    term_state: Arg
    meta: Arg
    meta_state: Arg
    core: Arg
    core_state: Arg

    @property
    def four(self) -> tuple[Arg, Arg, Arg, Arg]:
        """Those a ``MetaM`` action takes."""
        return (self.meta, self.meta_state, self.core, self.core_state)

    @property
    def two(self) -> tuple[Arg, Arg]:
        """Those a ``CoreM`` action takes."""
        return (self.core, self.core_state)


class MonadTable(
    ExprTable, DeclarationTable, InfoTreeTable, QueryTable, EnvironmentTable, KernelTable, Table
):
    """Everything that runs inside an elaboration monad; argument order is ``(args..., six, world)``."""

    TRANSPARENCY_BYTE: ClassVar[int] = 9
    """Where ``Meta.Config.transparency`` lies among the configuration's bytes."""
    ERR_TO_SORRY_BYTE: ClassVar[int] = 1
    """Where ``Term.Context.errToSorry`` lies among its scalar bytes."""
    CORE_MESSAGES: ClassVar[int] = 6
    """The index of ``Core.State.messages``."""
    INFO_ENABLED_BYTE: ClassVar[int] = 0
    """Where ``InfoState.enabled`` lies among its scalar bytes."""

    def lift_term(self, action: Arg, command_context: Arg, state_ref: Arg) -> Arg:
        """``Lean.Elab.Command.liftTermElabM`` of a closure of seven parameters (six and the world)."""
        arguments = (action, command_context, state_ref, W)
        return Unwrap(Call("l_Lean_Elab_Command_liftTermElabM___redArg___boxed", arguments))

    def state_with_scope(
        self, state: Arg, namespace: Arg, opened: Sequence[Arg], levels: Sequence[Arg]
    ) -> Arg:
        """``Command.State`` whose only scope is inside *namespace*, with namespaces open and universes declared."""
        opens = ListOf([Ctor(0, (name, NIL)) for name in opened])
        scope = With(self.scope(state), ((2, namespace), (3, opens), (4, ListOf(levels))))
        return With(state, ((2, ListOf([scope])),))

    def state_with_info(self, state: Arg) -> Arg:
        """``Command.State`` that records info trees."""
        info = With(self.state_info(state), scalars=((self.INFO_ENABLED_BYTE, b"\1"),))
        return With(state, ((8, info),))

    def set_heartbeats(self, count: Arg) -> Arg:
        """``IO.setNumHeartbeats``."""
        return Call("l_IO_setNumHeartbeats___boxed", (count, W))

    def with_transparency(self, meta_context: Arg, transparency: int) -> Arg:
        """``Meta.Context`` with another ``Config.transparency``."""
        config = Field(Field(meta_context, 0), 0)
        changed = With(config, scalars=((self.TRANSPARENCY_BYTE, bytes([transparency])),))
        return With(meta_context, ((0, Call("l_Lean_Meta_Config_toConfigWithKey", (changed,))),))

    # --- terms ---

    def parse_category(self, env: Arg, category: Arg, source: Arg, file: Arg) -> Arg:
        """``Lean.Parser.runParserCategory``: ``Except String Syntax``."""
        return Unwrap(Call("l_Lean_Parser_runParserCategory", (env, category, source, file)), ok=1)

    def elab_term(self, syntax: Arg, expected: Arg | None, six: Six) -> Arg:
        """``Lean.Elab.Term.elabTermAndSynthesize``."""
        wanted: Arg = NONE if expected is None else some(expected)
        return Unwrap(Call("l_Lean_Elab_Term_elabTermAndSynthesize___boxed", (syntax, wanted, *six, W)))

    def elab_term_ensuring_type(self, syntax: Arg, expected: Arg, six: Six) -> Arg:
        """``Lean.Elab.Term.elabTermEnsuringType``, which inserts coercions or fails."""
        catch_postpone, no_message = 1, NONE
        arguments = (syntax, some(expected), catch_postpone, 0, no_message, *six, W)
        return Unwrap(Call("l_Lean_Elab_Term_elabTermEnsuringType___boxed", arguments))

    def synthesize_no_postponing(self, six: Six) -> Arg:
        """``Lean.Elab.Term.synthesizeSyntheticMVarsNoPostponing``."""
        return Unwrap(Call("l_Lean_Elab_Term_synthesizeSyntheticMVarsNoPostponing___boxed", (0, *six, W)))

    def elab_type(self, syntax: Arg, six: Six) -> Arg:
        """``Lean.Elab.Term.elabType``."""
        return Unwrap(Call("l_Lean_Elab_Term_elabType___boxed", (syntax, *six, W)))

    def level_mvars_to_params(self, expr: Arg, six: Six) -> Arg:
        """``Lean.Elab.Term.levelMVarToParam``: universe metavariables become parameters ``u_1``, ``u_2``..."""
        except_none = Closure("l_Function_const___boxed", 4, (0, 0, 0))
        arguments = (expr, except_none, *six, W)
        return Unwrap(Call("l_Lean_Elab_Term_levelMVarToParam___boxed", arguments))

    def collect_level_params(self, expr: Arg) -> Arg:
        """``Lean.collectLevelParams``: ``Array Name``, in order of occurrence."""
        start = Const("l_Lean_CollectLevelParams_instInhabitedState")
        return Field(Call("l_Lean_collectLevelParams", (start, expr)), 2)

    def without_error_recovery(self, term_context: Arg) -> Arg:
        """``Term.Context`` with ``errToSorry`` off: a failed elaboration throws."""
        return With(term_context, scalars=((self.ERR_TO_SORRY_BYTE, b"\0"),))

    def has_sorry(self, expr: Arg) -> Arg:
        """``Expr.hasSorry``: a boxed ``Bool``."""
        return Call("l_Lean_Expr_hasSorry___boxed", (expr,))

    # --- MetaM ---

    def infer_type(self, expr: Arg, six: Six) -> Arg:
        """``Lean.Meta.inferType``."""
        return Unwrap(Call("l_Lean_Meta_inferType___boxed", (expr, *six.four, W)))

    def whnf(self, expr: Arg, six: Six) -> Arg:
        """``Lean.Meta.whnf``."""
        return Unwrap(Call("l_Lean_Meta_whnf___boxed", (expr, *six.four, W)))

    def is_def_eq(self, left: Arg, right: Arg, six: Six) -> Arg:
        """``Lean.Meta.isExprDefEq``: a boxed ``Bool``."""
        return Unwrap(Call("l_Lean_Meta_isExprDefEq___boxed", (left, right, *six.four, W)))

    def reduce(self, expr: Arg, six: Six, *, explicit: bool, types: bool, proofs: bool) -> Arg:
        """``Lean.Meta.reduce``; the flags say what is left alone."""
        arguments = (expr, int(explicit), int(types), int(proofs), *six.four, W)
        return Unwrap(Call("l_Lean_Meta_reduce___boxed", arguments))

    def check_type(self, expr: Arg, six: Six) -> Arg:
        """``Lean.Meta.check``."""
        return Unwrap(Call("l_Lean_Meta_check___boxed", (expr, *six.four, W)))

    def synth_instance(self, type_: Arg, six: Six) -> Arg:
        """``Lean.Meta.synthInstance``; the heartbeat limit of the options."""
        return Unwrap(Call("l_Lean_Meta_synthInstance___boxed", (type_, NONE, *six.four, W)))

    def pp_meta(self, expr: Arg, six: Six) -> Arg:
        """``Lean.Meta.ppExpr``, as text."""
        format_ = Unwrap(Call("l_Lean_Meta_ppExpr___boxed", (expr, *six.four, W)))
        return self.pretty(format_)

    def pp_goal(self, goal: Arg, six: Six) -> Arg:
        """``Lean.Meta.ppGoal``, as text."""
        return self.pretty(Unwrap(Call("l_Lean_Meta_ppGoal___boxed", (goal, *six.four, W))))

    def pretty(self, format_: Arg) -> Arg:
        """``Std.Format.pretty`` at 120 columns."""
        return Call("l_Std_Format_pretty___boxed", (format_, 120, 0, 0))

    def fresh_mvar(self, type_: Arg, six: Six, *, kind: int, name: Arg) -> Arg:
        """``Lean.Meta.mkFreshExprMVar``; *kind* is ``MetavarKind`` (0 natural, 2 synthetic opaque)."""
        return Unwrap(Call("l_Lean_Meta_mkFreshExprMVar___boxed", (some(type_), kind, name, *six.four, W)))

    def mk_lambda(self, variables: Arg, body: Arg, six: Six) -> Arg:
        """``Lean.Meta.mkLambdaFVars``."""
        return Unwrap(
            Call("l_Lean_Meta_mkLambdaFVars___boxed", (variables, body, *self._LAMBDA_FLAGS, *six.four, W))
        )

    def mk_forall(self, variables: Arg, body: Arg, six: Six) -> Arg:
        """``Lean.Meta.mkForallFVars``."""
        return Unwrap(
            Call("l_Lean_Meta_mkForallFVars___boxed", (variables, body, *self._FORALL_FLAGS, *six.four, W))
        )

    # The declarations' own defaults: usedOnly, usedLetOnly, (etaReduce,) generalizeNondepLet, binderInfoForMVars.
    _LAMBDA_FLAGS: ClassVar[tuple[Arg, ...]] = (0, 1, 0, 1, 1)
    _FORALL_FLAGS: ClassVar[tuple[Arg, ...]] = (0, 1, 1, 1)

    # --- states ---

    def meta_mctx(self, meta_state: Arg) -> Arg:
        """``Meta.State.mctx``."""
        return Field(meta_state, 0)

    def meta_context_lctx(self, meta_context: Arg) -> Arg:
        """``Meta.Context.lctx``."""
        return Field(meta_context, 2)

    def meta_context_instances(self, meta_context: Arg) -> Arg:
        """``Meta.Context.localInstances``."""
        return Field(meta_context, 3)

    def push_instance(self, instances: Arg, class_name: Arg, fvar: Arg) -> Arg:
        """Add a ``LocalInstance``."""
        return Call("lean_array_push", (instances, Ctor(0, (class_name, fvar))))

    def check_system(self, what: Arg, six: Six) -> Arg:
        """``Lean.Core.checkSystem``: throws when a limit was hit or the token is set."""
        return Unwrap(Call("l_Lean_Core_checkSystem___boxed", (what, *six.two, W)))

    def is_implementation_detail(self, decl: Arg) -> Arg:
        """``LocalDecl.isImplementationDetail``: a boxed ``Bool``."""
        return Call("l_Lean_LocalDecl_isImplementationDetail___boxed", (decl,))

    def decl_binder_info(self, decl: Arg) -> Arg:
        """``LocalDecl.binderInfo``: the boxed tag of a ``BinderInfo``."""
        return Call("l_Lean_LocalDecl_binderInfo___boxed", (decl,))

    def with_local_context(self, meta_context: Arg, lctx: Arg, instances: Arg) -> Arg:
        """``Meta.Context`` in another local context."""
        return With(meta_context, ((2, lctx), (3, instances)))

    def core_env(self, core_state: Arg) -> Arg:
        """``Core.State.env``."""
        return Field(core_state, 0)

    def core_messages(self, core_state: Arg) -> Arg:
        """``Core.State.messages``."""
        return Field(core_state, self.CORE_MESSAGES)

    def has_errors(self, messages: Arg) -> Arg:
        """``MessageLog.hasErrors``: a boxed ``Bool``."""
        return Call("l_Lean_MessageLog_hasErrors___boxed", (messages,))

    def assignment(self, mctx: Arg, mvar_id: Arg) -> Arg:
        """``MetavarContext.getExprAssignmentCore?``: ``Option Expr``."""
        return Call("l_Lean_MetavarContext_getExprAssignmentCore_x3f___boxed", (mctx, mvar_id))

    def delayed_assignment(self, mctx: Arg, mvar_id: Arg) -> Arg:
        """``MetavarContext.getDelayedMVarAssignmentCore?``: an ``Option``."""
        return Call("l_Lean_MetavarContext_getDelayedMVarAssignmentCore_x3f___boxed", (mctx, mvar_id))

    def mvars_of(self, expr: Arg, six: Six) -> Arg:
        """``Lean.Meta.getMVars``: ``Array MVarId``."""
        return Unwrap(Call("l_Lean_Meta_getMVars___boxed", (expr, *six.four, W)))

    def instantiate_mvars(self, mctx: Arg, expr: Arg) -> Arg:
        """``Lean.instantiateMVarsImp``: ``MetavarContext × Expr``."""
        return Call("lean_instantiate_expr_mvars", (mctx, expr))

    def instantiated(self, mctx: Arg, expr: Arg) -> Arg:
        """The term :meth:`instantiate_mvars` makes."""
        return Field(self.instantiate_mvars(mctx, expr), 1)

    def mvar_decl(self, mctx: Arg, mvar_id: Arg) -> Arg:
        """``MetavarContext.findDecl?``: ``Option MetavarDecl`` (userName, lctx, type, depth, localInstances...)."""
        return Call("l_Lean_MetavarContext_findDecl_x3f___boxed", (mctx, mvar_id))

    def mk_local_decl(self, lctx: Arg, fvar_id: Arg, user_name: Arg, type_: Arg, binder: int) -> Arg:
        """``LocalContext.mkLocalDecl`` (an ordinary declaration)."""
        return Call("l_Lean_LocalContext_mkLocalDecl___boxed", (lctx, fvar_id, user_name, type_, binder, 0))

    def is_class(self, type_: Arg, six: Six) -> Arg:
        """``Lean.Meta.isClass?``: ``Option Name``."""
        return Unwrap(Call("l_Lean_Meta_isClass_x3f___boxed", (type_, *six.four, W)))

    def instantiate1(self, body: Arg, value: Arg) -> Arg:
        """``Expr.instantiate1``."""
        return Call("l_Lean_Expr_instantiate1___boxed", (body, value))

    # --- tactics ---

    def run_tactic(self, goal: Arg, syntax: Arg, six: Six) -> Arg:
        """``Lean.Elab.Tactic.run`` of ``evalTactic``: ``List MVarId``."""
        action = Closure("l_Lean_Elab_Tactic_evalTactic___boxed", 10, (syntax,))
        return Unwrap(Call("l_Lean_Elab_Tactic_run___boxed", (goal, action, *six, W)))

    def local_decls(self, lctx: Arg) -> Arg:
        """``LocalContext.decls``, as ``Array (Option LocalDecl)``."""
        return Call("l_Lean_PersistentArray_toArray___redArg___boxed", (Field(lctx, 1),))
