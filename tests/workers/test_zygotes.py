"""Workers forked from a process that has the imports: nobody sees a difference but in speed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from leanhost.services.options import ElabOptions
from leanhost.services.results import CheckResult, Status
from leanhost.workers import CheckItem, WorkerPool
from leanhost.workers.limits import family
from leanhost.workers.worker import State
from tests.support.confinement import SECCOMP
from tests.workers.conftest import ENDLESS, GOOD, MakePool
from tests.workers.test_supervision import alive, eventually


def zygotes(pool: WorkerPool) -> list[int]:
    return pool._supervisor._nursery.pids()


def busy_worker(pool: WorkerPool) -> int:
    """The pid of the worker that has begun to elaborate."""
    found: list[int] = []

    def look() -> bool:
        workers = pool._supervisor._workers
        found[:] = [w.process.pid for w in workers if w.job is not None and w._begun and w.process.pid]
        return bool(found)

    eventually(look)
    return found[0]


def in_background(work: Callable[[], CheckResult]) -> Callable[[], CheckResult]:
    results: list[CheckResult] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()

    def finish() -> CheckResult:
        thread.join(60)
        return results[0]

    return finish


def test_an_import_is_done_once_for_many_workers(make_pool: MakePool) -> None:
    pool = make_pool(workers=2)
    assert all(r.accepted for r in pool.check_many([GOOD] * 10))
    stats = pool.stats()
    assert stats.zygotes_started == 1
    assert stats.forks >= 10
    assert stats.imports_avoided == stats.forks - 1
    assert stats.answered == {Status.ACCEPTED: 10}
    assert sum(stats.latency_buckets) == 10
    assert stats.private_bytes > 0 < stats.shared_bytes


def test_every_check_has_a_process_of_its_own_unless_asked_otherwise(make_pool: MakePool) -> None:
    one = make_pool(spares=0)
    list(one.check_many([GOOD] * 3))
    assert one.stats().ended == {"requests": 3}
    many = make_pool(max_requests=100, spares=0)
    list(many.check_many([GOOD] * 3))
    assert many.stats().leases == 1


def test_the_implicit_import_is_the_same_written_out(make_pool: MakePool) -> None:
    pool = make_pool()
    assert pool.check(GOOD).accepted
    assert pool.check(CheckItem(source=GOOD, imports=["Init"])).accepted
    assert pool.session(["Init"]).run(GOOD).ok
    assert pool.session().run(GOOD).ok
    assert pool.stats().zygotes_started == 1


def test_each_set_of_imports_has_its_zygote_up_to_a_number(make_pool: MakePool) -> None:
    pool = make_pool(max_zygotes=2, spares=0)
    for module in ("Init.Core", "Fixture.Logic", "Fixture.Syntax"):
        assert pool.check(f"import {module}\n").accepted
    stats = pool.stats()
    assert (stats.zygotes_started, stats.zygotes) == (3, 2)
    assert pool.check("import Nowhere\n").status is Status.REJECTED
    assert pool.stats().zygotes_started == 4  # the one without a header, and none for what has no file


def test_a_killed_zygote_costs_an_import_and_no_request(make_pool: MakePool) -> None:
    pool = make_pool(spares=0)
    assert pool.check(GOOD).accepted
    os.kill(zygotes(pool)[0], signal.SIGKILL)
    assert pool.check(GOOD).accepted
    assert pool.stats().zygotes_started == 2


def test_a_zygote_killed_under_a_running_check_leaves_it_running(make_pool: MakePool) -> None:
    pool = make_pool(spares=0, grace=0.5)
    finish = in_background(lambda: pool.check(CheckItem(source=ENDLESS, timeout=3)))
    worker = busy_worker(pool)
    os.kill(zygotes(pool)[0], signal.SIGKILL)
    assert pool.check(GOOD).accepted
    assert finish().status is Status.TIMEOUT
    eventually(lambda: not alive(worker))


def test_a_cancelled_check_ends_and_its_worker_with_it(make_pool: MakePool) -> None:
    pool = make_pool(spares=0)
    job = pool.submit(ENDLESS, bounded=True)
    assert not isinstance(job, CheckResult)
    worker = busy_worker(pool)
    pool.cancel(job)
    assert job.future.result(60).status is Status.CANCELLED
    eventually(lambda: not alive(worker))


def test_a_killed_pool_leaves_no_process_and_no_file(fixture_core: Path) -> None:
    script = f"""
import os, time
from pathlib import Path
from leanhost.workers import WorkerPool
from leanhost.workers.limits import family
pool = WorkerPool(toolchain="native-runtime", search_path=[Path({str(fixture_core)!r})])
pool.check({GOOD!r})
print(pool._supervisor._nursery.scratch, *family(os.getpid())[1:], flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        scratch, *pids = process.stdout.readline().split()
        process.kill()
    assert pids
    eventually(lambda: not any(alive(int(pid)) for pid in pids))
    eventually(lambda: not Path(scratch).exists())


def test_a_damaged_import_is_the_sources_fault_alone(
    make_pool: MakePool, fixture_core: Path, tmp_path: Path
) -> None:
    good = (fixture_core / "Init" / "Core.olean").read_bytes()
    (tmp_path / "Damaged.olean").write_bytes(good[:-4096])
    (tmp_path / "Empty.olean").write_bytes(b"")
    pool = make_pool(search_path=[tmp_path, fixture_core])
    for module in ("Damaged", "Empty"):
        assert pool.check(f"import {module}\n" + GOOD).status in (Status.REJECTED, Status.CRASHED)
    assert pool.check(GOOD).accepted


def test_the_time_of_a_check_is_its_own(make_pool: MakePool) -> None:
    # The import of the first request does not count, nor does waiting for the other one.
    pool = make_pool(workers=1, options=ElabOptions(timeout=30))
    started = time.monotonic()
    results = list(pool.check_many([GOOD] * 3))
    assert sum(r.elapsed for r in results) <= time.monotonic() - started


def test_workers_are_all_in_this_process_family(make_pool: MakePool) -> None:
    pool = make_pool(spares=0)
    finish = in_background(lambda: pool.check(CheckItem(source=ENDLESS, timeout=2)))
    assert busy_worker(pool) in family(os.getpid())
    assert finish().status is Status.TIMEOUT


def test_a_zygote_has_rehearsed_and_nothing_of_it_is_seen(make_pool: MakePool) -> None:
    pool = make_pool(spares=0)
    again = pool.check("theorem rehearsed (p : Prop) (h : p) : p := h\n")
    assert again.accepted
    assert [t.name for t in again.theorems] == ["rehearsed"]
    assert not again.diagnostics
    missing = pool.check("example (p q : Prop) (h : p) (k : p → q) : q := rehearsed p q h k\n")
    assert missing.status is Status.REJECTED
    cpu = Path(f"/proc/{zygotes(pool)[0]}/limits").read_text().partition("Max cpu time")[2].split()
    assert cpu[:2] == ["unlimited", "unlimited"]


def test_a_fork_takes_its_own_memory_in_small_pages(make_pool: MakePool) -> None:
    pool = make_pool(max_requests=10)
    assert pool.check(GOOD).accepted
    (worker,) = pool._supervisor._workers
    assert "THP_enabled:\t1" not in Path(f"/proc/{worker.process.pid}/status").read_text()


def test_a_fork_that_nobody_waits_for_copies_what_it_will_write(make_pool: MakePool) -> None:
    pool = make_pool(workers=1, max_requests=2, spares=1)

    def own(pid: int) -> int:
        """Kilobytes of memory that the process has for itself."""
        said = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(said.partition("Private_Dirty:")[2].split()[0])

    assert pool.check(GOOD).accepted
    (first,) = [worker.process.pid for worker in pool._supervisor._workers]
    used = own(first)
    assert pool.check(
        GOOD
    ).accepted  # the last of the first worker: another is started, for which there is no work

    def spares() -> list[int]:
        workers = pool._supervisor._workers
        return [w.process.pid for w in workers if w.process.pid not in (0, first) and w.state is State.IDLE]

    eventually(lambda: bool(spares()))
    # A fork has a third of it by the time it is ready.
    eventually(lambda: own(spares()[0]) > 0.7 * used)


def test_a_zygote_is_confined_as_far_as_its_children_need_it_not(make_pool: MakePool) -> None:
    pool = make_pool(spares=1)
    assert pool.check(GOOD).accepted
    if not SECCOMP:
        pytest.skip(f"this machine has no seccomp: {pool.sandbox}")
    [zygote] = zygotes(pool)
    eventually(lambda: [filters(worker) for worker in family(zygote)[1:]] == [2])
    assert filters(zygote) == 1


def filters(pid: int) -> int:
    """How many filters of system calls hold for a process."""
    said = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(said["Seccomp_filters"])
