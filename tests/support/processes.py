"""Processes of the tests: parents of pools, the workers of a pool, and what became of them."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from leanhost.workers import WorkerPool, WorkerSession


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what must come true; the limit is only against hanging."""
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


PARENT = """
import os, sys, time
sys.path[:0] = {path!r}
from pathlib import Path
from leanhost.toolchain import Toolchain
from leanhost.workers import WorkerPool
from leanhost.workers.supervision import launcher, process
from leanhost.system.process_limits import family
launcher.spawn = lambda _, inherited: process.spawn("tests.support.fake_worker", inherited)
if __name__ == "__main__":
    nothing = Toolchain("fake", "0", "", "none", "wasm", None, Path("/"), None)
    pool = WorkerPool(toolchain=nothing, workers=2, spares=0, grace=0.2)
    list(pool.check_many(["accept"] * 2))
    {body}
"""


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_SCRATCH", str(tmp_path))


def parent(body: str) -> subprocess.Popen[str]:
    script = PARENT.format(
        path=[str(Path(__file__).parents[2])], body=textwrap.indent(textwrap.dedent(body), "    ").strip()
    )
    # A killed parent cannot remove its scratch directory.
    scratch = tempfile.mkdtemp(dir=os.environ["PYTEST_SCRATCH"])
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": scratch}
    return subprocess.Popen(
        # Python 3.12 and later warn of a fork beside threads, which is what some of these are about.
        [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def zygotes(pool: WorkerPool) -> list[int]:
    return pool._supervisor._launcher.pids()


def busy_worker(pool: WorkerPool) -> int:
    """The pid of the worker that has begun to elaborate."""
    found: list[int] = []

    def look() -> bool:
        workers = pool._supervisor._workers
        found[:] = [w.process.pid for w in workers if w.job is not None and w._begun and w.process.pid]
        return bool(found)

    eventually(look)
    return found[0]


HOST = """
import os, signal, sys, time
sys.path[:0] = {path!r}
from pathlib import Path
from leanhost.workers import WorkerPool
from leanhost.system.process_limits import family
from tests.support.pools import ENDLESS, GOOD
from tests.support.processes import busy_worker

{before}
pool = WorkerPool(toolchain="native-runtime", search_path=[Path({core!r})], spares=0)
{body}
"""


def host_process(core: Path, body: str, before: str = "") -> subprocess.Popen[str]:
    script = HOST.format(path=[str(Path(__file__).parents[2])], core=str(core), body=body, before=before)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


def limited(code: str) -> subprocess.CompletedProcess[str]:
    """Run *code* in a process of its own, which may limit itself."""
    script = "import os, resource, signal, sys, time\nfrom leanhost.system.process_limits import *\n"
    return subprocess.run(
        [sys.executable, "-c", script + textwrap.dedent(code)], capture_output=True, text=True, timeout=120
    )


def worker_of(pool: WorkerPool, session: WorkerSession) -> int:
    """The process a session holds."""
    lease = session._context.hold.lease
    assert lease is not None
    worker = pool._supervisor._workers.held_by(lease)
    assert worker is not None
    return worker.process.pid


def claimed(path: Path) -> bool:
    look = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(look, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(look)
    return False


MARK = "LEAN_TEST_MARK"
"""Workers keep little of the environment; what begins with ``LEAN_`` is part of it."""


def marked(mark: str) -> list[int]:
    """Return the processes that inherited *mark*, which no descendant can lose by changing group or session."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except OSError:
                continue
    return found
