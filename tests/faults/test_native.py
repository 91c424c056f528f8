"""Candidates that crash, hang or overgrow native Lean: each costs its own request, and the next is served."""

from __future__ import annotations

import pytest

from leanhost.services.options import ElabOptions
from leanhost.services.results import Status
from leanhost.workers import CheckItem, WorkerPool
from tests.faults.conftest import FAULTS, GOOD
from tests.workers.conftest import MakePool, children

LIMIT = 300 << 20


@pytest.fixture
def pool(make_pool: MakePool) -> WorkerPool:
    return make_pool(workers=1, memory_limit=LIMIT, grace=0.5, options=ElabOptions(timeout=60))


def served(pool: WorkerPool) -> bool:
    return pool.check(GOOD).accepted and pool.stats().zygotes_started == 1


def test_a_signal(pool: WorkerPool) -> None:
    result = pool.check(FAULTS["signal"])
    assert result.status is Status.CRASHED
    assert "SIG" in result.reasons[0]
    assert served(pool)


def test_a_loop_in_the_elaborator(pool: WorkerPool) -> None:
    assert pool.check(CheckItem(source=FAULTS["elaborator"], timeout=0.5)).status is Status.TIMEOUT
    assert served(pool)


def test_a_number_that_takes_minutes(make_pool: MakePool) -> None:
    pool = make_pool(grace=0.3)
    assert pool.check(CheckItem(source=FAULTS["number"], timeout=0.3)).status is Status.TIMEOUT
    assert served(pool)


def test_too_much_memory(pool: WorkerPool) -> None:
    result = pool.check(FAULTS["memory"])
    assert result.status is Status.OUT_OF_MEMORY
    assert served(pool)


def test_deep_nesting(pool: WorkerPool) -> None:
    assert (
        pool.check("theorem t : True := " + "(" * 20_000 + "True.intro" + ")" * 20_000).status
        is Status.REJECTED
    )
    result = pool.check(FAULTS["stack"])
    assert result.status in (Status.CRASHED, Status.OUT_OF_MEMORY)
    assert served(pool)


def test_a_faulty_worker_leaves_no_process(make_pool: MakePool) -> None:
    before = children()
    pool = make_pool(workers=2, grace=0.3)
    faults = [CheckItem(source=FAULTS[name], timeout=0.3) for name in ("signal", "elaborator", "number")]
    assert not any(r.accepted for r in pool.check_many(faults))
    pool.close()
    assert children() <= before
