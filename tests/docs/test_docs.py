"""Every Python example of the documentation is run and prints what the page shows; tables list what there is."""

from __future__ import annotations

import ast
import inspect
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import griffe
import pytest

import leanhost
from leanhost import errors
from tests.support.documents import DOCS, ROOT, examples

_MARK = "\x1e"


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


def test_the_table_of_errors_is_the_code() -> None:
    classes = error_classes()
    codes = [one.code for one in classes]
    assert len(set(codes)) == len(codes)
    table = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(leanhost[\w.]*)` \| `(\w+)` \| (.*) \|$", table, re.MULTILINE)
    assert sorted(listed) == sorted(
        (one.code, one.__name__, " ".join((one.__doc__ or "").split("\n\n")[0].split()).replace("``", "`"))
        for one in classes
    )


def test_the_table_of_diagnostic_kinds_is_the_code() -> None:
    source = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "src").rglob("*.py"))
    used = set(re.findall(r'"(leanhost\.(?:elab\.\w+|known_faults|kernels_disagree))"', source))
    faults = (ROOT / "src/leanhost/services/values/text.py").read_text(encoding="utf-8")
    used |= {f"leanhost.source.{word}" for word in re.findall(r', "(\w+)"\)$', faults, re.MULTILINE)}
    used |= {f"leanhost.source.{word}" for word in re.findall(r'^ +"(\w+)",$', faults, re.MULTILINE)}
    table = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(leanhost[\w.]*)` \| [^`|]", table, re.MULTILINE))
    assert listed == used | {"leanhost.lean.import"}


REFERENCE = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^::: ([\w.]+)$", REFERENCE, re.MULTILINE)
ERRORS = {one.__name__ for one in error_classes()}
"""In the table of errors."""
PUBLIC = sorted({*leanhost.__all__, *leanhost._UNSTARRED} - {"__version__"})


def test_the_reference_has_every_public_name_and_no_other() -> None:
    assert sorted(SHOWN) == [f"leanhost.{name}" for name in PUBLIC if name not in ERRORS]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name: str) -> None:
    value = getattr(leanhost, name)
    if isinstance(value, type) or inspect.isfunction(value):
        assert value.__doc__


def objects(scope: griffe.Object) -> Iterator[griffe.Object]:
    """Yield *scope* and all that is defined below it."""
    yield scope
    for member in scope.members.values():
        if isinstance(member, griffe.Object):
            yield from objects(member)


def test_every_role_in_a_docstring_becomes_a_name() -> None:
    roles = runpy.run_path(str(DOCS / "roles.py"))
    package = griffe.load("leanhost", search_paths=[ROOT / "src"])
    assert isinstance(package, griffe.Module)
    documented = [each for each in objects(package) if each.docstring is not None]
    texts = [roles["shown"](each.docstring.value, each) for each in documented if each.docstring]
    assert not [text for text in texts if re.search(r":[a-z]+:`", text)]
    assert any('identifier="leanhost.services.session.host.Host.check_source"' in text for text in texts)


def documented_attributes(node: ast.ClassDef) -> list[str]:
    """Return what begins each entry of a class's list of attributes; the lines that go on are indented."""
    _, _, after = (ast.get_docstring(node) or "").partition("Attributes:\n")
    listed = after.partition("\n\n")[0].splitlines()
    return [line.strip().partition(":")[0] for line in listed if not line.startswith(" " * 5)]


def test_documented_attributes_are_there_and_all_are_documented() -> None:
    files = (ROOT / "src").rglob("*.py")
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    classes = [node for node in nodes if isinstance(node, ast.ClassDef) and documented_attributes(node)]
    assert len(classes) >= 10
    for node in classes:
        entries = [entry.target for entry in node.body if isinstance(entry, ast.AnnAssign)]
        fields = {target.id for target in entries if isinstance(target, ast.Name)}
        assert set(documented_attributes(node)) == fields, node.name


def test_the_lean_rs_host_table_names_what_exists() -> None:
    table = (DOCS / "reference" / "lean-rs-host.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("|") and "`tests/" in line]
    assert len(rows) > 50
    homes = {**{name: getattr(leanhost, name) for name in leanhost.__all__}, "leanhost": leanhost}
    for _, ours, tested in rows:
        file, test = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", tested)[0]
        source = (ROOT / file).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in source, (file, test)
        for owner, attribute in re.findall(r"`([A-Z]\w+)(?:\.(\w+))?`", ours):
            assert owner in homes, owner
            members = {*dir(homes[owner]), *getattr(homes[owner], "__dataclass_fields__", ())}
            assert not attribute or attribute in members or attribute == "miss", (owner, attribute)
