"""What a pool goes through on its own side: no descriptors, forks, collections, signals, a zygote that stands still."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest

from leanhost.errors import PoolClosed, ToolchainInstallError, WorkerStartError
from leanhost.services.values.results import CheckResult, Status
from leanhost.system.process_limits import family
from leanhost.workers import CheckItem, WorkerPool
from leanhost.workers.supervision import supervisor, worker, zygote_client
from leanhost.workers.supervision.process import Ends, Inherited, Spawned
from leanhost.workers.supervision.process import spawn as start_process
from leanhost.workers.values import items
from tests.support.pools import ENDLESS, GOOD, MakePool, pool_of
from tests.support.processes import alive, busy_worker, eventually, host_process, parent, scratch
from tests.support.processes import zygotes as zygotes_of

__all__ = ["scratch"]


# --- the machine ----------------------------------------------------------------------------------


def test_without_descriptors_a_request_fails_and_the_pool_lives(fake_pool: MakePool) -> None:
    pool = fake_pool(max_requests=1)
    assert pool.check("accept").accepted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # what is open stays open
    try:
        with pytest.raises(WorkerStartError, match="no worker can be started") as caught:
            pool.check("accept")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "ulimit -n" in caught.value.hint
    assert pool.check("accept").accepted


def test_without_a_temporary_directory_a_request_fails_and_the_pool_lives(
    fake_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    pool = fake_pool()
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/directory")
    with pytest.raises(WorkerStartError, match="no/such"):
        pool.check("accept")
    monkeypatch.undo()


def test_without_a_cache_directory_a_request_fails_and_the_pool_lives(
    fake_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = fake_pool()
    with monkeypatch.context() as patch:
        patch.setenv("LEANHOST_CACHE", "~no-such-user/cache")
        with pytest.raises(ToolchainInstallError, match="~no-such-user"):
            pool.check("accept")
    assert pool.check("accept").accepted


def test_a_request_that_is_larger_than_a_frame_is_refused(
    fake_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = fake_pool()
    assert pool.check("accept").accepted
    monkeypatch.setattr(worker, "MAX_REQUEST_BYTES", 1000)
    result = pool.check("accept " + "x" * 1000)
    assert (result.status, "cannot be sent" in result.reasons[0]) == (Status.REFUSED, True)
    assert pool.check("accept").accepted


def test_a_source_is_measured_in_bytes(fake_pool: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "MAX_SOURCE_BYTES", 100)
    pool = fake_pool()
    assert pool.check("∀" * 34).status is Status.REFUSED
    assert pool.check("accept" + " " * 90).accepted
    assert pool.stats.processes_started == 1


def test_more_imports_than_a_packet_holds(make_pool: MakePool) -> None:
    pool = make_pool(imports=[f"No.Such.Module.Of.This.Name{n}" for n in range(4000)], spares=0)
    assert pool.check(GOOD).status is Status.REJECTED
    assert pool.check("import Init.Core\n" + GOOD).accepted


def test_what_a_killed_pool_left_is_removed_by_the_next_and_what_a_living_one_has_is_not(
    fake_pool: MakePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    from leanhost.system import scratch as places

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(places, "FRESH_S", -1.0)
    left = tmp_path / f"{places.PREFIX}left"
    (left / "12").mkdir(parents=True)
    (tmp_path / "leanhost-other").mkdir()
    if os.geteuid() == 0:  # another user's
        (tmp_path / f"{places.PREFIX}theirs").mkdir()
        os.chown(tmp_path / f"{places.PREFIX}theirs", 65534, 65534)
    others = set(tmp_path.iterdir()) - {left}
    first, second = fake_pool(), fake_pool()
    for pool in (first, second, first):
        assert pool.check("accept").accepted
    living = [pool._supervisor._launcher.scratch for pool in (first, second)]
    assert sorted(tmp_path.iterdir()) == sorted([*living, *others])
    first.close()
    second.close()
    assert set(tmp_path.iterdir()) == others


def test_a_directory_that_its_pool_has_not_claimed_yet_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    from leanhost.system.scratch import PREFIX, Scratch

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"{PREFIX}new").mkdir()
    Scratch().remove()
    assert [path.name for path in tmp_path.iterdir()] == [f"{PREFIX}new"]


# --- an error of the pool's own -------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_is_left_waiting_by_a_supervisor_that_fails(
    fake_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = fake_pool(workers=1)
    jobs = [pool._submit(source, bounded=True) for source in ("sleep 600", "accept", "accept")]
    eventually(lambda: pool.stats.busy == 1)

    def fail(self: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(supervisor.Supervisor, "_dispatch", fail)
    monkeypatch.setattr(supervisor.Supervisor, "_shut", fail)
    pool._supervisor.cancel(jobs[2])  # type: ignore[arg-type]
    for job in jobs[:2]:
        assert not isinstance(job, CheckResult)
        with pytest.raises(PoolClosed, match="ended with an error"):
            job.future.result(60)
    assert jobs[2].future.result(60).status is Status.CANCELLED  # type: ignore[union-attr]
    with pytest.raises(PoolClosed, match="ended with an error"):
        pool.check("accept")
    assert pool.stats.waiting == 0


def test_a_future_that_somebody_cancelled_is_not_waited_for(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=1)
    running, queued = (pool._submit(source, bounded=True) for source in ("sleep 0.2", "accept"))
    assert not isinstance(running, CheckResult)
    assert not isinstance(queued, CheckResult)
    assert queued.future.cancel()
    assert running.future.result(60).accepted
    assert pool.check("accept").accepted
    assert pool.stats.waiting == 0


def test_a_pool_collected_while_its_lock_is_held_closes(fake_pool: MakePool) -> None:
    toolchain = fake_pool()._settings.toolchain
    done = threading.Event()

    def forget() -> None:
        pool = WorkerPool(toolchain=toolchain, spares=0)
        kept = pool._supervisor
        with kept._lock:
            del pool
        assert kept.closed
        done.set()

    threading.Thread(target=forget, daemon=True).start()
    assert done.wait(30)


def test_results_that_are_forgotten_on_the_pools_own_thread_do_not_stop_it(fake_pool: MakePool) -> None:
    pool = fake_pool(grace=0.2)
    results = pool.check_many(["accept", "sleep 600"])
    assert next(results).accepted
    with pool._supervisor._lock:
        pool._supervisor._post(results.close)  # type: ignore[attr-defined]
    assert pool.stats.answered  # answered by that thread, within ten seconds
    assert pool.check("accept").accepted


def test_numbers_can_be_asked_for_on_the_pools_own_thread(fake_pool: MakePool) -> None:
    pool = fake_pool()
    told: list[int] = []
    job = pool._submit("sleep 0.1", bounded=True)
    assert not isinstance(job, CheckResult)
    job.future.add_done_callback(lambda _: told.append(pool.stats.workers))
    assert job.future.result(60).accepted
    assert pool.check("accept").accepted
    assert told == [1]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_endless_stream_past_a_slow_item_remembers_nothing(fake_pool: MakePool, backend: str) -> None:
    pool = fake_pool(workers=2, grace=0.2)
    slow = CheckItem(source="sleep 600", file="slow", timeout=300)

    async def items() -> AsyncIterator[CheckItem | str]:
        yield slow
        while True:
            yield "accept"

    async def main() -> int:
        seen = 0
        async with aclosing(pool.acheck_many(items(), ordered=False)) as results:  # type: ignore[type-var]
            async for result in results:
                assert result.accepted
                seen += 1
                if seen == 100:
                    break
            (job,) = (job for job in pool._supervisor._open.values() if job.request.file == "slow")
            return len(job.future._done_callbacks)  # type: ignore[attr-defined]

    assert anyio.run(main, backend=backend) <= 2


# --- forks ----------------------------------------------------------------------------------------


def test_a_fork_finds_no_lock_held() -> None:
    body = """
    import threading
    held, free = threading.Event(), threading.Event()
    def hold():
        with pool._supervisor._lock:
            held.set(); free.wait()
    thread = threading.Thread(target=hold); thread.start(); held.wait()
    pid = os.fork()
    if pid == 0:
        for ask in (lambda: pool.check("accept"), lambda: pool._cancel(None), lambda: pool.stats, pool.close):
            try:
                ask()
            except Exception as error:
                print(type(error).__name__, flush=True)
        os._exit(0)
    free.set(); thread.join(); os.waitpid(pid, 0)
    print(pool.check("accept").status, flush=True)
    """
    with parent(body) as process:
        out, err = process.communicate(timeout=60)
    assert (out.splitlines(), err) == (["PoolClosed", "accepted"], "")


def test_a_fork_keeps_no_channel_open_not_even_of_a_worker_that_is_being_started() -> None:
    body = """
    import threading
    pool.close()
    pool = WorkerPool(toolchain=nothing, workers=1, spares=0, grace=0.2)
    starting, started = threading.Event(), threading.Event()
    spawn = launcher.spawn
    def slowly(module, inherited):
        starting.set()
        started.wait(1)  # a fork that did not wait would be there by now
        return spawn(module, inherited)
    launcher.spawn = slowly
    def sockets():
        links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd > "2"
                 and os.path.lexists(f"/proc/self/fd/{fd}")]
        return {link for link in links if link.startswith(("socket", "pipe"))}
    before = sockets()
    job = pool._submit("sleep 600", bounded=True)
    starting.wait()
    pid = os.fork()
    if pid == 0:
        print(sorted(sockets() - before), flush=True)
        os._exit(0)
    started.set()
    os.waitpid(pid, 0)
    pool.close()
    """
    with parent(body) as process:
        out, err = process.communicate(timeout=60)
    assert (out, err) == ("[]\n", "")


def test_closing_copies_of_what_the_parent_was_just_closing(fake_pool: MakePool) -> None:
    import socket

    ours, theirs = socket.socketpair()
    out, err = os.pipe()[0], os.pipe()[0]
    ends = Ends(ours, out, err, 10)
    os.close(out)
    ends.abandon()
    theirs.close()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(err)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_in_every_process_of_multiprocessing(method: str, tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(f"""
import multiprocessing, os, sys
sys.path[:0] = {[str(Path(__file__).parents[3])]!r}
from pathlib import Path
from leanhost.toolchain import Toolchain
from leanhost.workers import WorkerPool
from leanhost.workers.supervision import launcher, process
launcher.spawn = lambda _, inherited: process.spawn("tests.support.fake_worker", inherited)
def pool():
    return WorkerPool(toolchain=Toolchain("fake", "0", "", "none", "wasm", None, Path("/"), None), spares=0)
def work(n):
    mine = pool()
    return [r.accepted for r in mine.check_many(["accept", "exit 1"] * 2)]
if __name__ == "__main__":
    first = pool()
    assert first.check("accept").accepted
    with multiprocessing.get_context({method!r}).Pool(2) as processes:
        print(processes.map(work, range(3)))
    print(first.check("accept").status)
""")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "TMPDIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert run.stdout.splitlines() == [str([[True, False, True, False]] * 3), "accepted"], run.stderr


def test_prefork_each_child_has_its_own_and_the_masters_death_ends_only_the_masters() -> None:
    body = """
    import json, threading
    mine = family(os.getpid())[1:]
    ready_in, ready_out = os.pipe()
    for _ in range(2):
        if os.fork() == 0:
            own = WorkerPool(toolchain=nothing, workers=1, spares=0)
            assert own.check("accept").accepted
            os.write(ready_out, json.dumps([os.getpid(), *family(os.getpid())[1:]]).encode() + b"\\n")
            while not os.path.exists(os.environ["TMPDIR"] + "/go"):
                time.sleep(0.01)
            os.write(1, f"{own.check('accept').status}\\n".encode())  # at once: both write to one pipe
            own.close()
            os._exit(0)
    lines = b""
    while lines.count(b"\\n") < 2:
        lines += os.read(ready_in, 1000)
    print(json.dumps([mine, *map(json.loads, lines.splitlines())]), os.environ["TMPDIR"], flush=True)
    time.sleep(600)
    """
    import json

    with parent(body) as process:
        assert process.stdout is not None
        line, _, place = process.stdout.readline().rpartition(" ")
        mine, *theirs = json.loads(line)
        process.kill()
        process.wait(30)
        eventually(lambda: not any(map(alive, mine)))
        assert all(alive(pid) for pids in theirs for pid in pids)
        (Path(place.strip()) / "go").touch()
        assert [process.stdout.readline().strip() for _ in theirs] == ["accepted"] * 2
    eventually(lambda: not any(alive(pid) for pids in theirs for pid in pids))


def test_from_any_thread_and_inside_a_running_event_loop(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=2)
    results: list[bool] = []

    async def cell() -> None:  # as in a notebook: the loop runs, and the code in it is not asynchronous
        results.append(pool.check("accept").accepted)
        results.extend([r.accepted for r in pool.check_many(["accept"] * 3)])
        results.append((await pool.acheck("accept")).accepted)

    threads = [threading.Thread(target=anyio.run, args=(cell,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    anyio.run(cell)
    for thread in threads:
        thread.join(60)
    assert results == [True] * 20


# --- zygotes --------------------------------------------------------------------------------------


def answer(pool: WorkerPool, item: CheckItem | str) -> CheckResult:
    """Check *item*; what is never answered is an error here and not the end of all tests."""
    job = pool._submit(item, bounded=True)
    assert not isinstance(job, CheckResult)
    return job.future.result(60)


def stopped_zygote(pool: WorkerPool) -> int:
    eventually(lambda: bool(zygotes_of(pool)))
    (stopped,) = zygotes_of(pool)
    os.kill(stopped, signal.SIGSTOP)
    return stopped


def born_stopped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have zygotes stand still from their first step on; return where their pids will be."""
    pids: list[int] = []

    def spawn(module: str, inherited: Inherited, *, tree: bool = True) -> Spawned:
        process = start_process(module, inherited, tree=tree)
        os.kill(process.pid, signal.SIGSTOP)
        pids.append(process.pid)
        return process

    monkeypatch.setattr(zygote_client, "spawn", spawn)
    return pids


def test_a_zygote_that_stands_still_is_replaced(make_pool: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = make_pool(spares=0)
    assert pool.check(GOOD).accepted
    monkeypatch.setattr(zygote_client, "FORK_S", 0.5)
    stopped = stopped_zygote(pool)
    assert answer(pool, GOOD).accepted
    assert pool.stats.zygotes_started == 2
    eventually(lambda: not alive(stopped))


def test_a_zygote_that_stands_still_while_it_imports_is_given_up(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(spares=0, startup_timeout=1.0)
    stopped = born_stopped(monkeypatch)
    job = pool._submit(GOOD, bounded=True)
    assert not isinstance(job, CheckResult)
    with pytest.raises(WorkerStartError, match="importing took more than 1 s"):
        job.future.result(60)
    eventually(lambda: not any(map(alive, stopped)))


def test_a_zygote_that_stands_still_under_a_running_check_is_replaced_and_the_check_ends(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end is seen without the zygote, which would tell of it."""
    monkeypatch.setattr(zygote_client, "FORK_S", 0.5)
    monkeypatch.setattr(worker, "LINGER_S", 1e6)
    pool = make_pool(spares=0, workers=2, grace=0.5)
    job = pool._submit(CheckItem(source=ENDLESS, timeout=2), bounded=True)
    assert not isinstance(job, CheckResult)
    running = busy_worker(pool)
    stopped_zygote(pool)
    assert answer(pool, GOOD).accepted
    assert job.future.result(60).status is Status.TIMEOUT
    eventually(lambda: not alive(running))


def test_a_pool_whose_zygote_stands_still_closes(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LINGER_S", 0.2)
    pool = make_pool(spares=0)
    pool._submit(ENDLESS, bounded=True)
    running = busy_worker(pool)
    stopped = stopped_zygote(pool)
    pool.close()
    assert not pool._supervisor._thread.is_alive()  # type: ignore[union-attr]
    eventually(lambda: not alive(stopped) and not alive(running))


def test_a_request_given_up_during_a_long_import_harms_nobody(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(spares=0)
    importing = born_stopped(monkeypatch)
    job = pool._submit(GOOD, bounded=True)
    assert not isinstance(job, CheckResult)
    eventually(lambda: bool(importing))
    try:
        pool._cancel(job)
        assert job.future.result(60).status is Status.CANCELLED
        eventually(lambda: not pool._supervisor._workers)
    finally:
        os.kill(importing[0], signal.SIGCONT)
    assert pool.check(GOOD).accepted
    assert pool.stats.zygotes_started == 1


def test_a_zygote_whose_pool_goes_while_it_imports_goes_too(tmp_path: Path) -> None:
    left = tmp_path / "left"
    (left / "12").mkdir(parents=True)
    code = "import socket, sys, time; from leanhost.workers.worker_process.zygote_main import Watch\n"
    code += f"with Watch(socket.socket(fileno=int(sys.argv[1])), {str(left)!r}): time.sleep(600)"
    import socket

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(theirs.fileno())], pass_fds=(theirs.fileno(),)
        )
    ours.close()
    assert process.wait(60) == 1
    assert not left.exists()


def test_a_program_that_ignores_the_ends_of_its_children(fixture_core: Path) -> None:
    body = "print(*[pool.check(s).status for s in (GOOD, '#eval', GOOD)], pool.stats.zygotes_started, flush=True)"
    with host_process(fixture_core, body, "signal.signal(signal.SIGCHLD, signal.SIG_IGN)") as process:
        assert process.communicate(timeout=120)[0] == "accepted rejected accepted 1\n"


def test_a_worker_that_stands_still_does_not_outlive_a_killed_parent(fixture_core: Path) -> None:
    body = """
pool._submit(ENDLESS, bounded=True)
worker = busy_worker(pool)
os.kill(worker, signal.SIGSTOP)
print(*family(os.getpid())[1:], flush=True)
time.sleep(600)
"""
    with host_process(fixture_core, body) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        process.kill()
    assert len(pids) == 2
    eventually(lambda: not any(map(alive, pids)))


# --- what a worker holds --------------------------------------------------------------------------


def test_a_worker_holds_its_channel_and_its_output_and_nothing_of_its_zygote(make_pool: MakePool) -> None:
    """A pipe can be opened again through ``/proc/self/fd``: what leads to another process must not be there."""
    pool = make_pool(workers=6, spares=0)
    for _ in range(6):  # what a zygote knows of the first ones takes numbers that nothing else had
        pool._submit(CheckItem(source=ENDLESS, timeout=60), bounded=True)
    eventually(lambda: [worker._begun for worker in pool._supervisor._workers] == [True] * 6)
    (zygote,) = zygotes_of(pool)
    for one in pool._supervisor._workers:
        holds_its_own(Path(f"/proc/{one.process.pid}"), zygote)


def holds_its_own(place: Path, zygote: int) -> None:
    held = {int(fd.name): str(fd.readlink()) for fd in (place / "fd").iterdir()}
    shared = {str(fd.readlink()) for fd in Path(f"/proc/{zygote}/fd").iterdir()} & set(held.values())
    assert shared == {"/dev/null"}
    (channel,) = [fd for fd, target in held.items() if fd > 2 and target != "/dev/null"]
    assert held[channel].startswith("socket:")
    for fd in held:
        flags = int((place / "fdinfo" / str(fd)).read_text().split("flags:")[1].split()[0], 8)
        assert fd <= 2 or flags & os.O_CLOEXEC  # nothing survives an exec
    assert not [line for line in (place / "maps").read_text().splitlines() if line.split()[1][1::2] == "ws"]


def test_a_worker_does_not_read_what_its_host_is_told() -> None:
    body = """
    pool.close()
    os.dup2(os.pipe()[0], 0)
    pool = WorkerPool(toolchain=nothing, workers=1, spares=0)
    pool.check("accept")
    print(*[os.readlink(f"/proc/{pid}/fd/0") for pid in family(os.getpid())[1:]], flush=True)
    """
    with parent(body) as process:
        assert process.communicate(timeout=60) == ("/dev/null\n", "")


def test_a_file_in_the_current_directory_stands_in_for_no_module(
    fake_pool: MakePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(9)", encoding="ascii")
    monkeypatch.chdir(tmp_path)
    assert fake_pool().check("accept").accepted


def test_a_worker_does_not_know_the_environment(make_pool: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "secret-of-the-host")
    pool = make_pool(spares=0)
    pool._submit(CheckItem(source=ENDLESS, timeout=60), bounded=True)
    environment = Path(f"/proc/{busy_worker(pool)}/environ").read_bytes()
    assert b"PATH=" in environment
    assert b"secret-of-the-host" not in environment


def test_the_limits_hold_for_every_process_of_a_worker(engine: str, request: pytest.FixtureRequest) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))  # many a shell has lowered it already
    try:
        with pool_of(engine, request, spares=0) as pool:
            limited(pool)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def limited(pool: WorkerPool) -> None:
    own = Path("/proc/self/limits").read_text()
    if pool._settings.forks:
        pool._submit(CheckItem(source=ENDLESS, timeout=60), bounded=True)
        found = family(busy_worker(pool))
    else:
        assert pool.check(GOOD).accepted
        (worker,) = pool._supervisor._workers
        found = family(worker.process.pid)
        assert len(found) > 1
    for pid in found:
        limits = Path(f"/proc/{pid}/limits").read_text()
        # What is in force, and how far the process could raise it again.
        rows = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()[1:]}
        assert rows["Max core file size"] == ["0", "0"]
        assert rows["Max file size"] == [str(256 << 20)] * 2
        assert rows["Max open files"] == ["512", "512"]
        assert rows["Max cpu time"][0].isdigit()
        soft, hard = rows["Max processes"]
        assert soft == hard != own.partition("Max processes")[2].split()[1]
        if pool._settings.forks:
            soft, hard = rows["Max data size"]
            assert soft.isdigit()
            assert soft == hard
