"""The worker pool's contract, sentence by sentence, with real Leans on both engines.

Each part of it at length: the queue in ``test_queue``, limits and replacement in ``test_limits``, streams and tasks in
``test_many``, numbers in ``test_numbers``, the owner's end in ``test_lifecycle``, zygotes in ``test_zygotes``, sessions
in ``test_sessions``, verdicts in ``test_verify`` and ``test_faults``. What workers do to a pool on purpose is in
``test_supervision``, what happens on the pool's own side in ``test_trouble``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from leanhost.errors import PoolClosed
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.results import CheckResult, Status
from leanhost.system.process_limits import SLACK_BYTES, family
from leanhost.workers import CheckItem, CheckProgress, WorkerPool
from tests.support.candidates import FAULTS
from tests.support.pools import BAD, ENDLESS, GOOD, children, descriptors, pool_of
from tests.support.processes import busy_worker, eventually

MEMORY = {"native": 300 << 20, "wasm": 2 << 30}


@pytest.fixture(scope="module")
def pool(engine: str, request: pytest.FixtureRequest) -> Iterator[WorkerPool]:
    with pool_of(engine, request, workers=1, spares=0, grace=0.5, memory_limit=MEMORY[engine]) as made:
        yield made


def items(engine: str, missing: Path) -> list[tuple[CheckItem, set[Status]]]:
    def broken(name: str) -> tuple[CheckItem, set[Status]]:
        fault = FAULTS[engine][name]
        return CheckItem(source=fault.source, timeout=fault.timeout), set(fault.statuses)

    return [
        (CheckItem(source=GOOD), {Status.ACCEPTED}),
        (CheckItem(source=BAD), {Status.REJECTED}),
        broken("elaborator"),
        broken("exit"),
        (CheckItem(path=missing), {Status.REFUSED}),
        broken("allocation"),
        (CheckItem(source=GOOD), {Status.ACCEPTED}),
    ]


def test_each_item_has_its_own_outcome_in_input_order_and_progress_is_told(
    pool: WorkerPool, engine: str, tmp_path: Path
) -> None:
    seen: list[CheckProgress] = []
    asked = items(engine, tmp_path / "missing.lean")
    results = list(pool.check_many((item for item, _ in asked), progress=seen.append))
    assert [r.status in allowed for r, (_, allowed) in zip(results, asked, strict=True)] == [True] * len(
        asked
    )
    assert [p.done for p in seen] == list(range(1, len(asked) + 1))
    assert sum(seen[-1].statuses.values()) == seen[-1].taken == len(asked)


def test_a_timeout_keeps_the_import(pool: WorkerPool) -> None:
    assert pool.check(GOOD).accepted
    before = pool.stats
    assert pool.check(CheckItem(source=ENDLESS, timeout=1)).status is Status.TIMEOUT
    assert pool.check(GOOD).accepted
    after = pool.stats
    assert after.zygotes_started == before.zygotes_started
    assert (
        pool._settings.forks or after.processes_started == before.processes_started
    )  # wasm: the same process, which stopped in time


def test_there_is_no_default_of_no_timeout(pool: WorkerPool) -> None:
    assert 0 < pool._settings.options.timeout <= 60
    for name in ("startup_timeout", "grace", "queue_timeout", "max_age"):
        assert 0 < getattr(pool._settings, name) < 1e9


def test_a_cancelled_token_ends_the_rest_and_the_next_is_served(pool: WorkerPool) -> None:
    token = CancellationToken()

    def endless() -> Iterator[str]:
        yield GOOD
        while True:
            yield ENDLESS

    statuses = []
    for result in pool.check_many(endless(), cancellation=token):
        statuses.append(result.status)
        token.cancel()
    assert statuses[0] is Status.ACCEPTED
    assert set(statuses[1:]) == {Status.CANCELLED}
    assert pool.check(GOOD).accepted


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_same_from_asyncio_and_trio(pool: WorkerPool, backend: str) -> None:
    async def main() -> None:
        results: list[CheckResult] = [r async for r in pool.acheck_many([GOOD, BAD], ordered=False)]
        assert {r.status for r in results} == {Status.ACCEPTED, Status.REJECTED}
        with anyio.move_on_after(1) as scope:
            await pool.acheck(ENDLESS)
        assert scope.cancelled_caught
        assert (await pool.acheck(GOOD)).accepted

    anyio.run(main, backend=backend)


def test_closing_during_a_check_answers_it_and_leaves_nothing(
    engine: str, request: pytest.FixtureRequest
) -> None:
    before, open_before, threads = children(), descriptors(), threading.active_count()
    with pool_of(engine, request, spares=0) as pool:
        job = pool._submit(CheckItem(source=ENDLESS, timeout=60), bounded=True)
        busy_worker(pool)
        scratch = pool._supervisor._launcher.scratch
        assert scratch.is_dir()
    assert not isinstance(job, CheckResult)
    with pytest.raises(PoolClosed):
        job.future.result(0)
    assert children() <= before
    assert descriptors() <= open_before
    assert threading.active_count() <= threads
    assert not scratch.exists()
    pool.close()
    with pytest.raises(PoolClosed):
        pool.check(GOOD)
    assert pool.closed
    assert "closed" in repr(pool)


def test_every_limit_holds_for_a_worker_and_for_the_process_of_its_engine(
    pool: WorkerPool, engine: str
) -> None:
    names = ("core file size", "file size", "open files", "processes", "cpu time", "data size")

    def told(pid: int) -> list[str]:
        """The limits that hold for a process, which it cannot raise again but for CPU time."""
        said = Path(f"/proc/{pid}/limits").read_text()
        rows = [said.partition(f"Max {name}")[2].split()[:2] for name in names]
        return [
            soft if soft == hard or name == "cpu time" else "raisable"
            for name, (soft, hard) in zip(names, rows, strict=True)
        ]

    with pool.session() as session:
        assert session.run(GOOD).ok
        (worker,) = [w.process.pid for w in pool._supervisor._workers if w.lease is not None]
        processes = family(worker)
        assert len(processes) == {"native": 1, "wasm": 2}[engine]
        eventually(lambda: all("unlimited" not in told(pid)[:5] for pid in processes))
        for pid in processes:
            core, file, files, tasks, _, data = told(pid)
            assert (core, file, files) == ("0", str(256 << 20), "512")
            assert int(tasks) > 256
            if engine == "native":
                assert int(data) > MEMORY[engine] + SLACK_BYTES


def test_what_confines_the_workers_is_told(pool: WorkerPool) -> None:
    assert pool.check(GOOD).accepted
    assert pool.sandbox in ("none", "seccomp") or pool.sandbox.startswith("Landlock")
