"""One session used from inside its own programs and from several threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

from leanhost.errors import ClosedError
from leanhost.services.proofs.proof_state import ProofState
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.terms.meta_answers import MetaOptions, Ok, TimeoutOrHeartbeat
from leanhost.services.terms.meta_program import Meta
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.results import Limit
from tests.support.answers import term
from tests.support.heartbeats import burn


def test_a_program_may_use_its_session(session: Session) -> None:
    nat = term(session, "Nat")

    def program(m: Meta, aside: Callable[[], object]) -> str:
        hole = m.fresh_mvar(nat, name="n")
        assert m.is_def_eq(hole, m.elaborate("Nat.zero", nat))
        aside()
        return m.pp_expr(m.instantiate_mvars(hole))

    for aside in (
        lambda: [repr(nat) for _ in range(40)],
        lambda: [session.meta.infer_type(nat) for _ in range(40)],
        lambda: session.meta.whnf_many([nat] * 100),
        lambda: session.elaborate("Nat.succ Nat.zero"),
        lambda: session.run_meta(lambda m: m.fresh_mvar(nat)),
        lambda: session.prove("True").apply("trivial"),  # type: ignore[union-attr]
        lambda: session.run("def x := Nat.zero"),
        lambda: session.declarations.inspect("Nat.succ"),
    ):
        assert session.run_meta(program, aside) == "Nat.zero"


def test_a_program_outlives_the_closing_of_its_session(host: Host) -> None:
    session = host.session(["Init"])
    nat = term(session, "Nat")

    def program(m: Meta) -> str:
        session.close()
        return m.pp_expr(m.infer_type(nat))

    assert session.run_meta(program) == "Type"


def test_closing_while_others_ask(host: Host) -> None:
    session = host.session(["Init"])
    nat = term(session, "Nat")
    state = session.prove("True")
    assert isinstance(state, ProofState)
    seen: list[BaseException] = []
    begun = threading.Barrier(4)

    def ask() -> None:
        begun.wait(30)
        try:
            while True:
                session.meta.infer_type(nat)
                session.meta.pp_expr(nat)
                state.apply("trivial")
                session.declarations.kind_many(["Nat"])
        except BaseException as error:
            seen.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.wait(30)
    for _ in range(5):
        session.meta.infer_type(nat)
    session.close()
    for thread in threads:
        thread.join(60)
    assert [type(error) for error in seen] == [ClosedError] * 3
    assert {str(error) for error in seen} == {"this session is closed"}


def test_one_cancelled_call_does_not_disturb_another(session: Session) -> None:
    nat = term(session, "Nat")
    wrong: list[object] = []
    begun = threading.Barrier(3)

    def ask() -> None:
        begun.wait(30)
        for _ in range(150):
            answer = session.meta.infer_type(nat)
            if not isinstance(answer, Ok):
                wrong.append(answer)

    def cancel() -> None:
        begun.wait(30)
        for _ in range(8):
            token = CancellationToken()
            timer = threading.Timer(0.01, token.cancel)
            timer.start()
            answer = burn(session, MetaOptions(max_heartbeats=0), cancellation=token)
            if answer != TimeoutOrHeartbeat(Limit.CANCELLED):
                wrong.append(answer)
            timer.join()

    def asking() -> None:
        try:
            ask()
        except BaseException as error:
            wrong.append(error)

    threads = [
        threading.Thread(target=asking),
        threading.Thread(target=asking),
        threading.Thread(target=cancel),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert wrong == []
