"""Session pool and worker pool: what reuse, forking and isolation cost. ``python -m benchmarks.workers``.

Everything native runs over a library of 100,000 theorems. What is compared runs in turns.
"""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.lean_runner import Server, lean_executable, run_file
from benchmarks.library import big_library
from benchmarks.native import THEOREM
from benchmarks.table import alternate, ms, p50, ratio, show, us
from benchmarks.workers_memory import memory
from leanhost.pool.session_pool import SessionPool
from leanhost.services.session.host import Host
from leanhost.services.values.results import Status
from leanhost.toolchain import Toolchain, resolve
from leanhost.workers import CheckItem, WorkerPool
from leanhost.workers.jobs.job import Job
from leanhost.workers.supervision.worker import State, Worker
from tests.support.pools import ENDLESS

FIVE_MS = 0.005
KEPT = 10**6
"""``max_requests`` of workers that are to be kept."""
IN_THIS_PROCESS = "`host.check_source`, warm, in this process"
COLUMNS = ("how", "time", "against warm")

_numbers = itertools.count()


def fresh(theorems: int = 1) -> str:
    """A source like no other."""
    number = next(_numbers)
    return "".join(THEOREM.format(f"{number}_{i}") for i in range(theorems))


def session_pool(host: Host) -> None:
    """A hit against a fresh import."""
    with SessionPool(host, capacity=1) as kept, SessionPool(host, capacity=0) as dropped:

        def hits() -> None:
            for _ in range(100):
                kept.acquire(["Big"]).release()

        seconds = alternate({"hit": hits, "fresh": lambda: dropped.acquire(["Big"]).release()}, 6, 2)
    hit, new = statistics.median(seconds["hit"]) / 100, statistics.median(seconds["fresh"])
    show(
        "Session pool (p50)",
        ["what", "time", "against a hit"],
        [["hit: acquire and release", us(hit), "1"], ["fresh import", ms(new), ratio(new / hit)]],
    )


class Leases:
    """Notes how long each worker of a pool took from being asked for to being ready."""

    def __init__(self, pool: WorkerPool) -> None:
        self.seconds: list[float] = []
        supervisor: Any = pool._supervisor
        tell: Callable[[Worker], None] = supervisor.up

        def up(worker: Worker) -> None:
            self.seconds.append(time.monotonic() - worker.born)
            tell(worker)

        supervisor.up = up


class Assignments:
    """Notes when a worker of a pool that was ready took each job."""

    def __init__(self, pool: WorkerPool) -> None:
        self.at: list[float] = []
        assign = Worker.assign

        def noted(worker: Worker, job: Job) -> None:
            if worker._owner is pool._supervisor and worker.state is State.IDLE:
                self.at.append(time.perf_counter())
            assign(worker, job)

        Worker.assign = noted  # type: ignore[method-assign, assignment]


def isolation(host: Host, settings: dict[str, Any]) -> None:
    """What a process of its own costs a check, by how long the check takes: one that is kept, and one for each."""

    def alone(size: int) -> None:
        assert host.check_source(fresh(size), imports=["Big"]).accepted

    one = p50(lambda: alone(1), 10)
    sizes = tuple(dict.fromkeys((1, max(1, round(FIVE_MS / one)))))
    kept(settings, sizes, alone)
    forked(settings, sizes, alone)


def _pooled(pool: WorkerPool, size: int) -> None:
    assert pool.check(fresh(size)).accepted


def _theorems(size: int) -> str:
    return f"{size} theorem{'s' if size > 1 else ''}"


def kept(settings: dict[str, Any], sizes: Sequence[int], alone: Callable[[int], None]) -> None:
    """A worker that is kept against this process; each checks some sources in a row, as workers do."""
    with WorkerPool(**settings, max_requests=KEPT) as pool:
        for size in sizes:
            works = {
                IN_THIS_PROCESS: lambda size=size: alone(size),
                "a worker that has checked before": lambda size=size: _pooled(pool, size),
            }
            for work in works.values():
                p50(work, 1, 20)
            seconds = alternate(works, 12, 10)
            middle = {name: statistics.median(values) for name, values in seconds.items()}
            warm = middle[IN_THIS_PROCESS]
            rows = [[name, ms(value), f"{value / warm:.2f}x"] for name, value in middle.items()]
            show(f"A check of {_theorems(size)} in a worker that is kept (p50)", COLUMNS, rows)


def leases(host: Host, settings: dict[str, Any]) -> None:
    """How long it takes to get a process: one that is forked when it is asked for, and one that is kept ahead."""

    def alone() -> None:
        assert host.check_source(fresh(), imports=["Big"]).accepted

    with WorkerPool(**settings, max_requests=1, spares=0) as pool:
        made = Leases(pool)
        _pooled(pool, 1)
        made.seconds.clear()
        works = {IN_THIS_PROCESS: alone, "fork": lambda: _pooled(pool, 1)}
        warm = statistics.median(alternate(works, 10, 4)[IN_THIS_PROCESS])
    with WorkerPool(**settings, max_requests=1, spares=1) as pool:
        taken = Assignments(pool)
        waited: list[float] = []
        for _ in range(30):
            # As between two requests of a caller that does something with the answer.
            until = time.monotonic() + 1
            while not _ready_spare(pool) and time.monotonic() < until:
                time.sleep(0.001)
            begun = time.perf_counter()
            taken.at.clear()
            _pooled(pool, 1)
            waited.extend(at - begun for at in taken.at)
    rows = {
        IN_THIS_PROCESS: warm,
        "the lease of a fork kept ahead (the default): until it has the check": statistics.median(waited),
        "the lease of a fork made when asked for: until it is ready": statistics.median(made.seconds),
    }
    table = [[name, ms(value), f"{value / warm:.2f}x"] for name, value in rows.items()]
    show("A lease (p50)", COLUMNS, table)


def forked(settings: dict[str, Any], sizes: Sequence[int], alone: Callable[[int], None]) -> None:
    """A fork for each check against this process."""
    with ExitStack() as stack:
        each = stack.enter_context(WorkerPool(**settings, max_requests=1, spares=0))
        ahead = stack.enter_context(WorkerPool(**settings, max_requests=1, spares=1))
        inner: list[float] = []

        def first(size: int) -> None:
            result = each.check(fresh(size))
            inner.append(result.elapsed)

        for pool in (each, ahead):
            _pooled(pool, 1)
        for size in sizes:
            inner.clear()
            works = {
                IN_THIS_PROCESS: lambda size=size: alone(size),
                "a fork for each check, one kept ahead": lambda size=size: _pooled(ahead, size),
                "a fork for each check, asked for when needed": lambda size=size: first(size),
            }
            seconds = alternate(works, 8, 3)
            middle = {name: statistics.median(values) for name, values in seconds.items()}
            middle["— of it the first check in the fresh child"] = statistics.median(inner)
            warm = middle[IN_THIS_PROCESS]
            rows = [[name, ms(value), f"{value / warm:.2f}x"] for name, value in middle.items()]
            show(f"A check of {_theorems(size)} in a process of its own (p50)", COLUMNS, rows)


def throughput(host: Host, settings: dict[str, Any], size: int = 2, chunk: int = 32, rounds: int = 3) -> None:
    """Checks a second by number of workers and of processors."""
    everywhere = os.sched_getaffinity(0)
    one = {min(everywhere)}

    def alone() -> None:
        for _ in range(chunk):
            assert host.check_source(fresh(size), imports=["Big"]).accepted

    with ExitStack() as stack:
        works: dict[str, Callable[[], None]] = {"in this process": alone}

        def add(name: str, cores: set[int], **changes: Any) -> None:
            # A pool's processes run where the thread that made them may.
            os.sched_setaffinity(0, cores)
            pool = stack.enter_context(WorkerPool(**settings, **changes))
            pool.check(fresh())

            def work() -> None:
                os.sched_setaffinity(0, cores)
                statuses = {r.status for r in pool.check_many(fresh(size) for _ in range(chunk))}
                os.sched_setaffinity(0, everywhere)
                assert statuses == {Status.ACCEPTED}

            works[name] = work
            os.sched_setaffinity(0, everywhere)

        for kind, changes in (("kept", {"max_requests": KEPT}), ("a fork for each check", {})):
            for workers, cores in ((2, one), (1, everywhere), (2, everywhere)):
                name = f"{kind}: {workers} worker{'s' * (workers > 1)}, {len(cores)} processor{'s' * (len(cores) > 1)}"
                add(name, cores, workers=workers, **changes)
        seconds = alternate(works, rounds, 1)
    rates = {name: chunk / statistics.median(values) for name, values in seconds.items()}
    base = rates["in this process"]
    rows = []
    on_one = base
    for name, rate in rates.items():
        if name.endswith("1 processor"):
            on_one = rate
        rows.append(
            [name, f"{rate:.0f}", f"{rate / base:.2f}x", "" if rate is base else f"{rate / on_one:.2f}x"]
        )
    show(
        f"Checks of {size} theorems a second",
        ["how", "checks a second", "against in-process", "against one processor"],
        rows,
    )


def side_by_side(host: Host, settings: dict[str, Any], search_path: Sequence[Path]) -> None:
    """The same check by a process each and by a language server."""
    path = Path(os.pathsep.join(map(str, search_path)))
    with (
        WorkerPool(**settings, max_requests=1, spares=1) as pool,
        lean_executable(host.toolchain.library) as lean,
        tempfile.TemporaryDirectory() as folder,
        Server(lean, path) as server,
    ):
        file = Path(folder) / "T.lean"

        def process() -> None:
            file.write_text("import Big\n" + fresh())
            run_file(lean, path, file)

        works = {
            "a fork for each check, one kept ahead": lambda: pool.check(fresh()).accepted,
            "`verify`, a fork for the candidate and one for the judge": lambda: _verified(pool),
            "one `lean FILE` process a check": process,
            "`lean --server` over LSP, warm document": lambda: server.check("import Big\n" + fresh()),
        }
        seconds = alternate(works, 5, 3)
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    mine = next(iter(middle.values()))
    rows = [[name, ms(value), ratio(value / mine)] for name, value in middle.items()]
    show("One theorem over 100,000 declarations (p50)", ["how", "time", "against a fork"], rows)


def _verified(pool: WorkerPool) -> None:
    candidate = fresh()
    reference = candidate[: candidate.index(":=")] + ":= by sorry\n"
    assert pool.verify(reference, candidate).verified


def after_a_kill(settings: dict[str, Any]) -> None:
    """How long the first check takes that comes after a killed one."""
    with WorkerPool(**settings, grace=0.1, spares=0) as pool:
        started = time.perf_counter()
        pool.check(fresh())
        first = time.perf_counter() - started
        usual, ended, after = [], [], []
        for _ in range(10):
            for _ in range(2):
                started = time.perf_counter()
                pool.check(fresh())
                usual.append(time.perf_counter() - started)
            started = time.perf_counter()
            result = pool.check(CheckItem(source=ENDLESS, timeout=0.2))
            ended.append(time.perf_counter() - started)
            assert result.status is Status.TIMEOUT, result
            started = time.perf_counter()
            assert pool.check(fresh()).accepted
            after.append(time.perf_counter() - started)
        zygotes = pool.stats.zygotes_started
    middle = statistics.median(usual)
    show(
        "A timeout keeps the import",
        ["what", "time", "against the usual check"],
        [
            ["first check of a new pool, import included", ms(first), ratio(first / middle)],
            ["usual check (a fork each)", ms(middle), "1"],
            ["a check that hangs, timeout 200 ms (p50)", ms(statistics.median(ended)), ""],
            [
                "the check after it (p50 of 10)",
                ms(statistics.median(after)),
                ratio(statistics.median(after) / middle),
            ],
            ["the check after it (worst of 10)", ms(max(after)), ratio(max(after) / middle)],
        ],
    )
    print(f"\nimports performed by the pool: {zygotes}")


def wasm(toolchain: Toolchain) -> None:
    """The embedded Lean: a warm worker and a started spare against the same Lean under this process."""
    with (
        Host(toolchain) as host,
        WorkerPool(toolchain=toolchain, max_requests=KEPT) as kept,
        WorkerPool(toolchain=toolchain, max_requests=1, spares=1) as single,
    ):
        started = time.perf_counter()
        assert kept.check(fresh()).accepted
        cold = time.perf_counter() - started
        works = {
            "`host.check_source`, warm": lambda: host.check_source(fresh()).accepted,
            "a worker that has checked before": lambda: kept.check(fresh()).accepted,
            "`verify`, a judge among the workers": lambda: _verified(kept),
        }
        for work in works.values():
            p50(work, 1, 20)
        seconds = alternate(works, 5, 5)
        spare = []
        for _ in range(4):
            until = time.monotonic() + 30
            while not _ready_spare(single) and time.monotonic() < until:
                time.sleep(0.05)
            started = time.perf_counter()
            assert single.check(fresh()).accepted
            spare.append(time.perf_counter() - started)
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    warm = next(iter(middle.values()))
    rows = [[name, ms(value), f"{value / warm:.2f}x"] for name, value in middle.items()]
    # The first of them had no spare yet.
    rows.append(
        [
            "a spare's first check (p50)",
            ms(statistics.median(spare[1:])),
            ratio(statistics.median(spare[1:]) / warm),
        ]
    )
    rows.append(["a worker started for it", ms(cold), ratio(cold / warm)])
    show("One-line theorem, wasm engine (p50)", ["how", "time", "against warm"], rows)


def _ready_spare(pool: WorkerPool) -> bool:
    workers = pool._supervisor._workers
    return not workers or any(worker.state is State.IDLE and not worker.served for worker in workers)


def main() -> None:
    """Run every table."""
    search_path = big_library()
    toolchain = resolve("native-runtime")
    settings: dict[str, Any] = {"toolchain": toolchain, "search_path": search_path, "imports": ["Big"]}
    memory(search_path, settings, fresh())
    with Host(toolchain, search_path) as host:
        session_pool(host)
        leases(host, settings)
        isolation(host, settings)
        throughput(host, settings)
        side_by_side(host, settings, search_path)
    after_a_kill(settings)
    wasm(resolve("embedded"))


if __name__ == "__main__":
    main()
