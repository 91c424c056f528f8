"""The limits and options of a piece of work."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from leanhost.errors import UsageError
from leanhost.lean.core import OptionValue
from leanhost.services.values.validate import many, natural, seconds

DEFAULT_AXIOMS = frozenset({"propext", "Classical.choice", "Quot.sound"})
"""The axioms a theorem may depend on unless more are allowed by name."""

NATIVE_DECIDE = "native_decide"
"""Stands for the axioms of the tactic of that name among allowed axioms, whatever this Lean calls them."""

_COMPILED = frozenset({"Lean.ofReduceBool", "Lean.ofReduceNat"})
"""Whoever allows one of these has allowed the kernel to run compiled code."""
_TRUST_COMPILER = "Lean.trustCompiler"

_TYPED = re.compile(r"((?:«[^»]*»|[^\s«»:{}])+?)(?:\.\{([^{}]*)\})?\s*:\s*(\S.*)", re.DOTALL).fullmatch
"""``name : type`` or ``name.{u, v} : type``."""

_RESERVED = {
    "Elab.async": "elaboration runs in the calling thread, so that its messages and limits are all seen",
    "maxHeartbeats": "the limit has an argument of its own",
    "maxRecDepth": "set max_rec_depth",
}


MOST_SECONDS = 9_999_999.0
"""The longest time a call can be given."""


def many_times(seconds: float, count: int) -> float:
    """Return the time for *count* items at *seconds* each, at least for one."""
    return min(seconds * max(1, count), MOST_SECONDS)


def check_lean_options(values: Mapping[str, OptionValue], allowed: Container[str] = ()) -> None:
    """Refuse values Lean has no option type for, and options that have an argument of their own, except *allowed*."""
    for name, value in values.items():
        if name in _RESERVED and name not in allowed:
            raise UsageError(f"option {name} cannot be among the Lean options: {_RESERVED[name]}")
        if not isinstance(value, bool | int | str):
            raise UsageError(f"option {name} takes a bool, a natural number or text, not {value!r:.80}")


@dataclass(frozen=True, slots=True)
class TypedAxiom:
    """An axiom that is allowed if it has this type, with these universe parameters in order."""

    name: str
    universes: tuple[str, ...]
    type: str

    @classmethod
    def read(cls, entry: str) -> TypedAxiom | None:
        """Read ``name : type`` or ``name.{u, v} : type``; ``None`` for a name alone."""
        found = _TYPED(entry.strip())
        if found is None:
            return None
        name, universes, type_ = found.groups()
        return cls(name, tuple(re.findall(r"[^\s,]+", universes or "")), type_)

    def __str__(self) -> str:
        universes = f".{{{', '.join(self.universes)}}}" if self.universes else ""
        return f"{self.name}{universes} : {self.type}"


@dataclass(frozen=True, slots=True)
class AllowedAxioms:
    """Which axioms may be rested on: the standard three where the *library* declares them, and what a caller allows.

    Attributes:
        named: axioms by name, whatever they say.
        typed: axioms by name and type.
        native: whether the axioms of ``native_decide`` are allowed: the library's, and those it adds itself, if the
            kernel evaluates what they say.
    """

    named: frozenset[str] = frozenset()
    typed: tuple[TypedAxiom, ...] = ()
    native: bool = False

    @classmethod
    def of(cls, entries: Iterable[str]) -> AllowedAxioms:
        """Take what a caller allows: names, ``name : type``, ``native_decide``; one string is a :class:`UsageError`."""
        many("allow_axioms", entries)
        every = list(dict.fromkeys(entries))
        typed = {entry: found for entry in every if (found := TypedAxiom.read(entry)) is not None}
        named = frozenset(every) - typed.keys() - {NATIVE_DECIDE}
        return cls(named, tuple(typed.values()), NATIVE_DECIDE in every)

    @property
    def entries(self) -> list[str]:
        """What :meth:`of` makes this from, sorted."""
        return sorted({*self.named, *map(str, self.typed), *([NATIVE_DECIDE] if self.native else [])})

    def also(self, named: Iterable[str]) -> AllowedAxioms:
        """Return these and the axioms *named*."""
        return replace(self, named=self.named | frozenset(named))

    @property
    def library(self) -> frozenset[str]:
        """The axioms that may be used where the library declares them."""
        trusted = self.named | (_COMPILED if self.native else frozenset())
        if not _COMPILED.isdisjoint(trusted):
            trusted |= {_TRUST_COMPILER}
        return trusted | DEFAULT_AXIOMS

    def permit(self, axiom: str, *, declared: bool) -> bool:
        """Tell whether *axiom* may be used; *declared* when the source itself declares what goes by that name."""
        return axiom in self.named if declared else axiom in self.library


def _no_options() -> Mapping[str, OptionValue]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ElabOptions:
    """Limits of one call, all of them always on.

    Attributes:
        max_heartbeats: Lean's deterministic time-out for each declaration, in thousands of small allocations
            (``maxHeartbeats``); 0 turns it off, the wall clock stays.
        max_rec_depth: Lean's recursion limit (``maxRecDepth``).
        diagnostic_bytes: how many UTF-8 bytes of messages to keep for each call.
        timeout: wall clock for each call, in seconds.
        grace: how long a cancelled Lean may take to stop before its engine is given up, in seconds.
        lean: further ``set_option`` values by name.
    """

    max_heartbeats: int = 200_000
    max_rec_depth: int = 512
    diagnostic_bytes: int = 1 << 20
    timeout: float = 60.0
    grace: float = 5.0
    lean: Mapping[str, OptionValue] = field(default_factory=_no_options)

    def __post_init__(self) -> None:
        for name in ("max_heartbeats", "max_rec_depth", "diagnostic_bytes"):
            natural(name, getattr(self, name))
        for name in ("timeout", "grace"):
            seconds(name, getattr(self, name))
        check_lean_options(self.lean)
        object.__setattr__(self, "lean", MappingProxyType(dict(self.lean)))

    def lean_options(self) -> dict[str, OptionValue]:
        """Return everything Lean is told through its options."""
        return {
            "Elab.async": False,
            "maxHeartbeats": self.max_heartbeats,
            "maxRecDepth": self.max_rec_depth,
            **self.lean,
        }

    def kernel_options(self) -> dict[str, OptionValue]:
        """Return what the kernel is told when it judges: the limits, and nothing that could weaken it."""
        return {"maxHeartbeats": self.max_heartbeats, "maxRecDepth": self.max_rec_depth}
