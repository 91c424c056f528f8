"""How ``Level`` and ``Expr`` are built, taken apart and compared."""

from __future__ import annotations

from collections.abc import Mapping

from leanhost.engine.expressions import Arg, Call, Const, Ctor
from leanhost.lean.tables.structures import Structure

EXPR_KINDS = ("bvar", "fvar", "mvar", "sort", "const", "app", "lam", "forall", "let", "lit", "mdata", "proj")
"""``Lean.Expr``'s constructors, by tag."""
LEVEL_KINDS = ("zero", "succ", "max", "imax", "param", "mvar")
"""``Lean.Level``'s constructors, by tag."""
BINDER_KINDS = ("default", "implicit", "strict_implicit", "inst_implicit")
"""``Lean.BinderInfo``, by tag."""
_DEFAULT_BINDER = BINDER_KINDS.index("default")

_DATA_BYTES = 8
"""The size of ``Expr.Data``, which lies in front of a constructor's own scalars."""

_BINDER = Structure(("name", "type", "body"), ("binderInfo",), _DATA_BYTES)

EXPRS: Mapping[str, Structure] = {
    "bvar": Structure(("index",)),
    "fvar": Structure(("name",)),
    "mvar": Structure(("name",)),
    "sort": Structure(("level",)),
    "const": Structure(("name", "levels")),
    "app": Structure(("function", "argument")),
    "lam": _BINDER,
    "forall": _BINDER,
    "let": Structure(("name", "type", "value", "body"), ("nondep",), _DATA_BYTES),
    "lit": Structure(("literal",)),
    "mdata": Structure(("data", "expr")),
    "proj": Structure(("structure", "index", "expr")),
}
"""The layout of each of ``Lean.Expr``'s constructors."""

EXPR_PARTS = frozenset({"function", "argument", "type", "value", "body", "expr"})
"""The fields of :data:`EXPRS` that are themselves expressions."""

LEVELS: Mapping[str, Structure] = {
    "zero": Structure(()),
    "succ": Structure(("level",)),
    "max": Structure(("left", "right")),
    "imax": Structure(("left", "right")),
    "param": Structure(("name",)),
    "mvar": Structure(("name",)),
}
"""The layout of each of ``Lean.Level``'s constructors."""


class ExprTable:
    """Constructors compute the cached hash and flags, so they are Lean's own functions."""

    def level_zero(self) -> Arg:
        """``Level.zero``."""
        return Const("l_Lean_Level_zero___override")

    def level_succ(self, level: Arg) -> Arg:
        """``Level.succ``."""
        return Call("l_Lean_Level_succ___override", (level,))

    def level_max(self, left: Arg, right: Arg) -> Arg:
        """``Level.max``."""
        return Call("l_Lean_Level_max___override", (left, right))

    def level_imax(self, left: Arg, right: Arg) -> Arg:
        """``Level.imax``."""
        return Call("l_Lean_Level_imax___override", (left, right))

    def level_of_nat(self, value: int) -> Arg:
        """``Level.ofNat``."""
        return Call("l_Lean_Level_ofNat___boxed", (value,))

    def level_text(self, level: Arg) -> Arg:
        """``toString`` of a level, through its instance."""
        return Call("lean_apply_1", (Const("l_Lean_Level_instToString"), level))

    def level_param(self, name: Arg) -> Arg:
        """``Level.param``."""
        return Call("l_Lean_Level_param___override", (name,))

    def level_eq(self, left: Arg, right: Arg) -> Arg:
        """``BEq Level``: a boxed ``Bool``."""
        return Call("l_Lean_Level_beq___boxed", (left, right))

    def bvar(self, index: Arg) -> Arg:
        """``Expr.bvar``."""
        return Call("l_Lean_Expr_bvar___override", (index,))

    def fvar(self, name: Arg) -> Arg:
        """``Expr.fvar``."""
        return Call("l_Lean_Expr_fvar___override", (name,))

    def sort(self, level: Arg) -> Arg:
        """``Expr.sort``."""
        return Call("l_Lean_Expr_sort___override", (level,))

    def const(self, name: Arg, levels: Arg) -> Arg:
        """``Expr.const``."""
        return Call("l_Lean_Expr_const___override", (name, levels))

    def app(self, function: Arg, argument: Arg) -> Arg:
        """``Expr.app``."""
        return Call("l_Lean_Expr_app___override", (function, argument))

    def apps(self, function: Arg, arguments: Arg) -> Arg:
        """``mkAppN``: an application to an array of arguments."""
        return Call("l_Lean_mkAppN___boxed", (function, arguments))

    def lam(self, name: Arg, type_: Arg, body: Arg, binder: Arg = _DEFAULT_BINDER) -> Arg:
        """``Expr.lam``."""
        return Call("l_Lean_Expr_lam___override___boxed", (name, type_, body, binder))

    def forall(self, name: Arg, type_: Arg, body: Arg, binder: Arg = _DEFAULT_BINDER) -> Arg:
        """``Expr.forallE``."""
        return Call("l_Lean_Expr_forallE___override___boxed", (name, type_, body, binder))

    def let_(self, name: Arg, type_: Arg, value: Arg, body: Arg) -> Arg:
        """``Expr.letE`` (a dependent ``let``)."""
        return Call("l_Lean_Expr_letE___override___boxed", (name, type_, value, body, 0))

    def nat_lit(self, value: Arg) -> Arg:
        """``Expr.lit (.natVal n)``."""
        return Call("l_Lean_Expr_lit___override", (Ctor(0, (value,)),))

    def str_lit(self, value: Arg) -> Arg:
        """``Expr.lit (.strVal s)``."""
        return Call("l_Lean_Expr_lit___override", (Ctor(1, (value,)),))

    def proj(self, structure: Arg, index: Arg, expr: Arg) -> Arg:
        """``Expr.proj``."""
        return Call("l_Lean_Expr_proj___override", (structure, index, expr))

    def expr_equal(self, left: Arg, right: Arg) -> Arg:
        """``Expr.equal``: equality with binder names and annotations, a boxed ``Bool``."""
        return Call("l_Lean_Expr_equal___boxed", (left, right))

    def expr_eqv(self, left: Arg, right: Arg) -> Arg:
        """``Expr.eqv`` (alpha equivalence, what ``==`` means in Lean): a boxed ``Bool``."""
        return Call("l_Lean_Expr_eqv___boxed", (left, right))

    def expr_hash(self, expr: Arg) -> Arg:
        """``Expr.hash``: a boxed ``UInt64``."""
        return Call("l_Lean_Expr_hash___boxed", (expr,))

    def level_hash(self, level: Arg) -> Arg:
        """``Level.hash``: a boxed ``UInt64``."""
        return Call("l_Lean_Level_hash___boxed", (level,))

    def binder_info(self, expr: Arg) -> Arg:
        """``Expr.binderInfo``: the boxed tag of a ``BinderInfo``."""
        return Call("l_Lean_Expr_binderInfo___boxed", (expr,))

    def has_mvar(self, expr: Arg) -> Arg:
        """``Expr.hasMVar``: a boxed ``Bool``."""
        return Call("l_Lean_Expr_hasMVar___boxed", (expr,))

    def has_fvar(self, expr: Arg) -> Arg:
        """``Expr.hasFVar``: a boxed ``Bool``."""
        return Call("l_Lean_Expr_hasFVar___boxed", (expr,))

    def nat_of_text(self, digits: Arg) -> Arg:
        """``String.toNat!``, for numbers that do not fit a boxed scalar."""
        return Call("l_String_toNat_x21", (digits,))
