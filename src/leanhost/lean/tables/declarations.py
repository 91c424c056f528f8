"""How declarations are asked about: one by one, and by the array inside Lean.

A question about thousands of names is put as a Lean function mapped over a Lean array (``Array.map``), so that
what Python builds and reads does not grow with the question but only with the answer.
"""

from __future__ import annotations

from typing import ClassVar

from leanhost.engine.base import Arg, Call, Closure, Const, Ctor, Field, Unwrap

_W = 0
"""The world token of boxed ``IO`` functions."""

REDUCIBILITY = ("reducible", "semireducible", "irreducible", "implicit_reducible", "instance_reducible")
"""``Lean.ReducibilityStatus``, by tag; the last two came after Lean 4.28."""


class DeclarationTable:
    """Functions about declarations; those that end in ``_fn`` are Lean closures to be mapped."""

    HEADER_MODULE_DATA: ClassVar[int] = 6
    """The index of ``EnvironmentHeader.moduleData``."""

    # --- mapping ---

    def array_map(self, function: Arg, items: Arg) -> Arg:
        """``Array.map``."""
        return Call("l_Array_map___redArg", (function, items))

    def array_filter(self, predicate: Arg, items: Arg, size: Arg) -> Arg:
        """``Array.filter`` over the first *size* elements."""
        return Call("l_Array_filter___redArg___boxed", (predicate, items, 0, size))

    def array_extract(self, items: Arg, start: int, stop: int) -> Arg:
        """``Array.extract``: the elements from *start* up to *stop*."""
        return Call("l_Array_extract___redArg___boxed", (items, start, stop))

    def compose_fn(self, outer: Arg, inner: Arg) -> Arg:
        """``outer ∘ inner``."""
        return Closure("l_Function_comp___redArg", 3, (outer, inner))

    def in_option_fn(self, function: Arg) -> Arg:
        """``Option.map function``."""
        return Closure("l_Option_map___redArg", 2, (function,))

    def text_names(self, texts: Arg) -> Arg:
        """``String.toName`` of every element."""
        return self.array_map(Closure("l_String_toName", 1), texts)

    # --- what is declared ---

    def find_fn(self, env: Arg) -> Arg:
        """``Lean.Environment.find? env``: ``Name → Option ConstantInfo``."""
        find = Closure("l_Lean_Environment_find_x3f___boxed", 3, (env,))
        return Closure("l_flip___redArg", 3, (find, 0))

    def contains_fn(self, env: Arg) -> Arg:
        """``Lean.Environment.contains env``: ``Name → Bool``."""
        contains = Closure("l_Lean_Environment_contains___boxed", 3, (env,))
        return Closure("l_flip___redArg", 3, (contains, 1))

    def kind_fn(self) -> Arg:
        """``ConstantInfo.ctorIdx``."""
        return Closure("l_Lean_ConstantInfo_ctorIdx___boxed", 1)

    def type_fn(self) -> Arg:
        """``ConstantInfo.type``."""
        return Closure("l_Lean_ConstantInfo_type___boxed", 1)

    def levels_fn(self) -> Arg:
        """``ConstantInfo.levelParams``."""
        return Closure("l_Lean_ConstantInfo_levelParams___boxed", 1)

    def used_constants_fn(self) -> Arg:
        """``Lean.Expr.getUsedConstants``: ``Expr → Array Name``."""
        return Closure("l_Lean_Expr_getUsedConstants", 1)

    def module_index_fn(self, env: Arg) -> Arg:
        """``Lean.Environment.getModuleIdxFor? env``: ``Name → Option ModuleIdx``."""
        return Closure("l_Lean_Environment_getModuleIdxFor_x3f___boxed", 2, (env,))

    def module_names(self, env: Arg) -> Arg:
        """``Lean.Environment.allImportedModuleNames``: ``Array Name``, by ``ModuleIdx``."""
        return Call("l_Lean_Environment_allImportedModuleNames___boxed", (env,))

    def module_data(self, env: Arg) -> Arg:
        """``EnvironmentHeader.moduleData``: ``Array ModuleData``, by ``ModuleIdx``."""
        return Field(Call("l_Lean_Environment_header___boxed", (env,)), self.HEADER_MODULE_DATA)

    def module_constant_names(self, data: Arg) -> Arg:
        """``ModuleData.constNames``."""
        return Field(data, 1)

    def module_constants(self, data: Arg) -> Arg:
        """``ModuleData.constants``: ``Array ConstantInfo``, in the order of the names."""
        return Field(data, 2)

    # --- attributes: Name → Bool, or what the docstring says ---

    def is_internal_detail_fn(self) -> Arg:
        """``Lean.Name.isInternalDetail``."""
        return Closure("l_Lean_Name_isInternalDetail___boxed", 1)

    def is_private_fn(self) -> Arg:
        """``Lean.isPrivateName``."""
        return Closure("l_Lean_isPrivateName___boxed", 1)

    def is_protected_fn(self, env: Arg) -> Arg:
        """``Lean.isProtected``."""
        return Closure("l_Lean_isProtected___boxed", 2, (env,))

    def is_class_fn(self, env: Arg) -> Arg:
        """``Lean.isClass``."""
        return Closure("l_Lean_isClass___boxed", 2, (env,))

    def is_instance_fn(self, env: Arg) -> Arg:
        """``Lean.Meta.isInstanceCore``."""
        return Closure("l_Lean_Meta_isInstanceCore___boxed", 2, (env,))

    def is_deprecated_fn(self, env: Arg) -> Arg:
        """``Lean.Linter.isDeprecated``."""
        return Closure("l_Lean_Linter_isDeprecated___boxed", 2, (env,))

    def reducibility_fn(self, env: Arg) -> Arg:
        """``Lean.getReducibilityStatusCore``: the boxed tag of a ``ReducibilityStatus``."""
        return Closure("l_Lean_getReducibilityStatusCore___boxed", 2, (env,))

    def simp_theorems(self, core_state: Arg) -> Arg:
        """``Lean.Meta.getSimpTheorems``: the default simp set."""
        return Unwrap(Call("l_Lean_Meta_getSimpTheorems___redArg___boxed", (core_state, _W)))

    def is_simp_lemma_fn(self, simp_theorems: Arg) -> Arg:
        """``Lean.Meta.SimpTheorems.isLemma``, of an ``Origin``."""
        return Closure("l_Lean_Meta_SimpTheorems_isLemma___boxed", 2, (simp_theorems,))

    def is_simp_unfolded_fn(self, simp_theorems: Arg) -> Arg:
        """``Lean.Meta.SimpTheorems.isDeclToUnfold``."""
        return Closure("l_Lean_Meta_SimpTheorems_isDeclToUnfold___boxed", 2, (simp_theorems,))

    def simp_origin(self, name: Arg, *, post: bool, inverse: bool) -> Arg:
        """``Lean.Meta.Origin.decl``."""
        return Ctor(0, (name,), bytes([post, inverse]))

    # --- documentation and ranges ---

    def docstring(self, env: Arg, name: Arg) -> Arg:
        """``Lean.findDocString?``: ``Option String``."""
        include_builtin = 1
        return Unwrap(Call("l_Lean_findDocString_x3f___boxed", (env, name, include_builtin, _W)))

    def ranges_fn(self, env: Arg) -> Arg:
        """``declRangeExt.find?`` at the level language servers read: ``Name → Option DeclarationRanges``."""
        local, server = 1, 1
        find = Closure(
            "l_Lean_MapDeclarationExtension_find_x3f___redArg___boxed",
            6,
            (Const("l_Lean_instInhabitedDeclarationRanges"), Const("l_Lean_declRangeExt"), env),
        )
        # The name comes first of the three arguments left; flip puts it behind the mode, then behind the level.
        return Closure("l_flip___redArg", 3, (Closure("l_flip___redArg", 4, (find, local)), server))

    def builtin_ranges(self, name: Arg) -> Arg:
        """``Lean.builtinDeclRanges``: ``Option DeclarationRanges`` of what was compiled into Lean itself."""
        raise NotImplementedError

    def shares_range_fn(self, env: Arg) -> tuple[Arg, ...]:
        """Predicates for what has the range of its prefix (``casesOn``, ``noConfusion``, ``rec``)."""
        return (
            Closure("l_Lean_isAuxRecursor___boxed", 2, (env,)),
            Closure("l_Lean_isNoConfusion___boxed", 2, (env,)),
            Closure("l_Lean_isRecCore___boxed", 2, (env,)),
        )
