"""A worker process that is a kernel: it replays what it is sent, and runs nothing."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

from leanhost.lean import names
from leanhost.lean.core import Lean
from leanhost.lean.names import show
from leanhost.services.exports.read.kernel_library import KernelLibrary, Lacking, grow, replay_over
from leanhost.services.exports.read.outcome import (
    Refused,
    Replayed,
    ReplayOpen,
    ReplayOutcome,
    ReplayRejected,
)
from leanhost.services.exports.read.replay import replay_export
from leanhost.services.exports.write.statements import digest
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.options import ElabOptions
from leanhost.workers.protocol.messages import Kernel
from leanhost.workers.remote.session_cache import SessionCache
from leanhost.workers.values.kernel_answers import KernelReply, Resting


def answer(
    kept: SessionCache,
    question: Kernel,
    text: str,
    options: ElabOptions,
    growing_s: float,
    cancellation: Cancellation,
    begun: Callable[[], None],
) -> KernelReply:
    """Replay the candidate in *text* as *question* says.

    A part of the library that comes with it may take *growing_s* seconds. What the candidate needs of the library and
    is not there is in the answer, and so is what is.
    """
    lean = kept.host._lean
    identity, part = question.library, question.part
    if not identity:
        begun()
        return _answer(
            replay_export(
                BytesIO(text.encode()),
                lean,
                options=options,
                trusted=question.trusted,
                cancellation=cancellation,
            ),
            lean,
        )
    library = kept.libraries.get(identity) or kept.libraries.put(identity, KernelLibrary.empty(lean))
    more, candidate = text[:part], text[part:]
    if more:
        grown = grow(
            library, more.encode(), lean, options=options, timeout=growing_s, cancellation=cancellation
        )
        if isinstance(grown, Lacking):
            return _lacking(library, grown)
        if not isinstance(grown, Replayed):
            return _answer(grown, lean, "of the library: ")
    begun()
    outcome = replay_over(
        library,
        candidate.encode(),
        lean,
        imported=[names.parse(name) for name in question.imported],
        options=options,
        cancellation=cancellation,
    )
    if isinstance(outcome, Lacking):
        return _lacking(library, outcome)
    return _answer(outcome, lean)


def _lacking(library: KernelLibrary, lacking: Lacking) -> KernelReply:
    return KernelReply(
        "lacking", lacking=tuple(map(show, lacking.names)), known=tuple(map(show, library.rests))
    )


def _answer(outcome: ReplayOutcome, lean: Lean, whose: str = "") -> KernelReply:
    match outcome:
        case Replayed():
            said = digest(lean, outcome.kernel_env, map(names.parse, outcome.names), outcome.set_aside)
            return KernelReply("accepted", digest=said, axioms=Resting.of(outcome.rests))
        case ReplayRejected(name, text, _):
            return KernelReply("rejected", f"{whose}{name}: {text}")
        case Refused(line, reason):
            return KernelReply("rejected", f"{whose}line {line} of the export: {reason}")
        case ReplayOpen(limit, text, _):
            return KernelReply("limit", f"{whose}{limit}: {text}")
