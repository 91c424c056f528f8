"""Published soundness faults of Lean's kernel and of the runtime under it: which versions have them.

A row needs a source that calls the fault one of soundness: Lean's release notes, or an issue or pull request of
leanprover/lean4. Changes that their authors call hardening (#14608, #14615, #14631, #14632, #14633), and
faults that nobody is known to have turned into a proof of something false (#10475, #13602, #14582) are not listed.
CONTRIBUTING.md says how a row is added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Literal, TypeAlias

KNOWN_FAULTS_AS_OF = date(2026, 9, 24)
"""The date of the newest release notes that were read for the table: those of 4.34.1."""

Needs: TypeAlias = Literal["", "gmp", "64-bit"]
"""What a build must have for a fault to matter: numbers computed by GMP, or more than four gigabytes of memory."""

_NARROW = ("wasm32",)
"""Platforms of 32 bits; Lean is built without GMP for them."""

_VERSION = re.compile(r"v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-([0-9A-Za-z.-]+))?").fullmatch
_CANDIDATE = re.compile(r"(?:rc|m)\.?(\d{1,9})").fullmatch

Version: TypeAlias = tuple[int, int, int, int, int]
"""A version in a form that is ordered: major, minor, patch, whether it is a release, which candidate it is."""


@lru_cache(maxsize=256)
def parse_version(text: str) -> Version | None:
    """Return the version in *text* (``4.28.0-pre``, ``v4.35.0-rc2``), or ``None`` when there is none.

    Nightlies and other builds before a release come before its first candidate.
    """
    found = _VERSION(text)
    if found is None:
        return None
    major, minor, patch = map(int, found.group(1, 2, 3))
    before = found[4]
    if before is None:
        return major, minor, patch, 1, 0
    candidate = _CANDIDATE(before)
    return major, minor, patch, 0, int(candidate[1]) if candidate else 0


@dataclass(frozen=True, slots=True)
class KnownFault:
    """A way to have Lean accept what is not proved, published together with its fix."""

    numbers: tuple[int, ...]
    """Issues and pull requests of leanprover/lean4 about it; the first one names it."""
    what: str
    """What is wrong, in one line."""
    fixed: tuple[str, ...]
    """The first version of each release line without it, oldest first; later lines do not have it."""
    published: date
    exported: bool = True
    """Whether an export can carry it; otherwise it needs a metaprogram beside the kernel, or somebody's module."""
    needs: Needs = ""

    @property
    def name(self) -> str:
        """Its name: ``#14576``."""
        return f"#{self.numbers[0]}"

    @property
    def url(self) -> str:
        """Where to read about it."""
        return f"https://github.com/leanprover/lean4/issues/{self.numbers[0]}"

    def holds(self, version: str, platform: str = "") -> bool:
        """Whether a Lean of that version has it; one of an unknown version is taken to have it.

        A candidate or a nightly of a release that has the fix is taken to be without the fix.
        """
        if self.needs and platform in _NARROW:
            return False
        ours = parse_version(version)
        if ours is None:
            return True
        fixes = [fix for text in self.fixed if (fix := parse_version(text)) is not None]
        return ours < fixes[-1] and not any(ours[:2] == fix[:2] and ours >= fix for fix in fixes)

    def to_json(self) -> dict[str, Any]:
        """Return the fault as JSON-ready values."""
        return {
            "name": self.name,
            "what": self.what,
            "fixed": list(self.fixed),
            "published": self.published.isoformat(),
            "exported": self.exported,
            "url": self.url,
        }


KNOWN_FAULTS: tuple[KnownFault, ...] = (
    KnownFault(
        (1781,),
        "universe levels: `imax u v + 1` is taken for `imax u v`",
        ("4.0.0",),
        date(2022, 10, 26),
    ),
    KnownFault(
        (2125, 2127),
        "an inductive type may occur in its own indices",
        ("4.0.0",),
        date(2023, 2, 27),
    ),
    KnownFault(
        (8060,),
        "`Nat.pow` takes a constant for a number literal",
        ("4.20.0",),
        date(2025, 4, 23),
        needs="gmp",
    ),
    KnownFault(
        (8554, 8559, 8560),
        "terms and levels that are too deep lose the marks of what they contain",
        ("4.21.0",),
        date(2025, 5, 30),
        # Such a term cannot be had through an export: the reader's limits of depth are far below 2^20.
        exported=False,
    ),
    KnownFault(
        (14484, 14498),
        "the value of an `opaque` may have a free variable",
        ("4.32.1", "4.33.0"),
        date(2026, 7, 22),
        exported=False,
    ),
    KnownFault(
        (14576, 14577),
        "parameters of nested inductive types are not checked",
        ("4.32.2", "4.33.0"),
        date(2026, 7, 28),
    ),
    KnownFault(
        (14607,),
        "a nested inductive type may have free variables and metavariables",
        ("4.33.0",),
        date(2026, 8, 10),
        exported=False,
    ),
    KnownFault(
        (14609,),
        "a `partial` definition of another module counts as a safe one",
        ("4.33.0",),
        date(2026, 7, 30),
        exported=False,
    ),
    KnownFault(
        (14613,),
        "`Sort (imax 1 0)` is not taken for `Prop`: data can be projected out of a proof",
        ("4.33.0",),
        date(2026, 7, 31),
    ),
    # Lean's notes say that no export has it. Those that leanhost reads need not come from an exporter, but what they
    # mention and do not declare is refused.
    KnownFault(
        (14616,),
        "an inductive type may mention the kernel's own `_nested` types",
        ("4.33.0",),
        date(2026, 7, 31),
    ),
    KnownFault(
        (14806,),
        "what is equal by definition depends on the order in which it was asked",
        ("4.33.1", "4.34.0"),
        date(2026, 8, 17),
    ),
    KnownFault(
        (14807, 14847),
        "a type whose sort is stuck is not taken for `Prop`: data can be projected out of a proof",
        ("4.33.1", "4.34.0"),
        date(2026, 8, 18),
    ),
    KnownFault(
        (14843,),
        "a field whose type has a stuck sort is taken for data in an inductive type",
        ("4.33.1", "4.34.0"),
        date(2026, 8, 19),
    ),
    KnownFault(
        (14833,),
        "numbers are computed by a GMP before 6.3.0, which has faults",
        ("4.33.1", "4.34.0"),
        date(2026, 8, 18),
        needs="gmp",
    ),
    KnownFault(
        (14838, 14832),
        "a reference count overflows, with 18 GB of memory, and frees what is in use",
        ("4.33.1", "4.34.0"),
        date(2026, 8, 19),
        needs="64-bit",
    ),
    # That 4.35.0 has these two fixes was seen in its code, on x86-64: `lean_dec_ref_cold` and `sharecommon_quick`.
    KnownFault(
        (15241,),
        "a frozen reference count is counted down, with 18 GB of memory, and frees what is in use",
        ("4.34.1", "4.35.0"),
        date(2026, 9, 20),
        needs="64-bit",
    ),
    KnownFault(
        (15289,),
        "maximal sharing overflows a reference count, on more than 100 GB of input",
        ("4.34.1", "4.35.0"),
        date(2026, 9, 24),
        needs="64-bit",
    ),
)
"""The table, oldest fix first."""

_MARK = "known soundness faults: "


@lru_cache(maxsize=64)
def known_faults(version: str, platform: str = "") -> tuple[KnownFault, ...]:
    """Return what a Lean of that version has; of an unknown version, everything in the table."""
    return tuple(fault for fault in KNOWN_FAULTS if fault.holds(version, platform))


def uncovered(faults: Iterable[KnownFault], versions: Iterable[str]) -> tuple[KnownFault, ...]:
    """Return those of *faults* that every kernel which agreed has; *versions* are those of Lean kernels.

    A kernel that is no Lean has no version here and covers nothing: the table says nothing about it.
    """
    agreed = tuple(versions)
    return tuple(fault for fault in faults if all(fault.holds(version) for version in agreed))


def caveat(version: str, faults: Iterable[KnownFault]) -> str:
    """Return one line for a verdict that *faults* of a Lean of that version could have made wrong; ``""`` for none."""
    names = [fault.name for fault in faults]
    if not names:
        return ""
    if parse_version(version) is None:
        return f"{_MARK}the version of this Lean is not known; it may have any of {', '.join(names)}"
    return f"{_MARK}Lean {version} has {', '.join(names)}, which no other kernel covers"


def is_caveat(line: str) -> bool:
    """Whether *line* is one that :func:`caveat` has made."""
    return line.startswith(_MARK)
