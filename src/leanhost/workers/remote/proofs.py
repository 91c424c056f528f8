"""Proofs in workers: a state is its derivation and its goals; a worker keeps the live one, or makes it again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from msgspec import Struct

from leanhost.errors import Cancelled, MetaError, NotReproduced, UsageError
from leanhost.lean.names import NameTuple
from leanhost.services.proofs.answers import Goal, TacticFailure, check_goal, left_open
from leanhost.services.proofs.proof_state import ProofState
from leanhost.services.terms.expr import Name, NameLike
from leanhost.services.terms.meta_answers import DEFAULT, MetaOptions
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.limits import WORDS
from leanhost.services.values.options import AllowedAxioms, many_times
from leanhost.services.values.outcomes import ElabFailure, KernelOutcome, Rejected, Unavailable
from leanhost.services.values.progress import Phase, ProgressSink
from leanhost.services.values.results import Limit
from leanhost.services.values.validate import texts
from leanhost.workers.protocol import codec
from leanhost.workers.remote.operation import Operation, Task
from leanhost.workers.remote.rpc import RemoteContext, async_twin, blocking, first
from leanhost.workers.remote.session_cache import CachedSession

MAX_STEPS = 4096
"""Most steps of a derivation."""
MAX_BYTES = 1 << 20
"""Most characters of a derivation's tactics together."""


@dataclass(frozen=True, slots=True)
class ProofStep:
    """One step of a derivation: *tactic* on *goal*, or, without a tactic, *goal* brought to the front."""

    tactic: str | None
    goal: int


@dataclass(frozen=True, slots=True)
class Goals:
    """What a worker tells of a proof state."""

    goals: tuple[Goal, ...]


class Derivation(Struct, frozen=True):
    """What a worker reaches a state by."""

    statement: str
    options: MetaOptions
    path: tuple[ProofStep, ...] = ()


class Prove(Struct, frozen=True):
    """Statements to begin proofs of."""

    proofs: tuple[Derivation, ...]
    timeout: float | None


class Apply(Struct, frozen=True):
    """Tactics to try on one goal of a state."""

    proof: Derivation
    tactics: tuple[str, ...]
    goal: int
    timeout: float | None


class Finish(Struct, frozen=True, tag="finish"):
    """A proof to check, and the name of what it proves."""

    proof: Derivation
    name: NameTuple
    allow_axioms: tuple[str, ...]


# --- in the worker ---


def reach(cached: CachedSession, proof: Derivation, cancellation: Cancellation) -> ProofState:
    """Return the state that a derivation leads to, from the last one on its way that is kept.

    Raises :class:`~leanhost.errors.NotReproduced` when a step that succeeded once does not.
    """
    keys = _keys(proof)
    path = proof.path
    at = len(path)
    while (state := cached.states.get(keys[at])) is None and at:
        at -= 1
    if state is None:
        state = cached.states.put(keys[0], _again(_start(cached, proof, cancellation), "the statement"))
    for step in path[at:]:
        at += 1
        if step.tactic is None:
            state = state.focus(step.goal)
        else:
            tried = state.apply(step.tactic, step.goal, cancellation=cancellation)
            state = _again(tried, f"step {at} of {len(path)}")
        cached.states.put(keys[at], state)
    return state


def _start(
    cached: CachedSession, proof: Derivation, cancellation: Cancellation, timeout: float | None = None
) -> ProofState | TacticFailure:
    return cached.session.prove(proof.statement, proof.options, timeout=timeout, cancellation=cancellation)


def _again(found: ProofState | TacticFailure, what: str) -> ProofState:
    if isinstance(found, ProofState):
        return found
    if found.limit is Limit.CANCELLED:
        raise Cancelled(WORDS[Limit.CANCELLED])
    raise NotReproduced(
        f"the proof state could not be reached again: {what} failed: {found.message}",
        hint="hold a worker (with pool.session(...) as session), or raise the timeout of the proof's options",
    )


def _keys(proof: Derivation) -> list[bytes]:
    """Name every state along a derivation, the first one first."""
    keys = [_next(b"", [proof.statement, proof.options])]
    for step in proof.path:
        keys.append(_next(keys[-1], step))
    return keys


def _next(key: bytes, step: object) -> bytes:
    return blake2b(key + codec.encode(step), digest_size=32).digest()


def _shown(state: ProofState) -> Goals | TacticFailure:
    try:
        return Goals(state.goals)
    except MetaError as error:
        return TacticFailure(f"the goals cannot be shown: {error.message}", error.limit)


def _prove(task: Task[Prove]) -> list[Goals | TacticFailure]:
    proofs = task.arguments.proofs
    found: list[Goals | TacticFailure] = []
    for proof in Phase(task.progress, "prove", len(proofs)).over(proofs):
        state = _start(task.cached, proof, task.cancellation, task.arguments.timeout)
        if isinstance(state, TacticFailure):
            found.append(state)
        else:
            found.append(_shown(task.cached.states.put(_keys(proof)[0], state)))
    return found


def _reach(task: Task[Apply] | Task[Finish]) -> ProofState:
    return reach(task.cached, task.arguments.proof, task.cancellation)


def _apply(task: Task[Apply]) -> list[Goals | TacticFailure]:
    tactics, goal = task.arguments.tactics, task.arguments.goal
    states = _reach(task).apply_many(
        tactics,
        goal,
        timeout=task.arguments.timeout,
        cancellation=task.cancellation,
        progress=task.progress,
    )
    key = _keys(task.arguments.proof)[-1]
    found: list[Goals | TacticFailure] = []
    for tactic, state in zip(tactics, states, strict=True):
        if isinstance(state, ProofState):
            task.cached.states.put(_next(key, ProofStep(tactic, goal)), state)
            found.append(_shown(state))
        else:
            found.append(state)
    return found


def _finish(task: Task[Finish]) -> KernelOutcome:
    a = task.arguments
    return _reach(task).finish(
        Name(a.name), allow_axioms=a.allow_axioms, timeout=task.timeout, cancellation=task.cancellation
    )


def _stopped() -> TacticFailure:
    return TacticFailure(WORDS[Limit.CANCELLED], Limit.CANCELLED)


PROVE: Operation[Prove, list[Goals | TacticFailure]] = Operation(
    "prove", Prove, list[Goals | TacticFailure], _prove, each=True, cancelled=_stopped
)
APPLY: Operation[Apply, list[Goals | TacticFailure]] = Operation(
    "proof.apply", Apply, list[Goals | TacticFailure], _apply, before=_reach, each=True, cancelled=_stopped
)
FINISH: Operation[Finish, KernelOutcome] = Operation(
    "proof.finish",
    Finish,
    KernelOutcome,
    _finish,
    before=_reach,
    cancelled=lambda: Unavailable(Limit.CANCELLED, WORDS[Limit.CANCELLED]),
)
OPERATIONS: tuple[Operation[Any, Any], ...] = (PROVE, APPLY, FINISH)


# --- in the caller ---


@dataclass(frozen=True, slots=True)
class WorkerProofState:
    """A state of a proof in a worker, as :class:`~leanhost.ProofState`: goals left to prove. Immutable.

    It holds no process, only how it was reached: ``statement``, then ``path``. A worker without the live
    state follows the path again before it does what is asked, so that nothing is lost with a worker, and branching
    and backtracking are free. A session that holds a worker (``with session:``) finds the last thousand states warm.

    A call that applies tactics may take ``options.timeout`` for each; following the path comes before that, and
    raises :class:`~leanhost.errors.NotReproduced` where a step does not succeed again.
    """

    statement: str
    goals: tuple[Goal, ...]
    """The goals, as text."""
    path: tuple[ProofStep, ...] = field(repr=False)
    """The steps from the statement to here, the first one first."""
    options: MetaOptions = field(repr=False)
    """The limits of each step."""
    _context: RemoteContext = field(repr=False, compare=False)

    @property
    def remaining(self) -> int:
        """How many goals are left."""
        return len(self.goals)

    @property
    def is_solved(self) -> bool:
        """Whether no goal is left. Only :meth:`finish` says whether that is a proof."""
        return not self.goals

    @blocking
    def apply(
        self,
        tactic: str,
        goal: int = 0,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> WorkerProofState | TacticFailure:
        """Run a tactic on one goal; its new goals come first, as :meth:`leanhost.ProofState.apply`."""
        return first(self._apply([tactic], goal, timeout, cancellation, None))

    @blocking
    def apply_many(
        self,
        tactics: Sequence[str],
        goal: int = 0,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[WorkerProofState | TacticFailure]:
        """Try many tactics on the same goal in one request: one result each, in order.

        Limits and the rest are as for :meth:`leanhost.ProofState.apply_many`.
        """
        return self._apply(tactics, goal, timeout, cancellation, progress)

    @blocking
    def have(
        self,
        name: NameLike,
        type_: str,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> WorkerProofState | TacticFailure:
        """Introduce a claim, as :meth:`leanhost.ProofState.have`."""
        return first(self._apply([f"have {Name(name)} : {type_} := ?_"], 0, timeout, cancellation, None))

    def focus(self, goal: int) -> WorkerProofState:
        """Return the same state with another goal in front; no worker is asked."""
        self._check(goal)
        order = [goal, *(i for i in range(len(self.goals)) if i != goal)]
        places = {old: new for new, old in enumerate(order)}
        goals = tuple(
            replace(self.goals[i], coupled=tuple(sorted(places[j] for j in self.goals[i].coupled)))
            for i in order
        )
        return replace(self, goals=goals, path=self._longer(ProofStep(None, goal)))

    @blocking
    def finish(
        self,
        name: NameLike = "proved",
        *,
        allow_axioms: Collection[str] = (),
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> KernelOutcome:
        """Assemble the proof, check it with the kernel, and return evidence, as :meth:`leanhost.ProofState.finish`."""
        if self.goals:
            return Rejected(ElabFailure("elaboration", left_open(len(self.goals))))
        allowed = tuple(AllowedAxioms.of(allow_axioms).entries)
        made = Finish(self._proof, Name(name).parts, allowed)
        return self._context.ask_then(
            lambda outcome: self._context.with_provenance(made, outcome),
            FINISH,
            made,
            seconds=self.options.timeout if timeout is None else timeout,
            cancellation=cancellation,
        )

    aapply = async_twin(apply)
    aapply_many = async_twin(apply_many)
    ahave = async_twin(have)
    afinish = async_twin(finish)

    def _apply(
        self,
        tactics: Sequence[str],
        goal: int,
        timeout: float | None,
        cancellation: Cancellation,
        progress: ProgressSink | None,
    ) -> list[WorkerProofState | TacticFailure]:
        texts("tactics", tactics, hint="apply(text) runs one tactic")
        self._check(goal)
        paths = [self._longer(ProofStep(tactic, goal)) for tactic in tactics]

        def states(found: list[Goals | TacticFailure]) -> list[WorkerProofState | TacticFailure]:
            return [
                replace(self, goals=each.goals, path=path) if isinstance(each, Goals) else each
                for path, each in zip(paths, found, strict=True)
            ]

        return self._context.ask_then(
            states,
            APPLY,
            Apply(self._proof, tuple(tactics), goal, timeout),
            seconds=many_times(self.options.timeout if timeout is None else timeout, len(tactics)),
            items=len(tactics),
            cancellation=cancellation,
            progress=progress,
        )

    def _check(self, goal: int) -> None:
        check_goal(goal, len(self.goals))

    def _longer(self, step: ProofStep) -> tuple[ProofStep, ...]:
        path = (*self.path, step)
        if len(path) > MAX_STEPS or sum(len(each.tactic or "") for each in path) > MAX_BYTES:
            raise UsageError(
                f"a proof has at most {MAX_STEPS} steps, with {MAX_BYTES} characters together",
                hint="take what is proved as a lemma of its own, and extend the session by it",
            )
        return path

    @property
    def _proof(self) -> Derivation:
        return Derivation(self.statement, self.options, self.path)

    def __str__(self) -> str:
        return "\n\n".join(goal.pretty for goal in self.goals) or "no goals"


def proving(
    context: RemoteContext,
    statements: Sequence[str],
    options: MetaOptions | None,
    timeout: float | None,
    cancellation: Cancellation,
    progress: ProgressSink | None = None,
) -> list[WorkerProofState | TacticFailure]:
    """Describe the start of a proof of each of *statements*."""
    texts("statements", statements, hint="prove(text) takes one statement")
    chosen = options or DEFAULT

    def states(found: list[Goals | TacticFailure]) -> list[WorkerProofState | TacticFailure]:
        return [
            WorkerProofState(statement, each.goals, (), chosen, context) if isinstance(each, Goals) else each
            for statement, each in zip(statements, found, strict=True)
        ]

    return context.ask_then(
        states,
        PROVE,
        Prove(tuple(Derivation(statement, chosen) for statement in statements), timeout),
        seconds=many_times(chosen.timeout if timeout is None else timeout, len(statements)),
        items=len(statements),
        cancellation=cancellation,
        progress=progress,
    )
