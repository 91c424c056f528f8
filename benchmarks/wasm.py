"""The wasm engine against its own bare host: ``python -m benchmarks.wasm [--checks N]``.

The bare host is the same ``host.js`` in a Node process that is fed the recorded frames of the same run from
memory: no pipe, no Python. All numbers of a ratio come from one run, in alternating rounds.

Calls are recorded from a host that was started without an image, and replayed so.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import leanhost
from benchmarks.wasm_record import Recorder, Replay
from leanhost.services.opening import images
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.toolchain import resolve
from leanhost.workers import WorkerPool

INSTANTIATE = Path(__file__).with_name("wasm_instantiate.js")
EXAMPLE = Path(__file__).parents[1] / "examples" / "first.lean"
THEOREMS = {
    "rfl": "theorem one : 1 + 1 = 2 := rfl\n",
    "decide": "theorem two : 17 * 3 = 51 := by decide\n",
    "simp": "theorem three (xs : List Nat) : xs ++ [] = xs := by simp\n",
    "omega": "theorem four (a b : Nat) (h : a < b) : a + 1 ≤ b := by omega\n",
}
ROUNDS = 4
RUNS = 25
_WARM = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--checks", type=int, default=1000, help="checks for the look at the heap (default 1000)"
    )
    parser.add_argument("--starts", type=int, default=3, help="cold starts of each kind (default 3)")
    arguments = parser.parse_args()
    # Installed and self-tested first, where that was never done.
    for _ in range(2):
        with leanhost.open(toolchain="embedded"):
            pass
    _start(arguments.starts)
    _reset()
    _throughput(arguments.checks)
    with tempfile.TemporaryDirectory() as place:
        _runs(Path(place))
    _heap(arguments.checks)


@contextmanager
def without_images() -> Iterator[None]:
    """Have hosts of this process start the long way."""
    find = images.find
    images.find = lambda *_: None
    try:
        yield
    finally:
        images.find = find


def _start(starts: int) -> None:
    toolchain = resolve("embedded")
    assert toolchain.node is not None
    node = [str(toolchain.node), "--wasm-lazy-validation", str(INSTANTIATE)]
    published, prepared, image, command = [], [], [], []
    for _ in range(starts):
        published.append(_seconds(lambda: subprocess.run([*node, toolchain.library], check=False)))
        prepared.append(_seconds(lambda: subprocess.run([*node, str(toolchain.module)], check=False)))
        image.append(_seconds(_first_verdict))
        command.append(_seconds(_command))
    print("start, toolchain and image in cache")
    print(f"  Node instantiates the published module  {statistics.median(published):7.2f} s")
    print(f"  Node instantiates the prepared module   {statistics.median(prepared):7.2f} s")
    print(
        f"  leanhost, to the first verdict          {statistics.median(image):7.2f} s"
        f"   {_ratio(image, published):5.2f}x of the first"
    )
    print(f"  leanhost check examples/first.lean      {statistics.median(command):7.2f} s\n")
    with without_images():
        _long_start(starts)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _first_verdict() -> None:
    with leanhost.open(toolchain="embedded") as host, host.session(["Init"]) as session:
        assert session.run(THEOREMS["rfl"]).ok


def _command() -> None:
    command = [sys.executable, "-m", "leanhost", "check", "--toolchain", "embedded", str(EXAMPLE)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _reset() -> None:
    """A reset against a check and against a worker's start, and what a check costs that is followed by one."""
    with leanhost.open(toolchain="embedded") as host:
        for _ in range(_WARM):
            host.check_source(THEOREMS["rfl"])
        host.snapshot()
        plain, reset, both = [], [], []

        def check_and_reset() -> None:
            host.check_source(THEOREMS["rfl"])
            host.reset()

        for _ in range(ROUNDS * RUNS):
            host.reset()  # a check after a reset finds caches cold
            both.append(_seconds(check_and_reset))
            host.check_source(THEOREMS["rfl"])
            plain.append(_seconds(lambda: host.check_source(THEOREMS["rfl"])))
            reset.append(_seconds(host.reset))
    with without_images():
        start = _seconds(_worker)
    quick = _seconds(_worker)
    print("reset, one-line theorem")
    print(f"  a check                        {1e3 * statistics.median(plain):8.2f} ms")
    print(f"  a reset                        {1e3 * statistics.median(reset):8.2f} ms")
    print(
        f"  a check and a reset            {1e3 * statistics.median(both):8.2f} ms   {_ratio(both, plain):5.2f}x"
    )
    print(
        f"  a start without an image       {1e3 * start:8.0f} ms   {start / statistics.median(reset):5.0f}x a reset"
    )
    print(f"  a start from the image         {1e3 * quick:8.0f} ms\n")


def _worker() -> None:
    """Do what a worker does before it is ready."""
    with leanhost.open(toolchain="embedded") as host:
        host.check_source(THEOREMS["rfl"])
        host.snapshot()


def _throughput(checks: int) -> None:
    source = 'macro "it" : term => `(1)\n#eval it + 1\ntheorem t : it = 1 := rfl\n'
    with WorkerPool(toolchain="embedded", workers=2) as pool:
        pool.check(source)
        began = time.perf_counter()
        results = list(pool.check_many([source] * checks))
        seconds = time.perf_counter() - began
        assert all(result.accepted for result in results)
        print(f"{checks} checks with `#eval` and a macro, two workers: {checks / seconds:.1f} a second")
        print(f"  workers started: {pool.stats.processes_started}\n")


def _long_start(starts: int) -> None:
    mine, bare = [], []
    for _ in range(starts):
        began = time.perf_counter()
        recorder = Recorder()
        with (
            recorder.watching(),
            leanhost.open(toolchain="embedded") as host,
            host.session(["Init"]) as session,
        ):
            marks = [len(recorder.exchanges)]
            assert session.run(THEOREMS["rfl"]).ok
            mine.append(time.perf_counter() - began)
            marks.append(len(recorder.exchanges))
        with tempfile.TemporaryDirectory() as place:
            recorder.write(Path(place) / "record", (marks[0], marks[1]))
            began = time.perf_counter()
            replay = Replay(recorder, Path(place) / "record")
            bare.append(time.perf_counter() - began)
            replay.close()
    print("start to first verdict, without an image")
    print(f"  bare node host   {statistics.median(bare):7.2f} s")
    print(f"  leanhost         {statistics.median(mine):7.2f} s   {_ratio(mine, bare):5.2f}x\n")


def _runs(place: Path) -> None:
    print(
        f"{'one theorem, warm':20} {'bare p50':>9} {'run p50':>9} {'ratio':>6} {'frames':>7} {'bytes out':>10}"
    )
    for name, source in THEOREMS.items():
        recorder = Recorder()
        with (
            without_images(),
            recorder.watching(),
            leanhost.open(toolchain="embedded") as host,
            host.session(["Init"]) as session,
        ):
            for _ in range(_WARM):
                session.run(source)
            marks = []
            for _ in range(3):
                marks.append(len(recorder.exchanges))
                assert session.run(source).ok
            recorder.on = False
            path = place / name
            recorder.write(path, (marks[1], marks[2]))
            replay = Replay(recorder, path)
            replay.runs(_WARM)
            mine, bare = [], []
            for _ in range(ROUNDS):
                bare += replay.runs(RUNS)
                mine += [_timed(session, source) for _ in range(RUNS)]
            replay.close()
            size = sum(len(sent) for sent, _ in recorder.exchanges[marks[1] : marks[2]])
            print(
                f"{name:20} {1e3 * statistics.median(bare):6.2f} ms {1e3 * statistics.median(mine):6.2f} ms"
                f" {_ratio(mine, bare):5.2f}x {marks[2] - marks[1]:7d} {size:10d}"
            )
    print()


def _heap(checks: int) -> None:
    with leanhost.open(toolchain="embedded") as host, host.session(["Init"]) as session:
        for _ in range(_WARM):
            session.run(THEOREMS["rfl"])
        print("heap of Lean and memory of its process in one session")
        _usage(host, 0)
        for step in range(1, 5):
            for _ in range(checks // 4):
                session.run(THEOREMS["rfl"])
            _usage(host, step * (checks // 4))


def _usage(host: Host, checks: int) -> None:
    gc.collect()
    engine = host._lean.engine
    engine.drain()
    pages = int(Path(f"/proc/{engine.pid}/statm").read_text().split()[1])  # type: ignore[attr-defined]
    print(f"  after {checks:6d} checks {engine.private_bytes() / 1e6:9.2f} MB {pages * 4096 / 1e6:9.1f} MB")


def _timed(session: Session, source: str) -> float:
    began = time.perf_counter()
    session.run(source)
    return time.perf_counter() - began


def _ratio(mine: list[float], bare: list[float]) -> float:
    return statistics.median(mine) / statistics.median(bare)


if __name__ == "__main__":
    main()
