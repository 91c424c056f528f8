"""Evidence after the check, in workers: asked again, and compared with a reference.

Evidence that came from a worker is a value; with it goes what a worker makes it again from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from leanhost.errors import Cancelled, ForeignHandleError, NotReproduced, UsageError
from leanhost.services.kernel.equivalence import Match
from leanhost.services.terms.expr import Name
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.limits import WORDS
from leanhost.services.values.options import many_times
from leanhost.services.values.outcomes import Checked, Evidence, EvidenceStatus, KernelOutcome, Unavailable
from leanhost.services.values.progress import ProgressSink
from leanhost.services.values.results import Limit
from leanhost.workers.protocol import codec
from leanhost.workers.remote.operation import Operation, Task
from leanhost.workers.remote.proofs import Finish, reach
from leanhost.workers.remote.provenance import Provenance
from leanhost.workers.remote.rpc import RemoteContext
from leanhost.workers.remote.session_cache import CachedSession
from leanhost.workers.remote.sources import KernelCheck


class Origin(Struct, frozen=True):
    """What evidence is made again from: a source or a proof, and which of its evidence it was."""

    grown: tuple[tuple[str, str], ...]
    made: KernelCheck | Finish
    index: int


class Recheck(Struct, frozen=True):
    """Evidence to ask the kernel about again."""

    evidence: tuple[Origin, ...]
    timeout: float | None


class Compare(Struct, frozen=True):
    """Evidence to compare with a reference."""

    evidence: tuple[Origin, ...]
    reference: str
    timeout: float | None


# --- in the worker ---


def _evidence(task: Task[Recheck] | Task[Compare]) -> list[Evidence]:
    return [_again(task, origin) for origin in task.arguments.evidence]


def _again(task: Task[Any], origin: Origin) -> Evidence:
    """Return what an origin describes, from what is kept or by doing it once more."""
    spec = replace(task.cached.spec, grown=origin.grown)
    cached = task.cache.entry(spec, task.timeout, task.cancellation)
    task.cache.entry(task.cached.spec, task.timeout, task.cancellation)  # used, so that it stays
    key = codec.encode(origin.made)
    found = cached.evidence.get((key, origin.index))
    if found is None:
        match _made(cached, origin.made, task):
            case Checked(all=every) if origin.index < len(every):
                for index, evidence in enumerate(every):
                    cached.evidence.put((key, index), evidence)
                found = every[origin.index]
            case Unavailable(limit=Limit.CANCELLED):
                raise Cancelled(WORDS[Limit.CANCELLED])
            case other:
                raise NotReproduced(f"the evidence could not be had again: {other!r:.400}")
    return found


def _made(cached: CachedSession, made: KernelCheck | Finish, task: Task[Any]) -> KernelOutcome:
    if isinstance(made, Finish):
        state = reach(cached, made.proof, task.cancellation)
        return state.finish(Name(made.name), allow_axioms=made.allow_axioms, cancellation=task.cancellation)
    return cached.session.kernel_check(
        made.source,
        file=made.file,
        allow_axioms=made.allow_axioms,
        timeout=task.timeout,
        cancellation=task.cancellation,
    )


def _recheck(task: Task[Recheck]) -> list[EvidenceStatus]:
    return task.session.recheck_many(
        _evidence(task),
        timeout=task.arguments.timeout,
        cancellation=task.cancellation,
        progress=task.progress,
    )


def _matches(task: Task[Compare]) -> list[Match]:
    return task.session.matches_many(
        _evidence(task),
        task.arguments.reference,
        timeout=task.arguments.timeout,
        cancellation=task.cancellation,
        progress=task.progress,
    )


RECHECK: Operation[Recheck, list[EvidenceStatus]] = Operation(
    "recheck",
    Recheck,
    list[EvidenceStatus],
    _recheck,
    before=_evidence,
    each=True,
    cancelled=lambda: EvidenceStatus.UNAVAILABLE,
)
MATCHES: Operation[Compare, list[Match]] = Operation(
    "matches",
    Compare,
    list[Match],
    _matches,
    before=_evidence,
    each=True,
    cancelled=lambda: Match(False, None, Limit.CANCELLED, WORDS[Limit.CANCELLED]),
)
OPERATIONS: tuple[Operation[Any, Any], ...] = (RECHECK, MATCHES)


# --- in the caller ---


def _origins(context: RemoteContext, evidence: Sequence[Evidence]) -> tuple[Origin, ...]:
    found: list[Origin] = []
    for item in evidence:
        origin = item._provenance
        if not isinstance(origin, Provenance) or origin.imports != context.imports:
            raise ForeignHandleError(
                "this evidence was not made by a worker over the same imports",
                hint="check the source again with this session",
            )
        assert isinstance(origin.made, KernelCheck | Finish)
        found.append(Origin(origin.grown, origin.made, origin.index))
    return tuple(found)


def recheck(
    context: RemoteContext,
    evidence: Sequence[Evidence],
    timeout: float | None,
    cancellation: Cancellation,
    progress: ProgressSink | None,
) -> list[EvidenceStatus]:
    """Describe asking the kernel again about *evidence*."""
    return context.ask(
        RECHECK,
        Recheck(_origins(context, evidence), timeout),
        seconds=many_times(context.options.timeout if timeout is None else timeout, len(evidence)),
        items=len(evidence),
        cancellation=cancellation,
        progress=progress,
    )


def matches(
    context: RemoteContext,
    evidence: Sequence[Evidence],
    reference: str,
    timeout: float | None,
    cancellation: Cancellation,
    progress: ProgressSink | None,
) -> list[Match]:
    """Describe comparing *evidence* with a reference statement."""
    if not isinstance(reference, str):
        raise UsageError(f"a reference is given to a worker as text, not as {type(reference).__name__}")
    return context.ask(
        MATCHES,
        Compare(_origins(context, evidence), reference, timeout),
        seconds=many_times(context.options.timeout if timeout is None else timeout, len(evidence)),
        items=len(evidence),
        cancellation=cancellation,
        progress=progress,
    )
