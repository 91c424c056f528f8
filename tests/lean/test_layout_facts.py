"""Facts of Lean's memory layout stay in ``leanhost.engine`` and ``leanhost.lean``: nothing above them knows any."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import leanhost

PACKAGE = Path(leanhost.__file__).parent
BELOW = ("engine", "lean")
"""Where layouts are known."""
ABOVE = sorted(f for f in PACKAGE.rglob("*.py") if f.relative_to(PACKAGE).parts[0] not in BELOW)

EXPRESSIONS = "leanhost.engine.expressions"
PLAIN = {"Arg", "ArrayOf", "Build", "Give", "Index", "ListOf", "Size", "Slot"}
"""Expressions that say nothing of how Lean lays out a structure, or of what it calls a function."""
PARTS = {"fields", "scalars"}
"""Attributes of a copied constructor, whose order is Lean's layout."""


def leaks(source: str) -> Iterator[str]:
    """Yield what *source* says about layouts."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=module, names=names):
                for alias in names:
                    if module == EXPRESSIONS and alias.name not in PLAIN:
                        yield f"{node.lineno}: imports {alias.name} of {EXPRESSIONS}"
                    if f"{module}.{alias.name}" == EXPRESSIONS or alias.name.startswith("TAG_"):
                        yield f"{node.lineno}: imports {alias.name}"
            case ast.Import(names=names) if any(alias.name == EXPRESSIONS for alias in names):
                yield f"{node.lineno}: imports {EXPRESSIONS}"
            case ast.Attribute(attr="ptr"):
                yield f"{node.lineno}: reads an object word by .ptr()"
            case ast.Subscript(value=ast.Attribute(attr=attr), slice=ast.Constant()) if attr in PARTS:
                yield f"{node.lineno}: takes a part out of .{attr} by its place"
            case ast.MatchClass(cls=ast.Name(id="Node")):
                yield f"{node.lineno}: matches the parts of a Node by their places"


def test_no_layout_above_the_tables() -> None:
    assert len(ABOVE) > 100
    found = [f"{file.relative_to(PACKAGE)}:{leak}" for file in ABOVE for leak in leaks(file.read_text())]
    assert not found, "this belongs in leanhost.lean.tables"


@pytest.mark.parametrize(
    "source",
    [
        "from leanhost.engine.expressions import Field",
        "from leanhost.engine.expressions import Arg, Ctor as Make",
        "from leanhost.engine import expressions",
        "import leanhost.engine.expressions as e",
        "from leanhost.engine.base import TAG_ARRAY",
        "if not ref.ptr() & 1: pass",
        "n = answer.ptr() >> 1",
        "type_ = node.fields[2]",
        "safety = value.scalars[0]",
        "match data:\n    case Node(1, (line, column)): pass",
    ],
)
def test_a_leak_is_seen(source: str) -> None:
    assert list(leaks(source))
