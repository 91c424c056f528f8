"""Lean 4.28.0-pre, measured on wasm32."""

from __future__ import annotations

from leanhost.engine.expressions import Arg, ArrayOf, Call, Unwrap
from leanhost.lean.tables.common import W
from leanhost.lean.tables.monads import MonadTable


class V4_28(MonadTable):  # noqa: N801 - the version's own spelling
    """What differs in Lean 4.28."""

    version = "4.28"
    commits = {"38f3c0c45b8df6da2652faff6dcaa15afb5a6981": "wasm32"}  # noqa: RUF012 - never changed
    HEADER_MODULE_DATA = 5
    NATIVE_AXIOM = ()  # the library has one for all: Lean.ofReduceBool
    BEYOND = (
        *MonadTable.BEYOND,
        (
            # Names of the compiler's making, and private ones; the tactic that ran the code may say more before it.
            r"(?m)^\s*Unknown constant `(?:_private\.|[^`\n]*\._(?:redArg|at_|spec|e?lam|boxed|closed|override)\b)",
            "this toolchain does not ship the parts of its library that code run at elaboration needs",
        ),
    )

    def options_insert(self, options: Arg, name: Arg, value: Arg) -> Arg:
        """``Lean.KVMap.insert``: options are still a plain map."""
        return Call("l_Lean_KVMap_insert", (options, name, value))

    def write_module(self, env: Arg, path: Arg, is_module: bool) -> Arg:
        """``Lean.writeModule``, which has no further flag yet."""
        return Unwrap(Call("l_Lean_writeModule___boxed", (env, path, W)))

    def empty_environment(self) -> Arg:
        """``Lean.importModules`` of nothing.

        The map of constants of ``Lean.mkEmptyEnvironment`` is in its first stage, where what is added lands among
        what is imported and is not seen by :meth:`new_constants`.
        """
        options = self.options_empty()
        return self.import_modules(ArrayOf(()), options, trust=0, leak=False, load_exts=True, level=2)
