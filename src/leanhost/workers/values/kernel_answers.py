"""What a kernel says of a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from leanhost.lean.names import NameTuple, show

Verdict: TypeAlias = Literal["accepted", "rejected", "limit"]


@dataclass(frozen=True, slots=True)
class KernelAnswer:
    """The answer of one kernel.

    Attributes:
        name: the toolchain's name, or the command of a program.
        version: Lean's version; empty for a program.
        commit: Lean's commit; empty for a program, and for a toolchain that does not tell.
        answer: ``accepted``, ``rejected``, or ``limit`` where the kernel came to no answer.
        message: why it is not ``accepted``.
    """

    name: str
    version: str
    commit: str
    answer: Verdict
    message: str = ""

    def __str__(self) -> str:
        version = f" (Lean {self.version})" if self.version else ""
        return f"{self.name}{version}"


@dataclass(frozen=True, slots=True)
class Resting:
    """Constants that rest on the same axioms."""

    axioms: tuple[str, ...]
    constants: tuple[str, ...]

    @classmethod
    def of(cls, rests: Mapping[NameTuple, frozenset[NameTuple]]) -> tuple[Resting, ...]:
        """Group those that rest on any."""
        groups: dict[frozenset[NameTuple], list[str]] = {}
        for name, axioms in rests.items():
            if axioms:
                groups.setdefault(axioms, []).append(show(name))
        return tuple(cls(tuple(sorted(map(show, each))), tuple(groups[each])) for each in groups)


@dataclass(frozen=True, slots=True)
class Said:
    """What the judge says about a candidate that it accepted, for others to be compared with.

    ``library`` is the identity of the library it judged on top of, ``""`` where there was none; ``axioms`` are those
    under everything that the reference asks for (``wanted``), of which the library has what is ``imported``;
    ``trusted`` are the functions among the candidate's declarations that are those which the kernel computes.
    """

    library: str
    digest: str
    axioms: tuple[Resting, ...]
    wanted: tuple[str, ...]
    imported: tuple[str, ...]
    trusted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KernelReply:
    """What a kernel process says: its verdict, or that it lacks something of the library.

    With ``lacking`` goes ``known``, what it has of that library.
    """

    verdict: Literal["accepted", "rejected", "limit", "lacking"]
    message: str = ""
    digest: str = ""
    axioms: tuple[Resting, ...] = ()
    lacking: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
