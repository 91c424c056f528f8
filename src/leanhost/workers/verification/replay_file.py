"""A file in lean4export's format, given to the kernel in a worker: the answer, and how it travels."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from leanhost.services.exports.read.outcome import (
    Refused,
    Replayed,
    ReplayOpen,
    ReplayOutcome,
    ReplayRejected,
)
from leanhost.services.exports.read.replay import vouched_for
from leanhost.services.session.host import Host
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.limits import VERDICTS
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.results import CheckResult, Status
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.framing import ProtocolError
from leanhost.workers.protocol.messages import Replay
from leanhost.workers.values.file_replay import FileReplay
from leanhost.workers.values.items import Request


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


def question(file: Path, trusted: Collection[str]) -> Replay:
    """Return what a worker is asked for."""
    vouched_for(trusted)
    return Replay(str(file.absolute()), tuple(trusted))


def answer(
    host: Host,
    request: Request,
    question: Replay,
    options: ElabOptions,
    cancellation: Cancellation,
) -> tuple[CheckResult, bytes]:
    """Replay the file that *question* names, in the worker; return what is told about it, encoded."""
    started = time.monotonic()
    outcome = host.replay(question.path, options=options, trusted=question.trusted, cancellation=cancellation)
    status, told = _told(outcome)
    reasons = (told.message,) if isinstance(told, _NotAccepted) else ()
    elapsed = time.monotonic() - started
    result = CheckResult(request.file, status, reasons=reasons, toolchain=host.label, elapsed=elapsed)
    return result, codec.encode(told, _Accepted | _NotAccepted)


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
            return VERDICTS.get(limit, Status.REJECTED), _NotAccepted("limit", "", line, text)


def answered(result: CheckResult, payload: bytes) -> FileReplay:
    """Return what became of a file, from what came back; a worker that was ended has told nothing."""
    base = FileReplay(result.file, result.status, elapsed=result.elapsed, toolchain=result.toolchain)
    if not payload:
        code = "limit" if result.status in (Status.TIMEOUT, Status.OUT_OF_MEMORY, Status.CANCELLED) else ""
        told = _NotAccepted(code, "", 0, result.reasons[0] if result.reasons else "no answer")
    else:
        told = codec.decode(payload, _Accepted | _NotAccepted)
    if (result.status is Status.ACCEPTED) != isinstance(told, _Accepted):
        raise ProtocolError("a verdict that does not fit what is said about it")
    return replace(base, **asdict(told))
