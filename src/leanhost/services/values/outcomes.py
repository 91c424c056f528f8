"""What the kernel answers about a source, and the evidence that comes with a yes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from leanhost.lean.core import Constant
from leanhost.services.values.results import Diagnostic, Limit


@dataclass(frozen=True, slots=True)
class ProofSummary:
    """A bounded description of evidence, for logs and messages."""

    name: str
    kind: str
    type: str
    truncated: bool = False


def _cut(text: str, max_bytes: int) -> tuple[str, bool]:
    raw = text.encode("utf-8", "replace")
    return raw[:max_bytes].decode("utf-8", "ignore"), len(raw) > max_bytes


class EvidenceStatus(StrEnum):
    """What the kernel says of evidence when it is asked again."""

    CHECKED = "checked"
    REJECTED = "rejected"
    UNAVAILABLE = "unavailable"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Evidence:
    """That the kernel accepted a declaration on top of the session's imports, and what it rests on.

    ``type`` is pretty-printed for people; ``axioms`` come from walking the environment; ``caveats`` say what
    the walk could not see. The ``ConstantInfo`` is kept alive as long as the evidence.
    """

    name: str
    kind: str
    type: str
    axioms: tuple[str, ...]
    caveats: tuple[str, ...] = ()
    _constant: Constant | None = field(default=None, repr=False, compare=False)
    _with: tuple[Constant, ...] = field(default=(), repr=False, compare=False)
    _provenance: object = field(default=None, repr=False, compare=False)
    # What it is made again from, where it came from another process and has no constant here.

    def summary(self, max_bytes: int = 4096) -> ProofSummary:
        """Return name, kind and type as text of at most *max_bytes* UTF-8 bytes each, cut between characters."""
        (name, cut), (kind, _), (type_, more) = (
            _cut(t, max_bytes) for t in (self.name, self.kind, self.type)
        )
        return ProofSummary(name, kind, type_, cut or more)


FailureCode: TypeAlias = Literal[
    "elaboration", "sorry", "axiom", "kernel", "nothing_declared", "source", "limit", "unsupported"
]


@dataclass(frozen=True, slots=True)
class ElabFailure:
    """Why a source was not accepted, or why a term did not elaborate.

    ``truncated`` says that diagnostics were dropped; ``limit`` is what ended the work, with the code ``limit``.
    """

    code: FailureCode
    message: str
    diagnostics: tuple[Diagnostic, ...] = ()
    truncated: bool = False
    limit: Limit | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """The kernel accepted. ``evidence`` is for the last declaration, ``all`` for every one in source order."""

    evidence: Evidence
    all: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """The source does not prove what it says; ``failure`` tells why."""

    failure: ElabFailure


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No verdict was reached: ``limit`` was hit."""

    limit: Limit
    message: str
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Unsupported:
    """This toolchain cannot answer; ``message`` says what is missing."""

    message: str


KernelOutcome: TypeAlias = Checked | Rejected | Unavailable | Unsupported
