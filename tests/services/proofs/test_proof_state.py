"""Proof states: immutable, branching, finished only by the kernel."""

from __future__ import annotations

import gc

import pytest

from leanhost.errors import ClosedError, UsageError
from leanhost.services.proofs.answers import TacticFailure
from leanhost.services.proofs.proof_state import ProofState
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.terms.meta_answers import MetaOptions
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.outcomes import Checked, Rejected, Unavailable
from leanhost.services.values.results import Limit, Position
from tests.support.answers import failure, state


def test_a_proof_from_start_to_evidence(session: Session) -> None:
    start = state(session.prove("∀ (p q : Prop), p ∧ q → q ∧ p"))
    assert start.remaining == 1
    introduced = state(start.apply("intro p q h"))
    (goal,) = introduced.goals
    assert goal.target == "q ∧ p"
    assert [(h.name, h.type) for h in goal.hypotheses] == [("p", "Prop"), ("q", "Prop"), ("h", "p ∧ q")]
    split = state(introduced.apply("constructor"))
    assert [(g.case, g.target) for g in split.goals] == [("left", "q"), ("right", "p")]
    done = state(state(split.apply("exact h.2")).apply("exact h.1"))
    assert done.is_solved
    outcome = done.finish("and_swap")
    assert isinstance(outcome, Checked), outcome
    assert outcome.evidence.name == "and_swap"
    assert outcome.evidence.type == "∀ (p q : Prop), p ∧ q → q ∧ p"
    assert outcome.evidence.axioms == ()


def test_states_are_immutable_and_branching_is_free(session: Session) -> None:
    start = state(session.prove("∀ (a b : Nat), a = b → b = a"))
    introduced = state(start.apply("intro a b h"))
    before = str(introduced)
    one = state(introduced.apply("exact h.symm"))
    other = state(introduced.apply("rw [h]"))
    assert str(introduced) == before
    for finished in (one, other):
        assert isinstance(finished.finish(), Checked)


def test_many_tactics_on_one_state(session: Session) -> None:
    introduced = state(state(session.prove("∀ (a b : Nat), a = b → b = a")).apply("intro a b h"))
    results = introduced.apply_many(["exact h", "exact h.symm", "nonsense", "rw [h]"])
    assert [isinstance(r, ProofState) for r in results] == [False, True, False, True]


def test_a_tactic_that_fails_leaves_the_state_good(session: Session) -> None:
    start = state(session.prove("1 + 1 = 2"))
    for tactic in ["exact foo", "intro x", "exact (", "apply rfl rfl", ""]:
        assert failure(start.apply(tactic)).message
    assert isinstance(state(start.apply("rfl")).finish(), Checked)


def test_a_recovered_error_is_a_failure(session: Session) -> None:
    # `constructor <;> exact ...` and structuring tactics recover from errors by admitting goals.
    start = state(session.prove("∀ p : Prop, p → p ∧ p"))
    found = start.apply("intro p h; constructor\n· exact nonsense\n· exact h")
    assert isinstance(found, TacticFailure)


def test_what_a_tactic_logs_is_reported_where_it_is(session: Session) -> None:
    start = state(session.prove("∀ p : Prop, p → p ∧ p"))
    for tactics, places in {
        "· exact α": [Position(1, 8), Position(1, 9)],
        "intro p h; constructor\n· exact (α)\n· exact h": [Position(2, 9), Position(2, 10)],
    }.items():
        logged = failure(start.apply(tactics)).diagnostics[0]
        assert [logged.position, logged.end] == places, tactics


def test_where_a_tactic_does_not_parse(session: Session) -> None:
    start = state(session.prove("∀ p : Prop, p → p"))
    for tactics, place in {
        "exact (1 +": "1:10: ",
        "intro p; exact (": "1:16: ",
        "intro p h garbage h )": "1:20: ",
        "intro p h\nexact )": "2:6: ",
        "intro p h\nexact (1 +": "2:10: ",
    }.items():
        found = failure(start.apply(tactics))
        assert found.message.startswith(f"<tactic>:{place}"), (tactics, found.message)
        (fault,) = found.diagnostics
        assert f"{fault.file}:{fault.position}: {fault.message}" == found.message
    (fault,) = failure(session.prove("∀ p : Prop,\n p →")).diagnostics
    assert (fault.file, fault.position) == ("<statement>", Position(2, 4))


def test_several_tactics_at_once(session: Session) -> None:
    done = state(state(session.prove("∀ p : Prop, p → p")).apply("intro p h\nexact h"))
    assert isinstance(done.finish(), Checked)


def test_sorry_is_not_a_proof(session: Session) -> None:
    done = state(state(session.prove("1 = 2")).apply("sorry"))
    assert done.is_solved
    outcome = done.finish()
    assert isinstance(outcome, Rejected)
    assert outcome.failure.code == "sorry"


def test_open_goals_and_open_metavariables_are_no_proof(session: Session) -> None:
    start = state(session.prove("∃ n : Nat, n = n"))
    assert isinstance(start.finish(), Rejected)
    coupled = state(start.apply("constructor"))
    targets = {goal.target: goal.coupled for goal in coupled.goals}
    assert len(targets) == 2
    assert all(targets.values()), "each goal shares the witness with the other"
    # Solving the equation by rfl leaves the witness unassigned: it stays a goal.
    position = next(i for i, g in enumerate(coupled.goals) if "=" in g.target)
    left = state(coupled.apply("rfl", position))
    if left.is_solved:
        assert isinstance(left.finish(), Rejected)
    else:
        assert [g.target for g in left.goals] == ["Nat"]
        assert isinstance(state(left.apply("exact 3")).finish(), Checked)


def test_focus_brings_a_goal_to_the_front(session: Session) -> None:
    split = state(state(session.prove("True ∧ (1 = 1)")).apply("constructor"))
    assert [g.target for g in split.focus(1).goals] == ["1 = 1", "True"]
    with pytest.raises(UsageError, match="there is no goal 7"):
        split.focus(7)


def test_have_adds_a_claim(session: Session) -> None:
    introduced = state(state(session.prove("∀ (a b : Nat), a = b → b = a")).apply("intro a b h"))
    claimed = state(introduced.have("k", "b = a"))
    assert claimed.remaining == 2


def test_an_axiom_outside_the_list_is_refused_until_allowed(session: Session) -> None:
    with session.extend("axiom cheat : 1 = 2") as extended:
        done = state(state(extended.prove("1 = 2")).apply("exact cheat"))
        outcome = done.finish()
        assert isinstance(outcome, Rejected)
        assert outcome.failure.code == "axiom"
        allowed = done.finish(allow_axioms=["cheat"])
        assert isinstance(allowed, Checked)
        assert allowed.evidence.axioms == ("cheat",)


def test_a_bad_statement_is_a_failure(session: Session) -> None:
    assert "noSuchThing" in failure(session.prove("noSuchThing")).message
    assert failure(session.prove("1 +")).message
    assert failure(session.prove("5")).message


def test_universe_polymorphic_statements(session: Session) -> None:
    polymorphic = state(session.prove("∀ {α : Sort _} (a : α), a = a"))
    outcome = state(polymorphic.apply("intro α a\nrfl")).finish("refl_all")
    assert isinstance(outcome, Checked)


def test_limits_stop_a_tactic(session: Session) -> None:
    found = session.prove("1 + 1 = 2", MetaOptions(max_heartbeats=1))
    if isinstance(found, ProofState):
        found = found.apply("decide")
    assert failure(found).limit is not None


def test_a_proof_ends_with_its_session(host: Host) -> None:
    with host.session(["Init"]) as short:
        start = state(short.prove("1 = 1"))
    with pytest.raises(ClosedError):
        start.apply("rfl")


def test_steps_leave_no_handles(session: Session) -> None:
    engine = session._lean.engine
    start = state(session.prove("∀ (a b : Nat), a = b → b = a"))

    def walk() -> None:
        introduced = state(start.apply("intro a b h"))
        failure(introduced.apply("exact h"))
        assert isinstance(state(introduced.apply("exact h.symm")).finish(), Checked)
        assert introduced.goals

    walk()
    walk()
    gc.collect()
    engine.drain()
    live = engine.live
    for _ in range(20):
        walk()
    gc.collect()
    engine.drain()
    assert engine.live <= live


def test_hypotheses_have_values_binders_and_case_tags(session: Session) -> None:
    start = state(session.prove("∀ {p : Prop} (q : Prop), p ∨ q → let n : Nat := 2; q ∨ p"))
    opened = state(start.apply("intro p q h n"))
    (goal,) = opened.goals
    assert [(h.name, h.type, h.value) for h in goal.hypotheses] == [
        ("p", "Prop", None),
        ("q", "Prop", None),
        ("h", "p ∨ q", None),
        ("n", "Nat", "2"),
    ]
    assert [h.binder for h in goal.hypotheses] == ["implicit", "default", "default", "default"]
    assert goal.case is None
    handles = opened.local_context()
    assert [str(h.name) for h in handles] == ["p", "q", "h", "n"]
    assert str(handles[3].value) == "2"
    cases = state(opened.apply("cases h"))
    assert [g.case for g in cases.goals] == ["inl", "inr"]
    assert cases.goals[0].pretty.startswith("case inl")


def test_text_on_several_lines(session: Session) -> None:
    introduced = state(
        state(session.prove("∀ (a b c : Nat), a = b → b = c → a = c")).apply("intro a b c h k")
    )
    calc = "calc\n  a = b := h\n  _ = c := k"
    assert isinstance(state(introduced.apply(calc)).finish(), Checked)
    assert isinstance(
        state(introduced.apply(f"  have m : a = b := h\n  {calc[:4]} a = b := m\n    _ = c := k")).finish(),
        Checked,
    )
    failed = failure(introduced.apply("calc\n  a = b := k\n  _ = c := k"))
    assert failed.diagnostics or failed.message


def test_what_is_only_called_solved_is_refused(session: Session) -> None:
    start = state(session.prove("True"))
    lean, home = session._lean, session._runner.home
    outside = home.expr(session.build.fvar("nowhere"))
    for root in (outside, start._root):
        forged = ProofState(start._prover, start._saved, root, ())
        assert forged.is_solved
        outcome = forged.finish()
        assert isinstance(outcome, Rejected), outcome
    assert lean.engine.live


def test_a_cancelled_step_says_so(session: Session) -> None:
    start = state(session.prove("True"))
    token = CancellationToken()
    token.cancel()
    assert failure(start.apply("trivial", cancellation=token)).limit is Limit.CANCELLED
    assert failure(session.prove("True", cancellation=token)).limit is Limit.CANCELLED
    done = state(start.apply("trivial"))
    assert done.finish(cancellation=token) == Unavailable(Limit.CANCELLED, "the caller cancelled")
    stop = CancellationToken()
    results = start.apply_many(["trivial"] * 3, cancellation=stop, progress=lambda _: stop.cancel())
    assert [isinstance(r, ProofState) for r in results] == [True, False, False]
    with pytest.raises(UsageError):
        start.apply_many("trivial")
    with pytest.raises(UsageError):
        start.apply(3)  # type: ignore[arg-type]


def test_messages_of_failures_are_bounded(session: Session) -> None:
    start = state(session.prove("True", MetaOptions(diagnostic_bytes=100)))
    long = "x" * 5000
    assert len(failure(start.apply(f"exact {long}")).message.encode()) <= 100
    assert len(failure(start.apply(f"{long} {long}")).message) < 20_000
