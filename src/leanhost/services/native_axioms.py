"""The axioms that ``native_decide`` adds: instead of trusting whoever ran the code, the kernel evaluates it again."""

from __future__ import annotations

from collections.abc import Iterable

from leanhost.engine.base import Guard, Ref, Thrown
from leanhost.engine.expressions import ListOf
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple

_ASIDE: NameTuple = ("_leanhost", "evaluated")


def is_native(lean: Lean, name: NameTuple) -> bool:
    """Whether ``native_decide`` calls its axioms like this."""
    marker, last = lean.table.NATIVE_AXIOM, name[-1] if name else ""
    if not marker or not isinstance(last, str) or not last.startswith("ax"):
        return False
    return any(name[i : i + len(marker)] == marker for i in range(1, len(name) - len(marker)))


def evaluated(
    lean: Lean, kernel_env: Ref, axioms: Iterable[Constant], options: Ref, guard: Guard
) -> frozenset[NameTuple]:
    """Return those of *axioms* that ``native_decide`` may have added and that hold by evaluation in the kernel.

    The tactic runs compiled code and adds ``e = true`` as an axiom, which anybody can do. Here no code is run: the
    kernel is asked to accept ``Eq.refl true`` as a proof of the same.
    """
    table = lean.table
    true = table.const(lean.name(("Bool", "true")), 0)
    one = ListOf([table.level_succ(table.level_zero())])
    proof = table.app(
        table.app(table.const(lean.name(("Eq", "refl")), one), table.const(lean.name(("Bool",)), 0)), true
    )
    found: set[NameTuple] = set()
    for axiom in axioms:
        if axiom.kind != "axiom" or not is_native(lean, axiom.name):
            continue
        name = lean.name(_ASIDE)
        header = table.constant_header(
            name, table.constant_levels(axiom.info), table.constant_type(axiom.info)
        )
        theorem = table.theorem_declaration(header, proof, ListOf([name]))
        try:
            lean.engine.eval_all(
                [table.set_heartbeats(0), table.add_decl(kernel_env, options, theorem, guard.token)]
            )
        except Thrown:
            continue
        found.add(axiom.name)
    return frozenset(found)
