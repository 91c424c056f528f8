"""How expressions and copied values travel: the bytes inside a frame.

A frame is a little-endian ``u32`` length of what follows, a ``u32`` request id, a byte (operation or
status), and a payload. ``host.js`` and ``heap.js`` are the other end.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from leanhost.engine.base import Engine
from leanhost.engine.checks import (
    MAX_FIELDS,
    check_arguments,
    check_closure,
    check_ctor,
    check_success,
    check_symbol,
    check_with,
    no_element,
    no_field,
)
from leanhost.engine.digits import digits
from leanhost.engine.expressions import (
    Arg,
    ArrayOf,
    Call,
    Closure,
    Const,
    Ctor,
    Field,
    Give,
    Index,
    ListOf,
    Size,
    Slot,
    Tag,
    UInt64,
    Unwrap,
    USize,
    With,
)
from leanhost.engine.values import Data, Node, Opaque, Ref
from leanhost.errors import ClosedError, UsageError

U16 = struct.Struct("<H")
U32 = struct.Struct("<I")
_OP_U32 = struct.Struct("<BI")
_OP_U32_U8 = struct.Struct("<BIB")
_CLOSURE = struct.Struct("<BIBB")
_CTOR = struct.Struct("<BBBI")

EVAL, EVAL_DATA, MISSING, MAKE_CALLBACK, RETURN, USAGE, MOUNT = range(1, 8)
KEEP, RESET, DESCRIBE, READ, SETTLE = range(8, 13)
OK, THROWN, CALLBACK, TOO_LARGE, REFUSED, CRASHED = range(6)

_MAX_BOXED = (1 << 31) - 1
_MAX_INDEX = (1 << 32) - 1


class Symbols:
    """Numbers for symbol names, so that a name crosses the pipe once."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}


class Encoder:
    """Encodes the expressions of one request; nothing is given away until :meth:`commit`."""

    def __init__(self, engine: Engine, symbols: Symbols) -> None:
        self.engine = engine
        self.symbols = symbols
        self.body = bytearray()
        self.fresh: dict[str, int] = {}
        self.gives: list[Ref] = []

    def commit(self, released: Sequence[int]) -> bytes:
        """Give away what is to be given, and return the whole encoded request body."""
        words = [ref.take() for ref in self.gives]
        self.symbols.numbers.update(self.fresh)
        parts = [struct.pack(f"<I{len(released)}IH", len(released), *released, len(self.fresh))]
        for name in self.fresh:
            encoded = name.encode("latin1")
            parts += (U16.pack(len(encoded)), encoded)
        parts += (struct.pack(f"<I{len(words)}I", len(words), *words), bytes(self.body))
        return b"".join(parts)

    def size(self) -> int:
        """Return about how many bytes :meth:`commit` will produce (releases not counted)."""
        return len(self.body) + 4 * len(self.gives) + sum(map(len, self.fresh)) + 16

    def _symbol(self, name: str) -> int:
        number = self.symbols.numbers.get(name)
        if number is None:
            number = self.fresh.get(name)
        if number is None:
            check_symbol(name)
            number = len(self.symbols.numbers) + len(self.fresh)
            self.fresh[name] = number
        return number

    def _own(self, ref: Ref) -> int:
        word = self.engine.own(ref)
        if self.gives and any(ref is given for given in self.gives):
            raise ClosedError("this Lean handle is given away earlier in the same expression")
        return word

    def _text(self, op: int, text: bytes) -> None:
        self.body += _OP_U32.pack(op, len(text))
        self.body += text

    def _scalars(self, value: int, size: int) -> None:
        self.body += _CTOR.pack(7, 0, 0, size)
        try:
            self.body += value.to_bytes(size, "little")
        except OverflowError as error:
            raise UsageError(f"{value} does not fit {8 * size} unsigned bits") from error

    def _natural(self, value: int) -> None:
        if 0 <= value <= _MAX_BOXED:
            self.body += _OP_U32.pack(0, value << 1 | 1)
        elif value < 0:
            raise UsageError(f"a boxed scalar cannot be negative: {value}")
        else:
            self._text(12, digits(value).encode())

    def _with(self, arg: With) -> None:
        check_with(arg)
        self.body += bytes((16, len(arg.fields), *(index for index, _ in arg.fields)))
        self.body += U32.pack(len(arg.scalars))
        for offset, data in arg.scalars:
            self.body += struct.pack("<II", offset, len(data)) + data
        self.add(arg.of)
        for _, value in arg.fields:
            self.add(value)

    def add(self, arg: Arg) -> None:
        """Append one expression."""
        match arg:
            case Ref():
                self.body += _OP_U32.pack(1, self._own(arg))
            case int():
                self._natural(arg)
            case Call(symbol, args):
                if len(args) > MAX_FIELDS:
                    check_arguments(symbol, len(args))
                self.body += _OP_U32_U8.pack(4, self._symbol(symbol), len(args))
                for item in args:
                    self.add(item)
            case str():
                try:
                    self._text(3, arg.encode())
                except UnicodeEncodeError as error:
                    raise UsageError("text with unpaired surrogates is no Lean string") from error
            case Unwrap(of, ok):
                check_success(ok)
                self.body += bytes((5, ok))
                self.add(of)
            case Const(symbol):
                self.body += _OP_U32.pack(11, self._symbol(symbol))
            case Give(ref):
                self.body += _OP_U32.pack(2, self._own(ref))
                self.gives.append(ref)
            case Ctor(tag, fields, scalars):
                check_ctor(tag, len(fields), len(scalars))
                self.body += _CTOR.pack(7, tag, len(fields), len(scalars))
                self.body += scalars
                for item in fields:
                    self.add(item)
            case Field(of, index):
                if not 0 <= index < MAX_FIELDS:
                    raise no_field(index)
                self.body += _OP_U32.pack(6, index)
                self.add(of)
            case ListOf(items):
                self.body += _OP_U32.pack(8, len(items))
                for item in items:
                    self.add(item)
            case ArrayOf(items):
                self.body += _OP_U32.pack(9, len(items))
                for item in items:
                    self.add(item)
            case Closure(symbol, arity, fixed):
                check_closure(arg)
                self.body += _CLOSURE.pack(10, self._symbol(symbol), arity, len(fixed))
                for item in fixed:
                    self.add(item)
            case USize(value):
                self._scalars(value, 4)
            case UInt64(value):
                self._scalars(value, 8)
            case bytes():
                self._text(3, arg)
            case Index(of, index):
                if isinstance(index, Slot):
                    raise UsageError("a slot has a value only inside a prepared step")
                if not 0 <= index <= _MAX_INDEX:
                    raise no_element(index)
                self.body += _OP_U32.pack(13, index)
                self.add(of)
            case Size(of):
                self.body.append(14)
                self.add(of)
            case Tag(of):
                self.body.append(15)
                self.add(of)
            case With():
                self._with(arg)
            case _:
                raise UsageError(f"not an engine argument: {arg!r}")


def words(payload: bytes) -> tuple[int, ...]:
    """Read a payload that is a sequence of object words."""
    return struct.unpack(f"<{len(payload) // 4}I", payload)


def decode(payload: bytes) -> Data:
    """Read a copied value. Parents follow their children, so this needs no recursion."""
    at = 0
    end = len(payload)
    stack: list[Data] = []
    numbered: list[Data] = []
    value: Data
    while at < end:
        kind = payload[at]
        at += 1
        if kind == 5:
            tag, count, size = payload[at], payload[at + 1], U32.unpack_from(payload, at + 2)[0]
            at += 6
            fields = tuple(stack[len(stack) - count :])
            del stack[len(stack) - count :]
            value = Node(tag, fields, payload[at : at + size])
            at += size
        elif kind == 6:
            value = Opaque(payload[at])
            at += 1
        else:
            number: int = U32.unpack_from(payload, at)[0]
            at += 4
            if kind == 0:
                stack.append(number)
                continue
            if kind == 1:
                stack.append(numbered[number])
                continue
            if kind == 4:
                items = stack[len(stack) - number :]
                del stack[len(stack) - number :]
                value = items
            else:
                raw = payload[at : at + number]
                at += number
                if kind >= 7:
                    size = int.from_bytes(raw, "little")
                    value = -size if kind == 8 else size
                else:
                    value = raw.decode("utf-8", "replace") if kind == 2 else raw
        stack.append(value)
        numbered.append(value)
    (root,) = stack
    return root
