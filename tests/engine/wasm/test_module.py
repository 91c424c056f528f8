"""The preparation of lean.wasm."""

from __future__ import annotations

from pathlib import Path

import pytest

from leanhost.engine.wasm import WasmEngine
from leanhost.errors import ToolchainCorrupt
from leanhost.toolchain.module import prepare_module, used_exports
from tests.support.engines import Parts


def test_the_same_module_gives_the_same_bytes(parts: Parts, tmp_path: Path) -> None:
    original = parts.core.parents[1] / "lean.wasm"
    if not original.exists():
        pytest.skip("the original is elsewhere")
    prepare_module(original, tmp_path / "one.wasm", used_exports(parts.glue.read_text()))
    assert (tmp_path / "one.wasm").read_bytes() == parts.wasm.read_bytes()


def test_functions_and_data_are_found_by_name(shared: WasmEngine) -> None:
    known = ["lean_mk_string_from_bytes", "l_Lean_versionString", "l_Lean_Name_append", "malloc"]
    unknown = ["", "l_Lean_versionStrin", "l_Lean_versionString_", "zzz", "\x7f"]
    assert shared.missing([*known, *unknown]) == unknown


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0asm\1\0\0\0",
        b"\0asm\1\0\0\0\2\x90\xff\xff\xff\x7f",
        b"\0asm\1\0\0\0" + bytes((2, 1, 0, 4, 4, 1, 0x70, 1, 0)),
        b"something else",
    ],
)
def test_another_module_is_refused(content: bytes, tmp_path: Path) -> None:
    source = tmp_path / "lean.wasm"
    source.write_bytes(content)
    with pytest.raises(ToolchainCorrupt):
        prepare_module(source, tmp_path / "out.wasm", ())
    with pytest.raises(ToolchainCorrupt):
        prepare_module(tmp_path / "absent.wasm", tmp_path / "out.wasm", ())
