"""Running the real command line in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
COMMAND = [sys.executable, "-m", "leanhost"]

ENDLESS = """prelude
universe u
inductive Same {α : Sort u} (a : α) : α → Prop where | refl : Same a a
inductive Bit where | zero | one
inductive Num where | z | s (n : Num)
inductive Path where | top | left (p : Path) | right (p : Path)
noncomputable def both (a b : Bit) : Bit := Bit.rec Bit.zero b a
noncomputable def walk (n : Num) : Path → Bit :=
  Num.rec (fun _ => Bit.one) (fun _ r p => both (r (Path.left p)) (r (Path.right p))) n
theorem endless : Same (walk NUM Path.top) Bit.one := Same.refl
""".replace("NUM", "(Num.s " * 40 + "Num.z" + ")" * 40)
"""Takes 2^40 steps on every engine, and imports nothing."""


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment without what would steer colours, width or discovery."""
    dropped = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LEANHOST_TOOLCHAIN", "LEAN_SYSROOT", "LEAN_PATH")
    return {**{k: v for k, v in os.environ.items() if k not in dropped}, **changes}


def leanhost(
    *arguments: str | Path,
    stdin: bytes = b"",
    cwd: Path = ROOT,
    env: dict[str, str] | None = None,
    timeout: float = 120.0,
) -> subprocess.CompletedProcess[str]:
    """Run ``leanhost`` to its end and return what it wrote."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env=env if env is not None else environment(),
        timeout=timeout,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def objects(text: str) -> list[dict[str, Any]]:
    """Return the objects of ``--json``, one for each line."""
    return [json.loads(line) for line in text.splitlines()]


def clean(done: subprocess.CompletedProcess[str]) -> None:
    """Assert that nothing went wrong in a way a user should not see."""
    assert "Traceback" not in done.stderr + done.stdout
    assert "internal error" not in done.stderr


@pytest.fixture(scope="session")
def native(native_toolchain: object, fixture_core: Path) -> Sequence[str]:
    """The arguments that choose the native engine with a library to import."""
    return ("--toolchain", "native-runtime", "--search-path", str(fixture_core))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.lean"
    path.write_text("theorem foo (a b : Nat) (h : a = b) : b = a := h.symm\n")
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.lean"
    path.write_text("theorem fine : 1 + 1 = 2 := rfl\ntheorem wrong : 1 = 2 := rfl\n")
    return path
