"""Values as JSON and back by their types, with msgspec.

What a type does not say is refused: what comes from a worker becomes a value of the type that is expected, or a
:class:`ProtocolError`. Structs and plain values are msgspec's own. A dataclass outside of a struct travels as a
tagged struct that is derived from it, so that unions of dataclasses can be told apart, fields that are nobody else's
(with a leading underscore) stay behind, and no unknown field is accepted.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeAlias

import msgspec

from leanhost.errors import WorkerError
from leanhost.services.declarations.decode import name_of
from leanhost.services.terms.expr import Name

Convert: TypeAlias = Callable[[Any], Any] | None
"""Turns a value into another; ``None`` where it stays as it is."""


class ProtocolError(WorkerError):
    """The other end sent something that does not follow this protocol."""

    code = "leanhost.worker.protocol"


def encode(value: object, wanted: Any = None) -> bytes:
    """Encode a struct or a plain value, or a value of the type *wanted*; :class:`ProtocolError` for what is neither."""
    if wanted is not None and (out := _shape(wanted).out) is not None:
        value = out(value)
    try:
        try:
            return _ENCODER.encode(value)
        except UnicodeEncodeError:  # lone surrogates, which msgspec does not write
            return json.dumps(msgspec.to_builtins(value, enc_hook=_leave), separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"a value that cannot be sent: {error}") from None


def decode(data: bytes | bytearray | memoryview, wanted: Any) -> Any:
    """Decode a value of the type *wanted*; :class:`ProtocolError` when *data* is anything else."""
    shape = _shape(wanted)
    try:
        try:
            value = _decoder(wanted).decode(data)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            text = str(data, "utf-8")
            if "\\ud" not in text:
                raise
            # Lone surrogates, which msgspec does not read.
            value = msgspec.convert(_SURROGATES.decode(text), shape.wire, dec_hook=_enter)
        return value if shape.into is None else shape.into(value)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not a value of the expected type: {error}") from None


def warm(wanted: Any) -> None:
    """Derive now what values of the type *wanted* travel by, and not with the first one."""
    _decoder(wanted)


def texts(data: bytes) -> Iterator[str]:
    """Yield the texts in what :func:`encode` made, but for the names of fields."""
    waiting = [json.loads(data)] if data else []
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case dict() as fields:
                waiting.extend(fields.values())
            case list() as entries:
                waiting.extend(entries)


# --- dataclasses ---


class _Shape(typing.NamedTuple):
    """How values of a type travel."""

    wire: Any
    """The type that msgspec reads."""
    out: Convert = None
    """From a value to one of *wire*."""
    into: Convert = None
    """And back."""


_NAME = tuple[str | Annotated[int, msgspec.Meta(ge=0)], ...]
_PLAIN = (bool, int, float, str)


@cache
def _shape(wanted: Any) -> _Shape:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    cls = origin or wanted
    if origin in (typing.Union, types.UnionType):
        return _union(arguments)
    if origin in (tuple, list, frozenset):
        return _array(origin, arguments)
    if wanted is Name:
        return _Shape(_NAME, attrgetter("parts"), name_of)
    if dataclasses.is_dataclass(cls):
        return _dataclass(wanted, cls, arguments)
    if (
        origin is typing.Literal
        or wanted in (None, types.NoneType, *_PLAIN)
        or (isinstance(cls, type) and issubclass(cls, Enum | msgspec.Struct))
    ):
        return _Shape(wanted)
    raise ProtocolError(f"no value of type {wanted} leaves its process")


def _dataclass(wanted: Any, cls: Any, arguments: tuple[Any, ...]) -> _Shape:
    """Derive a struct from a dataclass, or from one of its generic forms (``Ok[str]``)."""
    hints = typing.get_type_hints(cls)
    inside = dict(zip(getattr(cls, "__parameters__", ()), arguments, strict=True))
    names = [f.name for f in dataclasses.fields(cls) if not f.name.startswith("_")]
    shapes = [_shape(inside.get(hints[name], hints[name])) for name in names]
    fields = [(name, shape.wire) for name, shape in zip(names, shapes, strict=True)]
    struct = msgspec.defstruct(
        cls.__name__, fields, tag=cls.__name__, tag_field="is", forbid_unknown_fields=True
    )
    outs = [(at, shape.out) for at, shape in enumerate(shapes) if shape.out is not None]
    intos = [(at, shape.into) for at, shape in enumerate(shapes) if shape.into is not None]
    return _Shape(struct, _rebuild(struct, names, outs), _rebuild(cls, names, intos))


def _rebuild(
    target: Callable[..., Any], names: list[str], changes: list[tuple[int, Callable[[Any], Any]]]
) -> Callable[[Any], Any]:
    """Return what makes a *target* of an object with the same fields, the first of its own."""

    def rebuild(value: Any) -> Any:
        values = [getattr(value, name) for name in names]
        for at, change in changes:
            values[at] = change(values[at])
        return target(*values)

    return rebuild


def _array(origin: Any, arguments: tuple[Any, ...]) -> _Shape:
    if origin is tuple and arguments[1:] != (...,):
        shapes = [_shape(each) for each in arguments]
        outs, intos = [shape.out for shape in shapes], [shape.into for shape in shapes]
        return _Shape(
            tuple.__class_getitem__(tuple(shape.wire for shape in shapes)),
            lambda value: tuple(map(_changed, outs, value)),
            lambda value: tuple(map(_changed, intos, value)),
        )
    wire, out, into = _shape(arguments[0])
    if out is None and into is None:
        return _Shape(tuple.__class_getitem__((wire, ...)) if origin is tuple else origin[wire])
    return _Shape(
        list.__class_getitem__(wire),
        None if out is None else lambda value: list(map(out, value)),
        None if into is None else lambda value: origin(map(into, value)),
    )


def _changed(change: Convert, value: Any) -> Any:
    return value if change is None else change(value)


def _union(choices: tuple[Any, ...]) -> _Shape:
    """Tell the choices apart by class; at most one that is not a dataclass changes on its way."""
    shapes = [(each, _shape(each)) for each in choices]
    outs: dict[type[Any], Convert] = {types.NoneType: None}
    intos: dict[type[Any], Convert] = {types.NoneType: None}
    other = _Shape(None)
    for each, shape in shapes:
        cls = typing.get_origin(each) or each
        if dataclasses.is_dataclass(cls) and cls is not Name:
            outs[cls], intos[shape.wire] = shape.out, shape.into  # type: ignore[index]
        elif shape.out is not None or shape.into is not None:
            other = shape
        else:
            outs[cls] = intos[cls] = None
    wire: Any = typing.Union.__getitem__(tuple(shape.wire for _, shape in shapes))
    if all(shape.out is None and shape.into is None for _, shape in shapes):
        return _Shape(wire)
    return _Shape(
        wire,
        lambda value: _changed(outs.get(type(value), other.out), value),
        lambda value: _changed(intos.get(type(value), other.into), value),
    )


# --- what msgspec does not know ---


def _leave(value: object) -> object:
    """Encode what the pool's own structs hold; what derives from a plain type is sent as that."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    for plain in (int, float):
        if isinstance(value, plain):
            return plain(value)
    if isinstance(value, str):
        return "".join(value)
    raise TypeError(f"{type(value).__name__} does not leave its process")


def _enter(wanted: type[Any], value: Any) -> Any:
    """Decode it again; what has no type, an item's ``id``, is nothing to anybody else."""
    if wanted is object:
        return None
    if wanted is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"not a {wanted.__name__}")


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


_ENCODER = msgspec.json.Encoder(enc_hook=_leave, order="deterministic")
_SURROGATES = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)


@cache
def _decoder(wanted: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_shape(wanted).wire, dec_hook=_enter)
