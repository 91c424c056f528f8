"""What comes out of Lean: owned handles, and bounded copies."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from leanhost.errors import ClosedError, EngineError


class Memory(Protocol):
    """What a :class:`Ref` needs of its engine, to be counted and to be released."""

    live: int
    released: deque[int]


TAG_PROMISE = 244
TAG_CLOSURE = 245
TAG_ARRAY = 246
TAG_STRUCT_ARRAY = 247
TAG_SCALAR_ARRAY = 248
TAG_STRING = 249
TAG_MPZ = 250
TAG_THUNK = 251
TAG_TASK = 252
TAG_REF = 253
MAX_CTOR_TAG = 243


class Ref:
    """An owned reference to a Lean object (or a boxed scalar): closed once, explicitly or by the collector."""

    __slots__ = ("__weakref__", "engine", "word")

    def __init__(self, engine: Memory, word: int) -> None:
        self.engine: Memory = engine
        self.word = word
        engine.live += 1

    def ptr(self) -> int:
        """Return the object word; :class:`ClosedError` if this reference was closed or given away."""
        if not self.word:
            raise ClosedError("this Lean handle was already closed or given away")
        return self.word

    @property
    def closed(self) -> bool:
        """Whether this reference was closed or given away."""
        return not self.word

    @property
    def is_scalar(self) -> bool:
        """Whether this is a boxed scalar: a small number, or a constructor without fields such as ``[]``."""
        return bool(self.ptr() & 1)

    @property
    def is_none(self) -> bool:
        """Whether this ``Option`` is ``none``."""
        return self.is_scalar

    def unbox(self) -> int:
        """Return the number in a boxed scalar; :class:`~leanhost.errors.EngineError` for an object."""
        word = self.ptr()
        if not word & 1:
            raise EngineError("this Lean value is an object, not a boxed scalar")
        return word >> 1

    def take(self) -> int:
        """Return the object word and stop owning it."""
        word = self.ptr()
        self.word = 0
        self.engine.live -= 1
        return word

    def close(self) -> None:
        """Release the reference; closing twice is fine."""
        word = self.word
        if word:
            self.word = 0
            engine = self.engine
            engine.live -= 1
            if not word & 1:
                engine.released.append(word)

    __del__ = close

    def __enter__(self) -> Ref:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Ref {self.word:#x}>" if self.word else "<Ref closed>"


@dataclass(frozen=True, slots=True)
class Node:
    """A copied constructor object: its tag, its object fields, and the raw scalar bytes behind them."""

    tag: int
    fields: tuple[Data, ...]
    scalars: bytes = b""


@dataclass(frozen=True, slots=True)
class Opaque:
    """An object that is not copied: closure, thunk, task, reference cell, bignum, external."""

    tag: int


Data: TypeAlias = "int | str | bytes | list[Data] | Node | Opaque"
"""A boxed scalar, a string, a scalar array, an object array, a constructor, or something opaque."""


class Thrown(Exception):
    """A Lean function returned its error constructor; ``error`` owns the error object."""

    def __init__(self, error: Ref) -> None:
        super().__init__("a Lean function threw")
        self.error = error
