"""``verify``: a candidate proves exactly what a trusted reference states, or the reasons why not are typed."""

from __future__ import annotations

import os
import signal

import pytest

from leanhost.services.values.results import Status
from leanhost.workers import CheckItem, WorkerPool
from leanhost.workers.jobs.import_profiles import headerless, profile_of
from leanhost.workers.supervision.worker import State
from tests.support.pools import ENDLESS, MakePool
from tests.support.processes import eventually

REFERENCE = """
inductive Colour where
  | red
  | green
def two : Nat := 2
theorem swap (a b : Nat) (h : a = b) : b = a := by sorry
theorem itself (c : Colour) : c = c := by sorry
"""

COLOUR = "inductive Colour where\n  | red\n  | green\n"
TWO = "def two : Nat := 2\n"
SWAP = "theorem swap (a b : Nat) (h : a = b) : b = a := h.symm\n"
ITSELF = "theorem itself (c : Colour) : c = c := rfl\n"

PROOFS = {
    "as asked": COLOUR + TWO + SWAP + ITSELF,
    "in another order, with helpers": TWO
    + "theorem helper (a b : Nat) (h : a = b) : b = a := h.symm\n"
    + "theorem swap (x y : Nat) (e : x = y) : y = x := helper x y e\n"
    + COLOUR
    + ITSELF,
}

REFUSED = {
    "sorry": (COLOUR + TWO + SWAP + "theorem itself (c : Colour) : c = c := by sorry\n", {"sorry"}),
    "another statement": (
        COLOUR + TWO + "theorem swap (a b : Nat) (h : a = b) : a = b := h\n" + ITSELF,
        {"statement"},
    ),
    "a weaker statement": (
        COLOUR + TWO + "theorem swap (a : Nat) (h : a = a) : a = a := h\n" + ITSELF,
        {"statement"},
    ),
    "another definition": (COLOUR + "def two : Nat := 3\n" + SWAP + ITSELF, {"definition"}),
    "another type": (COLOUR + "  | blue\n" + TWO + SWAP + ITSELF, {"definition"}),
    "constructors in another order": (
        "inductive Colour where\n  | green\n  | red\n" + TWO + SWAP + ITSELF,
        {"definition"},
    ),
    "an axiom of its own": (
        COLOUR + TWO + "axiom cheat (a b : Nat) : b = a\n"
        "theorem swap (a b : Nat) (h : a = b) : b = a := cheat a b\n" + ITSELF,
        {"axiom"},
    ),
    "an axiom in a theorem's place": (
        COLOUR + TWO + "axiom swap (a b : Nat) (h : a = b) : b = a\n" + ITSELF,
        {"kind"},
    ),
    "a definition in a theorem's place": (
        COLOUR + TWO + SWAP + "def itself (c : Colour) : c = c := rfl\n",
        {"kind"},
    ),
    "nothing": ("", {"missing"}),
    "one missing": (COLOUR + TWO + SWAP, {"missing"}),
    "other notation": (
        'set_option hygiene false\nmacro "theorem " "swap" : command => `(theorem swap : True := True.intro)\n'
        + COLOUR
        + TWO
        + "theorem swap\n"
        + ITSELF,
        {"statement", "elaboration"},
    ),
    "an error": (COLOUR + TWO + "theorem swap : nonsense := 1\n" + ITSELF, {"elaboration"}),
    "no kernel check": (
        "set_option debug.skipKernelTC true\n"
        + COLOUR
        + TWO
        + SWAP
        + "theorem itself (c : Colour) : c = c := by rfl\n",
        set(),
    ),
}


@pytest.mark.parametrize("name", PROOFS)
def test_a_proof_is_verified(native_pool: WorkerPool, name: str) -> None:
    verification = native_pool.verify(REFERENCE, PROOFS[name])
    assert verification.refusals == ()
    assert verification.verified
    assert verification.candidate.accepted


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_proof_is_refused_for_its_reason(native_pool: WorkerPool, name: str) -> None:
    source, codes = REFUSED[name]
    verification = native_pool.verify(REFERENCE, source)
    found = {refusal.code for refusal in verification.refusals}
    assert found <= codes if len(codes) > 1 else found == codes
    assert verification.verified == (not codes)
    assert (verification.status is Status.ACCEPTED) == (not codes)


def test_what_a_candidate_fails_with_is_told_as_lean_said_it(native_pool: WorkerPool) -> None:
    for source, message in {
        "theorem swap : 1 = 2 := nonsense\n": "mine.lean:1:24: error: Unknown identifier `nonsense`",
        "import Nowhere\n": "unknown module Nowhere: ",
    }.items():
        found = native_pool.verify(SWAP, CheckItem(source=source, file="mine.lean"))
        (refusal,) = found.refusals
        assert refusal.message.startswith(message)
        assert "native-runtime" in found.candidate.toolchain


def test_axioms_are_the_references_to_allow(native_pool: WorkerPool) -> None:
    axiom = "axiom fact : two = 3\n"
    candidate = TWO + axiom + "theorem t : two = 3 := fact\n"
    statement = TWO + "theorem t : two = 3 := by sorry\n"
    assert not native_pool.verify(statement, candidate).verified
    assert native_pool.verify(
        CheckItem(source=statement, allow_axioms=["fact : two = 3"]), candidate
    ).verified
    named = native_pool.verify(CheckItem(source=statement, allow_axioms=["fact"]), candidate)
    assert [r.code for r in named.refusals] == ["axiom"]
    assert native_pool.verify(TWO + axiom + "theorem t : two = 3 := by sorry\n", candidate).verified
    other = TWO + "axiom fact : two = 2\naxiom more : two = 3\ntheorem t : two = 3 := more\n"
    refusals = native_pool.verify(TWO + axiom + "theorem t : two = 3 := by sorry\n", other).refusals
    assert {r.code for r in refusals} == {"axiom", "definition"}


def test_what_candidates_are_allowed_is_not_theirs_to_say(native_pool: WorkerPool) -> None:
    candidate = CheckItem(source="axiom ok : 1 = 2\ntheorem t : 1 = 2 := ok\n", allow_axioms=["ok"])
    assert not native_pool.verify("theorem t : 1 = 2 := by sorry\n", candidate).verified


def test_a_reference_that_states_nothing_verifies_nothing(native_pool: WorkerPool) -> None:
    assert [r.code for r in native_pool.verify("", "").refusals] == ["reference"]
    assert [r.code for r in native_pool.verify("theorem t : nonsense := 1\n", "").refusals] == ["reference"]
    (refusal,) = native_pool.verify("example : 1 = 1 := by sorry\n", "example : 1 = 1 := rfl\n").refusals
    assert "an example has no name" in refusal.message


def test_a_candidate_that_does_not_end_is_a_timeout(make_pool: MakePool) -> None:
    pool = make_pool(grace=0.3)
    verification = pool.verify(REFERENCE, CheckItem(source=ENDLESS, timeout=0.3))
    assert verification.status is Status.TIMEOUT
    assert not verification.verified


def test_the_judge_has_run_no_candidate(make_pool: MakePool) -> None:
    pool = make_pool(max_requests=100, spares=0)
    assert pool.check("theorem t : 1 = 1 := rfl\n").accepted
    assert pool.verify("theorem t : 1 = 1 := by sorry\n", "theorem t : 1 = 1 := rfl\n").verified
    assert pool.stats.processes_started == 2  # one that had run something, and one for the judge


def test_a_judge_judges_again_and_does_nothing_else(make_pool: MakePool) -> None:
    pool = make_pool(max_requests=100)
    theorem = "theorem t : 1 = 1 := rfl\n"
    for _ in range(3):
        assert pool.verify("theorem t : 1 = 1 := by sorry\n", theorem).verified
        assert pool.check(theorem).accepted
    assert pool.stats.processes_started == 2
    judge, elaborator = sorted(pool._supervisor._workers, key=lambda worker: worker.touched)
    assert judge.is_judge
    assert (judge.served, elaborator.served) == (3, 6)


def test_a_judge_that_checks_is_no_judge_any_more(make_pool: MakePool) -> None:
    pool = make_pool(max_requests=100, workers=2)
    reference, theorem = "theorem t : 1 = 1 := by sorry\n", "theorem t : 1 = 1 := rfl\n"
    assert pool.verify(reference, theorem).verified
    (judge,) = [worker for worker in pool._supervisor._workers if worker.is_judge]
    with pool.session(["Init"]) as session:
        assert session.run(theorem).ok  # held: the other one
        assert pool.stats.processes_started == 2
        assert pool.check(theorem).accepted
    assert judge.touched
    assert pool.verify(reference, theorem).verified
    assert pool.stats.processes_started == 3


def test_a_check_leaves_the_judge_alone_while_another_worker_is_free(make_pool: MakePool) -> None:
    """Even if the judge is the older one."""
    pool = make_pool(max_requests=100, spares=2)
    reference, theorem = "theorem t : 1 = 1 := by sorry\n", "theorem t : 1 = 1 := rfl\n"
    assert pool.verify(reference, theorem).verified
    (judge,) = [worker for worker in pool._supervisor._workers if worker.is_judge]
    (elaborator,) = [worker for worker in pool._supervisor._workers if not worker.is_judge]
    os.kill(elaborator.process.pid, signal.SIGKILL)

    def spare_is_up() -> bool:  # in the place of the one that ended
        return sorted(w.served for w in pool._supervisor._workers if w.state is State.IDLE) == [0, 1]

    eventually(spare_is_up)
    assert pool.check(theorem).accepted
    assert judge.is_judge
    assert pool.verify(reference, theorem).verified
    assert judge.served == 2


@pytest.mark.parametrize("from_scratch", [False, True])
def test_the_library_can_be_checked_as_well(native_pool: WorkerPool, from_scratch: bool) -> None:
    candidate = PROOFS["as asked"]
    verification = native_pool.verify(REFERENCE, candidate, from_scratch=from_scratch)
    assert verification.verified
    assert verification.from_scratch == from_scratch
    wrong = candidate.replace("def two : Nat := 2", "def two : Nat := 3")
    refusals = native_pool.verify(REFERENCE, wrong, from_scratch=from_scratch).refusals
    assert [r.code for r in refusals] == ["definition"]


@pytest.mark.parametrize("from_scratch", [False, True])
def test_a_candidate_has_imports_of_its_own(native_pool: WorkerPool, from_scratch: bool) -> None:
    statement = "theorem t (p q : Prop) (h : p ↔ q) : p = q := by sorry\n"
    verification = native_pool.verify(
        statement,
        "import Init.Core\n" + statement.replace("by sorry", "propext h"),
        from_scratch=from_scratch,
    )
    assert verification.refusals == ()
    assert verification.verified
    assert verification.from_scratch == from_scratch


def test_an_allowed_axiom_is_allowed_as_what_it_is(native_pool: WorkerPool) -> None:
    """A candidate that does not import ``propext`` may not put something else in its place."""
    fact = "prelude\ninductive Fact : Prop where | proved : Fact\n"
    reference = fact + "theorem t : Fact := Fact.proved\n"
    assert native_pool.verify(reference, reference).verified
    verification = native_pool.verify(reference, fact + "axiom propext : Fact\ntheorem t : Fact := propext\n")
    assert [r.code for r in verification.refusals] == ["axiom"]
    candidate = (
        "prelude\nimport Fixture.Logic\naxiom propext : False\n"
        "theorem t (p : Prop) (h : p) : p := False.elim propext\n"
    )
    verification = native_pool.verify("theorem t (p : Prop) (h : p) : p := by sorry\n", candidate)
    assert verification.candidate.accepted
    assert verification.status is Status.REJECTED
    assert ("library", "propext") in {(r.code, r.name) for r in verification.refusals}


@pytest.mark.parametrize(
    ("reference", "candidate", "shared"),
    [
        ("", "theorem t : True := trivial", True),
        ("-- a comment\nimport A", "import  A -- another", True),
        ("import A", "import B", False),
        ("import A\nimport B", "import B\nimport A", False),
        ("", "import Init", False),
        ("prelude", "prelude", False),
        ("prelude\nimport A", "prelude\nimport A", False),
        ("module\nimport A", "module\nimport A", False),
    ],
)
def test_only_the_same_imports_are_shared(reference: str, candidate: str, shared: bool) -> None:
    heads = [profile_of(source, headerless(None)) for source in (reference, candidate)]
    assert heads[0].shared_with(heads[1]) == shared
