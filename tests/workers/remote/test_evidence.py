"""Evidence of workers is asked again and compared by workers, as in this process."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import msgspec
import pytest

from leanhost.errors import ElaborationError, ForeignHandleError, NotReproduced, UsageError
from leanhost.services.session.host import Host
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.outcomes import Checked, Evidence, EvidenceStatus
from leanhost.services.values.results import Limit
from leanhost.workers import WorkerPool, WorkerProofState, WorkerSession
from leanhost.workers.remote.provenance import Provenance
from tests.support.pools import GOOD
from tests.support.processes import worker_of

STATEMENTS = ("∀ (a b : Nat), a = b → b = a", "∀ (x y : Nat) (e : x = y), y = x", "1 = 1")


def evidence(session: WorkerSession, source: str = GOOD) -> Evidence:
    outcome = session.kernel_check(source)
    assert isinstance(outcome, Checked), outcome
    return outcome.evidence


def test_it_is_asked_again_and_compared(pool: WorkerPool, host: Host) -> None:
    with pool.session(["Init"]) as there, host.session(["Init"]) as here:
        ours = here.kernel_check(GOOD)
        assert isinstance(ours, Checked)
        theirs = evidence(there)
        assert theirs == ours.evidence
        assert theirs.summary(9) == ours.evidence.summary(9)
        assert theirs.axioms == ours.evidence.axioms
        assert there.recheck(theirs) == here.recheck(ours.evidence) == EvidenceStatus.CHECKED
        for statement in STATEMENTS:
            assert there.matches(theirs, statement) == here.matches(ours.evidence, statement)
        assert there.matches_many([theirs, theirs], STATEMENTS[0])[1].syntactic
        with pytest.raises(ElaborationError):
            there.matches(theirs, "no_such_name")
        assert there.recheck_many([]) == []


def test_evidence_of_proofs_and_extensions(pool: WorkerPool) -> None:
    with pool.session(["Init"]) as session:
        grown = session.extend("def mine : Nat := Nat.zero\n")
        start = grown.prove("mine = Nat.zero")
        assert isinstance(start, WorkerProofState)
        solved = start.apply("rfl")
        assert isinstance(solved, WorkerProofState)
        outcome = solved.finish("proved")
        assert isinstance(outcome, Checked)
        found = outcome.evidence
        assert grown.recheck(found) is EvidenceStatus.CHECKED
        assert grown.matches(found, "mine = Nat.zero").syntactic
        (bulk,) = grown.kernel_check_many(["theorem t : mine = Nat.zero := rfl\n"])
        assert isinstance(bulk, Checked)
        os.kill(worker_of(pool, session), signal.SIGKILL)
        # Another worker makes it again, the proof as well as the source.
        assert [m.syntactic for m in grown.matches_many([found, *bulk.all], "mine = Nat.zero")] == [True] * 2
        # A session without the definition cannot mean the same by its name.
        other = session.extend("def mine : Nat := Nat.succ Nat.zero\n")
        assert "something else" in other.matches(found, "mine = Nat.zero").message
        for i in range(6):
            assert (
                session.extend(f"def other{i} : Nat := Nat.zero\n").recheck(found) is EvidenceStatus.CHECKED
            )


def test_what_is_no_evidence_of_a_worker(pool: WorkerPool, host: Host) -> None:
    session = pool.session(["Init"])
    with host.session(["Init"]) as here:
        ours = here.kernel_check(GOOD)
        assert isinstance(ours, Checked)
        with pytest.raises(ForeignHandleError, match="worker over the same imports"):
            session.recheck(ours.evidence)
        theirs = evidence(session)
        with pytest.raises(ForeignHandleError):
            here.recheck(theirs)
    with pytest.raises(ForeignHandleError):
        pool.session(["Init.Prelude"]).matches(theirs, "1 = 1")
    with pytest.raises(UsageError):
        session.matches(theirs, 1)  # type: ignore[arg-type]
    token = CancellationToken()
    token.cancel()
    assert session.recheck(theirs, cancellation=token) is EvidenceStatus.UNAVAILABLE
    assert session.matches(theirs, "1 = 1", cancellation=token).limit is Limit.CANCELLED


def test_evidence_that_cannot_be_had_again(pool: WorkerPool) -> None:
    session = pool.session(["Init"])
    found = evidence(session)
    origin = found._provenance
    assert isinstance(origin, Provenance)
    made = msgspec.structs.replace(origin.made, source="theorem bad : 1 = 2 := rfl\n")
    with pytest.raises(NotReproduced, match="could not be had again"):
        session.recheck(replace(found, _provenance=replace(origin, made=made)))
