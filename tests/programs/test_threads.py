"""Many threads over one pool while their program ends."""

from __future__ import annotations

import pytest

from tests.support.pools import ENDLESS, GOOD
from tests.support.programs import Place

COMMON = f"""
import sys, threading, time
from concurrent.futures import ThreadPoolExecutor
import leanhost
from leanhost import CheckItem, PoolClosed, SessionPool, WorkerPool

def endless(seconds):
    return CheckItem(source={ENDLESS!r}, timeout=seconds)

def say(what):
    sys.stdout.write(f"{{what}}\\n")  # at once, as other threads write, too
    sys.stdout.flush()

def until(condition):
    while not condition():
        time.sleep(0.05)
"""

# The exit waits for an executor's threads and all that was given to them: Python's rule, and bounded by the checks'.
# Handlers of the exit find the pool at work; its thread is there already, none can be started then.
EXECUTOR = f"""
import atexit
pool = WorkerPool(workers=2, spares=0, grace=0.5)
executor = ThreadPoolExecutor(6)
for _ in range(6):
    executor.submit(pool.check, endless(0.5)).add_done_callback(lambda one: say(one.result().status))
until(lambda: pool.stats.busy == 2)
atexit.register(lambda: say(pool.check({GOOD!r}).status))
"""

CLOSED = """
pool = WorkerPool(workers=2, spares=0)
executor = ThreadPoolExecutor(8)
for _ in range(8):
    executor.submit(pool.check, endless(600)).add_done_callback(lambda one: say(one.exception()))
until(lambda: pool.stats.busy == 2 and pool.stats.waiting == 8)
pool.close()
"""

DAEMONS = """
pool = WorkerPool(workers=2, spares=0)
def stream():
    for _ in pool.check_many([endless(600)]):
        pass
def hold():
    with pool.session() as session:
        session.run(endless(600).source)
for work in [lambda: pool.check(endless(600))] * 6 + [stream, hold]:
    threading.Thread(target=work, daemon=True).start()
until(lambda: pool.stats.busy == 2 and pool.stats.waiting == 8)
say("end")
"""

# A Lean in the program's own process, which a daemon thread uses and others wait for.
HERE = """
host = leanhost.open()
sessions = SessionPool(host)
begun = []
def work():
    with sessions.acquire() as session:
        begun.append(session)
        session.run(endless(600).source, timeout=600)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
until(lambda: begun)
say("end")
"""


def printed(place: Place, program: str, environment: dict[str, str]) -> list[str]:
    """Run a program to its end; it leaves no process and no file, and says nothing on standard error."""
    process = place.start(["-W", "error", "-c", COMMON + program], environment=environment)
    out, _ = process.communicate(timeout=120)
    place.empties()
    assert (process.returncode, place.said, place.scratch) == (0, "", [])
    return out.splitlines()


@pytest.mark.parametrize(
    ("program", "output"),
    [
        (EXECUTOR, [*["timeout"] * 6, "accepted"]),
        (CLOSED, ["the pool was closed"] * 8),
        (DAEMONS, ["end"]),
    ],
    ids=["executor", "closed", "daemons"],
)
def test_a_program_ends_while_its_threads_wait(
    place: Place, native: dict[str, str], program: str, output: list[str]
) -> None:
    assert printed(place, program, native) == output


def test_a_program_ends_while_threads_use_its_lean(place: Place, either: dict[str, str]) -> None:
    assert printed(place, HERE, either) == ["end"]
