"""Workers forked from a process that has the imports: nobody sees a difference but in speed."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from leanhost.services.session.host import Host
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.results import CheckResult, Status
from leanhost.system.process_limits import family
from leanhost.workers import CheckItem
from leanhost.workers.protocol.messages import Config
from leanhost.workers.supervision.process import make_ends
from leanhost.workers.supervision.worker import State
from leanhost.workers.supervision.zygote_client import Forked
from leanhost.workers.worker_process.zygote_main import Zygote as Ending
from tests.support.candidates import SPAWN, evaluated, spawned
from tests.support.confinement import SECCOMP
from tests.support.pools import ENDLESS, GOOD, MakePool
from tests.support.processes import alive, busy_worker, eventually, zygotes


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
    stats = pool.stats
    assert stats.zygotes_started == 1
    assert stats.forks >= 10
    assert stats.imports_avoided == stats.forks - 1
    assert stats.answered == {Status.ACCEPTED: 10}
    assert sum(stats.latency_buckets) == 10
    assert stats.private_bytes > 0 < stats.shared_bytes


def test_a_zygote_that_ends_has_seen_its_workers_end() -> None:
    """One that is about to make its directory would leave it behind."""
    large = "import time; kept = b'x' * (256 << 20); print('up', flush=True); time.sleep(600)"
    worker = subprocess.Popen([sys.executable, "-c", large], stdout=subprocess.PIPE, start_new_session=True)
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"up\n"
    ours, theirs = socket.socketpair()
    pidfd = os.pidfd_open(worker.pid)
    look = select.poll()
    look.register(pidfd, select.POLLIN)
    with ours, theirs, worker:
        ending = Ending(theirs, cast(Host, None), cast(Config, None))
        ending._children[pidfd] = 1, worker.pid
        ending._end_children()
        assert look.poll(0)
    os.close(pidfd)


def test_every_check_has_a_process_of_its_own_unless_asked_otherwise(make_pool: MakePool) -> None:
    one = make_pool(spares=0)
    list(one.check_many([GOOD] * 3))
    assert one.stats.ended == {"requests": 3}
    many = make_pool(max_requests=100, spares=0)
    list(many.check_many([GOOD] * 3))
    assert many.stats.processes_started == 1


def test_the_implicit_import_is_the_same_written_out(make_pool: MakePool) -> None:
    pool = make_pool()
    assert pool.check(GOOD).accepted
    assert pool.check(CheckItem(source=GOOD, imports=["Init"])).accepted
    assert pool.session(["Init"]).run(GOOD).ok
    assert pool.session().run(GOOD).ok
    assert pool.stats.zygotes_started == 1


def test_each_set_of_imports_has_its_zygote_up_to_a_number(make_pool: MakePool) -> None:
    pool = make_pool(max_zygotes=2, spares=0)
    for module in ("Init.Core", "Fixture.Logic", "Fixture.Syntax"):
        assert pool.check(f"import {module}\n").accepted
    stats = pool.stats
    assert (stats.zygotes_started, stats.zygotes) == (3, 2)
    assert pool.check("import Nowhere\n").status is Status.REJECTED
    assert pool.stats.zygotes_started == 4  # the one without a header, and none for what has no file


def test_a_killed_zygote_costs_an_import_and_no_request(make_pool: MakePool) -> None:
    pool = make_pool(spares=0)
    assert pool.check(GOOD).accepted
    os.kill(zygotes(pool)[0], signal.SIGKILL)
    assert pool.check(GOOD).accepted
    assert pool.stats.zygotes_started == 2


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
    job = pool._submit(ENDLESS, bounded=True)
    assert not isinstance(job, CheckResult)
    worker = busy_worker(pool)
    pool._cancel(job)
    assert job.future.result(60).status is Status.CANCELLED
    eventually(lambda: not alive(worker))


def test_a_killed_pool_leaves_no_process_and_no_file(fixture_core: Path) -> None:
    script = f"""
import os, time
from pathlib import Path
from leanhost.workers import WorkerPool
from leanhost.system.process_limits import family
pool = WorkerPool(toolchain="native-runtime", search_path=[Path({str(fixture_core)!r})])
pool.check({GOOD!r})
print(pool._supervisor._launcher.scratch, *family(os.getpid())[1:], flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        scratch, *pids = process.stdout.readline().split()
        process.kill()
    assert pids
    eventually(lambda: not any(alive(int(pid)) for pid in pids))
    eventually(lambda: not Path(scratch).exists())


# --- one fork, as the pool knows it ---------------------------------------------------------------


@pytest.fixture
def fork() -> Iterator[Forked]:
    ends, inherited = make_ends(10)
    made = Forked(inherited)
    yield made
    made.close()
    ends.close()


def sleeper(code: str = "") -> subprocess.Popen[str]:
    """A process that leads a group of its own, and says a line when it has run *code*."""
    script = f"import os, time\n{code}\nprint(flush=True); time.sleep(600)"
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def test_no_signal_hits_a_process_that_has_got_the_pid_of_one_that_ended(fork: Forked) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    pidfd = os.pidfd_open(ended.pid)
    ended.wait()
    with sleeper() as other:
        fork.orphan = True
        fork.born(other.pid, pidfd)
        fork.kill()
        other.terminate()  # too late if it was killed
        assert other.wait(60) == -signal.SIGTERM


@pytest.mark.parametrize("given_up", [Forked.kill, Forked.close])
def test_a_fork_that_was_given_up_before_it_was_there_is_killed(
    fork: Forked, given_up: Callable[[Forked], None]
) -> None:
    fork.release()  # it was asked for
    given_up(fork)
    with sleeper() as child:
        fork.born(child.pid, os.pidfd_open(child.pid))
        child.terminate()  # too late
        assert child.wait(60) == -signal.SIGKILL


def test_an_orphan_is_killed_with_its_group(fork: Forked) -> None:
    """As long as there is a zygote, that does it, before the pid can be another's."""
    with sleeper("child = os.fork()\nif child: print(child, flush=True)") as leader:
        assert leader.stdout is not None
        member = next(int(line) for line in leader.stdout if line.strip())
        fork.orphan = True
        fork.born(leader.pid, os.pidfd_open(leader.pid))
        fork.kill()
        assert leader.wait(60) == -signal.SIGKILL
        eventually(lambda: not alive(member))


def test_what_a_worker_started_in_its_group_ends_with_it(make_pool: MakePool) -> None:
    pool = make_pool(spares=0, sandbox="off")
    seconds = f"600.{uuid.uuid4().int}"
    start = spawned("/bin/sleep", seconds).replace("true, true⟩", "true, false⟩")  # no session of its own
    assert pool.check(evaluated(f"{start} = 1", SPAWN)).accepted

    def left() -> list[int]:
        return [
            int(place.name)
            for place in Path("/proc").iterdir()
            if place.name.isdigit() and seconds.encode() in said(place / "cmdline")
        ]

    try:
        eventually(lambda: not left())
    finally:
        for pid in left():
            os.kill(pid, signal.SIGKILL)


def said(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


# --- imports --------------------------------------------------------------------------------------


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


def test_every_process_leads_a_session_of_its_own(make_pool: MakePool) -> None:
    """Which a terminal's signals do not reach, and whose group is all that it starts."""
    pool = make_pool(spares=0)
    pool._submit(ENDLESS, bounded=True)
    for pid in (busy_worker(pool), *zygotes(pool)):
        assert os.getsid(pid) == pid


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
    # The last of the first worker: another is started, for which there is no work.
    assert pool.check(GOOD).accepted

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
