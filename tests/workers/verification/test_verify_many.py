"""Many candidates: in order or as known, from threads, asyncio and trio, and stopped at any step."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest

from leanhost.errors import PoolClosed, TooManyRequests, UsageError
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.results import CheckResult, Status
from leanhost.workers import CheckItem, CheckProgress, WorkerPool
from leanhost.workers.jobs.job import Job
from leanhost.workers.protocol.messages import Export, Question, Verify
from leanhost.workers.supervision.worker import Worker
from leanhost.workers.verification.verify_job import VerifyJob
from tests.support.pools import ENDLESS, GOOD, MakePool
from tests.support.processes import busy_worker

STATED = "theorem good (a b : Nat) (h : a = b) : b = a := by sorry\n"
OTHER = "theorem good (a b : Nat) (h : a = b) : a = b := h\n"
PAIR = (STATED, GOOD)


def test_many_candidates_of_one_reference(pool: WorkerPool) -> None:
    candidates = {"one": GOOD, "two": OTHER, "three": "theorem good : nonsense := 1", "four": GOOD}
    items = [CheckItem(source=source, file=name, id=source) for name, source in candidates.items()]
    seen: list[CheckProgress] = []
    found = list(pool.verify_many(((STATED, item) for item in items), progress=seen.append))
    assert [verification.candidate.file for verification in found] == list(candidates)
    assert [verification.candidate.id for verification in found] == list(candidates.values())
    assert [verification.verified for verification in found] == [True, False, False, True]
    assert [[r.code for r in v.refusals] for v in found] == [[], ["statement"], ["elaboration"], []]
    assert [progress.done for progress in seen] == [1, 2, 3, 4]
    assert seen[-1].statuses == {Status.ACCEPTED: 2, Status.REJECTED: 2}


def test_pairs_as_they_are_known(native_pool: WorkerPool) -> None:
    slow = CheckItem(source=ENDLESS, file="slow", timeout=3)
    pairs = [(STATED, slow), (STATED, CheckItem(source=GOOD, file="fast"))]
    found = list(native_pool.verify_many(pairs, ordered=False))
    assert [(v.candidate.file, v.status) for v in found] == [
        ("fast", Status.ACCEPTED),
        ("slow", Status.TIMEOUT),
    ]


def test_the_library_too_when_that_is_asked_for(native_pool: WorkerPool) -> None:
    assert [v.from_scratch for v in native_pool.verify_many([PAIR], from_scratch=True)] == [True]
    assert [v.from_scratch for v in native_pool.verify_many([PAIR])] == [False]


def test_a_candidate_that_was_elaborated_is_judged_next(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it exported is not kept until all that were read have been elaborated."""
    kinds: list[type[Question]] = []
    assign = Worker.assign

    def noted(worker: Worker, job: Job) -> None:
        kinds.append(type(job.question))
        assign(worker, job)

    monkeypatch.setattr(Worker, "assign", noted)
    assert all(v.verified for v in make_pool().verify_many([PAIR] * 6))
    assert kinds.count(Export) == kinds.count(Verify) == 6
    # One more each time: a worker that is free has its next job before whoever waits hears of the last.
    assert max(kinds[:n].count(Export) - kinds[:n].count(Verify) for n in range(13)) <= 2


def test_the_rest_is_cancelled(make_pool: MakePool) -> None:
    token = CancellationToken()
    read = 0

    def pairs() -> Iterator[tuple[str, str]]:
        nonlocal read
        while True:
            read += 1
            yield PAIR

    pool = make_pool(workers=2)
    statuses: list[Status] = []
    for verification in pool.verify_many(pairs(), cancellation=token):
        statuses.append(verification.status)
        token.cancel()
    assert len(statuses) == read
    assert statuses[0] is Status.ACCEPTED
    assert statuses[-1] is Status.CANCELLED
    assert pool.stats.waiting == 0


def test_leaving_early_stops_what_runs(make_pool: MakePool) -> None:
    pool = make_pool(workers=2, grace=0.3)
    found = pool.verify_many([PAIR, (STATED, CheckItem(source=ENDLESS, timeout=600))])
    assert next(found).verified
    found.close()  # type: ignore[attr-defined]
    assert pool.stats.waiting == 0


@pytest.mark.parametrize("wrong", ["ab", ("a", "b", "c"), CheckItem(source=GOOD), ["a", "b"]])
def test_what_is_no_pair(native_pool: WorkerPool, wrong: Any) -> None:
    with pytest.raises(UsageError, match="a pair") as caught:
        list(native_pool.verify_many([wrong]))
    assert "for candidate in candidates" in caught.value.hint
    with pytest.raises(UsageError, match="a CheckItem or a source text, not int"):
        list(native_pool.verify_many([(STATED, 1)]))  # type: ignore[list-item]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_from_an_event_loop(native_pool: WorkerPool, backend: str) -> None:
    async def pairs() -> AsyncIterator[tuple[str, str]]:
        for candidate in (GOOD, OTHER):
            yield STATED, candidate

    async def main() -> None:
        assert (await native_pool.averify(*PAIR)).verified
        assert (await native_pool.averify(*PAIR, from_scratch=True)).from_scratch
        assert [v.verified async for v in native_pool.averify_many(pairs())] == [True, False]
        assert [v.verified async for v in native_pool.averify_many([PAIR])] == [True]
        with anyio.move_on_after(0.5) as scope:
            await native_pool.averify(STATED, CheckItem(source=ENDLESS, timeout=600))
        assert scope.cancelled_caught
        assert (await native_pool.averify(*PAIR)).verified

    anyio.run(main, backend=backend)


def between(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have *act* done after a candidate was elaborated, right before it is sent on to be judged."""
    queue = pool._dispatcher.queue

    def acting(*args: Any, **settings: Any) -> Job:
        if isinstance(settings.get("question"), Verify):
            act()
        return queue(*args, **settings)

    monkeypatch.setattr(pool._dispatcher, "queue", acting)


def test_cancelled_between_the_two_steps(make_pool: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = make_pool()
    trials: list[VerifyJob] = []
    between(pool, monkeypatch, lambda: trials[0].cancel())
    trials.append(VerifyJob(pool._dispatcher, pool._kernels, PAIR, from_scratch=False, bounded=True))
    verification = trials[0].future.result(60)
    assert verification.status is Status.CANCELLED
    assert verification.candidate.accepted


def test_trouble_between_the_two_steps_is_the_callers(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("no more")

    pool = make_pool()
    with monkeypatch.context() as patch:
        between(pool, patch, fail)
        with pytest.raises(RuntimeError, match="no more"):
            pool.verify(*PAIR)
    assert pool.verify(*PAIR).verified


def test_who_was_let_in_is_not_refused_between_the_two_steps(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(max_waiting=1)
    queued: list[Job | CheckResult] = []

    def fill() -> None:
        with suppress(TooManyRequests):
            while True:
                queued.append(pool._submit(GOOD, bounded=True))

    between(pool, monkeypatch, fill)
    assert pool.verify(*PAIR).verified
    assert queued


def test_a_pool_that_is_closed_meanwhile(make_pool: MakePool) -> None:
    pool = make_pool()
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            pool.verify(STATED, CheckItem(source=ENDLESS, timeout=600))
        except PoolClosed as error:
            errors.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    busy_worker(pool)
    pool.close()
    asking.join(60)
    assert [type(error) for error in errors] == [PoolClosed]
    with pytest.raises(PoolClosed):
        list(pool.verify_many([PAIR]))
