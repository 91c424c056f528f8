"""What an environment holds: its constants and where they come from."""

from __future__ import annotations

from typing import ClassVar

from leanhost.engine.expressions import Arg, ArrayOf, Call, Const, Field
from leanhost.lean.tables.structures import Structure


class EnvironmentTable:
    """The part of a version table that reads environments and their constants."""

    DECLARATION_RANGES: ClassVar[Structure] = Structure(("range", "selectionRange"))
    """``Lean.DeclarationRanges``."""
    DECLARATION_RANGE: ClassVar[Structure] = Structure(("pos", "charUtf16", "endPos", "endCharUtf16"))
    """``Lean.DeclarationRange``."""
    POSITION: ClassVar[Structure] = Structure(("line", "column"))
    """``Lean.Position``."""

    def kernel_env(self, env: Arg) -> Arg:
        """``Lean.Environment.toKernelEnv``."""
        return Call("lean_elab_environment_to_kernel_env", (env,))

    def with_constant(self, env: Arg, info: Arg) -> Arg:
        """An ``Environment`` with one ``ConstantInfo`` more, unchecked, and nothing else (``lake_environment_add``)."""
        return Call("lake_environment_add", (env, info))

    def new_constants(self, env: Arg) -> Arg:
        """Constants added since the import: ``Array (Name × ConstantInfo)`` from ``map₂`` of the ``ConstMap``."""
        map2 = Field(Field(self.kernel_env(env), 0), 1)
        return Call("l_Lean_PersistentHashMap_toArray___redArg", (map2,))

    def imported_constants(self, kernel_env: Arg) -> Arg:
        """``map₁`` of a kernel environment's ``ConstMap``: what was imported; nothing legitimate changes it."""
        return Field(Field(kernel_env, 0), 0)

    def find(self, env: Arg, name: Arg) -> Arg:
        """``Lean.Environment.find?``: ``Option ConstantInfo``."""
        return Call("l_Lean_Environment_find_x3f___boxed", (env, name, 0))

    def declaration_ranges(self, env: Arg, name: Arg) -> Arg:
        """``declRangeExt.find?`` in this environment's own declarations: ``Option DeclarationRanges``."""
        local, exported = 1, 0
        arguments = (Const("l_Lean_instInhabitedDeclarationRanges"), Const("l_Lean_declRangeExt"), env, name)
        return Call("l_Lean_MapDeclarationExtension_find_x3f___redArg___boxed", (*arguments, local, exported))

    def module_of(self, env: Arg, name: Arg) -> Arg:
        """``Lean.Environment.getModuleIdxFor?``: ``Option ModuleIdx``."""
        return Call("l_Lean_Environment_getModuleIdxFor_x3f___boxed", (env, name))

    def original_kind(self, env: Arg, name: Arg) -> Arg:
        """``Lean.getOriginalConstKind?``: ``Option ConstantKind``, true even where the body was not shipped."""
        return Call("l_Lean_getOriginalConstKind_x3f", (env, name))

    def used_constants(self, expr: Arg) -> Arg:
        """``Lean.Expr.getUsedConstants``: ``Array Name``."""
        return Call("l_Lean_Expr_getUsedConstants", (expr,))

    def is_unsafe(self, info: Arg) -> Arg:
        """``Lean.ConstantInfo.isUnsafe``: a boxed ``Bool``."""
        return Call("l_Lean_ConstantInfo_isUnsafe___boxed", (info,))

    def is_partial(self, info: Arg) -> Arg:
        """``Lean.ConstantInfo.isPartial``: a boxed ``Bool``."""
        return Call("l_Lean_ConstantInfo_isPartial___boxed", (info,))

    def compiled(self, env: Arg, name: Arg) -> Arg:
        """``Lean.IR.findEnvDecl'`` with no declarations of its own: the code of a definition, an ``Option Decl``."""
        return Call("l_Lean_IR_findEnvDecl_x27___boxed", (env, name, ArrayOf(())))

    def is_extern(self, env: Arg, name: Arg) -> Arg:
        """``Lean.isExtern``: a boxed ``Bool``."""
        return Call("l_Lean_isExtern___boxed", (env, name))
