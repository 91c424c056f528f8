"""Which symbols a table's methods refer to, read off the expressions they build for stand-ins."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

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
    Tag,
    Unwrap,
    With,
)


class _Slots(tuple[int, ...]):
    """Stands for the six context pointers while a table is listed."""

    __slots__ = ()

    @property
    def four(self) -> tuple[int, ...]:
        return self[2:]

    @property
    def two(self) -> tuple[int, ...]:
        return self[4:]


_SIX = _Slots((0,) * 6)


def _placeholders(method: Callable[..., Arg]) -> dict[str, object]:
    parameters = inspect.signature(method).parameters.values()
    values: dict[str, object] = {}
    for parameter in parameters:
        if parameter.default is not inspect.Parameter.empty:
            continue
        listed = "Sequence" in str(parameter.annotation)
        values[parameter.name] = _SIX if parameter.name == "six" else (0,) if listed else 0
    return values


def symbols_of(method: Callable[..., Arg]) -> Iterator[str]:
    """Yield the symbols in the expression that a table's *method* builds, found without calling any of them."""
    stack: list[Arg] = [method(**_placeholders(method))]
    while stack:
        match stack.pop():
            case Call(symbol, args):
                yield symbol
                stack.extend(args)
            case Closure(symbol, _, fixed):
                yield symbol
                stack.extend(fixed)
            case Const(symbol):
                yield symbol
            case Ctor(_, fields, _):
                stack.extend(fields)
            case ListOf(items) | ArrayOf(items):
                stack.extend(items)
            case Unwrap(of) | Field(of) | Index(of) | Size(of) | Tag(of):
                stack.append(of)
            case With(of, fields, _):
                stack.append(of)
                stack.extend(value for _, value in fields)
            case Give() | _:
                pass
