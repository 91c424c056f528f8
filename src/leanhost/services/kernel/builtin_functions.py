"""The names the kernel has opinions about, kept from a file that means something else by them.

Lean's kernel computes some functions on numbers itself (``Nat.add`` by GMP, not by its definition), types
literals by the names ``Nat`` and ``String``, and runs compiled code for ``Lean.reduceBool``. It trusts that
these names are Lean's own. A file is free to declare something else under them, and a kernel that believed it
would prove ``False``. So here: ``Nat`` has to be the natural numbers, string literals have to be what the
kernel expands them to, and a function keeps the name the kernel computes by only if its defining equations hold
by definition, or if it is the function of a trusted library, term for term. Otherwise it gets another name inside the
kernel, under which it is a definition like any other.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from leanhost.engine.expressions import Arg, ListOf
from leanhost.engine.values import Ref, Thrown
from leanhost.lean import names
from leanhost.lean.core import Lean
from leanhost.lean.names import NameTuple
from leanhost.lean.tables.common import NIL

STRING_LITERAL_NEEDS: Final[tuple[NameTuple, ...]] = (("Char", "ofNat"), ("String", "ofList"))
"""What the kernel expands a string literal with."""

QUOT_NAMES: Final[tuple[NameTuple, ...]] = (("Quot",), ("Quot", "mk"), ("Quot", "lift"), ("Quot", "ind"))
"""The constants of ``Declaration.quotDecl``, in the order of ``Lean.QuotKind``."""

RESERVED: Final = "_leanhost"
"""Below this name a replay keeps what it must not call by its own name."""

_COMPUTED = """
add sub mul div mod gcd beq ble land lor xor shiftLeft shiftRight pow log2
"""
COMPUTED: Final[frozenset[NameTuple]] = frozenset(("Nat", name) for name in _COMPUTED.split())
"""The functions the kernel computes on literals."""

NAT_FAMILY: Final[frozenset[NameTuple]] = frozenset({("Nat",), ("Nat", "zero"), ("Nat", "succ")})

_OTHERS = "Nat.pred Bool Bool.true Bool.false Char String String.mk List List.nil List.cons Eq Eq.refl"
KERNEL_NAMES: Final[frozenset[NameTuple]] = frozenset(
    (*COMPUTED, *NAT_FAMILY, *QUOT_NAMES, *STRING_LITERAL_NEEDS, *map(names.parse, _OTHERS.split()))
)
"""Names the kernel computes, types or expands literals by."""

_COMPILED = "Lean.reduceBool Lean.reduceNat Lean.ofReduceBool Lean.ofReduceNat"
COMPILED: Final[frozenset[NameTuple]] = frozenset(map(names.parse, _COMPILED.split()))
"""What makes the kernel run compiled code, and what has it in its type."""

_NAT: NameTuple = ("Nat",)
_BOOL: NameTuple = ("Bool",)
_ZERO, _TRUE, _FALSE = "zero", "true", "false"


def _s(term: Any) -> Any:
    return (("Nat", "succ"), term)


def _op(*terms: Any) -> Any:
    return ("", *terms)


# An equation: how many variables, left side, right side. A variable is its de Bruijn index (0 is the last);
# ``""`` is the function that is being looked at.
_Equation = tuple[int, Any, Any]
_PRED: Final[tuple[_Equation, ...]] = ((0, _op(_ZERO), _ZERO), (1, _op(_s(0)), 0))
_EQUATIONS: Final[dict[str, tuple[tuple[_Equation, ...], tuple[str, ...]]]] = {
    "add": (((1, _op(0, _ZERO), 0), (2, _op(1, _s(0)), _s(_op(1, 0)))), ()),
    "sub": (((1, _op(0, _ZERO), 0), (2, _op(1, _s(0)), (("Nat", "pred"), _op(1, 0)))), ()),
    "mul": (((1, _op(0, _ZERO), _ZERO), (2, _op(1, _s(0)), (("Nat", "add"), _op(1, 0), 1))), ("add",)),
    "pow": (((1, _op(0, _ZERO), _s(_ZERO)), (2, _op(1, _s(0)), (("Nat", "mul"), _op(1, 0), 1))), ("mul",)),
    "shiftLeft": (
        ((1, _op(0, _ZERO), 0), (2, _op(1, _s(0)), _op((("Nat", "mul"), _s(_s(_ZERO)), 1), 0))),
        ("mul",),
    ),
    "beq": (
        (
            (0, _op(_ZERO, _ZERO), _TRUE),
            (1, _op(_ZERO, _s(0)), _FALSE),
            (1, _op(_s(0), _ZERO), _FALSE),
            (2, _op(_s(1), _s(0)), _op(1, 0)),
        ),
        (),
    ),
    "ble": (
        (
            (0, _op(_ZERO, _ZERO), _TRUE),
            (1, _op(_ZERO, _s(0)), _TRUE),
            (1, _op(_s(0), _ZERO), _FALSE),
            (2, _op(_s(1), _s(0)), _op(1, 0)),
        ),
        (),
    ),
}
_PREDICATES: Final = ("beq", "ble")


class LibraryFunctions(Protocol):
    """A trusted library's functions, to compare those of a file with."""

    def defines(self, name: NameTuple, kernel_env: Ref, called: NameTuple) -> bool:
        """Whether *kernel_env* has under *called* what the library has under *name*, and the same below it."""


@dataclass(slots=True)
class BuiltinFunctions:
    """What is known of the special names in one replay.

    *trusted* are computed functions the caller vouches for: they keep their names unseen.
    """

    lean: Lean
    options: Ref
    token: Ref
    trusted: Collection[NameTuple] = ()
    library: LibraryFunctions | None = None
    """Where the functions are defined as the kernel computes them."""
    nat: bool = False
    """Whether ``Nat`` is declared, and is the natural numbers."""
    strings: bool = False
    """Whether string literals were found to be what the kernel takes them for."""
    called: dict[NameTuple, NameTuple] = field(default_factory=dict)
    """The name in the kernel of every computed function that is declared."""

    @staticmethod
    def aside(name: NameTuple) -> NameTuple:
        """The name that means nothing to the kernel."""
        return (RESERVED, *name)

    @staticmethod
    def has_equations(name: NameTuple) -> bool:
        """Whether the kernel can tell by equations that a definition is the function *name* stands for."""
        return str(name[-1]) in _EQUATIONS

    def holds(self, kernel_env: Ref, name: NameTuple) -> bool:
        """Whether what *kernel_env* has under :meth:`aside` is the function *name* stands for."""
        if not self.nat:
            return False
        if self._satisfies(kernel_env, name):
            return True
        return self.library is not None and self.library.defines(name, kernel_env, self.aside(name))

    def _satisfies(self, kernel_env: Ref, name: NameTuple) -> bool:
        known = _EQUATIONS.get(str(name[-1]))
        if known is None:
            return False
        equations, needs = known
        if any(self.called.get(("Nat", other)) != ("Nat", other) for other in needs):
            return False
        result = _BOOL if name[-1] in _PREDICATES else _NAT
        if name[-1] == "sub" and not self._equal(kernel_env, ("Nat", "pred"), _PRED, _NAT):
            return False
        return self._equal(kernel_env, self.aside(name), equations, result)

    def check_nat(self, kernel_env: Ref) -> bool:
        """Whether ``Nat`` in *kernel_env* is Lean's."""
        table = self.lean.table
        nat = self._const(_NAT)
        wanted: list[tuple[NameTuple, Arg]] = [
            (_NAT, table.sort(table.level_succ(table.level_zero()))),
            (("Nat", "zero"), nat),
            (("Nat", "succ"), table.forall(self.lean.name(("n",)), nat, nat)),
        ]
        flags: list[Arg] = []
        for name, type_ in wanted:
            info = self.lean.kernel_find(kernel_env, name)
            if info is None:
                return False
            flags.append(table.expr_eqv(table.constant_type(info), type_))
        self.nat = all(self.lean.flags(flags))
        return self.nat

    def check_strings(self, kernel_env: Ref) -> bool:
        """Whether the kernel's idea of a string literal type-checks in *kernel_env*."""
        if self.strings:
            return True
        if not self.nat:
            return False
        table, name = self.lean.table, self.lean.name
        char = self._const(("Char",))
        zero = ListOf([table.level_zero()])
        letter = table.app(self._const(("Char", "ofNat")), table.nat_lit(97))
        nil = table.app(table.const(name(("List", "nil")), zero), char)
        cons = table.app(table.const(name(("List", "cons")), zero), char)
        listed = table.app(table.app(cons, letter), nil)
        spelled = table.app(self._const(("String", "ofList")), listed)
        self.strings = self._same(kernel_env, self._const(("String",)), spelled, table.str_lit("a"))
        return self.strings

    # --- asking the kernel ---

    def _equal(
        self, kernel_env: Ref, function: NameTuple, equations: tuple[_Equation, ...], result: NameTuple
    ) -> bool:
        table, nat = self.lean.table, self._const(_NAT)
        for count, left, right in equations:
            sides = [self._term(side, function) for side in (left, right)]
            type_ = self._const(result)
            for _ in range(count):
                sides = [table.lam(self.lean.name(("n",)), nat, side) for side in sides]
                type_ = table.forall(self.lean.name(("n",)), nat, type_)
            if not self._same(kernel_env, type_, *sides):
                return False
        return True

    def _same(self, kernel_env: Ref, type_: Arg, left: Arg, right: Arg) -> bool:
        """Whether both sides have *type_* and are definitionally equal: a proof about one serves the other."""
        table, name = self.lean.table, self.lean.name
        about, held, moved = (name((RESERVED, "check", part)) for part in ("P", "h", "t"))
        prop = table.sort(table.level_zero())
        about_type = table.forall(name(("x",)), type_, prop)
        predicate = table.const(about, NIL)
        declarations = (
            table.axiom_declaration(table.constant_header(about, NIL, about_type), False),
            table.axiom_declaration(table.constant_header(held, NIL, table.app(predicate, left)), False),
            table.theorem_declaration(
                table.constant_header(moved, NIL, table.app(predicate, right)),
                table.const(held, NIL),
                ListOf([moved]),
            ),
        )
        env = kernel_env
        try:
            for declaration in declarations:
                env = self.lean.engine.eval(table.add_decl(env, self.options, declaration, self.token))
        except Thrown:
            return False
        return True

    def _term(self, term: Any, function: NameTuple) -> Arg:
        table = self.lean.table
        if isinstance(term, int):
            return table.bvar(term)
        if isinstance(term, str):
            return self._const(("Nat", "zero") if term == _ZERO else ("Bool", term))
        head, *arguments = term
        result = self._const(function if head == "" else head)
        for argument in arguments:
            result = table.app(result, self._term(argument, function))
        return result

    def _const(self, name: NameTuple) -> Arg:
        return self.lean.table.const(self.lean.name(name), NIL)
