"""What goes into an engine: small trees of expressions (:data:`Arg`), which it evaluates in one step.

An expression is plain data. Making one runs nothing, so that a version table's symbols can be listed and a step can
be taken apart before anything is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from leanhost.engine.values import Ref


@dataclass(slots=True, eq=False)
class Call:
    """Call an exported function with boxed, owned arguments."""

    symbol: str
    args: tuple[Arg, ...] = ()


@dataclass(slots=True, eq=False)
class Unwrap:
    """Take field 0 of a two-constructor result, or raise :class:`~leanhost.engine.values.Thrown` with it.

    ``ok`` is the constructor tag that means success: 0 for ``EIO``, 1 for ``Except`` and ``Option``.
    A boxed scalar (``Option.none``) counts as failure.
    """

    of: Arg
    ok: int = 0


@dataclass(slots=True, eq=False)
class Field:
    """Project a constructor's object field."""

    of: Arg
    index: int


@dataclass(slots=True, eq=False)
class Index:
    """Take an element of an ``Array`` of objects; ``EngineError`` past its end.

    In a prepared step the index may be one of its values, a small number.
    """

    of: Arg
    index: int | Slot


@dataclass(slots=True, eq=False)
class Size:
    """The number of elements of an ``Array`` of objects, as a boxed scalar."""

    of: Arg


@dataclass(slots=True, eq=False)
class Tag:
    """The constructor tag of a value, as a boxed scalar (a boxed scalar is its own tag)."""

    of: Arg


@dataclass(slots=True, eq=False)
class With:
    """A copy of a constructor object with some object fields and some scalar bytes replaced.

    ``fields`` are pairs of index and new value; ``scalars`` are pairs of byte offset (behind the fields) and bytes.
    Lean rounds an object's size up to 8 bytes: scalar bytes end there, also where fewer of them mean something.
    """

    of: Arg
    fields: tuple[tuple[int, Arg], ...] = ()
    scalars: tuple[tuple[int, bytes], ...] = ()


@dataclass(slots=True, eq=False)
class Ctor:
    """Build a constructor object; with no fields and no scalars use an ``int`` instead.

    ``scalars`` are the raw bytes behind the fields.
    """

    tag: int
    fields: tuple[Arg, ...] = ()
    scalars: bytes = b""


@dataclass(slots=True, eq=False)
class ListOf:
    """Build a ``List``."""

    items: Sequence[Arg]


@dataclass(slots=True, eq=False)
class ArrayOf:
    """Build an ``Array`` of objects."""

    items: Sequence[Arg]


@dataclass(slots=True, eq=False)
class Closure:
    """Build a closure over an exported *boxed* function of ``arity`` parameters with some already fixed."""

    symbol: str
    arity: int
    fixed: tuple[Arg, ...] = ()


@dataclass(slots=True, eq=False)
class USize:
    """A boxed ``USize`` (a constructor without fields whose scalar part is one word)."""

    value: int


@dataclass(slots=True, eq=False)
class UInt64:
    """A boxed ``UInt64`` (a constructor without fields whose scalar part is eight bytes)."""

    value: int


@dataclass(slots=True, eq=False)
class Const:
    """A closed term compiled to a global variable (``l_Lean_Options_empty``...); lent by the module."""

    symbol: str


@dataclass(slots=True, eq=False)
class Give:
    """Hand a reference over to the callee instead of lending it."""

    ref: Ref


@dataclass(slots=True, eq=False)
class Slot:
    """The place of a value that a prepared step is given when it runs; see ``Engine.prepare``."""

    number: int


Arg: TypeAlias = (
    "int | str | bytes | Ref | Call | Unwrap | Field | Index | Size | Tag | With | Ctor | ListOf | ArrayOf | Closure"
    " | USize | UInt64 | Const | Give | Slot"
)
"""``int`` is a boxed scalar, ``str`` and ``bytes`` a Lean ``String``; a ``Ref`` is lent."""

Build: TypeAlias = "Callable[..., Sequence[Arg]]"
"""Builds the expressions of a step from its values; it passes the values on and does not look at them."""
