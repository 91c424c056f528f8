"""Candidates that break, hang or overgrow Lean, on both engines: each costs its own request, the next is served."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from leanhost.services.values.results import CheckResult, Status
from leanhost.system.process_limits import family
from leanhost.workers import CheckItem, WorkerPool
from tests.support.candidates import FAULTS, NATIVE
from tests.support.hosts import ENGINES
from tests.support.pools import ENDLESS, GOOD, MakePool, children, pool_of
from tests.support.processes import alive, busy_worker, eventually

LIMITS = {"native": 300 << 20, "wasm": 2 << 30}


@pytest.fixture(scope="module")
def pool(engine: str, request: pytest.FixtureRequest) -> Iterator[WorkerPool]:
    """One pool for all the faults of an engine: what one breaks, the next would notice."""
    before = children()
    with pool_of(engine, request, workers=1, spares=0, grace=0.5, memory_limit=LIMITS[engine]) as made:
        yield made
    assert children() <= before


@pytest.mark.parametrize(
    ("engine", "name"), [(engine, name) for engine in ENGINES for name in FAULTS[engine]], indirect=["engine"]
)
def test_a_fault_costs_its_own_request(pool: WorkerPool, engine: str, name: str) -> None:
    fault = FAULTS[engine][name]
    result = pool.check(CheckItem(source=fault.source, timeout=fault.timeout))
    assert result.status in fault.statuses, result.reasons
    assert fault.says in " ".join(result.reasons) + result.stderr
    assert len(result.stdout) + len(result.stderr) < 1 << 18


def test_and_the_next_is_served(pool: WorkerPool) -> None:
    assert pool.check(GOOD).accepted
    assert pool.stats.zygotes_started == (1 if pool._settings.forks else 0)


def test_output_is_returned_with_the_request_that_wrote_it(pool: WorkerPool, engine: str) -> None:
    if engine == "native":
        result = pool.check(CheckItem(source=NATIVE["output"].source, timeout=0.5))
        assert result.stdout.startswith("x" * 1000)
        assert "bytes left out" in result.stdout
    assert pool.check(GOOD).stdout == ""


def killed_during_a_check(pool: WorkerPool, victim: int) -> CheckResult:
    job = pool._submit(CheckItem(source=ENDLESS, timeout=60), bounded=True)
    assert not isinstance(job, CheckResult)
    worker = busy_worker(pool)
    group = family(worker)
    os.kill(group[victim], signal.SIGKILL)
    result = job.future.result(60)
    eventually(lambda: not any(map(alive, group)))
    return result


def test_kill_9_of_the_worker(pool: WorkerPool) -> None:
    """The worker's own process; on wasm its engine must not go on alone."""
    result = killed_during_a_check(pool, 0)
    assert (result.status, "from outside" in result.reasons[0]) == (Status.CRASHED, True)
    assert pool.check(GOOD).accepted
    assert pool.stats.zygotes_started == (1 if pool._settings.forks else 0)


def test_kill_9_of_the_engine_below_the_worker(request: pytest.FixtureRequest) -> None:
    if "wasm" not in ENGINES:
        pytest.skip("LEANHOST_TEST_ENGINES leaves wasm out")
    with pool_of("wasm", request, spares=0) as pool:
        assert killed_during_a_check(pool, -1).status is Status.CRASHED
        assert pool.check(GOOD).accepted


def test_deep_nesting_below_the_limit_is_only_rejected(make_pool: MakePool) -> None:
    source = "theorem t : True := " + "(" * 20_000 + "True.intro" + ")" * 20_000
    assert make_pool(spares=0).check(source).status is Status.REJECTED


def test_faults_leave_no_process_and_no_file(make_pool: MakePool) -> None:
    before = children()
    pool = make_pool(workers=2, grace=0.3)
    items = [
        CheckItem(source=NATIVE[name].source, timeout=0.3) for name in ("signal", "elaborator", "number")
    ]
    assert not any(r.accepted for r in pool.check_many(items))
    scratch = pool._supervisor._launcher.scratch
    pool.close()
    assert children() <= before
    assert not Path(scratch).exists()
