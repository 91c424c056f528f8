"""How ``Lean.Declaration`` is built for the kernel, and how what the kernel made of it is looked up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from leanhost.engine.expressions import Arg, Call, Closure, Ctor, Field
from leanhost.engine.values import Data, Node
from leanhost.lean.tables.structures import Structure

SAFETIES = ("unsafe", "safe", "partial")
"""``Lean.DefinitionSafety``, by tag."""
SAFE = SAFETIES.index("safe")
QUOT_KINDS = ("type", "ctor", "lift", "ind")
"""``Lean.QuotKind``, by tag."""

_OPAQUE_HINT, _ABBREV_HINT, _REGULAR_HINT = 0, 1, 2


def read_hints(data: Data) -> str | int:
    """Read copied ``ReducibilityHints``, as :meth:`DeclarationTable.hints` takes them."""
    if isinstance(data, Node):
        return int.from_bytes(data.scalars[:4], "little")
    return "abbrev" if data == _ABBREV_HINT else "opaque"


class DeclarationTable:
    """Layouts of the values in ``Lean.Declaration`` and ``Lean.ConstantInfo``."""

    CONSTANT_VAL: ClassVar[Structure] = Structure(("name", "levelParams", "type"))
    """``Lean.ConstantVal``."""
    VALUES: ClassVar[Mapping[str, Structure]] = {
        "axiom": Structure(("constant",), ("isUnsafe",)),
        "definition": Structure(("constant", "value", "hints", "all"), ("safety",)),
        "theorem": Structure(("constant", "value", "all")),
        "opaque": Structure(("constant", "value", "all"), ("isUnsafe",)),
        "quot": Structure(("constant",), ("kind",)),
        "inductive": Structure(
            ("constant", "numParams", "numIndices", "all", "ctors", "numNested"),
            ("isRec", "isUnsafe", "isReflexive"),
        ),
        "constructor": Structure(("constant", "induct", "cidx", "numParams", "numFields"), ("isUnsafe",)),
        "recursor": Structure(
            ("constant", "all", "numParams", "numIndices", "numMotives", "numMinors", "rules"),
            ("k", "isUnsafe"),
        ),
    }
    """``Lean.AxiomVal``, ``Lean.DefinitionVal`` and so on, by the kind of constant."""
    RECURSOR_RULE: ClassVar[Structure] = Structure(("ctor", "nfields", "rhs"))
    """``Lean.RecursorRule``."""
    DECLARATION_TAGS: ClassVar[Mapping[str, int]] = {"axiom": 0, "definition": 1, "theorem": 2, "opaque": 3}
    """The tags of ``Lean.Declaration``'s constructors that hold what the ``ConstantInfo`` of that kind holds."""

    def constant_of(self, info: Arg) -> Arg:
        """What a ``ConstantInfo`` holds: see :data:`VALUES`."""
        return Field(info, 0)

    def _part(self, info: Arg, kind: str, part: str) -> Arg:
        return self.VALUES[kind].get(self.constant_of(info), part)

    # --- what the kernel is given ---

    def constant_header(self, name: Arg, levels: Arg, type_: Arg) -> Arg:
        """``ConstantVal``: *levels* is a ``List Name``."""
        return Ctor(0, (name, levels, type_))

    def hints(self, height: int | str) -> Arg:
        """``ReducibilityHints``: ``"opaque"``, ``"abbrev"`` or a definition's height."""
        if isinstance(height, str):
            return _OPAQUE_HINT if height == "opaque" else _ABBREV_HINT
        return Ctor(_REGULAR_HINT, (), height.to_bytes(4, "little"))

    def declaration_of(self, info: Arg, tag: int) -> Arg:
        """The ``Declaration`` with the value of a ``ConstantInfo``; *tag* is one of :data:`DECLARATION_TAGS`."""
        return Ctor(tag, (self.constant_of(info),))

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

    def inductive_declaration(self, levels: Arg, params: Arg, types: Arg, is_unsafe: bool) -> Arg:
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

    def theorem_info(self, header: Arg, value: Arg, all_: Arg) -> Arg:
        """``ConstantInfo.thmInfo``."""
        return Ctor(2, (Ctor(0, (header, value, all_)),))

    def kernel_find(self, kernel_env: Arg, name: Arg) -> Arg:
        """``Lean.Kernel.Environment.find?``: ``Option ConstantInfo``."""
        return Call("lean_environment_find", (kernel_env, name))

    def constructor_inductive(self, info: Arg) -> Arg:
        """``ConstructorVal.induct``: a ``Name``."""
        return self._part(info, "constructor", "induct")

    def constructor_params(self, info: Arg) -> Arg:
        """``ConstructorVal.numParams``."""
        return self._part(info, "constructor", "numParams")

    def constructor_fields(self, info: Arg) -> Arg:
        """``ConstructorVal.numFields``."""
        return self._part(info, "constructor", "numFields")

    def inductive_nested(self, info: Arg) -> Arg:
        """``InductiveVal.numNested``."""
        return self._part(info, "inductive", "numNested")

    def inductive_ctors(self, info: Arg) -> Arg:
        """``InductiveVal.ctors``: ``List Name``."""
        return self._part(info, "inductive", "ctors")

    def inductive_params(self, info: Arg) -> Arg:
        """``InductiveVal.numParams``."""
        return self._part(info, "inductive", "numParams")

    def inductive_all(self, info: Arg) -> Arg:
        """``InductiveVal.all``: ``List Name``."""
        return self._part(info, "inductive", "all")

    def recursor_all(self, info: Arg) -> Arg:
        """``RecursorVal.all``: ``List Name``."""
        return self._part(info, "recursor", "all")

    def recursor_rules(self, info: Arg) -> Arg:
        """``RecursorVal.rules``: ``List RecursorRule``."""
        return self._part(info, "recursor", "rules")

    def constant_val(self, info: Arg) -> Arg:
        """``ConstantVal`` of a ``ConstantInfo``."""
        return self._part(info, "axiom", "constant")  # the first field of every kind's value

    def constant_name(self, info: Arg) -> Arg:
        """``ConstantInfo.name``."""
        return self.CONSTANT_VAL.get(self.constant_val(info), "name")

    def constant_levels(self, info: Arg) -> Arg:
        """``ConstantInfo.levelParams``: ``List Name``."""
        return self.CONSTANT_VAL.get(self.constant_val(info), "levelParams")

    def constant_type(self, info: Arg) -> Arg:
        """``ConstantInfo.type``."""
        return self.CONSTANT_VAL.get(self.constant_val(info), "type")

    def constant_value(self, info: Arg) -> Arg:
        """The value of a definition, theorem or opaque constant."""
        return self._part(info, "definition", "value")  # the second field for all three

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
