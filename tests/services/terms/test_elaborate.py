"""Elaborating terms: handles or failures with every diagnostic."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leanhost.errors import UsageError
from leanhost.services.proofs.answers import TacticFailure
from leanhost.services.proofs.proof_state import ProofState
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.terms.expr import Expr
from leanhost.services.terms.meta_answers import MetaOptions, Ok
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.outcomes import ElabFailure
from leanhost.services.values.progress import ProgressEvent
from leanhost.services.values.results import Limit, Position
from tests.support.answers import bad, good


def test_a_term_becomes_a_handle(session: Session) -> None:
    assert str(good(session.elaborate("fun x : Nat => x"))) == "fun x => x"


def test_every_error_is_reported_where_it_is(session: Session) -> None:
    failure = bad(session.elaborate("foo + bar"))
    assert failure.code == "elaboration"
    assert [d.position for d in failure.diagnostics if d.is_error] == [Position(1, 0), Position(1, 6)]
    assert not failure.truncated


def test_positions_count_lines_and_characters_not_bytes(session: Session) -> None:
    failure = bad(session.elaborate("(∀ n, n = α) ∧\n  αβ + bar = 1"))
    assert [(d.position, d.end) for d in failure.diagnostics if d.is_error] == [
        (Position(1, 10), Position(1, 11)),
        (Position(2, 2), Position(2, 4)),
        (Position(2, 7), Position(2, 10)),
    ]


def test_a_syntax_error_has_a_position(session: Session) -> None:
    failure = bad(session.elaborate("1 +"))
    assert failure.diagnostics[0].position == Position(1, 3)


def test_what_the_toolchain_cannot_do_is_told_from_what_is_wrong(embedded_host: Host) -> None:
    code = "(by_elab return .lit (.natVal ([1, 2].map (· + 1)).length))"
    with embedded_host.session(["Lean.Elab.BuiltinTerm"]) as session:
        failure = bad(session.elaborate(code))
        assert failure.code == "unsupported"
        assert "this toolchain does not ship" in failure.message
        assert [d.is_error for d in failure.diagnostics] == [True]
        assert bad(session.elaborate("(by_elab return nope)")).code == "elaboration"


def test_an_expected_type_is_enforced(session: Session) -> None:
    assert good(session.elaborate("rfl", "1 + 1 = 2")).kind != "mvar"
    assert bad(session.elaborate("rfl", "1 = 2")).code == "elaboration"
    nat = good(session.elaborate("Nat"))
    five = session.meta.infer_type(good(session.elaborate("5", nat)))
    assert isinstance(five, Ok)
    assert five.value == nat


def test_a_bad_expected_type_is_the_answer_for_every_item(session: Session) -> None:
    first, second = session.elaborate_many(["1", "2"], "NoSuchType")
    assert bad(first).message == bad(second).message


def test_namespace_open_and_levels_decide_what_names_mean(session: Session) -> None:
    bad(session.elaborate("succ 1"))
    good(session.elaborate("succ 1", namespace="Nat"))
    good(session.elaborate("succ 1", open_namespaces=["Nat"]))
    bad(session.elaborate("Sort v"))
    good(session.elaborate("Sort v", levels=["v"]))


def test_set_options_are_checked_and_used(session: Session) -> None:
    with pytest.raises(UsageError, match="no option named"):
        session.elaborate("Nat", lean_options={"no.such.option": True})
    with pytest.raises(UsageError, match="maxRecDepth"):
        session.elaborate("Nat", lean_options={"maxRecDepth": "deep"})
    deep = "Nat.succ (" * 60 + "Nat.zero" + ")" * 60
    bad(session.elaborate(deep, lean_options={"maxRecDepth": 30}))


def test_bulk_gives_one_result_an_item_in_order(session: Session) -> None:
    texts = ["Nat", "nonsense", "fun x : Nat => x", "1 +", "True"]
    results = session.elaborate_many(texts)
    assert [isinstance(r, Expr) for r in results] == [True, False, True, False, True]
    assert [str(good(r)) for r in (results[0], results[4])] == ["Nat", "True"]


def test_a_lone_surrogate_is_refused_as_source(session: Session) -> None:
    assert bad(session.elaborate("\ud800")).code == "source"


def test_heartbeats_bound_an_elaboration(session: Session) -> None:
    failure = bad(session.elaborate("fun x : Nat => x + x + x + x", options=MetaOptions(max_heartbeats=1)))
    assert (failure.code, failure.limit) == ("limit", Limit.HEARTBEATS)


def test_a_session_does_not_tire(session: Session) -> None:
    options = MetaOptions(max_heartbeats=2000)
    for _ in range(30):
        good(session.elaborate("fun x : Nat => x + 1", options=options))


def test_a_cancelled_elaboration_says_so(session: Session) -> None:
    token = CancellationToken()
    token.cancel()
    assert bad(session.elaborate("Nat", cancellation=token)).limit is Limit.CANCELLED
    stop = CancellationToken()
    events: list[ProgressEvent] = []

    def sink(event: ProgressEvent) -> None:
        events.append(event)
        if event.current == 1:
            stop.cancel()

    results = session.elaborate_many(["Nat"] * 2000, cancellation=stop, progress=sink)
    limits = [bad(r).limit for r in results if not isinstance(r, Expr)]
    assert len(results) == 2000
    assert limits
    assert set(limits) == {Limit.CANCELLED}
    assert isinstance(results[0], Expr)
    assert good(session.elaborate("Nat"))


def test_progress_is_told_in_terms_and_in_order(session: Session) -> None:
    events: list[ProgressEvent] = []
    session.elaborate_many(["Nat", "nonsense", "True"], progress=events.append)
    assert [(e.phase, e.current, e.total) for e in events] == [("elaborate", i, 3) for i in (1, 2, 3)]
    assert [e.elapsed for e in events] == sorted(e.elapsed for e in events)


def test_what_cannot_be_meant_is_refused(session: Session) -> None:
    for call in (
        lambda: session.elaborate(None),  # type: ignore[arg-type]
        lambda: session.elaborate_many("Nat"),
        lambda: session.elaborate_many([None]),  # type: ignore[list-item]
        lambda: session.elaborate("1", 5),  # type: ignore[arg-type]
        lambda: session.elaborate("x", open_namespaces="Nat"),
        lambda: session.elaborate("x", levels="u"),
        lambda: session.elaborate("1", lean_options={"maxHeartbeats": 1}),
        lambda: session.elaborate("1", lean_options={"pp.all": [1]}),  # type: ignore[dict-item]
        lambda: session.elaborate("1", lean_options={"pp.all": 3}),
        lambda: session.run_many("Nat"),
        lambda: session.kernel_check_many("Nat"),
        lambda: session.prove(5),  # type: ignore[arg-type]
    ):
        with pytest.raises(UsageError):
            call()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(max_size=40),
        st.lists(
            st.sampled_from(
                ["(", ")", "fun", "x", "=>", ":", "Nat", "1", "⟨", "⟩", "by", "·", "#", "`", "\n", '"', "--"]
            ),
            max_size=30,
        ).map(" ".join),
    )
)
def test_no_text_upsets_the_parsers(session: Session, text: str) -> None:
    assert isinstance(session.elaborate(text), Expr | ElabFailure)
    assert isinstance(session.prove(text), ProofState | TacticFailure)
    state = session.prove("True → True")
    assert isinstance(state, ProofState)
    assert isinstance(state.apply(text), ProofState | TacticFailure)
    assert isinstance(state.apply("exact fun h => h"), ProofState)
