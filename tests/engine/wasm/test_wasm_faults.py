"""What happens when the runtime, the pipe or the parent goes away."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from leanhost.engine.expressions import ArrayOf, Call
from leanhost.engine.wasm import WasmEngine
from leanhost.errors import (
    EngineError,
    EngineLost,
    ForeignHandleError,
    ObjectTooLarge,
    OutOfMemory,
    UsageError,
)
from tests.support.elaborator import ENDLESS, Elaborator
from tests.support.engines import Parts

Open = Callable[..., WasmEngine]


def gone(pid: int, within: float = 5.0) -> bool:
    """Whether the process ends in time (a zombie counts as alive only if it is ours)."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX" and os.getpid() != _parent(pid):
            return True
        time.sleep(0.02)
    return False


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return -1


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only


def test_a_killed_child_is_a_lost_engine(fresh: Open) -> None:
    engine = fresh()
    handle = engine.eval("text")
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(EngineLost, match="SIGKILL"):
        engine.eval_data("x")
    assert engine.lost
    with pytest.raises(EngineLost):
        engine.dump(handle)
    handle.close()
    engine.drain()
    assert gone(engine.pid)


def test_close_leaves_nothing(fresh: Open) -> None:
    before = descriptors()
    engine = fresh()
    pid = engine.pid
    engine.close()
    engine.close()
    assert gone(pid)
    assert descriptors() <= before
    with pytest.raises(EngineLost, match="closed"):
        engine.eval(1)


def test_an_engine_nobody_holds_ends_its_child(parts: Parts) -> None:
    engine = parts.open()
    pid = engine.pid
    del engine
    gc.collect()
    assert gone(pid)


def test_no_orphan_after_the_parent_was_killed(parts: Parts, tmp_path: Path) -> None:
    """Neither an idle child nor one that computes outlives its parent, and neither leaves its directory."""
    script = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from leanhost.engine.wasm import WasmEngine
        from tests.support.elaborator import ENDLESS, Elaborator
        core = Path({str(parts.core)!r})
        engines = [WasmEngine.open(node=Path({str(parts.node)!r}), glue=Path({str(parts.glue)!r}),
                   wasm=Path({str(parts.wasm)!r}), mounts=[core]) for _ in range(2)]
        print(*[engine.pid for engine in engines], flush=True)
        elaborator = Elaborator(engines[1], core)
        print("busy", flush=True)
        elaborator.run(ENDLESS)
    """)
    root = Path(__file__).parents[3]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=root, env=environment
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert parent.stdout.readline() == "busy\n"
        time.sleep(1.0)
        assert list(tmp_path.iterdir())
        parent.kill()
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)
    assert not list(tmp_path.iterdir())


def test_a_trap_loses_the_engine(fresh: Open) -> None:
    engine = fresh()
    with pytest.raises(EngineLost, match="trap"):
        engine.call("abort")
    assert gone(engine.pid)


def test_exit_loses_the_engine(fresh: Open) -> None:
    engine = fresh()
    with pytest.raises(EngineLost, match="exit"):
        engine.call("lean_internal_panic_unreachable")


def test_a_stack_overflow_loses_the_engine(fresh: Open, parts: Parts) -> None:
    engine = fresh()
    elaborator = Elaborator(engine, parts.core)
    with pytest.raises(EngineLost, match="stack"):
        elaborator.run("def deep : Nat → Nat | 0 => 0 | n+1 => 1 + deep n\n#eval deep 100000000")


def test_running_out_of_memory(fresh: Open, parts: Parts) -> None:
    engine = fresh(heap_limit=640 * 1024**2)
    elaborator = Elaborator(engine, parts.core)
    with pytest.raises(OutOfMemory):
        elaborator.run(
            "def grow (s : String) : Nat → String | 0 => s | n+1 => grow (s ++ s) n\n"
            '#eval (grow "sixteen letters!" 40).length'
        )
    assert engine.lost


def test_very_deep_nesting_is_a_typed_loss(fresh: Open, parts: Parts) -> None:
    engine = fresh()
    elaborator = Elaborator(engine, parts.core)
    with pytest.raises(EngineLost, match=r"memory|stack"):
        elaborator.run("#eval " + "(" * 20_000 + "1" + ")" * 20_000)
    assert gone(engine.pid)


def test_a_task_runs_where_it_is_waited_for(lean: WasmEngine, elaborator: Elaborator) -> None:
    source = "#eval (do let t ← IO.asTask (pure 5); IO.ofExcept t.get : IO Nat)"
    assert elaborator.run(source) == ["5\n"]
    assert elaborator.run(source) == ["5\n"]


def test_waiting_for_what_never_comes_loses_the_engine_at_once(fresh: Open, parts: Parts) -> None:
    engine = fresh()
    elaborator = Elaborator(engine, parts.core)
    with pytest.raises(EngineLost, match="thread"):
        elaborator.run(
            "#eval (do let p : IO.Promise Nat ← IO.Promise.new\n"
            "          let n ← IO.wait p.result?; p.resolve (n.getD 3) : IO Unit)"
        )


def test_frames_have_a_limit_in_both_directions(fresh: Open) -> None:
    engine = fresh(max_frame=100_000)
    with pytest.raises(UsageError, match="frame limit"):
        engine.eval("x" * 100_001)
    assert engine.eval_data("x" * 50_000) == "x" * 50_000
    doubled = Call("lean_string_append", ("x" * 60_000, "y" * 1_000))
    longer = engine.eval(doubled)
    longest = engine.call("lean_string_append", longer, longer)
    with pytest.raises(ObjectTooLarge):
        engine.dump(longest)
    with pytest.raises(ObjectTooLarge):
        engine.dump(engine.eval(ArrayOf([longer, longest])))
    assert engine.dump(longer) == "x" * 60_000 + "y" * 1_000


def test_many_releases_do_not_overflow_a_frame(fresh: Open) -> None:
    engine = fresh(max_frame=20_000)
    handles = [handle for _ in range(30) for handle in engine.eval_all(["x"] * 1000)]
    for handle in handles:
        handle.close()
    while engine.released:
        engine.drain()
    assert engine.live == 0


def test_output_is_kept_within_bounds(fresh: Open) -> None:
    engine = fresh()
    line = "y" * 99 + "\n"
    for _ in range(5):
        engine.call("lean_io_eprintln", line * 10_000).close()
    engine.call("lean_io_eprintln", "the end").close()
    end = time.monotonic() + 5
    while "the end" not in engine.output_tail and time.monotonic() < end:
        time.sleep(0.01)
    tail = engine.output_tail
    assert "the end" in tail
    assert line * 100 in tail
    assert len(tail) <= 64 * 1024


def test_closing_ends_another_threads_call(fresh: Open, parts: Parts) -> None:
    engine = fresh()
    elaborator = Elaborator(engine, parts.core)
    seen: list[BaseException] = []

    def work() -> None:
        try:
            elaborator.run(ENDLESS)
        except EngineLost as error:
            seen.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(2.0)
    engine.close()
    thread.join(5)
    assert seen
    assert gone(engine.pid)


def test_a_forked_process_cannot_use_the_engine(lean: WasmEngine) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            lean.eval(1)
        except ForeignHandleError:
            os.write(write, b"refused")
        finally:
            lean.close()
            os._exit(0)
    os.close(write)
    assert os.read(read, 100) == b"refused"
    os.close(read)
    os.waitpid(child, 0)
    assert lean.eval_data("unharmed") == "unharmed"


def test_what_cannot_start(parts: Parts, tmp_path: Path) -> None:
    core = parts.core
    with pytest.raises(EngineError):
        WasmEngine.open(node=tmp_path / "no-node", glue=parts.glue, wasm=parts.wasm)
    with pytest.raises(EngineLost):
        WasmEngine.open(node=parts.node, glue=parts.glue, wasm=tmp_path / "no.wasm")
    with pytest.raises(UsageError):
        parts.open(mounts=[core / "no-such-directory"])
    with pytest.raises(UsageError):
        parts.open(mounts=[Path("/")])
    with pytest.raises(EngineLost, match="in time"):
        parts.open(startup_timeout=0.05)
    for limits in ({"heap_limit": 1000}, {"max_frame": 10}):
        with pytest.raises(UsageError):
            parts.open(**limits)


def test_the_child_inherits_nothing_it_should_not(parts: Parts, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        engine = parts.open()
        links = {os.readlink(f"/proc/{engine.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{engine.pid}/fd")}  # noqa: PTH115, PTH208
        engine.close()
    assert str(tmp_path / "secret") not in links
