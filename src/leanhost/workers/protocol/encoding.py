"""Results as JSON and back by their types: what comes from a worker becomes a value of the type that is expected, or
nothing at all."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any

from leanhost.services.terms.expr import Name
from leanhost.workers.protocol.framing import ProtocolError

_KIND = "is"
"""Says which class an object is of, where several are possible."""

_FIELDS: dict[type[Any], dict[str, Any]] = {}


def out(value: object) -> Any:
    """Encode frozen dataclasses, enumerations, tuples, sets and plain values. Private fields stay behind."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Name):
        return list(value.parts)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [out(entry) for entry in value]
    if isinstance(value, frozenset):
        return [out(entry) for entry in sorted(value)]
    if isinstance(value, Mapping):
        return {str(key): out(entry) for key, entry in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            _KIND: type(value).__name__,
            **{name: out(getattr(value, name)) for name in fields(type(value))},
        }
    raise TypeError(f"{type(value).__name__} does not leave its process")


def into(wanted: Any, message: object) -> Any:
    """Decode a value of type *wanted*; :class:`ProtocolError` when *message* is none."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        return _one_of(arguments, message)
    if origin is typing.Literal:
        return _known(message, message in arguments and isinstance(message, str))
    if origin in (tuple, list, frozenset):
        _known(message, isinstance(message, list))
        assert isinstance(message, list)
        if origin is not tuple or arguments[1:] == (...,):
            return origin(into(arguments[0], entry) for entry in message)
        _known(message, len(message) == len(arguments))
        return tuple(into(each, entry) for each, entry in zip(arguments, message, strict=True))
    if wanted is types.NoneType:
        return _known(message, message is None)
    if wanted is Name:
        return _name(message)
    if dataclasses.is_dataclass(origin or wanted):
        return _object(wanted, message)
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        _known(message, type(message) in (str, int))
        try:
            return wanted(message)
        except ValueError:
            return _known(message, False)
    if wanted is float:
        return _number(message)
    return _known(message, type(message) is wanted and wanted in (bool, int, str))


def fields(cls: type[Any]) -> dict[str, Any]:
    """Return the public fields of a dataclass with their types."""
    if cls not in _FIELDS:
        hints = typing.get_type_hints(cls)
        _FIELDS[cls] = {f.name: hints[f.name] for f in dataclasses.fields(cls) if not f.name.startswith("_")}
    return _FIELDS[cls]


def _object(wanted: Any, message: object) -> Any:
    """Decode a dataclass, or one of its generic forms (``Ok[str]``)."""
    cls = typing.get_origin(wanted) or wanted
    inside = dict(zip(getattr(cls, "__parameters__", ()), typing.get_args(wanted), strict=True))
    expected = fields(cls)
    _known(message, isinstance(message, dict) and message.keys() == {_KIND, *expected})
    assert isinstance(message, dict)
    _known(message, message[_KIND] == cls.__name__)
    return cls(**{name: into(inside.get(each, each), message[name]) for name, each in expected.items()})


def _number(message: object) -> float:
    """Decode a number. Python reads ``NaN`` and ``Infinity`` in JSON, and whole numbers that no float can hold."""
    _known(message, isinstance(message, int | float) and not isinstance(message, bool))
    assert isinstance(message, int | float)
    return float(_known(message, abs(message) <= sys.float_info.max))


def _name(message: object) -> Name:
    """Decode a name: an array of its components."""
    parts = into(tuple[str | int, ...], message)
    _known(message, not any(isinstance(part, int) and part < 0 for part in parts))
    return Name(parts)


def _one_of(choices: tuple[Any, ...], message: object) -> Any:
    if isinstance(message, dict):
        named = [each for each in choices if _called(each) == message.get(_KIND)]
        _known(message, len(named) == 1)
        return _object(named[0], message)
    for each in choices:
        try:
            return into(each, message)
        except ProtocolError:
            continue
    return _known(message, False)


def _called(choice: Any) -> str | None:
    return getattr(typing.get_origin(choice) or choice, "__name__", None)


def _known(message: Any, right: bool) -> Any:
    if not right:
        raise ProtocolError(f"no such value is expected: {type(message).__name__}")
    return message
