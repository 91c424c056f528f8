"""What a worker may use, each limit run into: address space, CPU, files, processes; and what gets it replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from leanhost.services.values.results import Status
from leanhost.system import scratch
from leanhost.system.process_limits import Limits
from leanhost.system.scratch import Scratch
from leanhost.workers import CheckItem
from leanhost.workers.jobs import settings
from leanhost.workers.jobs.job import Job
from leanhost.workers.supervision import worker
from leanhost.workers.supervision.worker import State, Worker
from tests.support.candidates import NATIVE, WRITE, evaluated
from tests.support.pools import ENDLESS, GOOD, MakePool, pool_of
from tests.support.processes import alive, busy_worker, eventually, host_process, limited

DOUBLE = (
    "partial def double (n : Nat) (s : String) : String := if n = 0 then s else double (Nat.pred n) (s ++ s)"
)


def test_a_family_is_found_whole_however_large() -> None:
    run = limited(
        """
        children = []
        for _ in range(1000):  # more than the kernel says at a time
            if (child := os.fork()) == 0:
                time.sleep(600)
            children.append(child)
        print(sorted(family(os.getpid())) == sorted([os.getpid(), *children]))
        for child in children:
            os.kill(child, signal.SIGKILL)
        """
    )
    assert run.stdout == "True\n", run.stderr


# --- limits ---------------------------------------------------------------------------------------


def test_memory_that_is_taken_between_two_looks_meets_the_address_space(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "WATCH_S", 1e6)
    pool = make_pool(spares=0, memory_limit=64 << 20)
    result = pool.check(NATIVE["allocation"].source)
    assert (result.status, "ran out of memory" in result.reasons[0]) == (Status.OUT_OF_MEMORY, True)
    assert pool.check(GOOD).accepted


def test_cpu_time_ends_a_worker_that_nobody_watches(fixture_core: Path) -> None:
    """Not even its pool, which stands still here."""
    spinning = CheckItem(source=NATIVE["evaluation"].source, timeout=0.3)
    body = f"""
limits = ElabOptions(grace=0.2)
pool = WorkerPool(
    toolchain="native-runtime", search_path=[Path({str(fixture_core)!r})], spares=0, grace=0.1, options=limits
)
pool._submit({spinning!r}, bounded=True)
print(busy_worker(pool), flush=True)
time.sleep(600)
"""
    with host_process(fixture_core, body, "from leanhost import CheckItem, ElabOptions") as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGSTOP)
        try:
            eventually(lambda: not alive(pid))
        finally:
            process.kill()


def test_cpu_time_is_limited_for_the_process_of_an_engine_too() -> None:
    spin = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        assert limited(f"allow_cpu(0.0, [{spin.pid}])").returncode == 0
        assert spin.wait(60) == -signal.SIGXCPU
    finally:
        spin.kill()


def test_cpu_time_is_counted_from_what_was_used_before() -> None:
    """By a process that serves several checks, and by that of its engine."""
    use = "import time\nwhile time.process_time() < 1.1: pass\nprint(flush=True)\n"
    done = limited(f"""
    import subprocess
    code = {use!r} + "time.sleep(600)"
    helper = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    helper.stdout.readline()
    exec({use!r})
    allow_cpu(50.0, [helper.pid])
    print(*(resource.prlimit(pid, resource.RLIMIT_CPU)[0] >= 53 for pid in (0, helper.pid)))
    helper.kill()
    """)
    assert done.stdout == "\nTrue True\n", done.stderr


def test_an_import_has_cpu_time_of_its_own_after_a_short_check(make_pool: MakePool) -> None:
    """And a check has some for each of Lean's threads."""
    pool = make_pool(spares=0, max_requests=10, startup_timeout=1000.0)
    assert pool.check(CheckItem(source=GOOD, timeout=5)).accepted
    (served,) = pool._supervisor._workers

    def allowed() -> int:
        limits = Path(f"/proc/{served.process.pid}/limits").read_text()
        return int(limits.partition("Max cpu time")[2].split()[0])

    eventually(lambda: allowed() >= 4000)  # it is set once the answer is on its way
    pool._submit(CheckItem(source=ENDLESS, timeout=500), bounded=True)
    assert busy_worker(pool) == served.process.pid
    assert 2000 <= allowed() < 2500


def test_a_file_grows_up_to_a_size(make_pool: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "Limits", partial(Limits, file_size=1 << 20))
    pool = make_pool(spares=0)
    for doublings, written in ((18, 1), (22, 0)):
        write = f'(IO.FS.writeFile "file" (double {doublings} "x")).count = {written}'
        result = pool.check(evaluated(write, WRITE, DOUBLE))
        assert result.accepted, result


def test_files_are_limited_in_number_and_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker's do not count for another's, and links lead nowhere."""
    places = Scratch()
    try:
        mine = places.path / "7"
        (mine / "below").mkdir(parents=True)
        (places.path / "8").mkdir()
        (mine / "below" / "round").symlink_to(mine)
        for number in range(scratch.MAX_FILES - 2):
            (mine / "below" / str(number)).touch()
        assert places.overfull(7) is None
        (mine / "one more").touch()
        assert "files" in str(places.overfull(7))
        (mine / "one more").unlink()
        (mine / "below" / "0").write_bytes(bytes(1 << 20))
        monkeypatch.setattr(scratch, "MAX_BYTES", 1 << 19)
        assert "bytes" in str(places.overfull(7))
        assert places.overfull(8) is None
        assert places.overfull(9) is None
    finally:
        places.remove()


def test_what_a_worker_wrote_goes_with_it(make_pool: MakePool) -> None:
    pool = make_pool(spares=0)
    for write in ('(IO.FS.writeFile "file" "x").count = 1', "1 = 1"):
        assert pool.check(evaluated(write, WRITE)).accepted
    place = pool._supervisor._launcher.scratch
    eventually(lambda: not list(place.iterdir()))


def test_processes_are_limited_in_number() -> None:
    """Linux counts a user's, and not root's."""
    done = limited("""
    if os.geteuid() == 0:
        os.setuid(65534)
    running = int(open("/proc/loadavg").read().split()[3].partition("/")[2])
    apply(Limits(1 << 30, processes=8), [], address_space=False)
    print(resource.getrlimit(resource.RLIMIT_NPROC)[0] - running - 8)
    children = []
    try:
        while len(children) < running + 1000:
            child = os.fork()
            if child == 0:
                time.sleep(600)
                os._exit(0)
            children.append(child)
    except BlockingIOError:
        print("limited", running + 8 - len(children))
    for child in children:
        os.kill(child, signal.SIGKILL)
    """)
    others, word, spare = done.stdout.split()
    assert word == "limited"
    # What began and ended meanwhile on the machine.
    assert -64 <= int(others) <= 64, done
    assert int(spare) >= -64, done


def test_what_a_process_has_already_is_not_taken_off_its_memory() -> None:
    """A fork inherits it from its zygote, where the kernel counts it as well."""
    done = limited("""
    import mmap
    had = mmap.mmap(-1, 2 << 30, flags=mmap.MAP_PRIVATE)
    apply(Limits(memory=1 << 20), [], address_space=True)
    more = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE)
    try:
        mmap.mmap(-1, 2 << 30, flags=mmap.MAP_PRIVATE)
    except OSError:
        print("limited")
    """)
    assert done.stdout == "limited\n", done.stderr


def test_a_process_that_is_limited_already_keeps_its_limits() -> None:
    """As under a service manager, or in a worker of another pool; nobody but root could raise them."""
    done = limited("""
    which = (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU)
    for limit in which:
        resource.setrlimit(limit, (100, 100))
    if os.geteuid() == 0:
        os.setuid(65534)
    apply(Limits(1 << 30), [], address_space=True)
    allow_cpu(1000.0)
    print(*(resource.getrlimit(limit) for limit in which))
    """)
    assert done.stdout == "(100, 100) (100, 100) (100, 100)\n", done.stderr


def test_a_worker_that_crashes_writes_no_core() -> None:
    done = limited("""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if os.geteuid() == 0 or hard:
        resource.setrlimit(resource.RLIMIT_CORE, (1, max(hard, 1)) if hard >= 0 else (1, hard))
    apply(Limits(1 << 30), [], address_space=True)
    print(resource.getrlimit(resource.RLIMIT_CORE))
    """)
    assert done.stdout == "(0, 0)\n", done.stderr


def test_a_process_that_has_ended_is_limited_and_measured_without_trouble() -> None:
    done = limited("""
    ended = os.fork()
    if ended == 0:
        os._exit(0)
    os.waitid(os.P_PID, ended, os.WEXITED | os.WNOWAIT)
    print(anonymous_bytes(ended), family(ended) == [ended])
    os.waitpid(ended, 0)
    apply(Limits(1 << 30), [ended], address_space=True)
    allow_cpu(1.0, [ended])
    print(anonymous_bytes(ended), family(ended) == [ended])
    """)
    assert done.stdout == "0 True\n" * 2, done.stderr


# --- replacement ----------------------------------------------------------------------------------


def test_after_so_many_requests(engine: str, request: pytest.FixtureRequest) -> None:
    with pool_of(engine, request, spares=0, max_requests=2) as pool:
        assert [r.accepted for r in pool.check_many([GOOD] * 3)] == [True] * 3
        assert pool.stats.ended == {"requests": 1}
        assert pool.stats.processes_started == 2


def test_after_an_age_once_it_is_free(engine: str, request: pytest.FixtureRequest) -> None:
    with pool_of(engine, request, spares=0, max_requests=100, max_age=1e-3) as pool:
        assert pool.check(GOOD).accepted
        eventually(lambda: pool.stats.ended == {"age": 1})


def test_after_it_grew(engine: str, request: pytest.FixtureRequest) -> None:
    with pool_of(engine, request, spares=0, max_requests=100, max_growth_bytes=1) as pool:
        assert pool.check(GOOD).accepted
        eventually(lambda: pool.stats.ended == {"memory": 1})


@pytest.mark.parametrize("how", ["hold", "share"])
def test_only_its_own_memory_counts(fake_pool: MakePool, how: str) -> None:
    """Not the files it has mapped, as it maps the compiled modules; but memory that it could share with others."""
    pool = fake_pool(max_growth_bytes=32 << 20)
    first = pool.check("map 64").reasons
    eventually(lambda: pool._supervisor._workers[0]._watch_at == float("inf"))
    assert pool.check("accept").reasons == first
    assert pool.check(f"{how} 64").reasons == first
    eventually(lambda: pool.stats.ended == {"memory": 1})
    assert pool.check("accept").reasons != first


# --- what is kept ---------------------------------------------------------------------------------


def test_a_timeout_that_kills_keeps_the_import(engine: str, request: pytest.FixtureRequest) -> None:
    """On native in the zygote, on wasm in a spare that was started ahead."""
    with pool_of(engine, request, workers=1, spares=1, grace=0.3) as pool:
        assert pool.check(GOOD).accepted
        job = pool._submit(CheckItem(source=ENDLESS, timeout=5), bounded=True)
        assert isinstance(job, Job)
        # One that stands still cannot stop in time, on either engine.
        os.kill(busy_worker(pool), signal.SIGSTOP)
        assert job.future.result(60).status is Status.TIMEOUT
        assert pool.stats.ended["timeout"] == 1

        def idle() -> list[Worker]:
            return [w for w in pool._supervisor._workers if w.state is State.IDLE]

        eventually(lambda: bool(idle()))
        (spare,) = idle()
        assert pool.check(GOOD).accepted
        assert spare.served == 1
        assert pool.stats.zygotes_started == (1 if engine == "native" else 0)
