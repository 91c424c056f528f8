"""Lean names as Python values: tuples of components, and their text."""

from __future__ import annotations

from typing import TypeAlias

from leanhost.engine.digits import digits, natural
from leanhost.engine.values import Data, Node
from leanhost.errors import UsageError

NameTuple: TypeAlias = tuple[str | int, ...]
"""``Nat.add_comm`` is ``("Nat", "add_comm")``; the anonymous name is ``()``; numeric parts are ``int``."""


def decode(data: Data) -> NameTuple:
    """Turn a copied ``Lean.Name`` into its components."""
    parts: list[str | int] = []
    while isinstance(data, Node):
        part = data.fields[1]
        if not isinstance(part, str | int):
            raise TypeError(f"not a Lean.Name: {data!r}")
        parts.append(part)
        data = data.fields[0]
    return tuple(reversed(parts))


def _plain(part: str) -> bool:
    """Tell whether Lean prints *part* without guillemets (``Lean.isIdFirst``, ``Lean.isIdRest``)."""
    return bool(part) and _first(part[0]) and all(_rest(c) for c in part[1:])


def _letter_like(c: str) -> bool:
    n = ord(c)
    return (
        (0x3B1 <= n <= 0x3C9 and n != 0x3BB)
        or (0x391 <= n <= 0x3A9 and n not in (0x3A0, 0x3A3))
        or 0x3CA <= n <= 0x3FB
        or 0x1F00 <= n <= 0x1FFE
        or 0x2100 <= n <= 0x214F
        or 0x1D49C <= n <= 0x1D59F
        or (0xC0 <= n <= 0xFF and n not in (0xD7, 0xF7))
        or 0x100 <= n <= 0x17F
    )


def _subscript(c: str) -> bool:
    n = ord(c)
    return 0x2080 <= n <= 0x2089 or 0x2090 <= n <= 0x209C or 0x1D62 <= n <= 0x1D6A or n == 0x2C7C


def _first(c: str) -> bool:
    return (c.isascii() and (c.isalpha() or c == "_")) or _letter_like(c)


def _rest(c: str) -> bool:
    return (c.isascii() and (c.isalnum() or c in "_'!?")) or _letter_like(c) or _subscript(c)


def show(name: NameTuple) -> str:
    """Return the text of a name, with guillemets where Lean needs them to read it back.

    Different names have different texts: a closing guillemet, which Lean cannot read inside of a name, is doubled.
    """
    if not name:
        return "[anonymous]"
    return ".".join(
        digits(p) if isinstance(p, int) else p if _plain(p) else f"«{p.replace('»', '»»')}»" for p in name
    )


def user_name(name: NameTuple) -> NameTuple:
    """Strip the prefix of a private name (``_private.<module>.0.x`` is ``x``; ``Lean.privateToUserName``)."""
    if name and name[0] == "_private":
        for i, part in enumerate(name):
            if isinstance(part, int):
                return name[i + 1 :]
    return name


def parse(text: str) -> NameTuple:
    """Read a name as :func:`show` and Lean write it (``A.b``, ``A.«odd name».3``); ``UsageError`` for others."""
    if text in ("", "[anonymous]"):
        return ()
    parts: list[str | int] = []
    i = 0
    while True:
        if text.startswith("«", i):
            end = text.find("»", i)
            while text.startswith("»»", end):
                end = text.find("»", end + 2)
            if end < 0:
                raise UsageError(f"not a Lean name: {text!r} (« without »)")
            parts.append(text[i + 1 : end].replace("»»", "»"))
            i = end + 1
        else:
            end = text.find(".", i)
            end = len(text) if end < 0 else end
            part = text[i:end]
            if part.isascii() and part.isdigit():
                parts.append(natural(part))
            elif not part or any(c.isspace() or c in "«»\0" for c in part):
                raise UsageError(f"not a Lean name: {text!r}")
            else:
                parts.append(part)
            i = end
        if i == len(text):
            return tuple(parts)
        if text[i] != ".":
            raise UsageError(f"not a Lean name: {text!r}")
        i += 1
