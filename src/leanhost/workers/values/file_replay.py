"""What the kernel says about a file in lean4export's format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from leanhost.services.values.results import Status


@dataclass(frozen=True, slots=True)
class FileReplay:
    """What the kernel says about an export that it was given in an environment without anything else.

    ``accepted`` means that it accepted every declaration of the file; whether ``axioms`` are admissible is for the
    caller to judge. Otherwise ``code`` says what is wrong, where ``status`` does not say it all:
    ``kernel`` (it did not accept the declaration ``name`` on ``line``), ``export`` (``line`` is not what the format
    says), ``limit`` (a limit was hit before there was an answer), ``known-faults`` (accepted by a Lean with known
    faults, where that was not wanted).
    """

    file: str
    status: Status
    code: str = ""
    name: str = ""
    line: int = 0
    message: str = ""
    declarations: int = 0
    theorems: int = 0
    axioms: tuple[str, ...] = ()
    """The axioms that the file declares, sorted; ``sorryAx`` stands for a gap."""
    missing_bodies: int = 0
    """How many of them are theorems whose proofs the exporter did not have."""
    set_aside: tuple[str, ...] = ()
    """Functions on numbers that the kernel did not compute itself, because they were not trusted by name."""
    exporter: str = ""
    """The version of the Lean that exported, as the file says."""
    elapsed: float = 0.0
    toolchain: str = ""
    caveats: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the kernel accepted the file."""
        return self.status is Status.ACCEPTED

    def to_json(self) -> dict[str, Any]:
        """Return the object ``leanhost replay --json`` prints."""
        return {
            "file": self.file,
            "status": str(self.status),
            "code": self.code,
            "name": self.name,
            "line": self.line,
            "message": self.message,
            "declarations": self.declarations,
            "theorems": self.theorems,
            "axioms": list(self.axioms),
            "missing_bodies": self.missing_bodies,
            "set_aside": list(self.set_aside),
            "exporter": self.exporter,
            "caveats": list(self.caveats),
            "elapsed_s": round(self.elapsed, 6),
            "toolchain": self.toolchain,
        }
