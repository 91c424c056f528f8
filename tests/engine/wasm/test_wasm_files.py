"""Host directories that Lean may see, and importing from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from leanhost.engine.expressions import Call, Unwrap
from leanhost.engine.values import Thrown
from leanhost.engine.wasm import WasmEngine
from leanhost.errors import UsageError
from tests.support.elaborator import Elaborator, W


def test_mounted_directories_are_read(lean: WasmEngine, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("from the host")
    read = Unwrap(Call("l_IO_FS_readFile___boxed", (str(tmp_path / "in.txt"), W)))
    with pytest.raises(Thrown) as thrown:
        lean.eval(read)
    thrown.value.error.close()
    lean.mount(tmp_path)
    lean.mount(tmp_path)
    assert lean.eval_data(read) == "from the host"
    with pytest.raises(UsageError):
        lean.mount(tmp_path / "absent")


def test_links_in_the_path_of_a_mount(lean: WasmEngine, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    lean.mount(tmp_path / "link")
    assert (
        lean.eval_data(Unwrap(Call("l_IO_FS_readFile___boxed", (str(tmp_path / "link" / "file"), W)))) == "x"
    )


def test_modules_are_written_and_imported_again(lean: WasmEngine, elaborator: Elaborator) -> None:
    scratch = lean.scratch()
    target = scratch / "Mine.olean"
    env = elaborator.environment_after("def mine : Nat := 42")
    lean.eval(Unwrap(Call("l_Lean_writeModule___boxed", (env, str(target), W)))).close()
    env.close()
    assert target.stat().st_size > 100
    with Elaborator(lean, scratch, "Mine", core=elaborator.core) as mine:
        assert mine.run("#eval mine") == ["42\n"]
