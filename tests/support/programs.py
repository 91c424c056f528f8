"""Programs that host pools, started for real: found again by what they and all they start have in common."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from leanhost.system.process_limits import family
from leanhost.toolchain import Toolchain
from tests.support.processes import alive, eventually

ROOT = Path(__file__).parents[2]


class Place:
    """A directory of one test. Every process that is started here has its name in its environment or command."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = path / "tmp"
        self.temporary.mkdir()
        self.stderr = path / "stderr"

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a program in this place."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        return {**kept, "TMPDIR": str(self.temporary), "PYTHONPATH": str(ROOT), **more}

    def start(
        self,
        command: Sequence[str],
        *,
        pass_fds: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a Python program; its standard error is kept in :attr:`stderr`."""
        with self.stderr.open("w") as stderr:
            return subprocess.Popen(
                [sys.executable, *command],
                stdout=subprocess.PIPE,
                stderr=stderr,
                stdin=subprocess.DEVNULL,
                text=True,
                cwd=self.path,
                env=self.environment(**(environment or {})),
                pass_fds=pass_fds,
            )

    def processes(self) -> set[int]:
        """Every process that was started here, directly or not, and has not ended, whoever its parent is now."""
        mark = os.fsencode(self.temporary)
        found = set()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                here = any(mark in (entry / file).read_bytes() for file in ("environ", "cmdline"))
            except OSError:  # it has just ended, or is another user's
                continue
            if here and alive(int(entry.name)):
                found.add(int(entry.name))
        return found

    def empties(self, top: int = 0) -> None:
        """Wait until every process here has ended, but for *top* and those that descend from it."""

        def ended() -> bool:
            time.sleep(0.05)  # a look reads of every process of the machine
            return self.processes() <= (set(family(top)) if top else set())

        eventually(ended)

    @property
    def said(self) -> str:
        """What the program wrote on standard error so far."""
        return self.stderr.read_text()

    @property
    def noise(self) -> list[str]:
        """What on standard error tells of an error that nobody handled."""
        return re.findall(
            r"Traceback|Exception ignored|Fatal|[Ww]arning: |never retrieved|never awaited", self.said
        )

    @property
    def scratch(self) -> list[Path]:
        """Directories of pools and engines that are still there."""
        return list(self.temporary.glob("leanhost-*"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A place to start programs in; whatever the test, nothing of them is left running."""
    made = Place(tmp_path)
    yield made
    for pid in made.processes():
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def native(native_toolchain: Toolchain, fixture_core: Path) -> dict[str, str]:
    """The environment that makes the guide's pools native ones."""
    return {"LEANHOST_TOOLCHAIN": native_toolchain.name, "LEAN_PATH": str(fixture_core)}


@pytest.fixture
def embedded(embedded_toolchain: Toolchain) -> dict[str, str]:
    """The environment that makes them those of the embedded toolchain."""
    return {"LEANHOST_TOOLCHAIN": embedded_toolchain.name}


@pytest.fixture
def either(engine: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """One of the two: a test that takes it runs on both engines."""
    found: dict[str, str] = request.getfixturevalue("native" if engine == "native" else "embedded")
    return found
