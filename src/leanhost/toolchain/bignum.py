"""How a build computes with large numbers, as far as its files tell: the kernel's arithmetic rests on it."""

from __future__ import annotations

import mmap

from leanhost.toolchain.model import Toolchain

_LINKED = b"GNU MP: Cannot allocate memory"
"""GMP's own words: they are in every program it is linked into."""
_SHARED = b"libgmp.so"
"""What a program names that finds GMP on the machine."""
_SINCE_6_3 = b"mulmod_bknp1"
"""A function of GMP that came with 6.3.0."""

UNKNOWN = "not known: the library cannot be read"


def describe(toolchain: Toolchain) -> str:
    """Say in words which big-number arithmetic the toolchain's library has; reads all of it (a tenth of a second).

    GMP's version is not in a program it is linked into, but for the names of functions, where those were kept.
    """
    try:
        with (
            toolchain.library.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as image,
        ):
            linked, shared = image.find(_LINKED) >= 0, image.find(_SHARED) >= 0
            recent = image.find(_SINCE_6_3) >= 0
    except (OSError, ValueError):  # an empty file cannot be mapped
        return UNKNOWN
    if linked:
        return (
            f"GMP, linked in, {'6.3.0 or newer' if recent else 'of a version that the library does not tell'}"
        )
    return "GMP of the machine, of whatever version that is" if shared else "Lean's own, without GMP"
