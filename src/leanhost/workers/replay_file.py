"""A file in lean4export's format, given to the kernel in a worker: the answer, and how it travels."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from leanhost.services.cancellation import Cancellation
from leanhost.services.exports.outcome import Refused, Replayed, ReplayOpen, ReplayOutcome, ReplayRejected
from leanhost.services.exports.replay import vouched_for
from leanhost.services.host import Host
from leanhost.services.options import ElabOptions
from leanhost.services.results import CheckResult, Limit, Status
from leanhost.workers import values
from leanhost.workers.items import Request
from leanhost.workers.wire import Message, ProtocolError


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
    """Functions on numbers that the kernel did not compute itself, because nobody vouched for them."""
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


@dataclass(frozen=True, slots=True)
class _Accepted:
    """What a worker tells about a file that was accepted."""

    declarations: int
    theorems: int
    axioms: tuple[str, ...]
    missing_bodies: int
    set_aside: tuple[str, ...]
    exporter: str


@dataclass(frozen=True, slots=True)
class _NotAccepted:
    """What a worker tells about one that was not."""

    code: str
    name: str
    line: int
    message: str


_OPEN = {Limit.TIMEOUT: Status.TIMEOUT, Limit.CANCELLED: Status.CANCELLED}


def question(file: Path, trusted: Collection[str]) -> Message:
    """Return what goes with the request."""
    vouched_for(trusted)
    return {"path": str(file.absolute()), "trusted": list(trusted)}


def answer(
    host: Host,
    request: Request,
    message: Message,
    options: ElabOptions,
    cancellation: Cancellation,
) -> tuple[CheckResult, object]:
    """Replay the file that *message* names, in the worker."""
    started = time.monotonic()
    outcome = host.replay(
        message["path"], options=options, trusted=message["trusted"], cancellation=cancellation
    )
    status, told = _told(outcome)
    reasons = (told.message,) if isinstance(told, _NotAccepted) else ()
    elapsed = time.monotonic() - started
    result = CheckResult(request.file, status, reasons=reasons, toolchain=host.label, elapsed=elapsed)
    return result, values.out(told)


def _told(outcome: ReplayOutcome) -> tuple[Status, _Accepted | _NotAccepted]:
    match outcome:
        case Replayed():
            outcome.kernel_env.close()
            return Status.ACCEPTED, _Accepted(
                len(outcome.names),
                len(outcome.theorems),
                outcome.axioms,
                len(outcome.missing_bodies),
                outcome.set_aside,
                outcome.lean,
            )
        case ReplayRejected(name, text, line):
            return Status.REJECTED, _NotAccepted("kernel", name, line, text)
        case Refused(line, reason):
            return Status.REJECTED, _NotAccepted("export", "", line, reason)
        case ReplayOpen(limit, text, line):
            return _OPEN.get(limit, Status.REJECTED), _NotAccepted("limit", "", line, text)


def answered(result: CheckResult, extra: object) -> FileReplay:
    """Return what became of a file, from what came back; a worker that was ended has told nothing."""
    base = FileReplay(result.file, result.status, elapsed=result.elapsed, toolchain=result.toolchain)
    if extra is None:
        code = "limit" if result.status in (Status.TIMEOUT, Status.OUT_OF_MEMORY, Status.CANCELLED) else ""
        told = _NotAccepted(code, "", 0, result.reasons[0] if result.reasons else "no answer")
    else:
        told = values.into(_Accepted | _NotAccepted, extra)
    if (result.status is Status.ACCEPTED) != isinstance(told, _Accepted):
        raise ProtocolError("a verdict that does not fit what is said about it")
    return replace(base, **asdict(told))
