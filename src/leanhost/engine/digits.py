"""Natural numbers and their decimal digits, however many: Python itself converts 4,300 at most."""

from __future__ import annotations

_PIECE = 4000
_BASE = 10**_PIECE


def digits(value: int) -> str:
    """Return the decimal digits of a natural number."""
    pieces: list[str] = []
    while value >= _BASE:
        value, rest = divmod(value, _BASE)
        pieces.append(str(rest).zfill(_PIECE))
    return "".join((str(value), *reversed(pieces)))


def natural(text: str) -> int:
    """Return the natural number with these decimal digits."""
    value = 0
    for start in range(0, len(text), _PIECE):
        piece = text[start : start + _PIECE]
        value = value * 10 ** len(piece) + int(piece)
    return value
