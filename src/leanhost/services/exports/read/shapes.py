"""The objects of declarations: their keys and what stands under each."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from leanhost.lean.tables.declarations import QUOT_KINDS, SAFETIES

Shape: TypeAlias = dict[str, Any]
"""Keys and kinds: a word for a kind of value, a tuple of the words allowed, or the shape of an array's elements."""

_HEAD: Shape = {"name": "name", "levelParams": "names", "type": "expr"}

_TYPE: Shape = _HEAD | {
    "numParams": "nat",
    "numIndices": "nat",
    "all": "names",
    "ctors": "names",
    "numNested": "nat",
    "isRec": "bool",
    "isUnsafe": "bool",
    "isReflexive": "bool",
}
_CONSTRUCTOR: Shape = _HEAD | {
    "induct": "name",
    "cidx": "nat",
    "numParams": "nat",
    "numFields": "nat",
    "isUnsafe": "bool",
}
_RECURSOR: Shape = _HEAD | {
    "all": "names",
    "numParams": "nat",
    "numIndices": "nat",
    "numMotives": "nat",
    "numMinors": "nat",
    "rules": {"ctor": "name", "nfields": "nat", "rhs": "expr"},
    "k": "bool",
    "isUnsafe": "bool",
}

DECLARATIONS: Final[dict[str, Shape]] = {
    "axiom": _HEAD | {"isUnsafe": "bool"},
    "def": _HEAD | {"value": "expr", "hints": "hints", "safety": SAFETIES, "all": "names"},
    "opaque": _HEAD | {"value": "expr", "isUnsafe": "bool", "all": "names"},
    "thm": _HEAD | {"value": "expr", "all": "names"},
    "quot": _HEAD | {"kind": QUOT_KINDS},
    "inductive": {"types": _TYPE, "ctors": _CONSTRUCTOR, "recs": _RECURSOR},
}
