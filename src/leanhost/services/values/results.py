"""What elaboration returns: frozen values without any pointer into Lean."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from leanhost.limit import Limit as Limit


class Severity(StrEnum):
    """How serious a diagnostic is (``Lean.MessageSeverity``)."""

    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a source: ``line`` from 1, ``column`` from 0 in code points."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One message of Lean about a source.

    ``kind`` is Lean's message kind (``lean.unknownIdentifier``, ``runtime.maxHeartbeats``...), or a
    ``leanhost.*`` code where leanhost itself found the fault; it is empty for ordinary messages.
    """

    severity: Severity
    message: str
    position: Position
    end: Position | None = None
    file: str = "<input>"
    kind: str = ""

    @property
    def is_error(self) -> bool:
        """Whether this is an error."""
        return self.severity is Severity.ERROR

    def __str__(self) -> str:
        return f"{self.file}:{self.position}: {self.severity}: {self.message}"

    def to_json(self) -> dict[str, Any]:
        """Return the diagnostic as JSON-ready values."""
        return {
            "severity": str(self.severity),
            "message": self.message,
            "line": self.position.line,
            "column": self.position.column,
            "end_line": self.end.line if self.end else None,
            "end_column": self.end.column if self.end else None,
            "file": self.file,
            "kind": self.kind,
        }


@dataclass(frozen=True, slots=True)
class Declared:
    """A declaration a source added: its name as text, its kind (``theorem``, ``definition``...), its place.

    ``position`` is where the name stands in the source, ``None`` for what Lean made itself (``T.rec``).
    """

    name: str
    kind: str
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Sorry:
    """A declaration whose term contains ``sorry``, found in the environment."""

    declaration: str


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What running a source came to.

    ``elapsed`` is in seconds; ``heartbeats`` counts as Lean's options do, in thousands of small allocations.
    ``declarations`` are those a user wrote or sees, in source order (auxiliary ones are left out), ``limits`` what
    was hit.
    """

    diagnostics: tuple[Diagnostic, ...]
    declarations: tuple[Declared, ...]
    sorries: tuple[Sorry, ...]
    elapsed: float
    heartbeats: float
    limits: tuple[Limit, ...] = ()

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that are errors."""
        return tuple(d for d in self.diagnostics if d.is_error)

    @property
    def ok(self) -> bool:
        """Whether everything elaborated: no error, and no limit cut the work short (``sorry`` may be there)."""
        return not self.errors and not set(self.limits) - {Limit.DIAGNOSTIC_BYTES}


class Status(StrEnum):
    """The verdict on a file."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"
    UNSUPPORTED = "unsupported"
    CANCELLED = "cancelled"
    """The caller cancelled before there was a verdict."""
    REFUSED = "refused"
    """There is no verdict: the item could not be read, was over a limit of the pool, or was accepted by a Lean with
    known faults only, where that was not wanted."""


@dataclass(frozen=True, slots=True)
class Theorem:
    """A theorem or axiom a source added, with the axioms it rests on (sorted, as text).

    ``position`` is where its name stands in the source, if that is known.
    """

    name: str
    kind: str
    type: str
    axioms: tuple[str, ...]
    position: Position | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the theorem as JSON-ready values."""
        return {
            "name": self.name,
            "kind": self.kind,
            "type": self.type,
            "axioms": list(self.axioms),
            "line": self.position.line if self.position else None,
            "column": self.position.column if self.position else None,
        }


CAVEAT_BODIES = (
    "this toolchain does not ship the proofs of its library: "
    "axioms used inside library theorems are not visible"
)
"""A caveat: the walk to the axioms ended at theorems without a proof."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The verdict on one file or source.

    ``accepted`` means: no error, no ``sorry``, every added declaration passed the kernel once more on top of the
    untouched imports, and no axiom outside the allow-list was added or used. ``reasons`` says why not otherwise.
    """

    file: str
    status: Status
    diagnostics: tuple[Diagnostic, ...] = ()
    theorems: tuple[Theorem, ...] = ()
    sorries: tuple[Sorry, ...] = ()
    reasons: tuple[str, ...] = ()
    elapsed: float = 0.0
    toolchain: str = ""
    caveats: tuple[str, ...] = field(default=())
    stdout: str = ""
    """What the candidate wrote to its worker's standard output, cut to the pool's limit."""
    stderr: str = ""
    """The same for standard error."""
    id: object = field(default=None, compare=False, repr=False)
    """What the item that was checked has as its ``id``."""

    @property
    def accepted(self) -> bool:
        """Whether the verdict is ``accepted``."""
        return self.status is Status.ACCEPTED

    @property
    def all_axioms_seen(self) -> bool:
        """Whether the proofs of the library were there to be looked through, too."""
        return CAVEAT_BODIES not in self.caveats

    def to_json(self) -> dict[str, Any]:
        """Return the object ``leanhost check --json`` prints."""
        return {
            "file": self.file,
            "status": str(self.status),
            "diagnostics": [d.to_json() for d in self.diagnostics],
            "theorems": [t.to_json() for t in self.theorems],
            "sorries": [s.declaration for s in self.sorries],
            "reasons": list(self.reasons),
            "caveats": list(self.caveats),
            "elapsed_s": round(self.elapsed, 6),
            "toolchain": self.toolchain,
        }
