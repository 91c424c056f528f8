"""The limits and options of a piece of work."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from leanhost.errors import UsageError
from leanhost.lean.core import OptionValue

DEFAULT_AXIOMS = frozenset({"propext", "Classical.choice", "Quot.sound"})
"""The axioms a theorem may depend on unless more are allowed by name."""

_COMPILED = frozenset({"Lean.ofReduceBool", "Lean.ofReduceNat"})
"""Whoever allows one of these has allowed the kernel to run compiled code."""

_RESERVED = {
    "Elab.async": "elaboration runs in the calling thread, so that its messages and limits are all seen",
    "maxHeartbeats": "the limit has an argument of its own",
    "maxRecDepth": "set max_rec_depth",
}


def check_lean_options(values: Mapping[str, OptionValue], allowed: Container[str] = ()) -> None:
    """Refuse what is no option value, and options that have a place of their own, but those *allowed*."""
    for name, value in values.items():
        if name in _RESERVED and name not in allowed:
            raise UsageError(f"option {name} cannot be among the Lean options: {_RESERVED[name]}")
        if not isinstance(value, bool | int | str):
            raise UsageError(f"option {name} takes a bool, a natural number or text, not {value!r:.80}")


@dataclass(frozen=True, slots=True)
class AllowedAxioms:
    """Which axioms may be rested on: the standard three where the *library* declares them, and those in *named*."""

    named: frozenset[str] = frozenset()

    @classmethod
    def of(cls, named: Iterable[str]) -> AllowedAxioms:
        """Take the names a caller allows; one string is a :class:`UsageError`."""
        if isinstance(named, str):
            raise UsageError(f"allow_axioms is a set of names, not one string; write [{named!r}]")
        return cls(frozenset(named))

    def permit(self, axiom: str, *, declared: bool) -> bool:
        """Tell whether *axiom* may be used; *declared* when the source itself declares what goes by that name."""
        if axiom == "Lean.trustCompiler" and not declared and not _COMPILED.isdisjoint(self.named):
            return True
        return axiom in self.named or (axiom in DEFAULT_AXIOMS and not declared)


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
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise UsageError(f"{name} must be a natural number, not {value!r}")
        for name in ("timeout", "grace"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < 1e7:
                raise UsageError(f"{name} must be a positive number of seconds, not {value!r}")
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
