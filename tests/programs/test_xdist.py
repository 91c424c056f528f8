"""Pools in the worker processes of pytest-xdist: passing, failing, and killed in the middle of a check."""

from __future__ import annotations

import re

from tests.support.documents import DOCS, examples
from tests.support.pools import BAD, ENDLESS, GOOD
from tests.support.programs import Place

(GUIDE,) = [
    code for code, _ in examples(DOCS / "guides" / "services.md") if code.startswith("import pytest\n")
]

MODULE = f"""
import os, signal, sys, threading, time
import pytest
from leanhost import CheckItem, WorkerPool

@pytest.fixture(scope="module")
def lean():
    with WorkerPool(workers=1, spares=0) as pool:
        yield pool

@pytest.mark.parametrize("source, accepted", [({GOOD!r}, True), ({BAD!r}, False)] * 3)
def test_verdicts(lean, source, accepted):
    assert lean.check(source).accepted is accepted
"""

KILLED = f"""
def test_killed(lean):
    def kill_when_busy():
        while not lean.stats.busy:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Thread(target=kill_when_busy, daemon=True).start()
    lean.check(CheckItem(source={ENDLESS!r}, timeout=600))
"""

# The first fails once the second, in the other process, is in the middle of its check.
FAILING = f"""
def test_failing(lean):
    while not os.path.exists("busy"):
        time.sleep(0.05)
    assert lean.check({BAD!r}).accepted
"""
MEANWHILE = f"""
def test_meanwhile(lean):
    def tell_when_busy():
        while not lean.stats.busy:
            time.sleep(0.05)
        open("busy", "w").close()
    threading.Thread(target=tell_when_busy, daemon=True).start()
    assert lean.check(CheckItem(source={ENDLESS!r}, timeout=1)).status == "timeout"
"""


def run(
    place: Place, environment: dict[str, str], *options: str, **modules: str
) -> tuple[int, dict[str, int]]:
    """Run modules of tests by two processes; return the exit status and how many ended how."""
    for name, text in modules.items():
        (place.path / f"test_{name}.py").write_text(text)
    (place.path / "pytest.ini").write_text("[pytest]\n")
    command = ["-m", "pytest", "-p", "xdist", "-p", "no:cacheprovider", "-q", "-n", "2", *options]
    # Other plugins take longer to load than the tests.
    process = place.start(command, environment={**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    out, _ = process.communicate(timeout=300)
    place.empties()
    assert not place.noise, place.said
    counted = re.findall(r"(\d+) (passed|failed|error)", out.splitlines()[-1])
    return process.returncode, {how: int(number) for number, how in counted}


def test_the_guides_tests(place: Place, embedded: dict[str, str]) -> None:
    assert run(place, embedded, "--dist", "loadfile", guide=GUIDE) == (0, {"passed": 5})
    assert not place.scratch


def test_a_killed_worker_of_the_tests_costs_its_test(place: Place, native: dict[str, str]) -> None:
    assert run(place, native, kill=MODULE + KILLED) == (1, {"failed": 1, "passed": 6})


def test_a_run_that_stops_at_the_first_failure(place: Place, native: dict[str, str]) -> None:
    code, counted = run(
        place,
        native,
        "--maxfail",
        "1",
        "--dist",
        "loadfile",
        failing=MODULE + FAILING,
        meanwhile=MODULE + MEANWHILE,
    )
    assert (code, counted["failed"]) == (2, 1)
    assert not place.scratch
