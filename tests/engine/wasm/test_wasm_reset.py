"""A WebAssembly Lean put back to a snapshot, and one that goes on in another process from an image."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leanhost.engine.expressions import Call, Unwrap
from leanhost.engine.values import Ref, Thrown
from leanhost.engine.wasm import WasmEngine
from leanhost.engine.wasm.image import Image, read_image
from leanhost.errors import ClosedError, EngineError, UsageError
from tests.support.elaborator import Elaborator, W
from tests.support.engines import Parts

KEY = "0123456789abcdef"
ACCEPTED = "theorem t (a b : Nat) (h : a < b) : a + 1 ≤ b := by omega\n"
REJECTED = "theorem t : 1 + 1 = 3 := rfl\n"

ENDLESS = """set_option maxHeartbeats 0
set_option synthInstance.maxHeartbeats 0
set_option synthInstance.maxSize 1000000000
set_option maxRecDepth 1000000
class Endless (n : Nat) where x : Nat
instance next (n : Nat) [Endless (n+1)] : Endless n := ⟨0⟩
example : Endless 0 := inferInstance
"""


class Kept:
    """An engine at a snapshot, with what was made before it."""

    def __init__(self, parts: Parts) -> None:
        self.engine = parts.open()
        self.elaborator = Elaborator(self.engine, parts.core)
        assert self.elaborator.run(ACCEPTED) == []
        assert self.elaborator.run(REJECTED)
        self.cell = self.engine.call("lean_st_mk_ref", 5)
        self.calls: list[int] = []
        self.callback = self.engine.callback(1, self.called)
        self.engine.snapshot()

    def called(self, _: Ref) -> int:
        self.calls.append(1)
        return 7

    def value(self) -> object:
        return self.engine.eval_data(Call("lean_st_ref_get", (self.cell,)))


@pytest.fixture(scope="module")
def made(parts: Parts) -> Iterator[Kept]:
    kept = Kept(parts)
    yield kept
    kept.engine.close()


@pytest.fixture
def kept(made: Kept) -> Kept:
    made.engine.reset()
    return made


def test_memory_is_what_it_was(kept: Kept) -> None:
    engine = kept.engine
    before = engine.private_bytes()
    engine.call("lean_st_ref_set", kept.cell, "another value").close()
    held = [engine.eval("x" * 10_000_000) for _ in range(20)]
    assert engine.private_bytes() > before + 150_000_000
    assert kept.value() == "another value"
    engine.reset()
    assert kept.value() == 5
    assert engine.private_bytes() == before
    for ref in held:
        ref.close()
    for _ in range(3):
        assert kept.elaborator.run(ACCEPTED) == []
        assert kept.elaborator.run(REJECTED)
        engine.reset()
    assert engine.private_bytes() == before


def test_handles_made_since_end_and_those_before_do_not(kept: Kept) -> None:
    engine = kept.engine
    scalar, text = engine.eval(3), engine.eval("text")
    engine.reset()
    live = engine.live
    for ref in (scalar, text):
        with pytest.raises(ClosedError, match="reset"):
            ref.ptr()
        with pytest.raises(ClosedError, match="reset"):
            engine.eval_data(ref)
        ref.close()
        ref.close()
    assert engine.live == live - 2
    assert kept.value() == 5
    assert kept.elaborator.run(ACCEPTED) == []


def test_a_later_snapshot_keeps_what_was_made_before_it(parts: Parts) -> None:
    engine = parts.open()
    try:
        first = engine.eval("first")
        engine.snapshot()
        lost = engine.eval("lost")
        engine.reset()
        second = engine.eval("second")
        engine.snapshot()
        third = engine.eval("third")
        engine.reset()
        assert engine.eval_data(first) == "first"
        assert engine.eval_data(second) == "second"
        for ref in (lost, third):
            with pytest.raises(ClosedError):
                engine.eval_data(ref)
    finally:
        engine.close()


def test_callbacks_made_since_are_gone_and_their_slots_are_used_again(kept: Kept) -> None:
    engine = kept.engine
    sizes = []
    for _ in range(3):
        others = [engine.callback(1, lambda _: 8) for _ in range(1500)]  # more than the table has free
        assert engine.eval_data(Call("lean_apply_1", (others[-1], 0))) == 8
        assert engine.eval_data(Call("lean_apply_1", (kept.callback, 0))) == 7
        engine.reset()
        sizes.append(len(engine._functions))
        del others
        assert kept.elaborator.run(ACCEPTED) == []
    assert sizes == [1, 1, 1]
    assert kept.calls


def test_files_and_mounts_are_closed(kept: Kept) -> None:
    engine = kept.engine
    for_writing = 0  # passed as it is encoded, 1

    def open_files() -> int:
        return len(os.listdir(f"/proc/{engine.pid}/fd"))  # noqa: PTH208

    def opened(path: Path) -> Ref:
        return engine.eval(Unwrap(Call("lean_io_prim_handle_mk", (str(path), for_writing))))

    before = open_files()
    scratch = engine.scratch()
    handles = [opened(scratch / str(n)) for n in range(5)]
    (scratch / "folder").mkdir()
    assert open_files() == before + 5
    engine.reset()
    assert open_files() == before
    assert list(scratch.iterdir()) == []
    del handles
    with pytest.raises(Thrown):  # it is not mounted any more
        opened(scratch / "again")
    engine.scratch()
    opened(scratch / "again").close()


def test_an_order_to_cancel_that_comes_late_does_nothing(kept: Kept) -> None:
    engine = kept.engine
    token = engine.call("l_IO_CancelToken_new___boxed", W)
    word, time_then = token.ptr(), engine._time
    engine.reset()
    again = engine.call("l_IO_CancelToken_new___boxed", W)
    assert again.ptr() == word  # it lies where the former one did
    engine._child.cancel(word, time_then)
    time.sleep(0.2)
    assert engine.eval_data(Call("l_IO_CancelToken_isSet___boxed", (again, W))) == 0
    engine._child.cancel(word, engine._time)
    until = time.monotonic() + 10
    while engine.eval_data(Call("l_IO_CancelToken_isSet___boxed", (again, W))) == 0:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_work_that_was_stopped_leaves_nothing(kept: Kept) -> None:
    elaborator = kept.elaborator
    for _ in range(2):
        guard = elaborator.guard(time.monotonic() + 0.5)
        kept.engine.supervise(lambda g=guard: elaborator.run(ENDLESS, g.token), guard)  # type: ignore[misc]
        assert guard.why == "deadline"
        kept.engine.reset()
        assert elaborator.run(ACCEPTED) == []


def test_only_a_lean_at_rest_is_reset(kept: Kept, parts: Parts) -> None:
    engine = kept.engine
    guard = kept.elaborator.guard(time.monotonic() + 60)
    with pytest.raises(UsageError, match="works"):
        engine.supervise(engine.reset, guard)

    def within(_: Ref) -> int:
        engine.snapshot()
        return 0

    with pytest.raises(EngineError, match="between calls"):
        engine.eval(Call("lean_apply_1", (engine.callback(1, within), 0)))
    engine.reset()
    other = parts.open()
    try:
        with pytest.raises(UsageError, match="no snapshot"):
            other.reset()
    finally:
        other.close()


def test_a_thread_whose_variables_were_moved_is_not_put_back(fresh: object) -> None:
    """What no reset can reach, because only Lean's own code sets it, costs the process."""
    engine: WasmEngine = fresh()  # type: ignore[operator]
    engine.snapshot()
    thread = engine.call("pthread_self").take()
    # Numbers arrive as 2n + 1: five bytes of 5 around the field that says where the variables are to be.
    engine.call("memset", (thread + 0x73) >> 1, 2, 2).close()
    engine.call("_emscripten_tls_init").take()
    with pytest.raises(EngineError, match="thread"):
        engine.reset()
    assert engine.lost


# --- images ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def image(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "some.image"
    engine = parts.open()
    try:
        elaborator = Elaborator(engine, parts.core)
        assert elaborator.run(ACCEPTED) == []
        with path.open("xb") as out:
            os.fchmod(out.fileno(), 0o644)
            roots = {"env": elaborator.env, "options": elaborator.options}
            engine.save(out, KEY, roots, {"said": ["something"]})
        # Nothing has changed for the one that was saved.
        assert elaborator.run(REJECTED)
        engine.callback(1, lambda _: 0)
        with pytest.raises(EngineError, match="callbacks"):
            engine.save(io.BytesIO(), KEY, {}, {})
    finally:
        engine.close()
    return path


def started(parts: Parts, image: Image | None) -> Elaborator:
    """An elaborator over what came with an image."""
    engine = parts.open(image=image)
    elaborator = Elaborator.__new__(Elaborator)
    elaborator.engine, elaborator.core = engine, parts.core
    if engine.roots:
        elaborator.env, elaborator.options = engine.roots["env"], engine.roots["options"]
    return elaborator


def test_another_process_goes_on_from_an_image(parts: Parts, image: Path) -> None:
    found = read_image(image, KEY)
    assert found is not None
    elaborator = started(parts, found)
    engine = elaborator.engine
    try:
        assert engine.notes == {"said": ["something"]}
        assert elaborator.run(ACCEPTED) == []
        assert elaborator.run(REJECTED)
        assert elaborator.run("#eval (List.range 10).foldl (· + ·) 0\n") == ["45\n"]
        engine.snapshot()
        assert elaborator.run('macro "it" : term => `(1)\n#eval it + 1\n') == ["2\n"]
        engine.reset()
        assert elaborator.run(ACCEPTED) == []
        # Another import on top, which takes memory and opens files.
        Elaborator(engine, parts.core, "Init", "Std.Data.HashMap")
    finally:
        engine.close()


def damaged(image: Path, place: Path, at: int, size: int | None = None) -> Path:
    data = bytearray(image.read_bytes())
    data[at] ^= 1
    place.write_bytes(data[:size])
    place.chmod(0o644)
    return place


def test_a_damaged_image_is_as_good_as_none_and_goes(parts: Parts, image: Path, tmp_path: Path) -> None:
    broken = damaged(image, tmp_path / "broken.image", -1000)
    found = read_image(broken, KEY)
    assert found is not None  # only the header was looked at
    elaborator = started(parts, found)
    try:
        assert not elaborator.engine.roots
        assert not broken.exists()
        assert Elaborator(elaborator.engine, parts.core).run(ACCEPTED) == []
    finally:
        elaborator.engine.close()


@pytest.mark.parametrize(("at", "size"), [(0, None), (20, None), (40, None), (200, None), (-1, -1), (0, 10)])
def test_what_is_not_exactly_what_was_written_is_refused(
    image: Path, tmp_path: Path, at: int, size: int | None
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong with it
        read_image(damaged(image, tmp_path / "broken.image", at, size), KEY)


def test_an_image_of_something_else_or_of_somebody_else_is_refused(image: Path, tmp_path: Path) -> None:
    assert read_image(tmp_path / "absent.image", KEY) is None
    with pytest.raises(ValueError, match="looked for"):
        read_image(image, "another")
    other = tmp_path / "open.image"
    os.link(image, other)
    link = tmp_path / "link.image"
    link.symlink_to(image)
    with pytest.raises(ValueError, match="symbolic"):
        read_image(link, KEY)
    other.chmod(0o666)
    try:
        with pytest.raises(ValueError, match="by others"):
            read_image(image, KEY)
    finally:
        other.chmod(0o644)


def test_several_processes_start_from_one_image(parts: Parts, image: Path) -> None:
    said: list[list[str]] = []

    def start() -> None:
        elaborator = started(parts, read_image(image, KEY))
        try:
            said.append(elaborator.run(ACCEPTED))
        finally:
            elaborator.engine.close()

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [[], []]
