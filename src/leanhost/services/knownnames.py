"""Sources that declare what the kernel knows by name: ``prelude`` developments, and whoever would fool it.

Lean's kernel computes ``Nat.add`` and its like by GMP, types literals by the names ``Nat`` and ``String``, and
takes the quotient package by its names, whoever declared them. On a full ``Init`` nobody can declare them
again; where the imports lack one, a source may only declare what the kernel takes it for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from leanhost.engine.base import Ref, Thrown
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple
from leanhost.services.exports.form import QUOT_NAMES
from leanhost.services.exports.primitives import COMPUTED, NAT_FAMILY, Primitives

Fault: TypeAlias = "tuple[NameTuple, str]"
"""A constant, and why it cannot stand."""

Used: TypeAlias = "Mapping[NameTuple, frozenset[NameTuple]]"
"""What the kernel looks up for each constant; see :func:`~leanhost.lean.constants.kernel_constants`."""

_SAFE = 1


class KnownNames:
    """Watches over a replay of *added* on *kernel_env*; used where some of them have names the kernel knows."""

    def __init__(
        self, lean: Lean, options: Ref, token: Ref, kernel_env: Ref, added: Sequence[Constant]
    ) -> None:
        self._lean = lean
        self._options = options
        self._token = token
        self._added = {constant.name: constant for constant in added}
        self._primitives = Primitives(lean, options, token)
        self._primitives.check_nat(kernel_env)
        there = sorted(COMPUTED - self._added.keys())
        finds = lean.engine.eval_all([lean.table.kernel_find(kernel_env, lean.name(name)) for name in there])
        for name, option in zip(there, finds, strict=True):
            if not option.ptr() & 1:
                self._primitives.called[name] = name

    @property
    def fault(self) -> Fault | None:
        """What is wrong before anything is declared: a quotient package that is not whole."""
        quotients = [self._added[name] for name in QUOT_NAMES if name in self._added]
        others = [c for c in self._added.values() if c.kind == "quot" and c.name not in QUOT_NAMES]
        if others or (quotients and [c.kind for c in quotients] != ["quot"] * len(QUOT_NAMES)):
            # The kernel would put its own in their place later on.
            return (others or quotients)[0].name, "it is not the quotient package's"
        return None

    def before(self, constant: Constant, kernel_env: Ref) -> Fault | None:
        """Look at a declaration that is about to be added to *kernel_env*."""
        name, lean = constant.name, self._lean
        if name not in COMPUTED:
            return None
        text = (
            "the kernel computes the function of this name itself, and this is not seen to be that function"
        )
        if constant.kind != "definition":
            return name, text
        table, primitives = lean.table, self._primitives
        primitives.check_nat(kernel_env)
        aside = lean.name(primitives.aside(name))
        header = table.constant_header(
            aside, table.constant_levels(constant.info), table.constant_type(constant.info)
        )
        value, hints = table.constant_value(constant.info), table.hints("opaque")
        declaration = table.definition_declaration(header, value, hints, 0, _SAFE)
        try:
            env = lean.engine.eval(table.add_decl(kernel_env, self._options, declaration, self._token))
        except Thrown:
            return None  # the kernel says why when it is asked to add the function itself
        with env:
            if not primitives.holds(env, name):
                return name, text
        primitives.called[name] = name
        return None

    def after(self, kernel_env: Ref) -> Fault | None:
        """Look at what came of it: numbers must be what the kernel takes them for."""
        numbers = sorted(NAT_FAMILY & self._added.keys())
        if numbers and not self._numbers(kernel_env):
            return numbers[0], "it is something else than the natural numbers, which the kernel knows by name"
        return None

    def _numbers(self, kernel_env: Ref) -> bool:
        nat = self._added.get(("Nat",))
        if nat is None or nat.kind != "inductive" or not self._added.keys() >= NAT_FAMILY:
            return False
        lean, table = self._lean, self._lean.table
        if lean.name_list(table.constant_levels(nat.info)) or lean.number(table.inductive_params(nat.info)):
            return False
        if lean.name_list(table.inductive_ctors(nat.info)) != [("Nat", "zero"), ("Nat", "succ")]:
            return False
        return self._primitives.check_nat(kernel_env)


@dataclass(slots=True)
class Spelling:
    """What is known of the strings of one import."""

    sound: bool = False
    """Whether it has all that string literals stand for, and it is what the kernel takes it for."""


def strings_fault(
    lean: Lean,
    options: Ref,
    token: Ref,
    kernel_env: Ref,
    added: Sequence[Constant],
    used: Used,
    imported: Spelling | None,
) -> Fault | None:
    """See that string literals are what the kernel takes them for, if any of *added* has some or may change them.

    Who declares them does not matter: a library may have a ``String`` of its own and no ``String.ofList``. *used*
    names everything that is not imported; what is found out about the import is kept in *imported*.
    """
    if imported is not None and imported.sound:
        return None
    spelled = lean.table.LITERAL_NEEDS["string"]
    changed = sorted(spelled & {constant.name for constant in added} - NAT_FAMILY)
    with_strings = (constant.name for constant in added if spelled <= used[constant.name])
    concerned = next(with_strings, None)
    if concerned is None and (not changed or None in lean.kernel_find(kernel_env, sorted(spelled))):
        return None  # no literal is there, or none that the kernel could unfold
    primitives = Primitives(lean, options, token)
    if primitives.check_nat(kernel_env) and primitives.check_strings(kernel_env):
        if imported is not None and spelled.isdisjoint(used):
            imported.sound = True
        return None
    return concerned or changed[0], "string literals would not be what the kernel takes them for"
