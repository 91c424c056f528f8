"""Every Python example of the documentation is run and prints what the page shows; tables list what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from leanhost import errors

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "\x1e"


def examples(page: Path) -> list[tuple[str, str]]:
    blocks = [(m[1], m[2]) for m in _FENCE.finditer(page.read_text(encoding="utf-8"))]
    shown = [*blocks, ("", "")]
    return [
        (text, shown[at + 1][1] if shown[at + 1][0] == "text" else "")
        for at, (language, text) in enumerate(blocks)
        if language == "python"
    ]


PAGES = sorted(page for page in DOCS.rglob("*.md") if examples(page))


@pytest.mark.usefixtures("embedded_toolchain")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_print_what_is_shown(page: Path) -> None:
    shown = examples(page)
    script = f"\nprint({_MARK!r})\n".join(code for code, _ in shown)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        env=child_environment(),
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    printed = [part.lstrip("\n") for part in done.stdout.split(_MARK)]
    assert printed == [output for _, output in shown]


def child_environment() -> dict[str, str]:
    import os

    return {**os.environ, "LEANHOST_TOOLCHAIN": "embedded", "PYTHONIOENCODING": "utf-8"}


def error_classes() -> set[type[errors.LeanHostError]]:
    found: set[type[errors.LeanHostError]] = set()
    pending = [errors.LeanHostError]
    while pending:
        one = pending.pop()
        if one.__module__ == "leanhost.errors":
            found.add(one)
        pending.extend(one.__subclasses__())
    return found


def test_every_error_has_a_code_of_its_own_and_a_line_in_the_table() -> None:
    classes = error_classes()
    codes = [one.code for one in classes]
    assert len(set(codes)) == len(codes)
    table = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    for one in classes:
        assert f"| `{one.code}` | `{one.__name__}` |" in table


def test_the_tests_named_in_the_lean_rs_host_table_exist() -> None:
    table = (DOCS / "reference" / "lean-rs-host.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", table)
    assert len(named) > 20
    for file, test in named:
        source = (ROOT / file).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in source, (file, test)
