"""What Lean's kernel takes from the environment by name, although no term has to mention it.

Everything else the kernel looks at follows from constants that a term mentions: the type and value of each, the
constructors of an inductive type (structure eta, projections, ``K``), the rules of a recursor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, TypeAlias

from leanhost.lean.names import NameTuple

LiteralKind: TypeAlias = Literal["nat", "string"]
"""The kinds of ``Lean.Literal``."""

LITERAL_KINDS: Final[tuple[LiteralKind, ...]] = ("nat", "string")

_NAT: Final[frozenset[NameTuple]] = frozenset({("Nat",), ("Nat", "zero"), ("Nat", "succ")})
_STRING: Final[frozenset[NameTuple]] = frozenset(
    {
        ("String",),
        ("String", "ofList"),
        ("List",),
        ("List", "nil"),
        ("List", "cons"),
        ("Char",),
        ("Char", "ofNat"),
    }
)
_TRUTH: Final[frozenset[NameTuple]] = frozenset({("Bool", "true"), ("Bool", "false")})
_EQ: Final[frozenset[NameTuple]] = frozenset({("Eq",)})


class KernelTable:
    """The part of a version table that knows the kernel's names."""

    LITERAL_NEEDS: ClassVar[Mapping[LiteralKind, frozenset[NameTuple]]] = {
        "nat": _NAT,
        "string": _STRING | _NAT,
    }
    """What the kernel types a literal by and unfolds it to; a string literal is spelled with number literals."""

    EVALUATES_TO: ClassVar[Mapping[NameTuple, frozenset[NameTuple]]] = {
        ("Nat", "beq"): _TRUTH,
        ("Nat", "ble"): _TRUTH,
        **dict.fromkeys((("Quot",), ("Quot", "mk"), ("Quot", "lift"), ("Quot", "ind")), _EQ),
    }
    """What the kernel puts in the place of a constant's applications, or needs to have the constant at all.

    The other functions on numbers that it computes yield numbers, whose type is in their own.
    """

    NATIVE_AXIOM: ClassVar[NameTuple] = ("_native", "native_decide")
    """What follows a declaration's name in those of the axioms that ``native_decide`` adds to it.

    ``Lean.Meta.nativeEqTrue`` has ``e = true`` as such an axiom, for a closed ``e`` of type ``Bool`` that it ran.
    """
