"""Info trees: what elaboration recorded about positions in a source."""

from __future__ import annotations

from typing import ClassVar

from leanhost.engine.expressions import Arg, Call, Closure, Field, ListOf, Unwrap, With
from leanhost.lean.tables.structures import Structure

_W = 0

TREE_CONTEXT, TREE_NODE, TREE_HOLE = 0, 1, 2
"""``Lean.Elab.InfoTree``'s constructors."""
INFO_TERM = 1
"""The tag of ``Lean.Elab.Info.ofTermInfo``."""


class InfoTreeTable:
    """Layouts and functions of ``Lean.Elab.InfoTree``."""

    INFO_TREES: ClassVar[int] = 2
    """The index of ``InfoState.trees``."""
    CONTEXT_MCTX: ClassVar[int] = 3
    """The index of ``CommandContextInfo.mctx``."""

    TREE_CONTEXT: ClassVar[Structure] = Structure(("info", "tree"))
    """``Lean.Elab.InfoTree.context``."""
    TREE_NODE: ClassVar[Structure] = Structure(("info", "children"))
    """``Lean.Elab.InfoTree.node``."""
    TERM_INFO: ClassVar[Structure] = Structure(("elabInfo", "lctx", "expectedType", "expr"), ("isBinder",))
    """``Lean.Elab.TermInfo``."""
    ELAB_INFO: ClassVar[Structure] = Structure(("elaborator", "stx"))
    """``Lean.Elab.ElabInfo``."""
    TACTIC_INFO: ClassVar[Structure] = Structure(
        ("elabInfo", "mctxBefore", "goalsBefore", "mctxAfter", "goalsAfter")
    )
    """``Lean.Elab.TacticInfo``."""
    GOALS_AT: ClassVar[Structure] = Structure(("ctxInfo", "tacticInfo", "priority"), ("useAfter", "indented"))
    """``Lean.Elab.GoalsAtResult``."""

    def tree_partial_context(self, tree: Arg) -> Arg:
        """The ``PartialContextInfo`` of an ``InfoTree.context``."""
        return self.TREE_CONTEXT.get(tree, "info")

    def tree_in_context(self, tree: Arg) -> Arg:
        """The tree below an ``InfoTree.context``."""
        return self.TREE_CONTEXT.get(tree, "tree")

    def tree_info(self, tree: Arg) -> Arg:
        """The ``Info`` of an ``InfoTree.node``."""
        return self.TREE_NODE.get(tree, "info")

    def tree_children(self, tree: Arg) -> Arg:
        """The trees below an ``InfoTree.node``: ``Array InfoTree``."""
        return self.persistent_array(self.TREE_NODE.get(tree, "children"))

    def term_info(self, info: Arg) -> Arg:
        """The ``TermInfo`` of an ``Info.ofTermInfo``."""
        return Field(info, 0)

    def term_info_syntax(self, term: Arg) -> Arg:
        """``TermInfo.stx``."""
        return self.ELAB_INFO.get(self.TERM_INFO.get(term, "elabInfo"), "stx")

    def term_info_lctx(self, term: Arg) -> Arg:
        """``TermInfo.lctx``."""
        return self.TERM_INFO.get(term, "lctx")

    def term_info_expr(self, term: Arg) -> Arg:
        """``TermInfo.expr``."""
        return self.TERM_INFO.get(term, "expr")

    def goals_context(self, result: Arg) -> Arg:
        """``GoalsAtResult.ctxInfo``."""
        return self.GOALS_AT.get(result, "ctxInfo")

    def goals_tactic(self, result: Arg) -> Arg:
        """``GoalsAtResult.tacticInfo``."""
        return self.GOALS_AT.get(result, "tacticInfo")

    def tactic_mctx(self, tactic: Arg, after: bool) -> Arg:
        """``TacticInfo.mctxBefore`` or ``mctxAfter``."""
        return self.TACTIC_INFO.get(tactic, "mctxAfter" if after else "mctxBefore")

    def tactic_goals(self, tactic: Arg, after: bool) -> Arg:
        """``TacticInfo.goalsBefore`` or ``goalsAfter``: ``List MVarId``."""
        return self.TACTIC_INFO.get(tactic, "goalsAfter" if after else "goalsBefore")

    def info_trees(self, info_state: Arg) -> Arg:
        """``InfoState.trees``, as an ``Array InfoTree``."""
        return self.persistent_array(Field(info_state, self.INFO_TREES))

    def persistent_array(self, items: Arg) -> Arg:
        """``PersistentArray.toArray``."""
        return Call("l_Lean_PersistentArray_toArray___redArg___boxed", (items,))

    def goals_at(self, file_map: Arg, tree: Arg, position: Arg) -> Arg:
        """``InfoTree.goalsAt?``: ``List GoalsAtResult``; *position* in bytes."""
        return Call("l_Lean_Elab_InfoTree_goalsAt_x3f", (file_map, tree, position))

    def pp_goals(self, context: Arg, mctx: Arg, goal: Arg) -> Arg:
        """``ContextInfo.ppGoals`` of one goal under another metavariable context, as text."""
        command = With(Field(context, 0), ((self.CONTEXT_MCTX, mctx),))
        changed = With(context, ((0, command),))
        format_ = Unwrap(Call("l_Lean_Elab_ContextInfo_ppGoals___boxed", (changed, ListOf([goal]), _W)))
        return Call("l_Std_Format_pretty___boxed", (format_, 120, 0, 0))

    def merge_context(self, partial: Arg, outer: Arg) -> Arg:
        """``PartialContextInfo.mergeIntoOuter?``: ``Option ContextInfo``."""
        return Call("l_Lean_Elab_PartialContextInfo_mergeIntoOuter_x3f", (partial, outer))

    def update_context(self, context: Arg, info: Arg) -> Arg:
        """``Info.updateContext?``: ``Option ContextInfo``."""
        return Call("l_Lean_Elab_Info_updateContext_x3f", (context, info))

    def syntax_start(self, syntax: Arg) -> Arg:
        """``Syntax.getPos?`` of source text: ``Option`` of a byte offset."""
        return Call("l_Lean_Syntax_getPos_x3f___boxed", (syntax, 1))

    def syntax_end(self, syntax: Arg) -> Arg:
        """``Syntax.getTailPos?`` of source text: ``Option`` of a byte offset."""
        return Call("l_Lean_Syntax_getTailPos_x3f___boxed", (syntax, 1))

    def type_in_context(self, context: Arg, lctx: Arg, expr: Arg) -> Arg:
        """``ContextInfo.runMetaM`` of ``inferType``."""
        action = Closure("l_Lean_Meta_inferType___boxed", 6, (expr,))
        return Unwrap(Call("l_Lean_Elab_ContextInfo_runMetaM___redArg___boxed", (context, lctx, action, _W)))

    def text_in_context(self, context: Arg, lctx: Arg, expr: Arg) -> Arg:
        """``ContextInfo.runMetaM`` of ``ppExpr``, as text."""
        action = Closure("l_Lean_Meta_ppExpr___boxed", 6, (expr,))
        format_ = Unwrap(
            Call("l_Lean_Elab_ContextInfo_runMetaM___redArg___boxed", (context, lctx, action, _W))
        )
        return Call("l_Std_Format_pretty___boxed", (format_, 120, 0, 0))
