"""Bulk forms: one result an item, in order, failures apart."""

from __future__ import annotations

import pytest

from leanhost.errors import UsageError
from leanhost.services.proofs.answers import TacticFailure
from leanhost.services.proofs.proof_state import ProofState
from leanhost.services.session.session import Session
from leanhost.services.terms.meta_answers import Failed, MetaOptions, Ok, TimeoutOrHeartbeat
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.outcomes import Checked, Rejected, Unavailable
from leanhost.services.values.progress import ProgressEvent
from leanhost.services.values.results import Limit
from tests.support.answers import term
from tests.support.heartbeats import burn


def test_questions_in_bulk_answer_as_one_by_one(session: Session) -> None:
    meta = session.meta
    terms = [term(session, text) for text in ("Nat", "fun x : Nat => x", "True")] * 40
    assert meta.infer_type_many(terms) == [meta.infer_type(t) for t in terms]
    assert meta.whnf_many(terms[:3]) == [meta.whnf(t) for t in terms[:3]]
    assert meta.pp_expr_many(terms[:3]) == [Ok("Nat"), Ok("fun x => x"), Ok("True")]
    two, sum_ = term(session, "2"), term(session, "1 + 1")
    assert meta.is_def_eq_many([(two, sum_), (two, terms[0]), (two, two)]) == [Ok(True), Ok(False), Ok(True)]
    assert meta.infer_type_many([]) == []


def test_one_bad_item_does_not_spoil_the_others(session: Session) -> None:
    good = term(session, "Nat")
    bad = session.build.app(good, good)
    first, second, third = session.meta.infer_type_many([good, bad, good])
    assert isinstance(first, Ok)
    assert isinstance(second, Failed)
    assert isinstance(third, Ok)


def test_limits_are_for_each_item(session: Session) -> None:
    terms = [term(session, "fun x : Nat => x")] * 200
    assert all(isinstance(r, Ok) for r in session.meta.infer_type_many(terms, MetaOptions(max_heartbeats=2)))
    token = CancellationToken()
    token.cancel()
    burned = burn(session, MetaOptions(max_heartbeats=0), cancellation=token)
    assert burned == TimeoutOrHeartbeat(Limit.CANCELLED)


def test_kernel_checks_in_bulk(session: Session) -> None:
    events: list[ProgressEvent] = []
    outcomes = session.kernel_check_many(
        ["theorem a : 1 = 1 := rfl", "theorem b : 1 = 2 := rfl", "theorem a : 2 = 2 := rfl"],
        progress=events.append,
    )
    assert [type(o) for o in outcomes] == [Checked, Rejected, Checked]
    assert [e.current for e in events if e.phase == "bulk"][-1] == 3
    token = CancellationToken()
    token.cancel()
    assert all(
        isinstance(o, Unavailable)
        for o in session.kernel_check_many(["theorem a : 1 = 1 := rfl"] * 2, cancellation=token)
    )


def test_every_question_has_a_bulk_form(session: Session) -> None:
    meta = session.meta
    one, two = term(session, "Nat.succ Nat.zero"), term(session, "fun x : Nat => x")
    events: list[ProgressEvent] = []
    for name in ("infer_type", "whnf", "pp_expr", "reduce", "instantiate_mvars", "synth_instance"):
        events.clear()
        single, bulk = getattr(meta, name), getattr(meta, f"{name}_many")
        assert bulk([one, two] * 40, progress=events.append) == [single(one), single(two)] * 40
        assert [(e.phase, e.current, e.total) for e in events] == [(f"meta.{name}", n, 80) for n in (64, 80)]
    found, missing = meta.synth_instance_many([term(session, "Inhabited Nat"), one])
    assert isinstance(found, Ok)
    assert isinstance(missing, Failed)


def test_pairs_in_bulk(session: Session) -> None:
    """``is_def_eq`` is the question that takes pairs."""
    meta = session.meta
    one, same, two = (
        term(session, text) for text in ("Nat.succ Nat.zero", "(fun n : Nat => n.succ) Nat.zero", "2")
    )
    pairs = [(one, same), (one, two)] * 40
    events: list[ProgressEvent] = []
    assert meta.is_def_eq_many(pairs, progress=events.append) == [Ok(True), Ok(False)] * 40
    assert [meta.is_def_eq(*pair) for pair in pairs[:2]] == [Ok(True), Ok(False)]
    assert [(e.phase, e.current, e.total) for e in events] == [("meta.is_def_eq", n, 80) for n in (64, 80)]
    bad = session.build.app(one, one)
    good, failed = meta.is_def_eq_many([(one, same), (bad, one)])
    assert good == Ok(True)
    assert not isinstance(failed, TimeoutOrHeartbeat)
    token = CancellationToken()
    answers = meta.is_def_eq_many(pairs, cancellation=token, progress=lambda _: token.cancel())
    assert answers == [Ok(True), Ok(False)] * 32 + [TimeoutOrHeartbeat(Limit.CANCELLED)] * 16


def test_a_cancelled_bulk_answers_for_what_is_left(session: Session) -> None:
    terms = [term(session, "Nat")] * 1000
    token = CancellationToken()
    answers = session.meta.infer_type_many(terms, cancellation=token, progress=lambda _: token.cancel())
    assert [isinstance(a, Ok) for a in answers] == [True] * 64 + [False] * 936
    assert answers[-1] == TimeoutOrHeartbeat(Limit.CANCELLED)
    assert session.meta.infer_type(terms[0], cancellation=token) == TimeoutOrHeartbeat(Limit.CANCELLED)
    assert isinstance(session.meta.infer_type(terms[0]), Ok)


def test_runs_in_bulk(session: Session) -> None:
    results = session.run_many(
        ["theorem a : True := trivial", "theorem b : nope", "theorem a : True := trivial"]
    )
    assert [r.ok for r in results] == [True, False, True]
    token = CancellationToken()
    token.cancel()
    assert [r.limits for r in session.run_many(["#check Nat"] * 2, cancellation=token)] == [
        (Limit.CANCELLED,)
    ] * 2


def test_proofs_are_started_in_bulk(session: Session) -> None:
    events: list[ProgressEvent] = []
    good, bad, other = session.prove_many(
        ["True", "no such type", "∀ n : Nat, n = n"], progress=events.append
    )
    assert isinstance(good, ProofState)
    assert isinstance(bad, TacticFailure)
    assert isinstance(other, ProofState)
    assert [state.goals[0].target for state in (good, other)] == ["True", "∀ (n : Nat), n = n"]
    assert [(e.phase, e.current, e.total) for e in events] == [("prove", n, 3) for n in (1, 2, 3)]
    token = CancellationToken()
    started, *rest = session.prove_many(["True"] * 3, cancellation=token, progress=lambda _: token.cancel())
    assert isinstance(started, ProofState)
    assert [isinstance(r, TacticFailure) and r.limit for r in rest] == [Limit.CANCELLED] * 2
    assert session.prove_many([]) == []
    with pytest.raises(UsageError, match="sequence of texts"):
        session.prove_many("True")
