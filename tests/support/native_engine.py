"""The native engine, on the real library."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leanhost.engine.native import NativeEngine
from leanhost.toolchain import Toolchain
from tests.support.engines import no_handle_left

ROOT = Path(__file__).parents[2]

PROLOGUE = """
import os, signal, sys, threading, time
from pathlib import Path
from leanhost.engine.base import *
from leanhost.engine.expressions import *
from leanhost.engine.native import NativeEngine
from leanhost.errors import *
library = Path(sys.argv[1])
"""


@pytest.fixture
def lean(native_toolchain: Toolchain) -> Iterator[NativeEngine]:
    """The engine of this process; afterwards no handle may be left."""
    with no_handle_left(NativeEngine.open(native_toolchain.library)) as engine:
        yield engine


Script = Callable[[str], str]


@pytest.fixture
def script(native_toolchain: Toolchain) -> Script:
    """Run a script in a process of its own, for what would leave this one unusable; return what it printed."""

    def run(source: str) -> str:
        command = [sys.executable, "-c", PROLOGUE + source, str(native_toolchain.library)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run
