"""The self-test: what it finds, and that whatever happens in its child stays there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leanhost.lean.tables import V4_28, V4_35
from leanhost.services.opening import selftest
from leanhost.services.opening.selftest import SelfTestStep
from leanhost.toolchain import Toolchain

STEPS = [
    "start",
    "symbols",
    "version",
    "elaborate",
    "reject",
    "kernel",
    "axioms",
    "import",
    "meta",
    "cancel",
    "core",
    "references",
]


def test_passes_step_by_step(toolchain: Toolchain) -> None:
    seen: list[SelfTestStep] = []
    report = selftest.run(toolchain, progress=seen.append)
    assert report.ok, str(report)
    assert report.failed == ()
    assert tuple(seen) == report.steps
    # Only a toolchain with a core library can import it.
    expected = [name for name in STEPS if name != "core" or toolchain.core is not None]
    assert [step.name for step in report.steps] == expected
    assert report.commit == toolchain.commit
    assert all(step.seconds >= 0 and step.detail for step in report.steps)
    shown = json.loads(json.dumps(report.to_json()))
    assert shown["ok"] is True
    assert [step["name"] for step in shown["steps"]] == expected


def test_identify_only_asks(toolchain: Toolchain) -> None:
    report = selftest.identify(toolchain)
    assert report.ok
    assert [step.name for step in report.steps] == ["start", "version"]
    assert report.commit == toolchain.commit
    assert report.version.startswith(toolchain.version.partition("-")[0])


def test_a_table_that_crashes_lean_is_a_report(native_toolchain: Toolchain) -> None:
    report = selftest.run(native_toolchain, V4_28)
    assert not report.ok
    # What Lean was doing when it died, and how it died.
    (failed,) = report.failed
    assert failed.name == report.steps[-1].name == "elaborate"
    assert "killed by SIG" in failed.detail
    assert "elaborate" in report.ended
    assert "4.28" in report.summary()


def test_a_table_whose_functions_are_missing_is_not_called(embedded_toolchain: Toolchain) -> None:
    report = selftest.run(embedded_toolchain, V4_35)
    assert [(step.name, step.ok) for step in report.steps] == [("start", True), ("symbols", False)]
    assert "l_Lean_Options_insert" in report.failed[0].detail
    assert not report.ended


def test_a_false_commit_is_noticed(native_toolchain: Toolchain) -> None:
    (other,) = V4_28.commits
    report = selftest.run(replace(native_toolchain, commit=other), V4_28)
    assert report.failed[0].name == "version"
    assert native_toolchain.commit in report.failed[0].detail


def test_something_that_is_no_library(tmp_path: Path, native_toolchain: Toolchain) -> None:
    library = tmp_path / "libleanshared.so"
    library.write_bytes(b"this is no ELF file")
    report = selftest.run(replace(native_toolchain, library=library))
    assert [(step.name, step.ok) for step in report.steps] == [("start", False)]
    assert "EngineError" in report.failed[0].detail


def test_without_a_python_to_start(monkeypatch: pytest.MonkeyPatch, native_toolchain: Toolchain) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    report = selftest.run(native_toolchain)
    assert not report.ok
    assert report.steps == ()
    assert "could not be started" in report.ended


def test_modules_in_the_current_directory_are_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, native_toolchain: Toolchain
) -> None:
    for name in ("json", "leanhost", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("import os; os._exit(7)")
    monkeypatch.chdir(tmp_path)
    assert selftest.identify(native_toolchain).ok


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes a test starts."""
    started: list[subprocess.Popen[bytes]] = []

    class Kept(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Kept)
    return started


def test_time_limit_ends_the_child(toolchain: Toolchain, children: list[subprocess.Popen[bytes]]) -> None:
    report = selftest.run(toolchain, timeout=0.01)
    assert not report.ok
    assert "given up after 0.01 s" in report.ended
    assert [child.returncode for child in children] == [-9]


def test_an_interrupted_caller_leaves_no_child(
    native_toolchain: Toolchain, children: list[subprocess.Popen[bytes]]
) -> None:
    def interrupt(step: SelfTestStep) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        selftest.run(native_toolchain, progress=interrupt)
    assert len(children) == 1
    assert children[0].returncode is not None


KILLED = """
import os, subprocess, sys
from leanhost.services.opening import selftest
from leanhost.toolchain import resolve
kept, real = int(sys.argv[1]), subprocess.Popen
subprocess.Popen = lambda *args, pass_fds, **more: real(*args, pass_fds=(*pass_fds, kept), **more)
selftest.run(resolve("native-runtime"), progress=lambda step: os.kill(os.getpid(), 9))
"""


def test_a_killed_caller_leaves_no_child(native_toolchain: Toolchain) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        # The child holds this pipe as well, so its end is the end of both processes.
        caller = subprocess.Popen([sys.executable, "-c", KILLED, str(writing)], pass_fds=(writing,))
        os.close(writing)
        assert caller.wait() == -9
        assert pipe.read() == b""


@pytest.mark.parametrize("flood", [1 << 10, 1 << 22])
def test_output_is_drained_and_bounded(
    flood: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, native_toolchain: Toolchain
) -> None:
    # The child's Python runs this before anything else: more than a pipe holds, on both streams.
    (tmp_path / "sitecustomize.py").write_text(
        f"import os, sys\nfor fd in (1, 2):\n    data = b'x' * {flood}\n"
        "    while data:\n        data = data[os.write(fd, data):]\nos.write(2, b'the end')\nos._exit(3)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    report = selftest.identify(native_toolchain)
    assert "exited with status 3" in report.ended
    assert report.ended.endswith("the end")
    assert len(report.ended) < 5_000
