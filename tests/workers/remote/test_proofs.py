"""Proof states whose live form is in a worker: the same answers, nothing lost when the worker is."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace

import anyio
import pytest

from leanhost.errors import EngineLost, EngineStuck, NotReproduced, UsageError
from leanhost.services.proofs.answers import TacticFailure
from leanhost.services.proofs.proof_state import ProofState
from leanhost.services.session.host import Host
from leanhost.services.terms.meta_answers import MetaOptions
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.outcomes import Checked, Rejected
from leanhost.services.values.progress import ProgressEvent
from leanhost.services.values.results import Limit
from leanhost.workers import WorkerPool, WorkerProofState, WorkerSession
from leanhost.workers.remote.proofs import MAX_STEPS, ProofStep
from tests.support.candidates import SPIN
from tests.support.pools import MakePool
from tests.support.processes import worker_of

AND = "∀ (p q : Prop), p → q → p ∧ q"
RUNS_CODE = f"""{SPIN}
@[extern "x"] opaque IO.Process.exit (n : UInt8) : Nat
macro "hangs" : term => if spin 0 = 0 then `(1) else `(2)
macro "leaves" : term => if IO.Process.exit 3 = 0 then `(1) else `(2)
"""
STEPS = ["intro p q hp hq", "constructor", "exact hp", "exact hq"]


@pytest.fixture
def held(pool: WorkerPool) -> Iterator[WorkerSession]:
    with pool.session(["Init"]) as session:
        yield session


def state(found: WorkerProofState | TacticFailure) -> WorkerProofState:
    assert isinstance(found, WorkerProofState), found
    return found


def run(start: WorkerProofState | TacticFailure, *tactics: str) -> WorkerProofState:
    reached = state(start)
    for tactic in tactics:
        reached = state(reached.apply(tactic))
    return reached


def test_states_are_those_of_a_session_in_this_process(host: Host, held: WorkerSession) -> None:
    with host.session(["Init"]) as session:
        ours, theirs = session.prove(AND), state(held.prove(AND))
        assert isinstance(ours, ProofState)
        for tactic in STEPS:
            assert (theirs.goals, theirs.remaining, theirs.is_solved) == (ours.goals, ours.remaining, False)
            assert str(theirs) == str(ours)
            following = ours.apply(tactic)
            assert isinstance(following, ProofState)
            ours, theirs = following, state(theirs.apply(tactic))
        assert theirs.is_solved
        assert theirs.finish("both") == ours.finish("both")
        assert isinstance(theirs.finish(), Checked)
        assert str(theirs) == "no goals"
        assert [step.tactic for step in theirs.path] == STEPS
        assert held.prove("no_such_name") == session.prove("no_such_name")


def test_many_tactics_on_one_state_in_one_request(host: Host, held: WorkerSession) -> None:
    tactics = ["intro p q hp hq", "no_such_tactic", "exact 1", "intros"]
    with host.session(["Init"]) as session:
        ours, theirs = session.prove(AND), state(held.prove(AND))
        assert isinstance(ours, ProofState)
        events: list[ProgressEvent] = []
        for mine, there in zip(
            ours.apply_many(tactics), theirs.apply_many(tactics, progress=events.append), strict=True
        ):
            if isinstance(mine, ProofState):
                assert state(there).goals == mine.goals
            else:
                assert there == mine
        assert (events[-1].phase, events[-1].current, events[-1].total) == ("proof.apply", 4, 4)
        assert theirs.apply_many([]) == []


def test_goals_in_another_order_and_a_claim(held: WorkerSession) -> None:
    two = run(held.prove(AND), *STEPS[:2])
    assert [goal.case for goal in two.goals] == ["left", "right"]
    assert [goal.case for goal in two.focus(1).goals] == ["right", "left"]
    last = run(two.focus(1), "exact hq", "exact hp")
    assert isinstance(last.finish(), Checked)
    assert state(two.apply("exact hq", 1)).goals == two.goals[:1]
    claimed = state(state(held.prove("Nat → Nat")).have("h", "Nat"))
    assert sorted(goal.target for goal in claimed.goals) == ["Nat", "Nat → Nat"]
    apart = run(held.prove("∃ n : Nat, n = n"), "apply Exists.intro")
    assert apart.goals[0].coupled == (1,)
    assert [goal.coupled for goal in apart.focus(1).goals] == [(1,), (0,)]


def test_a_state_is_a_value(held: WorkerSession) -> None:
    start = state(held.prove(AND))
    with pytest.raises(FrozenInstanceError):
        start.goals = ()  # type: ignore[misc]
    assert start.apply(STEPS[0]) == start.apply(STEPS[0])
    assert isinstance(start.apply("exact 1"), TacticFailure)
    assert start == held.prove(AND)
    for goal in (1, -1, True):
        with pytest.raises(UsageError, match="there is no goal"):
            start.apply("intro p", goal)
    with pytest.raises(UsageError):
        start.apply_many("intro p")
    with pytest.raises(UsageError):
        held.prove(1)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at most"):
        replace(start, path=(ProofStep("intro p", 0),) * MAX_STEPS).apply("intro q")
    with pytest.raises(UsageError, match="at most"):
        start.apply("-- " + "x" * (1 << 20))


def test_what_cannot_be_finished(held: WorkerSession) -> None:
    start = state(held.prove("1 = 2"))
    outcome = start.finish()
    assert isinstance(outcome, Rejected)
    assert outcome.failure.message == "1 goal remains"
    outcome = run(start, "sorry").finish()
    assert isinstance(outcome, Rejected)
    assert outcome.failure.code == "sorry"


def test_a_proof_in_an_extended_session(held: WorkerSession) -> None:
    grown = held.extend("axiom wish : 1 = 2\n")
    solved = run(grown.prove("1 = 2"), "exact wish")
    assert isinstance(solved.finish(), Rejected)
    assert isinstance(solved.finish(allow_axioms=["wish"]), Checked)
    assert isinstance(state(held.prove("1 = 2")).apply("exact wish"), TacticFailure)


def test_a_state_outlives_its_worker_and_its_block(pool: WorkerPool) -> None:
    with pool.session(["Init"]) as session:
        two = run(session.prove(AND), *STEPS[:2])
        first = worker_of(pool, session)
        os.kill(first, signal.SIGKILL)
        one = state(two.apply("exact hp"))
        assert worker_of(pool, session) != first
    solved = run(one, "exact hq")
    assert solved.is_solved
    assert isinstance(solved.finish(), Checked)
    assert isinstance(run(two, "exact hp", "exact hq").finish(), Checked)


def test_a_step_that_does_not_succeed_again_is_not_taken_for_a_failure(held: WorkerSession) -> None:
    start = state(held.prove(AND))
    forged = replace(start, path=(ProofStep("exact 1", 0),))
    with pytest.raises(NotReproduced, match="step 1 of 1"):
        forged.apply("intro p")
    with pytest.raises(NotReproduced, match="the statement"):
        replace(start, statement="no_such_name").apply("intro p")


def test_a_cancelled_step_and_a_stopped_one(held: WorkerSession) -> None:
    start = state(held.prove(AND))
    token = CancellationToken()
    token.cancel()
    for answer in start.apply_many(STEPS[:2], cancellation=token):
        assert isinstance(answer, TacticFailure)
        assert answer.limit is Limit.CANCELLED
    assert isinstance(start.apply(STEPS[0]), WorkerProofState)


def test_a_tactic_that_hangs_is_killed_and_its_state_stays_good(make_pool: MakePool) -> None:
    pool = make_pool(workers=1, spares=0, grace=0.3)
    with pool.session(["Init"]) as session:
        grown = session.extend(RUNS_CODE)
        start = state(grown.prove(AND, MetaOptions(timeout=1.0)))
        before = run(start, STEPS[0])
        with pytest.raises(EngineStuck):
            before.apply("exact hangs")
        assert isinstance(run(before, *STEPS[1:]).finish(), Checked)
        with pytest.raises(EngineLost):
            before.apply("exact leaves")
        assert isinstance(run(before, *STEPS[1:]).finish(), Checked)
    assert pool.stats.held == 0


def test_threads_on_one_held_session_are_served_in_turn(held: WorkerSession) -> None:
    start = run(held.prove(AND), STEPS[0])
    answers: list[WorkerProofState | TacticFailure] = []
    threads = [threading.Thread(target=lambda: answers.append(start.apply("constructor"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 4
    assert {state(answer).remaining for answer in answers} == {2}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_asynchronous_twins(pool: WorkerPool, backend: str) -> None:
    async def main() -> None:
        async with pool.session(["Init"]) as session:
            start = state(await session.aprove(AND))
            one, failed = await start.aapply_many([STEPS[0], "exact 1"])
            assert isinstance(failed, TacticFailure)
            both = state(await state(one).aapply(STEPS[1]))
            solved = state(await state(await both.aapply("exact hp")).aapply("exact hq"))
            assert isinstance(await solved.afinish(), Checked)

    anyio.run(main, backend=backend)
