"""What replaying a file comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from leanhost.engine.values import Ref
from leanhost.lean.names import NameTuple
from leanhost.services.values.results import Limit


@dataclass(frozen=True, slots=True)
class ReplayedTheorem:
    """A theorem of the file that the kernel checked, and the axioms it rests on (sorted, as text)."""

    name: str
    axioms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replayed:
    """The kernel accepted every declaration of the file, in an environment that held nothing else.

    Attributes:
        names: every constant the file declares, in its order, constructors and recursors included.
        theorems: those that are theorems.
        axioms: those that are axioms.
        missing_bodies: axioms that the exporter says are theorems to somebody who has their proofs.
        lines: how many lines the file has.
        bytes: the size of the file.
        set_aside: functions on numbers that the kernel would compute itself if they kept their names; they have
            others in ``kernel_env`` (:mod:`~leanhost.services.kernel.builtin_functions`).
        lean: the version of the Lean that exported, as the file says.
        kernel_env: the ``Kernel.Environment`` they are in.
        rests: the axioms that each of ``names`` rests on.
    """

    names: tuple[str, ...]
    theorems: tuple[ReplayedTheorem, ...]
    axioms: tuple[str, ...]
    missing_bodies: tuple[str, ...]
    lines: int
    bytes: int
    set_aside: tuple[str, ...]
    lean: str
    kernel_env: Ref = field(repr=False, compare=False)
    rests: Mapping[NameTuple, frozenset[NameTuple]] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ReplayRejected:
    """The file is well-formed, and what it declares as *name* on *line* is wrong; ``text`` is the kernel's."""

    name: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The file is no export that can be read: *line* (from 1) is malformed or over a limit."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReplayOpen:
    """No verdict was reached: ``limit`` was hit on *line*."""

    limit: Limit
    message: str
    line: int


ReplayOutcome: TypeAlias = Replayed | ReplayRejected | Refused | ReplayOpen
"""What :func:`~leanhost.services.exports.read.replay.replay_export` returns."""
