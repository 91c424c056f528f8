"""How declarations are asked about: one by one, and by the array inside Lean.

A question about thousands of names is put as a Lean function mapped over a Lean array (``Array.map``), so that
what Python builds and reads does not grow with the question but only with the answer.
"""

from __future__ import annotations

from typing import ClassVar

from leanhost.engine.expressions import Arg, Call, Closure, Const, Ctor, Field, Unwrap

_W = 0
"""The world token of boxed ``IO`` functions."""

REDUCIBILITY = ("reducible", "semireducible", "irreducible", "implicit_reducible", "instance_reducible")
"""``Lean.ReducibilityStatus``, by tag; the last two came after Lean 4.28."""


class QueryTable:
    """Functions about declarations; those that end in ``_fn`` are Lean closures to be mapped."""

    HEADER_MODULE_DATA: ClassVar[int] = 6
    """The index of ``EnvironmentHeader.moduleData``."""
    ORIGINAL_KINDS: ClassVar[tuple[str, ...]] = (
        "definition",
        "theorem",
        "axiom",
        "opaque",
        "quot",
        "inductive",
        "constructor",
        "recursor",
    )
    """``Lean.ConstantKind``, by tag."""

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

    def text_name(self, text: Arg) -> Arg:
        """``String.toName``, for names that need no guillemets."""
        return Call("l_String_toName", (text,))

    # --- what is declared ---

    def find_fn(self, env: Arg) -> Arg:
        """``Lean.Environment.find? env``: ``Name → Option ConstantInfo``."""
        find = Closure("l_Lean_Environment_find_x3f___boxed", 3, (env,))
        return Closure("l_flip___redArg", 3, (find, 0))

    def is_some_fn(self) -> Arg:
        """``Option.isSome``."""
        return Closure("l_Option_isSome___redArg___boxed", 1)

    def kind_fn(self) -> Arg:
        """``ConstantInfo.ctorIdx``."""
        return Closure("l_Lean_ConstantInfo_ctorIdx___boxed", 1)

    def is_kind_fn(self, tag: int) -> Arg:
        """Whether a ``ConstantInfo`` has this constructor."""
        return self.compose_fn(Closure("l_Nat_decEq___boxed", 2, (tag,)), self.kind_fn())

    def original_kind_fn(self, env: Arg) -> Arg:
        """``Lean.getOriginalConstKind? env``: ``Name → Option ConstantKind``."""
        return Closure("l_Lean_getOriginalConstKind_x3f", 2, (env,))

    def constant_name_fn(self) -> Arg:
        """``ConstantInfo.name``."""
        return Closure("l_Lean_ConstantInfo_name___boxed", 1)

    def type_fn(self) -> Arg:
        """``ConstantInfo.type``."""
        return Closure("l_Lean_ConstantInfo_type___boxed", 1)

    def level_texts_fn(self) -> Arg:
        """``ConstantInfo.levelParams``, each as text."""
        text = Closure("l_flip___redArg", 3, (Closure("l_Lean_Name_toString___boxed", 2), 1))
        texts = Closure("l_List_map___redArg", 2, (text,))
        return self.compose_fn(texts, Closure("l_Lean_ConstantInfo_levelParams___boxed", 1))

    def type_mentions_fn(self, name: Arg) -> Arg:
        """Whether the type of a ``ConstantInfo`` mentions a constant (``Lean.Expr.getUsedConstants``)."""
        used = self.compose_fn(Closure("l_Lean_Expr_getUsedConstants", 1), self.type_fn())
        contains = Closure("l_Array_contains___redArg___boxed", 3, (Closure("l_Lean_Name_beq___boxed", 2),))
        return self.compose_fn(Closure("l_flip___redArg", 3, (contains, name)), used)

    def in_namespace_fn(self, namespace: Arg) -> Arg:
        """Whether the name of a ``ConstantInfo``, private or not, begins with *namespace*."""
        user_name = self.compose_fn(self.user_name_fn(), self.constant_name_fn())
        return self.compose_fn(Closure("l_Lean_Name_isPrefixOf___boxed", 2, (namespace,)), user_name)

    def module_index_fn(self, env: Arg) -> Arg:
        """``Lean.Environment.getModuleIdxFor? env``: ``Name → Option ModuleIdx``."""
        return Closure("l_Lean_Environment_getModuleIdxFor_x3f___boxed", 2, (env,))

    def imported_index_fn(self, env: Arg) -> Arg:
        """The ``ModuleIdx`` of an imported constant's name."""
        get = Closure("l_Option_get_x21___redArg___boxed", 2, (0,))
        return self.compose_fn(get, self.module_index_fn(env))

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
        """``Lean.Name.isInternalDetail`` of what follows the prefix of a private name."""
        return self.compose_fn(Closure("l_Lean_Name_isInternalDetail___boxed", 1), self.user_name_fn())

    def user_name_fn(self) -> Arg:
        """``Lean.privateToUserName``."""
        return Closure("l_Lean_privateToUserName", 1)

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
        # The name comes first of the three arguments left; one flip puts it behind the mode, one behind the level.
        return Closure("l_flip___redArg", 3, (Closure("l_flip___redArg", 3, (find, local)), server))

    def builtin_ranges_fn(self) -> Arg:
        """``Lean.builtinDeclRanges.find?``: the ranges of what was compiled into Lean itself."""
        ranges = Call("l_ST_Prim_Ref_get___boxed", (0, 0, Const("l_Lean_builtinDeclRanges"), _W))
        return Closure("l_Lean_NameMap_find_x3f___redArg___boxed", 2, (ranges,))

    def prefix_fn(self) -> Arg:
        """``Lean.Name.getPrefix``."""
        return Closure("l_Lean_Name_getPrefix___boxed", 1)

    def is_aux_recursor_fn(self, env: Arg) -> Arg:
        """``Lean.isAuxRecursor`` (``casesOn``, ``recOn``...)."""
        return Closure("l_Lean_isAuxRecursor___boxed", 2, (env,))

    def is_no_confusion_fn(self, env: Arg) -> Arg:
        """``Lean.isNoConfusion``."""
        return Closure("l_Lean_isNoConfusion___boxed", 2, (env,))

    def is_recursor_fn(self, env: Arg) -> Arg:
        """``Lean.isRecCore``."""
        return Closure("l_Lean_isRecCore___boxed", 2, (env,))
