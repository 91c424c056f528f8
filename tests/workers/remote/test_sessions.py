"""A session whose calls run in workers answers as one in this process does; what breaks a worker breaks one call."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace

import anyio
import pytest

from leanhost.errors import (
    ElaborationError,
    EngineLost,
    EngineStuck,
    ImportFailed,
    OutOfMemory,
    PoolClosed,
    UsageError,
)
from leanhost.services.session.host import Host
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.outcomes import Checked, Rejected, Unavailable
from leanhost.services.values.results import CommandResult, Limit
from leanhost.workers import WorkerPool
from leanhost.workers.protocol import codec
from tests.support.candidates import NATIVE
from tests.support.pools import BAD, ENDLESS, GOOD, MakePool
from tests.support.processes import busy_worker

GOALS = "theorem t (a b : Nat) (h : a = b) : b = a := by\n  exact h.symm\n"


def timeless(result: CommandResult) -> CommandResult:
    return replace(result, elapsed=0.0, heartbeats=0.0)


def test_it_answers_as_a_session_does(pool: WorkerPool, host: Host) -> None:
    there, here = pool.session(["Init"]), host.session(["Init"])
    assert there.imports == here.imports == ("Init",)
    for source in (GOOD, BAD, "", "#check Nat\n", "def := \n", "theorem s : 1 = 2 := by sorry\n"):
        assert timeless(there.run(source)) == timeless(here.run(source))
    for source in (
        GOOD,
        BAD,
        "",
        "axiom a : 1 = 2\ntheorem t : 1 = 2 := a\n",
        "theorem s : 1 = 2 := by sorry\n",
    ):
        assert there.kernel_check(source) == here.kernel_check(source)
    axiom = "axiom a : 1 = 2\ntheorem t : 1 = 2 := a\n"
    outcome = there.kernel_check(axiom, allow_axioms=["a"])
    assert isinstance(outcome, Checked)
    assert outcome == here.kernel_check(axiom, allow_axioms=["a"])
    assert there.goals_at(GOALS, [(2, 2), (2, 14)]) == here.goals_at(GOALS, [(2, 2), (2, 14)])
    here.close()


def test_it_can_be_extended_and_stays_as_it_is(pool: WorkerPool) -> None:
    session = pool.session(["Init"])
    grown = session.extend("def two : Nat := 2\n")
    twice = grown.extend("theorem is_two : two = 2 := rfl\n")
    assert isinstance(twice.kernel_check("theorem again : two = 2 := is_two\n"), Checked)
    assert not grown.run("#check is_two").ok
    assert not session.run("#check two").ok
    with pytest.raises(ElaborationError) as caught:
        grown.extend(BAD)
    assert isinstance(caught.value.result, CommandResult)
    assert caught.value.result.errors


def test_many_at_once_in_order(pool: WorkerPool) -> None:
    outcomes = pool.session(["Init"]).kernel_check_many([GOOD, BAD, GOOD] * 4)
    assert [type(outcome) for outcome in outcomes] == [Checked, Rejected, Checked] * 4


def test_imports_that_are_not_there(pool: WorkerPool) -> None:
    session = pool.session(["No.Such.Module"])
    with pytest.raises(ImportFailed, match=r"No\.Such\.Module"):
        session.run(GOOD)
    with pytest.raises(UsageError):
        pool.session("Init")
    with pytest.raises(UsageError):
        session.run(b"theorem")  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        session.kernel_check(GOOD, timeout=0)
    with pytest.raises(UsageError, match="no option named"):
        pool.session(["Init"], ElabOptions(lean={"no.such": True})).run(GOOD)


def test_options_are_the_sessions(pool: WorkerPool) -> None:
    assert pool.session(["Init"], ElabOptions(diagnostic_bytes=0)).run("#check Nat").diagnostics == ()
    assert pool.session(["Init"]).run("#check Nat").diagnostics


def test_what_breaks_a_worker_breaks_one_call(make_pool: MakePool) -> None:
    pool = make_pool(spares=0, grace=0.3, memory_limit=300 << 20)
    session = pool.session(["Init"], ElabOptions(max_heartbeats=0))
    with pytest.raises(EngineLost, match="exit status 3"):
        session.run(NATIVE["exit"].source)
    with pytest.raises(OutOfMemory):
        session.kernel_check(NATIVE["allocation"].source)
    with pytest.raises(EngineStuck):
        session.run(NATIVE["evaluation"].source, timeout=0.3)
    outcome = session.kernel_check(ENDLESS, timeout=0.3)
    assert isinstance(outcome, Unavailable)
    assert outcome.limit is Limit.TIMEOUT
    assert session.run(GOOD).ok
    assert pool.stats.zygotes_started == 1


def test_a_cancelled_call_says_so(make_pool: MakePool) -> None:
    pool = make_pool(spares=0)
    session = pool.session(["Init"], ElabOptions(max_heartbeats=0))
    token = CancellationToken()
    answers: list[object] = []
    threads = [
        threading.Thread(target=lambda: answers.append(session.run(ENDLESS, cancellation=token))),
        threading.Thread(target=lambda: answers.append(session.kernel_check(ENDLESS, cancellation=token))),
    ]
    for thread in threads:
        thread.start()
    busy_worker(pool)
    token.cancel()
    for thread in threads:
        thread.join(60)
    for answer in answers:
        assert isinstance(answer, CommandResult | Unavailable)
        assert (answer.limits if isinstance(answer, CommandResult) else (answer.limit,)) == (Limit.CANCELLED,)
    assert len(answers) == 2
    token = CancellationToken()
    token.cancel()
    outcomes = session.kernel_check_many([ENDLESS] * 20, cancellation=token)
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert pool.stats.waiting == 0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_asynchronous_twins(make_pool: MakePool, backend: str) -> None:
    pool = make_pool(workers=2, spares=0)
    session = pool.session(["Init"], ElabOptions(max_heartbeats=0))

    async def main() -> None:
        assert (await session.arun(GOOD)).ok
        assert isinstance(await session.akernel_check(BAD), Rejected)
        assert await session.agoals_at(GOALS, [(2, 2)])
        with anyio.move_on_after(0.5) as scope:
            await session.arun(ENDLESS)
        assert scope.cancelled_caught
        assert (await session.arun(GOOD)).ok

    anyio.run(main, backend=backend)


def test_a_killed_worker_is_a_lost_engine_and_a_closed_pool_says_so(make_pool: MakePool) -> None:
    pool = make_pool(spares=0)
    session = pool.session(["Init"], ElabOptions(max_heartbeats=0))
    caught: list[BaseException] = []

    def work() -> None:
        try:
            session.run(ENDLESS)
        except EngineLost as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    os.kill(busy_worker(pool), signal.SIGKILL)
    thread.join(60)
    assert "from outside" in str(caught[0])
    assert repr(session) == "<WorkerSession over Init>"
    pool.close()
    with pytest.raises(PoolClosed):
        session.run(GOOD)


def test_values_come_back_as_they_went(host: Host) -> None:
    with host.session(["Init"]) as session:
        for value in (session.run(BAD), session.run(GOOD)):
            assert codec.decode(codec.encode(value, CommandResult), CommandResult) == value
