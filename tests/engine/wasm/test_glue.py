"""The preparation of lean.js."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pytest

from leanhost.errors import ToolchainCorrupt
from leanhost.toolchain.glue import prepare_glue
from tests.support.engines import Parts


@pytest.fixture(scope="module")
def lean_js(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if package := os.environ.get("LEANHOST_TEST_WASM"):
        return Path(package) / "lean.js"
    path = tmp_path_factory.mktemp("js") / "lean.js"
    with gzip.open(parts.core.parents[1] / "lean.js.gz") as packed, path.open("wb") as file:
        shutil.copyfileobj(packed, file)
    return path


def test_the_result_is_small_and_always_the_same(lean_js: Path, parts: Parts, tmp_path: Path) -> None:
    prepare_glue(lean_js, tmp_path / "one.cjs")
    prepare_glue(lean_js, tmp_path / "one.cjs")
    text = (tmp_path / "one.cjs").read_bytes()
    assert len(text) < 1_000_000
    assert text == parts.glue.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["one.cjs"]


@pytest.mark.parametrize(
    "text",
    ["", "something else", "var _a,_b;function assignWasmExports(wasmExports){_a=1}var wasmImports"],
)
def test_unexpected_text_is_refused(tmp_path: Path, text: str) -> None:
    source = tmp_path / "lean.js"
    source.write_text(text)
    with pytest.raises(ToolchainCorrupt):
        prepare_glue(source, tmp_path / "out.cjs")
    assert not (tmp_path / "out.cjs").exists()


def test_an_edit_that_does_not_fit_is_named(lean_js: Path, tmp_path: Path) -> None:
    changed = tmp_path / "lean.js"
    changed.write_bytes(lean_js.read_bytes().replace(b"var pthreadPoolSize=4;", b"var pthreadPoolSize=8;"))
    with pytest.raises(ToolchainCorrupt, match="pthreadPoolSize"):
        prepare_glue(changed, tmp_path / "out.cjs")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolchainCorrupt):
        prepare_glue(tmp_path / "absent.js", tmp_path / "out.cjs")
