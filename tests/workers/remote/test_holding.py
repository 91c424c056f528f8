"""A session that holds a worker: warm, its own, counted, given back, and never in anybody's way for ever."""

from __future__ import annotations

import gc
import os
import signal
import threading

import pytest

from leanhost.errors import EngineLost, PoolClosed, PoolTimeout, UsageError
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.results import Status
from leanhost.workers import WorkerPool
from tests.support.candidates import NATIVE
from tests.support.pools import ENDLESS, GOOD, MakePool
from tests.support.processes import busy_worker, eventually, worker_of


def test_calls_go_to_one_process_and_find_what_was_made(make_pool: MakePool) -> None:
    pool = make_pool(workers=2, spares=0)
    with pool.session(["Init"]) as session:
        session.run(GOOD)
        process = worker_of(pool, session)
        grown = session.extend("def mine : Nat := Nat.zero\n")
        for _ in range(3):
            assert grown.run("#check mine\n").ok
            assert worker_of(pool, session) == process
        assert pool.check(GOOD).accepted
        assert pool.stats.processes_started == 2
        assert (pool.stats.held, pool.stats.busy) == (1, 1)
    eventually(lambda: pool.stats.held == 0)
    assert pool.stats.ended == {"requests": 2}
    assert session.run(GOOD).ok
    assert pool.stats.held == 0


def test_a_held_worker_is_nobody_elses_and_counts(make_pool: MakePool) -> None:
    pool = make_pool(workers=1, spares=0, queue_timeout=0.5)
    with pool.session(["Init"]) as session:
        session.run(GOOD)
        with pytest.raises(PoolTimeout, match="1 of 1 are held"):
            pool.check(GOOD)
        with pytest.raises(PoolTimeout, match="1 of 1 are held"):
            list(pool.check_many([GOOD, GOOD]))
        assert [result.ok for result in session.run_many([GOOD] * 6)] == [True] * 6
    assert pool.check(GOOD).accepted
    assert pool.stats.waiting == 0


def test_who_waits_is_served_when_the_worker_is_given_back(make_pool: MakePool) -> None:
    pool = make_pool(workers=1, spares=0)
    results: list[Status] = []
    thread = threading.Thread(target=lambda: results.append(pool.check(GOOD).status))
    with pool.session(["Init"]) as session:
        session.run(GOOD)
        thread.start()
        eventually(lambda: pool.stats.waiting == 1)
        assert session.run(GOOD).ok
        assert not results
    thread.join(60)
    assert results == [Status.ACCEPTED]


def test_what_ends_the_worker_ends_one_call(make_pool: MakePool) -> None:
    pool = make_pool(workers=1, spares=0)
    with pool.session(["Init"]) as session:
        with pytest.raises(EngineLost, match="exit status 3"):
            session.run(NATIVE["exit"].source)
        assert session.run(GOOD).ok
        os.kill(worker_of(pool, session), signal.SIGKILL)
        assert session.run(GOOD).ok
        assert pool.stats.held == 1


def test_a_worker_that_grew_between_two_calls_is_replaced(make_pool: MakePool) -> None:
    pool = make_pool(workers=1, spares=0, max_growth_bytes=1)
    with pool.session(["Init"]) as session:
        session.run(GOOD)
        eventually(lambda: pool.stats.ended.get("memory", 0) >= 1)
        assert session.run(GOOD).ok


def test_a_session_is_entered_once_and_again_after(make_pool: MakePool) -> None:
    pool = make_pool(workers=2, spares=0)
    session = pool.session(["Init"])
    for _ in range(2):
        with session, pytest.raises(UsageError, match="holds a worker already"), session:
            pass
    with session, pytest.raises(UsageError, match="holds a worker already"), session.extend(GOOD):
        pass
    with session, pool.session(["Init"]) as other:
        assert session.run(GOOD).ok
        assert other.run(GOOD).ok
        assert pool.stats.held == 2
    assert pool.stats.held == 0


def test_a_forgotten_session_gives_its_worker_back(make_pool: MakePool) -> None:
    pool = make_pool(workers=1, spares=0)

    def forget() -> None:
        pool.session(["Init"]).__enter__().run(GOOD)

    forget()
    gc.collect()
    assert pool.check(GOOD).accepted


def test_a_block_that_ends_during_a_call_waits_for_nobody(make_pool: MakePool) -> None:
    pool = make_pool(workers=1, spares=0)
    session = pool.session(["Init"], ElabOptions(max_heartbeats=0, timeout=3.0))
    limits: list[tuple[str, ...]] = []
    thread = threading.Thread(target=lambda: limits.append(session.run(ENDLESS).limits))
    with session:
        thread.start()
        busy_worker(pool)
    eventually(lambda: pool.stats.held == 0)
    thread.join(60)
    assert limits == [("timeout",)]
    assert pool.check(GOOD).accepted


def test_closing_the_pool_ends_what_is_held(make_pool: MakePool) -> None:
    pool = make_pool(workers=1, spares=0)
    session = pool.session(["Init"], ElabOptions(max_heartbeats=0))
    with session:
        state = session.prove("Nat")
        caught: list[BaseException] = []

        def work() -> None:
            try:
                session.run(ENDLESS)
            except PoolClosed as error:
                caught.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        busy_worker(pool)
        pool.close()
        thread.join(60)
        assert len(caught) == 1
        with pytest.raises(PoolClosed):
            session.run(GOOD)
        with pytest.raises(PoolClosed):
            state.apply("exact Nat.zero")  # type: ignore[union-attr]
    assert pool.stats.busy == 0


def test_on_wasm_a_worker_serves_the_next_session_when_no_code_ran(pool: WorkerPool) -> None:
    before = pool.stats.processes_started
    for _ in range(2):
        with pool.session(["Init"]) as session:
            assert session.elaborate("Nat.zero")
            assert session.run(GOOD).ok
    forked = pool.stats.forks > 0
    assert pool.stats.processes_started - before <= (2 if forked else 1)
