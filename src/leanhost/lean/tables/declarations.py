"""How ``Lean.Declaration`` is built for the kernel, and how what the kernel made of it is looked up."""

from __future__ import annotations

from leanhost.engine.expressions import Arg, Call, Closure, Ctor, Field

SAFETIES = ("unsafe", "safe", "partial")
"""``Lean.DefinitionSafety``, by tag."""
QUOT_KINDS = ("type", "ctor", "lift", "ind")
"""``Lean.QuotKind``, by tag."""

_OPAQUE_HINT, _ABBREV_HINT, _REGULAR_HINT = 0, 1, 2


class DeclarationTable:
    """Layouts of the values in ``Lean.Declaration`` and ``Lean.ConstantInfo``."""

    # --- what the kernel is given ---

    def constant_header(self, name: Arg, levels: Arg, type_: Arg) -> Arg:
        """``ConstantVal``: *levels* is a ``List Name``."""
        return Ctor(0, (name, levels, type_))

    def hints(self, height: int | str) -> Arg:
        """``ReducibilityHints``: ``"opaque"``, ``"abbrev"`` or a definition's height."""
        if isinstance(height, str):
            return _OPAQUE_HINT if height == "opaque" else _ABBREV_HINT
        return Ctor(_REGULAR_HINT, (), height.to_bytes(4, "little"))

    def axiom_declaration(self, header: Arg, is_unsafe: bool) -> Arg:
        """``Declaration.axiomDecl``."""
        return Ctor(0, (Ctor(0, (header,), bytes([is_unsafe])),))

    def definition_declaration(self, header: Arg, value: Arg, hints: Arg, all_: Arg, safety: int) -> Arg:
        """``Declaration.defnDecl``; *safety* is the tag of a ``DefinitionSafety``."""
        return Ctor(1, (Ctor(0, (header, value, hints, all_), bytes([safety])),))

    def theorem_declaration(self, header: Arg, value: Arg, all_: Arg) -> Arg:
        """``Declaration.thmDecl``."""
        return Ctor(2, (Ctor(0, (header, value, all_)),))

    def opaque_declaration(self, header: Arg, value: Arg, all_: Arg, is_unsafe: bool) -> Arg:
        """``Declaration.opaqueDecl``."""
        return Ctor(3, (Ctor(0, (header, value, all_), bytes([is_unsafe])),))

    def quot_declaration(self) -> Arg:
        """``Declaration.quotDecl``."""
        return 4

    def inductive_declaration(self, levels: Arg, params: int, types: Arg, is_unsafe: bool) -> Arg:
        """``Declaration.inductDecl``; *types* is a ``List InductiveType``."""
        return Ctor(6, (levels, params, types), bytes([is_unsafe]))

    def inductive_type(self, name: Arg, type_: Arg, constructors: Arg) -> Arg:
        """``InductiveType``; *constructors* is a ``List Constructor``."""
        return Ctor(0, (name, type_, constructors))

    def constructor(self, name: Arg, type_: Arg) -> Arg:
        """``Constructor``."""
        return Ctor(0, (name, type_))

    def let_flagged(self, name: Arg, type_: Arg, value: Arg, body: Arg, nondep: Arg) -> Arg:
        """``Expr.letE``; *nondep* is a boxed ``Bool`` (``have``)."""
        return Call("l_Lean_Expr_letE___override___boxed", (name, type_, value, body, nondep))

    # --- what the kernel has ---

    def axiom_info(self, header: Arg) -> Arg:
        """``ConstantInfo.axiomInfo`` of a safe axiom."""
        return Ctor(0, (Ctor(0, (header,), b"\0"),))

    def kernel_find(self, kernel_env: Arg, name: Arg) -> Arg:
        """``Lean.Kernel.Environment.find?``: ``Option ConstantInfo``."""
        return Call("lean_environment_find", (kernel_env, name))

    def constructor_inductive(self, info: Arg) -> Arg:
        """``ConstructorVal.induct``: a ``Name``."""
        return Field(Field(info, 0), 1)

    def inductive_nested(self, info: Arg) -> Arg:
        """``InductiveVal.numNested``."""
        return Field(Field(info, 0), 5)

    # --- what terms contain ---

    def find_nat_literal(self, expr: Arg) -> Arg:
        """``Lean.Expr.find?`` of ``Expr.isRawNatLit``: ``Option Expr``."""
        return Call("l_Lean_Expr_findImpl_x3f___boxed", (Closure("l_Lean_Expr_isRawNatLit___boxed", 1), expr))

    def find_string_literal(self, expr: Arg) -> Arg:
        """``Lean.Expr.find?`` of ``Expr.isStringLit``: ``Option Expr``."""
        return Call("l_Lean_Expr_findImpl_x3f___boxed", (Closure("l_Lean_Expr_isStringLit___boxed", 1), expr))

    def instantiate_levels(self, expr: Arg, names: Arg, levels: Arg) -> Arg:
        """``Expr.instantiateLevelParams``: a ``List Name`` and a ``List Level`` of one length."""
        return Call("l_Lean_Expr_instantiateLevelParams___boxed", (expr, names, levels))
