"""Lean 4.35, measured on x86-64 Linux."""

from __future__ import annotations

from leanhost.engine.expressions import Arg, ArrayOf, Call, Unwrap
from leanhost.lean.tables.common import NIL, W
from leanhost.lean.tables.monads import MonadTable


class V4_35(MonadTable):  # noqa: N801 - the version's own spelling
    """What differs in Lean 4.35."""

    version = "4.35"
    commits = {"eb6cafb7290e8bd5f2937522d8d804f58f02bafc": "x86_64-linux"}  # noqa: RUF012 - never changed

    def elab_command(self, syntax: Arg, context: Arg, state_ref: Arg) -> Arg:
        """``Lean.Elab.Command.elabCommandTopLevel``, which takes the linters to skip."""
        arguments = (syntax, ArrayOf(()), context, state_ref, W)
        return Unwrap(Call("l_Lean_Elab_Command_elabCommandTopLevel___boxed", arguments))

    def docstring(self, env: Arg, name: Arg) -> Arg:
        """``Lean.findDocString?``, which takes what Verso text is rendered with: options, namespace, ``open``s."""
        include_builtin, no_namespace = 1, 0
        arguments = (env, name, include_builtin, self.options_empty(), no_namespace, NIL, W)
        return Unwrap(Call("l_Lean_findDocString_x3f___boxed", arguments))
