"""Limits and answers of a bounded ``MetaM`` call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeAlias, TypeVar

from leanhost.lean.tables.monads import TRANSPARENCIES
from leanhost.services.values.results import Limit
from leanhost.services.values.validate import natural, one_of, seconds

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MetaOptions:
    """Limits of one ``MetaM`` call.

    How deep it may recurse is the session's: :attr:`leanhost.ElabOptions.max_rec_depth`.

    Attributes:
        max_heartbeats: in thousands of small allocations, as ``maxHeartbeats``; 0 turns the limit off.
        transparency: which definitions may be unfolded: ``all``, ``default``, ``reducible``, ``instances``.
        diagnostic_bytes: how many UTF-8 bytes of a failure's message to keep.
        timeout: wall clock in seconds.
    """

    max_heartbeats: int = 200_000
    transparency: str = "default"
    diagnostic_bytes: int = 1 << 16
    timeout: float = 30.0

    def __post_init__(self) -> None:
        one_of("transparency", self.transparency, TRANSPARENCIES)
        for name in ("max_heartbeats", "diagnostic_bytes"):
            natural(name, getattr(self, name))
        seconds("timeout", self.timeout)


@dataclass(frozen=True, slots=True)
class Ok(Generic[T]):
    """The answer."""

    value: T


@dataclass(frozen=True, slots=True)
class Failed:
    """Lean threw; ``truncated`` says that the message was cut."""

    message: str
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class TimeoutOrHeartbeat:
    """A limit was hit: ``heartbeats``, ``rec_depth``, ``timeout`` or ``cancelled``."""

    limit: Limit


@dataclass(frozen=True, slots=True)
class MetaUnsupported:
    """This toolchain cannot answer; ``message`` says what is missing."""

    message: str


MetaResponse: TypeAlias = Ok[T] | Failed | TimeoutOrHeartbeat | MetaUnsupported
"""What a bounded ``MetaM`` call returns; use ``match``."""

DEFAULT = MetaOptions()


def within(options: MetaOptions | None, timeout: float | None) -> MetaOptions | None:
    """Return *options* with *timeout* in the place of theirs, if one is given."""
    return options if timeout is None else replace(options or DEFAULT, timeout=timeout)


LIMIT_HINTS = {
    Limit.HEARTBEATS: "allow more with MetaOptions(max_heartbeats=...); 0 turns the limit off",
    Limit.REC_DEPTH: "make the session with a higher ElabOptions(max_rec_depth=...)",
}
"""What to do about a limit that a program was stopped by."""
