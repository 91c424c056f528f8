"""The tests stand where what they test stands, and share what they need through ``tests/support`` only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import leanhost

TESTS = Path(__file__).parent
PACKAGE = Path(leanhost.__file__).parent


def imported(text: str) -> Iterator[str]:
    """Everything of the tests that *text* imports, the programs in its strings included."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (
                match[1]
                for match in re.finditer(r"^\s*(?:from|import) (tests\.\S+)", node.value, re.MULTILINE)
            )


def test_helpers_are_in_support() -> None:
    """A test file is imported by nothing, a ``conftest`` by pytest alone, and neither imports relatively."""
    odd = [
        f"{path.relative_to(TESTS)}: {name}"
        for path in TESTS.rglob("*.py")
        for name in imported(path.read_text(encoding="utf-8"))
        if name.startswith(".") or (name.startswith("tests.") and not name.startswith("tests.support"))
    ]
    assert odd == []


def test_rooms_are_those_of_the_package() -> None:
    rooms = [
        path.relative_to(TESTS)
        for top in ("cli", "engine", "lean", "pool", "services", "system", "toolchain", "workers")
        for path in (TESTS / top, *(TESTS / top).rglob("*"))
        if path.is_dir() and path.name != "__pycache__"
    ]
    assert [str(room) for room in rooms if not (PACKAGE / room).is_dir()] == []
