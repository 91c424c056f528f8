"""Checks of callers' arguments: what is wrong is a :class:`~leanhost.errors.UsageError` that names the argument."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from leanhost.errors import UsageError


def natural(what: str, value: object, *, least: int = 0, most: int | None = None) -> int:
    """Return *value* if it is a whole number from *least* to *most*; ``True`` and ``False`` are not."""
    good = isinstance(value, int) and not isinstance(value, bool) and value >= least
    if not good or (most is not None and value > most):  # type: ignore[operator]
        if most is not None:
            wanted = f"a whole number from {least} to {most}"
        else:
            wanted = f"a whole number of at least {least}" if least else "a natural number"
        raise UsageError(f"{what} must be {wanted}, not {_shown(value)}")
    return value  # type: ignore[return-value]


def seconds(what: str, value: object, *, below: float = 1e7) -> float:
    """Return *value* if it is a positive number of seconds, less than *below*."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < below:
        raise UsageError(f"{what} must be a positive number of seconds, not {_shown(value)}")
    return value


def text(what: str, value: object) -> str:
    """Return *value* if it is text; *what* has its article (``a source``)."""
    if not isinstance(value, str):
        raise UsageError(f"{what} is a str, not {type(value).__name__}")
    return value


def texts(what: str, values: object, *, hint: str = "") -> Sequence[str]:
    """Return *values* if they are a sequence of texts; one text is not."""
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise UsageError(f"{what} must be a sequence of texts, not {_one(values)}", hint=hint)
    for value in values:
        if not isinstance(value, str):
            raise UsageError(f"{what} must be a sequence of texts; one is {type(value).__name__}", hint=hint)
    return values


def many(what: str, values: object, items: str = "names") -> None:
    """Refuse one of *items* where several are wanted: a text has items, too, its characters."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        example = str(values) if isinstance(values, str) or not isinstance(values, bytes) else values
        raise UsageError(f"{what} must be a sequence of {items}, not one; write [{_shown(example)}]")


def one_of(what: str, value: object, choices: Collection[str]) -> None:
    """Refuse what is not one of *choices*."""
    if value not in choices:
        raise UsageError(f"{what} must be one of {', '.join(choices)}, not {_shown(value)}")


def _one(value: object) -> str:
    return "one text" if isinstance(value, str) else type(value).__name__


def _shown(value: object) -> str:
    """Return *value* as a message shows it: a whole number of many digits has no text in Python."""
    try:
        return f"{value!r:.80}"
    except ValueError:
        return f"a {type(value).__name__} too long to show"
