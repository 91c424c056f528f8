"""``check_many``: any iterable, in order or as known, constant memory, cancellation of the rest."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from itertools import count, islice
from pathlib import Path

import anyio
import pytest

from leanhost.errors import PoolClosed, PoolTimeout, UsageError
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.results import Status
from leanhost.workers import CheckItem, CheckProgress
from leanhost.workers.jobs.job import Job
from tests.support.pools import MakePool
from tests.support.processes import eventually


def numbered(source: str = "accept") -> Iterator[CheckItem]:
    return (CheckItem(source=source, file=str(i)) for i in count())


def test_nothing_in_nothing_out(fake_pool: MakePool) -> None:
    assert list(fake_pool().check_many([])) == []


def test_results_come_in_the_order_of_the_items(fake_pool: MakePool) -> None:
    items = [CheckItem(source="sleep 0.3" if i == 0 else "accept", file=str(i)) for i in range(20)]
    assert [r.file for r in fake_pool(workers=3).check_many(items)] == [str(i) for i in range(20)]


def test_or_as_they_are_known(fake_pool: MakePool) -> None:
    items = [CheckItem(source="sleep 1.5", file="slow"), CheckItem(source="accept", file="fast")]
    pool = fake_pool(workers=2)
    list(pool.check_many(["accept"] * 2))
    assert [r.file for r in pool.check_many(items, ordered=False)] == ["fast", "slow"]


def test_a_result_has_the_id_of_its_item(fake_pool: MakePool, tmp_path: Path) -> None:
    pool = fake_pool()
    own = object()
    items: list[CheckItem | str] = [
        CheckItem(source="accept", id=own),
        CheckItem(source="exit 1", id="crashes"),
        CheckItem(path=tmp_path / "missing.lean", id=0),
        "accept",
    ]
    assert [result.id for result in pool.check_many(items)] == [own, "crashes", 0, None]
    assert pool.check(items[0]).id is own


def test_an_endless_iterable_is_read_a_bounded_number_of_items_ahead(fake_pool: MakePool) -> None:
    taken = 0

    def items() -> Iterator[CheckItem]:
        nonlocal taken
        for item in numbered():
            taken += 1
            yield item

    results = fake_pool(workers=2).check_many(items())
    assert [r.file for r in islice(results, 100)] == [str(i) for i in range(100)]
    assert taken <= 100 + 8 + 4 * 2
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("ordered", [True, False])
def test_memory_does_not_grow_with_the_number_of_items(fake_pool: MakePool, ordered: bool) -> None:
    """Of the items that were answered nothing is kept, by the caller's side or the pool's."""
    pool = fake_pool(workers=2)
    gc.collect()
    before = jobs_alive()
    for number, result in enumerate(pool.check_many(islice(numbered(), 600), ordered=ordered)):
        assert result.accepted
        if number % 200 == 199:
            assert jobs_alive() - before <= 8 + 4 * 2 + 2
    assert len(pool._supervisor._open) == 0


def jobs_alive() -> int:
    return sum(isinstance(each, Job) for each in gc.get_objects())


def test_leaving_early_stops_what_runs(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=2, grace=0.2)
    results = pool.check_many(["accept", "sleep 600", "sleep 600"])
    assert next(results).accepted
    results.close()  # type: ignore[attr-defined]
    assert pool.stats.waiting == 0


def test_an_error_of_the_iterable_travels_out_and_stops_what_runs(fake_pool: MakePool) -> None:
    def items() -> Iterator[str]:
        yield "sleep 600"
        raise KeyError("mine")

    pool = fake_pool(grace=0.2)
    with pytest.raises(KeyError, match="mine"):
        list(pool.check_many(items()))
    assert pool.stats.waiting == 0


@pytest.mark.parametrize("backend", ["", "asyncio", "trio"])
def test_an_error_of_the_progress_callback_travels_out_and_stops_what_runs(
    fake_pool: MakePool, backend: str
) -> None:
    def progress(told: CheckProgress) -> None:
        raise KeyError("mine")

    pool = fake_pool(workers=2, grace=0.2)
    items = ["accept", "sleep 600", "sleep 600"]

    async def main() -> None:
        async for _ in pool.acheck_many(items, progress=progress):
            pass

    with pytest.raises(KeyError, match="mine"):
        list(pool.check_many(items, progress=progress)) if not backend else anyio.run(main, backend=backend)
    eventually(lambda: pool.stats.waiting == 0)
    assert pool.check("accept").accepted


def test_what_is_no_item_travels_out_and_stops_what_runs(fake_pool: MakePool) -> None:
    pool = fake_pool(grace=0.2)
    with pytest.raises(UsageError, match="not int"):
        list(pool.check_many(["sleep 600", 3]))  # type: ignore[list-item]
    assert pool.stats.waiting == 0
    for one in ("accept", CheckItem(source="accept")):
        with pytest.raises(UsageError, match="one item"):
            list(pool.check_many(one))  # type: ignore[arg-type]


def test_a_check_many_inside_the_progress_callback_of_another(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=1)
    inner: list[bool] = []

    def progress(told: CheckProgress) -> None:
        inner.extend(result.accepted for result in pool.check_many(["accept"] * 3))
        inner.append(pool.check("accept").accepted)

    assert [result.accepted for result in pool.check_many(["accept"] * 4, progress=progress)] == [True] * 4
    assert inner == [True] * 16


def test_a_token_that_is_cancelled_already_reads_nothing(fake_pool: MakePool) -> None:
    token = CancellationToken()
    token.cancel()
    source = iter(["accept"])
    assert list(fake_pool().check_many(source, cancellation=token)) == []
    assert next(source) == "accept"


def test_every_request_is_answered_once_whatever_happens_around_it(fake_pool: MakePool) -> None:
    wild = ["accept", "exit 3", "signal 9", "accept", "garbage", "other-id", "flood 2", "accept"] * 4
    results = list(fake_pool(workers=2).check_many(wild))
    good = {"accept", "flood 2"}
    assert [r.accepted for r in results] == [source in good for source in wild]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_asynchronous_twins(fake_pool: MakePool, backend: str) -> None:
    pool = fake_pool(workers=2, grace=0.3)

    async def slowly() -> AsyncIterator[CheckItem]:
        for item in islice(numbered(), 10):
            await anyio.sleep(0)
            yield item

    async def main() -> None:
        assert (await pool.acheck("accept")).accepted
        assert [r.file async for r in pool.acheck_many(slowly())] == [str(i) for i in range(10)]
        assert [r.accepted async for r in pool.acheck_many(["accept", "exit 1"])] == [True, False]
        async with aclosing(pool.acheck_many(numbered())) as results:  # type: ignore[type-var]
            async for _ in results:
                break
        with anyio.move_on_after(0.1) as scope:
            await pool.acheck("sleep 600")
        assert scope.cancelled_caught
        stop = CancellationToken(timeout=0.1)
        assert (await pool.acheck("sleep 600", cancellation=stop)).status is Status.CANCELLED
        assert (await pool.acheck("accept", cancellation=CancellationToken())).accepted

    anyio.run(main, backend=backend)
    pool.close()
    with pytest.raises(PoolClosed):
        anyio.run(pool.acheck, "accept", backend=backend)


def test_one_check_has_a_timeout_and_a_token_as_many_have(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=1, grace=0.3)
    assert pool.check("accept", timeout=60, cancellation=CancellationToken()).accepted
    assert pool.check("sleep 600", timeout=0.1).status is Status.TIMEOUT
    assert pool.check("sleep 600", cancellation=CancellationToken(timeout=0.1)).status is Status.CANCELLED
    with pytest.raises(UsageError, match="timeout"):
        pool.check("accept", timeout=0)
    token = CancellationToken()
    token.cancel()
    answer = pool.verify("sleep 600", "sleep 600", timeout=600, cancellation=token)
    assert (answer.status, answer.verified) == (Status.CANCELLED, False)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_in_a_task_group_each_task_has_its_own(fake_pool: MakePool, backend: str) -> None:
    pool = fake_pool(workers=2, grace=0.2)
    statuses: dict[str, Status] = {}

    async def one(source: str) -> None:
        statuses[source] = (await pool.acheck(source)).status

    async def all_of_them() -> None:
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(one, f"accept {number}")
            group.start_soon(one, "exit 3")

    async def one_fails() -> None:
        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(one, f"sleep 60{number}")
            while pool.stats.waiting < 5:
                await anyio.sleep(0)
            raise KeyError("mine")

    anyio.run(all_of_them, backend=backend)
    assert statuses.pop("exit 3") is Status.CRASHED
    assert list(statuses.values()) == [Status.ACCEPTED] * 20
    with pytest.raises(ExceptionGroup) as caught:
        anyio.run(one_fails, backend=backend)
    assert caught.group_contains(KeyError, match="mine")
    # The other tasks were cancelled, and their checks with them.
    eventually(lambda: pool.stats.waiting == 0)
    assert len(statuses) == 20


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_deadline_around_a_stream_ends_it(fake_pool: MakePool, backend: str) -> None:
    pool = fake_pool(workers=2, grace=0.2)

    async def main() -> int:
        seen = 0
        with anyio.CancelScope() as scope:
            async for result in pool.acheck_many(["accept", "sleep 600", "sleep 600"]):
                assert result.accepted
                seen += 1
                scope.deadline = anyio.current_time()
        assert scope.cancelled_caught
        with pytest.raises(TimeoutError), anyio.fail_after(0):
            await pool.acheck("accept")
        return seen

    assert anyio.run(main, backend=backend) == 1
    eventually(lambda: pool.stats.waiting == 0)
    assert pool.check("accept").accepted


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_the_pool_raises_is_raised_to_the_task(fake_pool: MakePool, backend: str) -> None:
    pool = fake_pool(workers=1, queue_timeout=0.2, grace=0.2)
    job = pool._submit("sleep 600", bounded=True)
    with pytest.raises(PoolTimeout):
        anyio.run(pool.acheck, "accept", backend=backend)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(pool.acheck, "accept")
            group.start_soon(anyio.to_thread.run_sync, pool.close)

    with pytest.raises(ExceptionGroup) as caught:
        anyio.run(main, backend=backend)
    assert caught.group_contains(PoolClosed)
    assert isinstance(job, Job)
    assert job.future.done()


def test_a_stream_that_is_dropped_unfinished_stops_when_the_loop_ends(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=2, grace=0.2)

    async def main() -> None:
        async for result in pool.acheck_many(["accept", "sleep 600", "sleep 600"]):
            assert result.accepted
            break

    asyncio.run(main())
    eventually(lambda: pool.stats.waiting == 0)
