"""What code that Lean runs can reach of the host: files it was shown, to read; and nothing else."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from leanhost.engine.expressions import Call, Unwrap
from leanhost.engine.values import Thrown
from leanhost.engine.wasm import WasmEngine
from leanhost.errors import UsageError
from leanhost.toolchain.cache import cache_dir
from tests.support.elaborator import Elaborator, W
from tests.support.engines import Parts

Open = Callable[..., WasmEngine]

READ_ONLY = "read-only file system"


@pytest.fixture
def olean(parts: Parts) -> Path:
    return parts.core / "Init" / "Prelude.olean"


@pytest.mark.parametrize("where", ["core", "cache", "cwd", "tmp", "home", "root"])
def test_writing_a_file_is_an_error_of_lean(
    lean: WasmEngine, elaborator: Elaborator, parts: Parts, where: str
) -> None:
    place = {
        "core": str(parts.core),
        "cache": str(cache_dir()),
        "cwd": ".",
        "tmp": "/tmp",
        "home": str(Path.home()),
        "root": "",
    }[where]
    name = f"{place}/leanhost-written-by-a-candidate"
    (message,) = elaborator.run(f'#eval IO.FS.writeFile "{name}" "x"')
    assert READ_ONLY in message or "no such file" in message
    assert not Path(name).exists()


@pytest.mark.parametrize(
    "action",
    [
        'IO.FS.writeFile "{file}" "x"',
        'do let h ← IO.FS.Handle.mk "{file}" .append; h.putStr "x"',
        'do let h ← IO.FS.Handle.mk "{file}" .readWrite; h.putStr "x"; h.flush',
        'IO.FS.removeFile "{file}"',
        'IO.FS.rename "{file}" "{core}/renamed"',
        'IO.FS.createDir "{core}/made"',
        'IO.FS.removeDir "{core}/Init"',
        'IO.Prim.setAccessRights "{file}" 511',
        "do let (_, path) ← IO.FS.createTempFile; return path",
    ],
)
def test_the_core_library_cannot_be_changed(
    lean: WasmEngine, elaborator: Elaborator, parts: Parts, olean: Path, action: str
) -> None:
    before, names = olean.stat(), sorted(parts.core.iterdir())
    (message,) = elaborator.run("#eval " + action.format(file=olean, core=parts.core))
    assert READ_ONLY in message
    after = olean.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_mode) == (
        before.st_size,
        before.st_mtime_ns,
        before.st_mode,
    )
    assert sorted(parts.core.iterdir()) == names


def test_files_that_were_not_shown_are_not_there(elaborator: Elaborator, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    for path in (secret, "/etc/passwd", "/proc/self/environ"):
        (message,) = elaborator.run(f'#eval IO.FS.readFile "{path}"')
        assert "no such file" in message


def test_a_mounted_directory_can_only_be_read(lean: WasmEngine, tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_text("from the host")
    lean.mount(tmp_path)
    assert lean.eval_data(_read(file)) == "from the host"
    for target in (file, tmp_path / "new"):
        with pytest.raises(Thrown) as thrown:
            lean.eval(_write(target))
        thrown.value.error.close()
    assert file.read_text() == "from the host"
    with pytest.raises(UsageError, match="scratch"):
        lean.mount(tmp_path, writable=True)


def test_the_private_scratch_directory_goes_with_its_engine(fresh: Open, parts: Parts) -> None:
    engine = fresh()
    place = engine.scratch()
    assert place == engine.scratch()
    engine.eval(_write(place / "file")).close()
    assert (place / "file").read_text() == "from Lean"
    below = place / "below"
    below.mkdir()
    engine.mount(below, writable=True)
    engine.eval(_write(below / "file")).close()
    outside = place.parent / f"{place.name}-outside"
    for path in (outside, place / ".." / outside.name):
        with pytest.raises(Thrown):
            engine.eval(_write(path))
    assert not outside.exists()
    engine.close()
    assert not place.exists()


def test_a_killed_parent_leaves_no_scratch_directory(fresh: Open) -> None:
    engine = fresh()
    place = engine.scratch()
    # What the second thread of the child sees when the parent is gone.
    os.kill(engine.pid, signal.SIGSTOP)
    os.close(engine._child._control)
    engine._child._control = os.open(os.devnull, os.O_RDONLY)
    os.kill(engine.pid, signal.SIGCONT)
    end = time.monotonic() + 10
    while place.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not place.exists()


def test_a_given_scratch_directory_stays(fresh: Open, tmp_path: Path) -> None:
    real, given = tmp_path / "real", tmp_path / "given"
    real.mkdir()
    given.symlink_to(real)
    # A directory around it that is mounted afterwards does not hide it.
    engine = fresh(mounts=[real, tmp_path], scratch=given)
    engine.mount(tmp_path)
    assert engine.scratch() == given
    engine.eval(_write(given / "file")).close()
    with pytest.raises(Thrown):
        engine.eval(_write(tmp_path / "file"))
    engine.close()
    assert (real / "file").read_text() == "from Lean"
    assert [path.name for path in tmp_path.iterdir() if path.name == "file"] == []


def test_links_lead_nowhere_out_of_the_scratch_directory(fresh: Open, tmp_path: Path) -> None:
    scratch, target = tmp_path / "scratch", tmp_path / "target"
    scratch.mkdir()
    target.write_text("x")
    (scratch / "link").symlink_to(target)
    engine = fresh(scratch=scratch)
    with pytest.raises(Thrown):
        engine.eval(_write(scratch / "link"))
    assert target.read_text() == "x"


@pytest.mark.parametrize(
    "action",
    [
        'do let c ← IO.Process.spawn {cmd := "/bin/true"}; c.wait',
        'do let o ← IO.Process.output {cmd := "/bin/true"}; return o.stdout',
    ],
)
def test_starting_a_program_is_an_error_of_lean(elaborator: Elaborator, action: str) -> None:
    (message,) = elaborator.run(f"#eval {action}")
    assert "unsupported operation" in message
    assert elaborator.run("#eval 1 + 1") == ["2\n"]


def test_loading_a_library_is_an_error_of_lean(fresh: Open) -> None:
    engine = fresh()
    place = engine.scratch()
    (place / "library.so").write_bytes(b"\0asm\1\0\0\0")
    with pytest.raises(Thrown):
        engine.eval(Unwrap(Call("l_Lean_loadDynlib___boxed", (str(place / "library.so"), W))))
    assert engine.eval_data("unharmed") == "unharmed"


def test_the_parents_environment_stays_with_the_parent(
    fresh: Open, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEANHOST_TEST_SECRET", "hunter2")
    engine = fresh()
    assert b"hunter2" not in Path(f"/proc/{engine.pid}/environ").read_bytes()
    found = engine.eval_data(Call("l_IO_getEnv___boxed", ("LEANHOST_TEST_SECRET", W)))
    assert found == 0


def test_the_permission_model_is_on(lean: WasmEngine) -> None:
    arguments = Path(f"/proc/{lean.pid}/cmdline").read_bytes().split(b"\0")
    assert b"--permission" in arguments
    allowed = {argument for argument in arguments if argument.startswith(b"--allow")}
    write = {argument for argument in allowed if argument.startswith(b"--allow-fs-write=")}
    assert allowed - write == {b"--allow-fs-read=*", b"--allow-worker"}
    assert len(write) == 1


def _read(path: Path) -> Unwrap:
    return Unwrap(Call("l_IO_FS_readFile___boxed", (str(path), W)))


def _write(path: Path) -> Unwrap:
    return Unwrap(Call("l_IO_FS_writeFile___boxed", (str(path), "from Lean", W)))
