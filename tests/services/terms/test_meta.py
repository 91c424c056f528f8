"""Bounded MetaM: typed answers, limits, and programs in Python."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from leanhost.errors import Cancelled, MetaError, UsageError
from leanhost.services.proofs.proof_state import ProofState
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.terms.meta_answers import Failed, MetaOptions, MetaUnsupported, Ok, TimeoutOrHeartbeat
from leanhost.services.terms.meta_program import Meta
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.results import Limit
from tests.support.answers import term
from tests.support.heartbeats import burn


def test_the_questions(session: Session) -> None:
    meta = session.meta
    f = term(session, "fun x : Nat => x")
    assert meta.infer_type(f) == Ok(term(session, "Nat → Nat"))
    assert meta.whnf(term(session, "(fun p : Prop => p) True")) == Ok(term(session, "True"))
    assert meta.is_def_eq(term(session, "1 + 1"), term(session, "2")) == Ok(True)
    assert meta.is_def_eq(term(session, "1 + 1"), term(session, "3")) == Ok(False)
    assert meta.pp_expr(f) == Ok("fun x => x")
    assert meta.instantiate_mvars(f) == Ok(f)
    assert isinstance(meta.reduce(f), Ok)
    assert isinstance(meta.synth_instance(term(session, "Inhabited Nat")), Ok)


def test_every_call_takes_a_timeout_of_its_own(session: Session) -> None:
    one, source = term(session, "1"), "theorem t : True := by trivial"
    start = session.prove("True")
    assert isinstance(start, ProofState)
    calls: list[Callable[[float], object]] = [
        lambda timeout: session.meta.infer_type(one, timeout=timeout),
        lambda timeout: session.meta.whnf_many([one], timeout=timeout),
        lambda timeout: session.elaborate("1", timeout=timeout),
        lambda timeout: session.run_meta_with(MetaOptions(), lambda m: m.pp_expr(one), timeout=timeout),
        lambda timeout: session.prove("True", timeout=timeout),
        lambda timeout: start.apply("trivial", timeout=timeout),
        lambda timeout: session.goals_at(source, [(1, 24)], timeout=timeout),
    ]
    for call in calls:
        call(600)
        with pytest.raises(UsageError, match="timeout must be a positive number of seconds"):
            call(0)
    options = MetaOptions(max_heartbeats=0, timeout=600)
    with pytest.raises(Cancelled):
        session.run_meta_with(options, lambda m: [m.whnf(one) for _ in iter(int, 1)], timeout=0.3)


def test_a_failure_is_a_value_with_a_bounded_message(session: Session) -> None:
    wrong = session.build.app(term(session, "Nat"), term(session, "Nat"))
    match session.meta.infer_type(wrong, MetaOptions(diagnostic_bytes=10)):
        case Failed(message, truncated):
            assert truncated
            assert len(message.encode()) <= 10
        case other:
            pytest.fail(str(other))
    assert isinstance(session.meta.synth_instance(term(session, "Inhabited False")), Failed)


def test_what_the_embedded_toolchain_does_not_ship_is_unsupported(embedded_host: Host) -> None:
    with embedded_host.session(["Init"]) as session:
        build, meta = session.build, session.meta
        for name in ("_private.Init.Data.List.Basic.missing", "List.map._redArg"):
            answer = meta.infer_type(build.const(name))
            assert isinstance(answer, MetaUnsupported), answer
            assert "this toolchain does not ship" in answer.message
            assert name in answer.message
        for name in ("List.missing", "List.map_redArg"):
            assert isinstance(meta.infer_type(build.const(name)), Failed)


def test_transparency_decides_what_unfolds(host: object, session: Session) -> None:
    with session.extend("def two : Nat := 2\n@[irreducible] def three : Nat := 3") as extended:
        meta = extended.meta
        two, three = extended.build.const("two"), extended.build.const("three")
        assert meta.is_def_eq(two, term(extended, "2"), MetaOptions(transparency="reducible")) == Ok(False)
        assert meta.is_def_eq(two, term(extended, "2")) == Ok(True)
        assert meta.whnf(three) == Ok(three)
        assert meta.whnf(three, MetaOptions(transparency="all")) != Ok(three)
    with pytest.raises(UsageError, match="transparency"):
        MetaOptions(transparency="some")


def test_heartbeats_stop_a_call_and_the_next_one_is_fresh(session: Session) -> None:
    for _ in range(3):
        assert burn(session, MetaOptions(max_heartbeats=20)) == TimeoutOrHeartbeat(Limit.HEARTBEATS)
        assert isinstance(session.meta.infer_type(term(session, "1"), MetaOptions(max_heartbeats=20)), Ok)


def test_the_wall_clock_stops_a_call(session: Session) -> None:
    options = MetaOptions(max_heartbeats=0, timeout=0.2)
    assert burn(session, options) == TimeoutOrHeartbeat(Limit.TIMEOUT)
    assert isinstance(session.meta.infer_type(term(session, "1")), Ok)


def test_a_token_stops_a_call_from_another_thread(session: Session) -> None:
    token = CancellationToken()
    timer = threading.Timer(0.2, token.cancel)
    timer.start()
    try:
        options = MetaOptions(max_heartbeats=0, timeout=60)
        assert burn(session, options, cancellation=token) == TimeoutOrHeartbeat(Limit.CANCELLED)
    finally:
        timer.join()
    assert isinstance(session.meta.infer_type(term(session, "1")), Ok)


# --- programs ---


def test_a_program_returns_its_value(session: Session) -> None:
    def program(m: Meta, text: str, *, times: int) -> list[str]:
        return [m.pp_expr(m.infer_type(m.elaborate(text)))] * times

    assert session.run_meta(program, "fun x : Nat => x", times=2) == ["Nat → Nat"] * 2


def test_telescopes_open_and_close_binders(session: Session) -> None:
    def program(m: Meta) -> None:
        statement = m.elaborate("∀ (a b : Nat), a = b → b = a")
        with m.forall_telescope(statement) as (variables, body):
            assert [str(d.name) for d in m.local_context()] == ["a", "b", "h"] or len(variables) == 3
            assert m.pp_expr(body) == "b = a"
            assert m.mk_forall(variables, body) == statement
            function = m.mk_lambda(variables, body)
        assert m.local_context() == []
        with m.lambda_telescope(function, limit=1) as (variables, rest):
            assert len(variables) == 1
            assert rest.kind == "lam"
        with m.forall_telescope(statement, limit=2) as (variables, _):
            assert len(variables) == 2

    session.run_meta(program)


def test_local_instances_are_found(session: Session) -> None:
    def program(m: Meta) -> None:
        with m.local("α", m.elaborate("Type")) as alpha:
            wanted = m.build.app(m.build.const("Inhabited", [m.build.level(1)]), alpha)
            with pytest.raises(MetaError):
                m.synth_instance(wanted)
            with m.local("inst", wanted, "inst_implicit") as instance:
                assert m.synth_instance(wanted) == instance

    session.run_meta(program)


def test_metavariables_unify_and_backtrack(session: Session) -> None:
    def program(m: Meta) -> None:
        nat = m.elaborate("Nat")
        hole = m.fresh_mvar(nat, name="n")
        with m.attempt() as tried:
            assert m.is_def_eq(hole, m.elaborate("5", nat))
            assert m.pp_expr(m.instantiate_mvars(hole)) == "5"
            m.elaborate("noSuchName")
        assert not tried.ok
        assert tried.error is not None
        assert "noSuchName" in str(tried.error)
        assert m.instantiate_mvars(hole).kind == "mvar"
        with m.attempt() as tried:
            assert m.is_def_eq(hole, m.elaborate("6", nat))
        assert tried.ok
        assert m.pp_expr(m.instantiate_mvars(hole)) == "6"

    session.run_meta(program)


def test_a_program_is_no_coroutine(session: Session) -> None:
    async def program(m: Meta) -> int:
        return 1

    with pytest.raises(UsageError, match="no coroutine") as caught:
        session.run_meta(program)  # type: ignore[unused-coroutine]
    assert caught.value.hint == "write def, not async def"


def test_what_a_program_raises_comes_out_as_itself(session: Session) -> None:
    class MineError(Exception):
        pass

    def program(m: Meta) -> None:
        m.fresh_mvar(m.elaborate("Nat"))
        raise MineError("so be it")

    with pytest.raises(MineError, match="so be it"):
        session.run_meta(program)
    assert isinstance(session.meta.infer_type(term(session, "1")), Ok)


def test_the_m_of_an_ended_program_is_dead(session: Session) -> None:
    kept: list[Meta] = []
    session.run_meta(kept.append)
    with pytest.raises(UsageError, match="has ended"):
        kept[0].elaborate("Nat")


def test_the_states_of_an_ended_program_are_not_touched(session: Session) -> None:
    """A state put back between two programs would be what the next one begins with."""
    kept: list[tuple[Meta, Any]] = []

    def program(m: Meta) -> None:
        with m.attempt() as tried:
            m.fresh_mvar(m.elaborate("Nat"))
            kept.append((m, m.save()))
        assert repr(tried) == "Attempt(ok=True, error=None)"
        with pytest.raises(UsageError, match="not str"):
            m.restore("state")  # type: ignore[arg-type]

    session.run_meta(program)
    ((m, saved),) = kept
    for use in (m.save, lambda: m.restore(saved)):
        with pytest.raises(UsageError, match="has ended"):
            use()


def test_a_limit_of_a_program_says_what_to_raise(host: Host) -> None:
    deep = "(((((((((((((((((((((((((((((((0)))))))))))))))))))))))))))))))"
    with host.session(["Init"], ElabOptions(max_rec_depth=20)) as shallow:
        with pytest.raises(MetaError) as caught:
            shallow.run_meta(lambda m: m.elaborate(deep))
        assert (caught.value.limit, "max_rec_depth" in caught.value.hint) == ("rec_depth", True)


def test_limits_inside_a_program(session: Session) -> None:
    def burn(m: Meta) -> None:
        while True:
            m.whnf(m.elaborate("(fun x : Nat => x + 1) 2"))

    with pytest.raises(MetaError) as caught:
        session.run_meta_with(MetaOptions(max_heartbeats=200), burn)
    assert caught.value.limit == "heartbeats"
    with pytest.raises(Cancelled):
        session.run_meta_with(MetaOptions(max_heartbeats=0, timeout=0.3), burn)


def test_twenty_thousand_cheap_calls_leave_nothing(session: Session) -> None:
    engine = session._lean.engine
    count = 4000 if engine.word == 8 else 400
    one = term(session, "fun x : Nat => x")
    session.meta.infer_type(one)
    engine.drain()
    live = engine.live
    started = time.monotonic()
    for _ in range(count):
        session.meta.infer_type(one)
        session.meta.whnf(one)
        if time.monotonic() - started > 60:
            break
    engine.drain()
    assert engine.live == live
