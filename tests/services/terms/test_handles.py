"""Handles belong to one host, one process and one kind of argument; what they are not for is a clear error."""

from __future__ import annotations

import copy
import os
import pickle
import traceback
from collections.abc import Callable, Iterator

import pytest

from leanhost.errors import ClosedError, ForeignHandleError, UsageError
from leanhost.services.proofs.proof_state import ProofState
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.terms.expr import Const, Expr, Level, Lit, Name
from leanhost.services.terms.meta_answers import MetaOptions, Ok
from tests.support.answers import term
from tests.support.heartbeats import burn
from tests.support.hosts import open_host

IDENTITY = "fun n : Nat => n"


@pytest.fixture(scope="module")
def other(engine: str, request: pytest.FixtureRequest) -> Iterator[Host]:
    """Another host over the same kind of engine."""
    with open_host(engine, request) as opened:
        yield opened


def test_a_handle_is_for_its_own_host(session: Session, other: Host) -> None:
    with other.session(["Init"]) as elsewhere:
        mine, theirs = term(session, IDENTITY), term(elsewhere, IDENTITY)
        assert mine != theirs
        level = elsewhere.build.level("u")
        uses: list[Callable[[], object]] = [
            lambda: session.meta.infer_type(theirs),
            lambda: session.meta.infer_type_many([mine, theirs]),
            lambda: session.meta.is_def_eq(mine, theirs),
            lambda: session.build.app(mine, theirs),
            lambda: session.build.sort(level),
            lambda: session.elaborate("1", theirs),
            lambda: session.run_meta(lambda m: m.infer_type(theirs)),
            lambda: mine.same(theirs),
        ]
        for use in uses:
            with pytest.raises(ForeignHandleError, match="another host"):
                use()


def test_sessions_of_one_host_share_handles(host: Host) -> None:
    with host.session(["Init"]) as first, host.session(["Init"]) as second:
        mine = term(first, IDENTITY)
        assert mine == term(second, IDENTITY)
        assert second.meta.infer_type(mine) == first.meta.infer_type(mine)


def test_after_its_session_a_term_keeps_its_structure(host: Host) -> None:
    session = host.session(["Init"])
    mine, meta, declarations = term(session, "Nat"), session.meta, session.declarations
    session.close()
    assert mine.view == Const(Name("Nat"), ())
    assert hash(mine) == hash(mine)
    assert repr(mine) == "<Expr of a closed session>"
    for use in (
        lambda: str(mine),
        lambda: meta.infer_type(mine),
        lambda: meta.infer_type_many([mine]),
        lambda: burn(session, MetaOptions(max_heartbeats=1)),
        lambda: declarations.get("Nat"),
        lambda: declarations.kind_many(["Nat"]),
        lambda: list(declarations.iterate()),
        lambda: declarations.search("Nat"),
        lambda: declarations.inspect("Nat"),
        lambda: session.elaborate("1"),
        lambda: session.run_meta(lambda m: m.pp_expr(mine)),
        lambda: session.prove("True"),
    ):
        with pytest.raises(ClosedError, match="session is closed"):
            use()


def test_after_its_host_nothing_works_and_repr_says_so(engine: str, request: pytest.FixtureRequest) -> None:
    with open_host(engine, request) as host, host.session(["Init"]) as session:
        mine, level = term(session, IDENTITY), session.build.level("u")
    for use in (
        lambda: mine.view,
        lambda: str(mine),
        lambda: mine == mine,
        lambda: mine.kind,
        lambda: str(level),
    ):
        with pytest.raises(ClosedError, match="host of this"):
            use()
    assert repr(mine) == "<Expr of a Lean that is gone>"
    assert repr(level) == "<Level of a Lean that is gone>"


def test_in_a_forked_process_nothing_works(session: Session) -> None:
    mine = term(session, IDENTITY)
    state = session.prove("True")
    assert isinstance(state, ProofState)
    assert isinstance(session.meta.infer_type(mine), Ok)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        said = "nothing was checked"
        try:
            for use in (
                lambda: mine.view,
                lambda: str(mine),
                lambda: session.meta.infer_type(mine),
                lambda: session.build.const("x"),
                lambda: session.run("#check Nat"),
                lambda: session.elaborate("1"),
                lambda: session.declarations.get("Nat"),
                lambda: state.apply("trivial"),
            ):
                with pytest.raises(ForeignHandleError, match="forked"):
                    use()
            assert repr(mine) == "<Expr of a Lean that is gone>"
            said = "fine"
        except BaseException:
            said = traceback.format_exc()
        finally:
            os.write(writing, said[-4000:].encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "fine"
    os.waitpid(child, 0)
    assert isinstance(session.meta.infer_type(mine), Ok)


def test_handles_are_values_that_stay_in_their_process(session: Session) -> None:
    mine = term(session, IDENTITY)
    assert copy.copy(mine) is mine
    assert copy.deepcopy([mine])[0] is mine
    with pytest.raises(UsageError, match="cannot be pickled"):
        pickle.dumps(mine)
    assert pickle.loads(pickle.dumps(Name("Nat.succ"))) == Name("Nat.succ")
    with pytest.raises(AttributeError):
        mine.kind = "x"  # type: ignore[misc]


def test_what_is_no_term_is_refused(session: Session) -> None:
    build, level = session.build, session.build.level("u")
    wrong: object
    for wrong in ("Nat", None, 3, level):
        for use in (session.meta.infer_type, session.meta.whnf, session.meta.pp_expr, build.app):
            with pytest.raises(UsageError, match="a term"):
                use(wrong)  # type: ignore[arg-type]
    for wrong in (build.const("Nat"), "u"):
        with pytest.raises(UsageError, match="universe level"):
            build.const("List", [wrong])  # type: ignore[list-item]
    for wrong in (None, 5, [None], {"a"}):
        with pytest.raises(UsageError):
            Name(wrong)  # type: ignore[arg-type]
    for wrong in (True, -1, 1001):
        with pytest.raises(UsageError):
            build.level(wrong)


def test_large_things(session: Session) -> None:
    build = session.build
    assert str(build.level(1000)) == "1000"
    level: Level = build.level("u")
    for _ in range(2000):
        level = build.max(level, build.level("v"))
    assert str(level).count("v") == 2000
    assert len(repr(level)) < 120
    spine = build.app(build.const("f"), *[build.const("x")] * 20_000)
    assert spine.kind == "app"
    long = Name(tuple("abc" * 1000))
    assert build.const(long).view == Const(long, ())
    number = 10**5000 + 7
    assert build.lit(number).view == Lit(number)
    assert build.const(Name(("n", number))).view == Const(Name(("n", number)), ())
    assert Name(str(Name(("n", number)))) == Name(("n", number))


@pytest.mark.parametrize(("open_", "close"), [("(", ")"), ("[", "]"), ("True → ", ""), ("¬ ", "")])
def test_deep_text_does_not_end_the_process(native_host: Host, open_: str, close: str) -> None:
    deep = open_ * 20_000 + "True" + close * 20_000
    with native_host.session(["Init"]) as session:
        assert not isinstance(session.elaborate(deep), Expr)
        assert not isinstance(session.prove(deep), ProofState)
        state = session.prove("True")
        assert isinstance(state, ProofState)
        assert not isinstance(state.apply(f"exact {deep}"), ProofState)
        assert isinstance(state.apply("exact True.intro"), ProofState)
