"""Whose turn it is: the order of requests, the bounds of the queue, and that nobody is left waiting."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from functools import partial
from itertools import repeat
from types import SimpleNamespace
from typing import cast

import pytest

from leanhost.errors import LeanHostError, PoolClosed, PoolTimeout, TooManyRequests, WorkerStartError
from leanhost.services.values.results import CheckResult, Status
from leanhost.workers import CheckItem, WorkerPool
from leanhost.workers.jobs.import_profiles import ImportProfile
from leanhost.workers.jobs.job import Job
from leanhost.workers.jobs.lease import Lease
from leanhost.workers.jobs.request_queue import NEVER, RequestQueue
from leanhost.workers.supervision import launcher, process, zygote_client
from leanhost.workers.supervision.worker import Worker
from leanhost.workers.supervision.worker_set import WorkerSet
from leanhost.workers.values.items import Request
from tests.support.pools import ENDLESS, GOOD, MakePool, pool_of
from tests.support.processes import alive, busy_worker, eventually, zygotes


def submitted(pool: WorkerPool, source: CheckItem | str) -> Job:
    job = pool._submit(source, bounded=True)
    assert isinstance(job, Job)
    return job


# --- whose turn -----------------------------------------------------------------------------------


def test_who_is_put_back_does_not_lose_the_turn(fake_pool: MakePool) -> None:
    """Several workers can end at once, in any order, before they came to what they were given."""
    pool = fake_pool()
    queue = RequestQueue(pool._settings, pool._supervisor._workers)
    jobs = [Job(Request("", "", None, (), 1.0), ImportProfile(), None) for _ in range(6)]
    for job in jobs:
        queue.add(job)
    taken = [queue.next(room=True, held=0) for _ in range(4)]
    assert taken == jobs[:4]
    for job in (jobs[2], jobs[0], jobs[3], jobs[1]):
        queue.put_back(job)
    assert list(queue) == jobs


def test_a_single_request_is_served_beside_a_stream_without_end(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=1)
    results = pool.check_many(repeat("accept"))
    next(results)
    job = submitted(pool, CheckItem(source="accept", file="mine"))
    # What was read ahead comes first, and nothing else.
    for _ in range(8 + 4 + 1):
        next(results)
    assert job.future.result(0).file == "mine"
    results.close()  # type: ignore[attr-defined]


def test_what_is_cancelled_before_its_turn_takes_no_worker(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=1, grace=300)
    running, queued = submitted(pool, "obey"), submitted(pool, "exit 5")
    pool._cancel(queued)
    assert queued.future.result(60).status is Status.CANCELLED
    busy_worker(pool)
    pool._cancel(running)
    assert running.future.result(60).status is Status.CANCELLED
    assert pool.check("accept").accepted
    stats = pool.stats
    assert (stats.processes_started, stats.ended, stats.waiting) == (1, {}, 0)
    assert stats.answered == {Status.CANCELLED: 2, Status.ACCEPTED: 1}


# --- bounds ---------------------------------------------------------------------------------------


def test_a_full_queue_refuses_and_says_so(make_pool: MakePool) -> None:
    pool = make_pool(workers=1, spares=0, max_waiting=1, grace=0.2)
    running, waiting = (submitted(pool, CheckItem(source=ENDLESS, timeout=60)) for _ in range(2))
    with pytest.raises(TooManyRequests) as caught:
        pool.check(GOOD)
    assert caught.value.code == "leanhost.pool.too_many_requests"
    pool.close()
    for job in (running, waiting):
        with pytest.raises(PoolClosed):
            job.future.result(0)
    assert pool.stats.errors == {"TooManyRequests": 1, "PoolClosed": 2}


def test_a_place_in_the_queue_is_held_for_a_time(make_pool: MakePool) -> None:
    pool = make_pool(workers=1, spares=0, queue_timeout=0.2, grace=0.2)
    results = pool.check_many([GOOD, CheckItem(source=ENDLESS, timeout=60)])
    assert next(results).accepted
    busy_worker(pool)
    with pytest.raises(PoolTimeout, match="no worker became free"):
        pool.check(GOOD)
    results.close()  # type: ignore[attr-defined]
    assert pool.check(GOOD).accepted
    assert pool.stats.errors == {"PoolTimeout": 1}


def test_who_waits_for_whom_and_how_long(fake_pool: MakePool) -> None:
    pool, held = fake_pool(workers=1, queue_timeout=50), Lease()
    workers = WorkerSet(pool._settings)
    workers.hold(cast("Worker", SimpleNamespace(lease=None)), held)
    queue = RequestQueue(pool._settings, workers)
    request = Request("", "", None, (), 1.0)
    stream, own = Job(request, ImportProfile(), None), Job(request, ImportProfile(), None, lease=held)
    queue.add(stream)
    queue.add(own)
    queue.expire(held=0)
    assert queue.next_look() == NEVER  # a stream waits for as long as its own items take
    queue.expire(held=1)
    since = queue.next_look() - 50
    assert (
        stream.queued <= since <= time.monotonic()
    )  # but not for a session's, which alone waits for its worker
    queue.expire(held=1)
    assert queue.next_look() - 50 == since
    queue.remove(stream)
    assert queue.next_look() == NEVER
    queue.remove(own)
    queue.expire(held=1)
    after = time.monotonic()
    queue.add(stream)
    queue.expire(held=1)
    assert queue.next_look() >= after + 50  # nobody waited in between
    queue.expire(held=0)
    assert queue.next_look() == NEVER
    for give_up in (after - 1, after + 600):
        queue.add(Job(request, ImportProfile(), give_up))
    _, late, early = queue
    queue.expire(held=0)
    assert list(queue) == [stream, early]
    assert isinstance(late.future.exception(0), PoolTimeout)


def test_requests_are_served_in_the_order_they_came(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=1)
    order: list[int] = []
    for number in range(10):
        job = pool._submit("sleep 0.01", bounded=True)
        assert isinstance(job, Job)
        job.future.add_done_callback(partial(lambda number, _: order.append(number), number))
    pool.check("accept")
    assert order == list(range(10))


# --- nobody is left waiting -----------------------------------------------------------------------


def test_a_worker_that_never_comes_up_is_an_error_of_the_pool(
    fake_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leanhost.workers.supervision import launcher, process

    monkeypatch.setattr(
        launcher, "spawn", lambda _, inherited: process.spawn("tests.workers.no_such_module", inherited)
    )
    with pytest.raises(WorkerStartError, match="no_such_module"):
        fake_pool().check("accept")


def test_a_start_that_always_fails_answers_everybody_and_is_not_repeated_for_ever(
    fake_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = fake_pool(workers=2, spares=1, grace=300)
    with monkeypatch.context() as broken:
        broken.setattr(
            launcher, "spawn", lambda _, inherited: process.spawn("tests.workers.no_such_module", inherited)
        )
        jobs = [submitted(pool, "accept") for _ in range(8)]
        for job in jobs:
            with pytest.raises(WorkerStartError, match="no_such_module"):
                job.future.result(60)
        eventually(lambda: pool.stats.free == 0)  # no spare comes in the place of one that failed
        assert pool.stats.processes_started <= 2 * len(jobs) + 1
    job = submitted(pool, "obey")
    eventually(lambda: pool.stats.free == 1)  # it is over, and there are spares again
    pool._cancel(job)
    assert job.future.result(60).status is Status.CANCELLED


def test_imports_that_no_process_survives_cost_who_asked_for_them(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(spares=0)
    assert pool.check(GOOD).accepted
    monkeypatch.setattr(
        zygote_client,
        "spawn",
        lambda _, inherited, **more: process.spawn("tests.workers.no_such_module", inherited, **more),
    )
    results = list(pool.check_many([GOOD, "import Init.Core\n" + GOOD, GOOD]))
    assert [result.status for result in results] == [Status.ACCEPTED, Status.CRASHED, Status.ACCEPTED]
    assert "no_such_module" in results[1].reasons[0]


def test_free_workers_with_other_imports_make_room(make_pool: MakePool) -> None:
    pool = make_pool(workers=1, spares=1, max_requests=100)
    for source in (GOOD, "import Init.Core\n" + GOOD, "prelude\nimport Fixture.Logic\n", GOOD):
        assert pool.check(source).accepted
        stats = pool.stats
        assert stats.free + stats.busy <= 2
    assert pool.stats.ended["other imports wanted"] >= 1


def test_spares_are_started_once_workers_were_used_up_and_so_many(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=1, spares=2)
    assert pool.check("accept").accepted
    assert pool.stats.processes_started == 1
    assert pool.check("exit 1").status is Status.CRASHED
    for _ in range(4):
        assert pool.check("accept").accepted
        eventually(lambda: pool.stats.free == 3)
    assert pool.stats.processes_started == 4


def test_workers_that_are_killed_in_bursts_cost_what_they_were_doing(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=4)
    jobs = [submitted(pool, "sleep 0.05") for _ in range(20)]
    killed: set[int] = set()
    while len(killed) < 8 and not all(job.future.done() for job in jobs):
        for worker in tuple(pool._supervisor._workers):
            if worker._begun and worker.process.pid not in killed:
                killed.add(worker.process.pid)
                with suppress(ProcessLookupError):
                    os.kill(worker.process.pid, signal.SIGKILL)
    statuses = [job.future.result(60).status for job in jobs]
    assert set(statuses) <= {Status.ACCEPTED, Status.CRASHED}
    assert statuses.count(Status.CRASHED) <= len(killed)
    assert pool.check("accept").accepted
    assert pool.stats.waiting == 0


@pytest.mark.parametrize("kills", [1, 2])
def test_a_zygote_killed_while_requests_wait(make_pool: MakePool, kills: int) -> None:
    """Once, and they wait for the next one; again and again, and they are told."""
    pool = make_pool(workers=2, spares=0)
    jobs = [submitted(pool, GOOD) for _ in range(8)]
    for _ in range(kills):
        eventually(lambda: bool(zygotes(pool)))
        (zygote,) = zygotes(pool)
        os.kill(zygote, signal.SIGKILL)
        eventually(lambda zygote=zygote: not alive(zygote))  # type: ignore[misc]
    answers: list[CheckResult | LeanHostError] = []
    for job in jobs:
        try:
            answers.append(job.future.result(60))
        except WorkerStartError as error:
            answers.append(error)
    served = [answer for answer in answers if isinstance(answer, CheckResult)]
    assert all(result.accepted for result in served)
    assert len(served) >= len(jobs) - 2 * (kills - 1)
    assert pool.check(GOOD).accepted
    assert pool.stats.waiting == 0


def test_closing_from_several_threads_while_checks_wait(make_pool: MakePool) -> None:
    pool = make_pool(workers=1, spares=0)
    jobs = [submitted(pool, CheckItem(source=ENDLESS, timeout=60)) for _ in range(4)]
    worker = busy_worker(pool)
    everything = [worker, *zygotes(pool)]
    left: list[bool] = []

    def close() -> None:
        pool.close()
        left.extend(map(alive, everything))

    threads = [threading.Thread(target=close) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert left == [False] * len(everything) * 3
    for job in jobs:
        with pytest.raises(PoolClosed):
            job.future.result(0)


def test_an_import_that_does_not_end_is_given_up(make_pool: MakePool) -> None:
    pool = make_pool(workers=1, spares=0, startup_timeout=2.0)
    jobs = [submitted(pool, GOOD) for _ in range(2)]
    eventually(lambda: bool(zygotes(pool)))
    (zygote,) = zygotes(pool)
    os.kill(zygote, signal.SIGSTOP)
    for job in jobs:
        error = job.future.exception(60)
        # The next attempt may be in time or not; it is the machine that decides.
        assert error is None or isinstance(error, WorkerStartError)
    assert not alive(zygote)
    assert pool.stats.zygotes_started > 1
    assert pool.stats.waiting == 0


def test_a_start_that_takes_too_long_says_what_to_raise(engine: str, request: pytest.FixtureRequest) -> None:
    with (
        pool_of(engine, request, spares=0, startup_timeout=0.001) as pool,
        pytest.raises(WorkerStartError, match=r"0\.001 s") as caught,
    ):
        pool.check(GOOD)
    assert "startup_timeout" in caught.value.hint


def test_closing_under_a_stream_is_told_to_who_reads_it(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=1, grace=0.2)
    results = pool.check_many(repeat("accept"))
    assert next(results).accepted
    pool.close()
    with pytest.raises(PoolClosed):
        list(results)
    with pytest.raises(StopIteration):
        next(results)
