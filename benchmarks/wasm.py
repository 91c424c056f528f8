"""The wasm engine against its own bare host: ``python -m benchmarks.wasm [--checks N]``.

The bare host is the same ``host.js`` in a Node process that is fed the recorded frames of the same run from
memory: no pipe, no Python. All numbers of a ratio come from one run, in alternating rounds.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from pathlib import Path

import leanhost
from benchmarks.wasm_record import Recorder, Replay
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session

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
    with leanhost.open(toolchain="embedded"):
        pass
    _start(arguments.starts)
    with tempfile.TemporaryDirectory() as place:
        _runs(Path(place))
    _heap(arguments.checks)


def _start(starts: int) -> None:
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
    print("start to first verdict, toolchain in cache")
    print(f"  bare node host   {statistics.median(bare):7.2f} s")
    print(f"  leanhost         {statistics.median(mine):7.2f} s   {_ratio(mine, bare):5.2f}x\n")


def _runs(place: Path) -> None:
    print(
        f"{'one theorem, warm':20} {'bare p50':>9} {'run p50':>9} {'ratio':>6} {'frames':>7} {'bytes out':>10}"
    )
    for name, source in THEOREMS.items():
        recorder = Recorder()
        with (
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
