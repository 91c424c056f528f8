"""``check_many``: any iterable, in order or as known, constant memory, cancellation of the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from itertools import count, islice

import anyio
import pytest

from leanhost.errors import PoolClosed
from leanhost.services.cancellation import CancellationToken
from leanhost.services.results import Status
from leanhost.workers import CheckItem, CheckProgress
from tests.workers.conftest import MakePool


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


def test_each_answer_is_told(fake_pool: MakePool) -> None:
    seen: list[CheckProgress] = []
    list(fake_pool().check_many(["accept", "exit 1", "accept"], progress=seen.append))
    assert [p.done for p in seen] == [1, 2, 3]
    assert seen[-1].statuses == {Status.ACCEPTED: 2, Status.CRASHED: 1}


def test_a_cancelled_token_answers_what_was_read_and_reads_no_more(fake_pool: MakePool) -> None:
    token = CancellationToken()
    pool = fake_pool(workers=1, grace=0.3)
    statuses = []
    for result in pool.check_many(numbered("sleep 0.05"), cancellation=token):
        statuses.append(result.status)
        token.cancel()
    assert statuses[0] is Status.ACCEPTED
    assert set(statuses[1:]) == {Status.CANCELLED}
    assert pool.check("accept").accepted


def test_leaving_early_stops_what_runs(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=2, grace=0.2)
    results = pool.check_many(["accept", "sleep 600", "sleep 600"])
    assert next(results).accepted
    results.close()  # type: ignore[attr-defined]
    assert pool.stats().waiting == 0


def test_an_error_of_the_iterable_travels_out_and_stops_what_runs(fake_pool: MakePool) -> None:
    def items() -> Iterator[str]:
        yield "sleep 600"
        raise KeyError("mine")

    pool = fake_pool(grace=0.2)
    with pytest.raises(KeyError, match="mine"):
        list(pool.check_many(items()))
    assert pool.stats().waiting == 0


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
        assert (await pool.acheck("accept")).accepted

    anyio.run(main, backend=backend)
    pool.close()
    with pytest.raises(PoolClosed):
        anyio.run(pool.acheck, "accept", backend=backend)
