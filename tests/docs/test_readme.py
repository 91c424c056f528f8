"""The README's Python is run as it stands, one block after the other, and prints what the README says."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass

import pytest

from tests.support.command import ROOT, environment

README = (ROOT / "README.md").read_text(encoding="utf-8")
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "\x1e"


@dataclass(frozen=True, slots=True)
class Example:
    """A block of Python and the output shown right after it."""

    code: str
    output: str


def examples() -> list[Example]:
    blocks = [(m[1], m[2]) for m in _FENCE.finditer(README)]
    found = []
    for at, (language, text) in enumerate(blocks):
        if language == "python":
            following = blocks[at + 1] if at + 1 < len(blocks) else ("", "")
            found.append(Example(text, following[1] if following[0] == "text" else ""))
    return found


@pytest.mark.usefixtures("embedded_toolchain")
def test_python_examples_print_what_is_shown() -> None:
    shown = examples()
    assert len(shown) >= 5
    assert all(example.output for example in shown)
    script = f"\nprint({_MARK!r})\n".join(example.code for example in shown)
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        env=environment(LEANHOST_TOOLCHAIN="embedded", PYTHONIOENCODING="utf-8"),
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    printed = [part.lstrip("\n") for part in done.stdout.split(_MARK)]
    assert printed == [example.output for example in shown]


def test_two_commands() -> None:
    """CI runs them; here only that they are there, and name what exists."""
    section = README.split("## Two commands")[1].split("\n## ")[0]
    commands = [m[2].strip() for m in _FENCE.finditer(section) if m[1] == "sh"]
    assert len(commands) == 2
    assert "leanhost check examples/first.lean" in commands[0]
    assert commands[1].endswith("-m pytest")
    assert (ROOT / "examples" / "first.lean").is_file()


def test_relative_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
