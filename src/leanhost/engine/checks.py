"""What no expression can mean in any Lean: both engines refuse it alike, before they make the part it stands in.

An engine writes what it is given into Lean's memory as it stands, so a mistake that is let through here is a broken
heap later. The numbers are those of Lean's own ``lean.h``.
"""

from __future__ import annotations

from leanhost.engine.expressions import Closure, With
from leanhost.engine.values import MAX_CTOR_TAG
from leanhost.errors import EngineError, UsageError

MAX_CLOSURE_ARITY = 16
"""Above it Lean calls a closure's function with an array of arguments."""

MAX_FIELDS = 255
"""Object fields of a constructor; as many arguments can be passed to a function."""

_MAX_SCALARS = 1024
_MAX_SYMBOL = 0xFFFF


def check_ctor(tag: int, fields: int, scalars: int) -> None:
    """Raise :class:`~leanhost.errors.UsageError` for a constructor object that Lean could not have."""
    if (
        not 0 <= tag <= MAX_CTOR_TAG
        or fields > MAX_FIELDS
        or scalars > _MAX_SCALARS
        or not (fields or scalars)
    ):
        raise UsageError(f"no constructor has tag {tag}, {fields} fields and {scalars} scalar bytes")


def check_closure(arg: Closure) -> None:
    """Raise :class:`~leanhost.errors.UsageError` for a closure Lean could not make or call."""
    if not len(arg.fixed) < arg.arity <= MAX_CLOSURE_ARITY:
        raise UsageError(f"a closure over {arg.symbol} cannot have {len(arg.fixed)} of {arg.arity} arguments")


def check_callback(arity: int) -> None:
    """Raise :class:`~leanhost.errors.UsageError` for a number of parameters that no callback has."""
    if not 1 <= arity <= MAX_CLOSURE_ARITY:
        raise UsageError(f"a callback has 1 to {MAX_CLOSURE_ARITY} parameters, not {arity}")


def check_success(tag: int) -> None:
    """Raise :class:`~leanhost.errors.UsageError` for a tag of success that no constructor has."""
    if not 0 <= tag <= MAX_CTOR_TAG:
        raise UsageError(f"no constructor has tag {tag}, so it cannot mean success")


def check_with(arg: With) -> None:
    """Raise for replacements that no constructor has room for.

    :class:`~leanhost.errors.UsageError` for a field that is set twice, :class:`~leanhost.errors.EngineError` for a
    place that no constructor has. Whether the value at hand has it is seen when there is one.
    """
    indices = {index for index, _ in arg.fields}
    if len(indices) != len(arg.fields):
        raise UsageError("a field is set twice")
    for index in indices:
        if not 0 <= index < MAX_FIELDS:
            raise no_field(index)
    for offset, data in arg.scalars:
        if not 0 <= offset <= _MAX_SCALARS - len(data):
            raise no_scalars(offset, len(data))


def check_arguments(symbol: str, count: int) -> None:
    """Raise :class:`~leanhost.errors.UsageError` for more arguments than any function has."""
    if count > MAX_FIELDS:
        raise UsageError(f"{symbol:.80} cannot be called with {count} arguments (at most {MAX_FIELDS})")


def check_symbol(name: str) -> None:
    """Raise :class:`~leanhost.errors.UsageError` for text that cannot name a compiled function or variable."""
    if not name.isascii() or len(name) > _MAX_SYMBOL:
        raise UsageError(f"not a symbol name: {name[:80]!r}")


def no_field(index: int) -> EngineError:
    """Return the error for a field that a value does not have."""
    return EngineError(f"a Lean value has no field {index}")


def no_element(index: int) -> EngineError:
    """Return the error for an element that an array does not have."""
    return EngineError(f"a Lean array has no element {index}")


def no_scalars(offset: int, size: int) -> EngineError:
    """Return the error for scalar bytes that a value does not have."""
    return EngineError(f"a Lean value has no {size} scalar bytes at {offset}")
