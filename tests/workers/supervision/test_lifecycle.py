"""The end of a pool's owner, however and whenever it comes: nothing of the pool outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from leanhost.system.process_limits import family
from leanhost.system.scratch import PREFIX
from tests.support.hosts import ENGINES
from tests.support.processes import MARK, alive, eventually, marked, parent, scratch

__all__ = ["scratch"]

OWNER = """
import sys, threading, time
sys.path[:0] = {path!r}
from pathlib import Path
from leanhost.workers import WorkerPool
from tests.support.pools import ENDLESS, GOOD
from tests.support.processes import busy_worker
pool = WorkerPool(toolchain={toolchain!r}, search_path={roots!r}, workers=2, spares=1)
{body}
time.sleep(600)
"""

WORK = "pool._submit(ENDLESS, bounded=True); pool._submit(GOOD, bounded=True)"
READY = "busy_worker(pool); print('ready', flush=True)"


class Owner:
    """A process that owns a pool, and everything that inherits its mark."""

    def __init__(self, engine: str, roots: list[Path], place: Path, body: str, *, anew: bool) -> None:
        self.mark = uuid.uuid4().hex
        self.place = place / "temporary"
        self.place.mkdir()
        toolchain = {"native": "native-runtime", "wasm": "embedded"}[engine]
        script = OWNER.format(
            path=[str(Path(__file__).parents[3])], toolchain=toolchain, roots=list(map(str, roots)), body=body
        )
        environment = {**os.environ, MARK: self.mark, "TMPDIR": str(self.place)}
        if anew:  # no Lean is known there, and each begins with the self-test
            environment["LEANHOST_CACHE"] = str(place / "cache")
        self.process = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
        )

    def everyone(self) -> set[int]:
        """Return its processes; Node does not inherit the mark, and what has lost its parent is known by it alone."""
        return {*family(self.process.pid)[1:], *marked(self.mark)}

    def started(self, program: str) -> bool:
        """Whether a process that runs *program* is there."""
        for pid in self.everyone():
            try:
                if program.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return True
            except OSError:
                continue
        return False

    def wait_for_line(self) -> bool:
        assert self.process.stdout is not None
        return bool(self.process.stdout.readline())


@pytest.fixture
def owners(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Owner]]:
    made: list[Owner] = []
    yield made
    for owner in made:
        owner.process.kill()
        owner.process.communicate()
        for pid in marked(owner.mark):  # only where a test has failed
            os.kill(pid, signal.SIGKILL)


STAGES = {
    "native": {
        "start": lambda owner: owner.started("leanhost.workers.worker_process.zygote_main"),
        "self-test": lambda owner: owner.started("leanhost.services.probe"),
        "check": Owner.wait_for_line,
    },
    "wasm": {
        "start": lambda owner: owner.started("leanhost.workers.worker_process.worker_main"),
        "engine": lambda owner: owner.started("node"),
        "check": Owner.wait_for_line,
    },
}


@pytest.mark.parametrize(
    ("engine", "stage"),
    [(engine, stage) for engine in ENGINES for stage in STAGES[engine]],
    indirect=["engine"],
)
def test_a_kill_of_the_owner_at_any_stage_leaves_nothing(
    engine: str, stage: str, owners: list[Owner], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    roots = [request.getfixturevalue("fixture_core")] if engine == "native" else []
    body = f"{WORK}\n{READY}"
    owner = Owner(engine, roots, tmp_path, body, anew=stage == "self-test")
    owners.append(owner)
    eventually(lambda: STAGES[engine][stage](owner))
    before = owner.everyone()
    owner.process.kill()
    owner.process.wait()
    eventually(lambda: not marked(owner.mark) and not any(map(alive, before)))
    # What is left, if anything, is where the next pool looks.
    assert all(path.name.startswith(PREFIX) for path in owner.place.iterdir())


def test_threads_that_still_wait_do_not_keep_a_process_that_ends(tmp_path: Path) -> None:
    """Daemon threads: the interpreter does not wait for them, and the pool ends with it."""
    body = """
    import threading
    waiting = [threading.Thread(target=pool.check, args=("sleep 600",), daemon=True) for _ in range(3)]
    for thread in waiting:
        thread.start()
    while pool.stats.waiting < 3:
        pass
    print(*family(os.getpid())[1:], flush=True)
    """
    with parent(body) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    pids = [int(pid) for pid in out.split()]
    assert pids
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_sigterm_and_a_handler_that_exits(tmp_path: Path) -> None:
    body = """
    import signal
    def end(number, frame):
        raise SystemExit(7)
    signal.signal(signal.SIGTERM, end)
    print(*family(os.getpid())[1:], flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    pool.check("sleep 600")
    """
    with parent(body) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 7, err
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in out.split()))
