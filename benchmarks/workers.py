"""Session pool and worker pool: what reuse, forking and isolation cost. ``python -m benchmarks.workers``."""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.native import THEOREM, fixture
from benchmarks.table import ms, p50, ratio, show, us
from leanhost.services.host import Host
from leanhost.services.results import Status
from leanhost.toolchain import Toolchain, resolve
from leanhost.workers import CheckItem, WorkerPool
from leanhost.workers.session_pool import SessionPool

# An instance search without end; only a cancellation stops it.
ENDLESS = """set_option maxHeartbeats 0
set_option synthInstance.maxHeartbeats 0
set_option synthInstance.maxSize 1000000000
set_option maxRecDepth 1000000
class Endless (n : Nat) where x : Nat
instance next (n : Nat) [Endless (n+1)] : Endless n := ⟨0⟩
example : Endless 0 := inferInstance
"""
MANY = 400


def numbered() -> Iterator[str]:
    """One theorem after the other, none like another."""
    return (THEOREM.format(i) for i in itertools.count())


def medium() -> Iterator[str]:
    """Sources of some milliseconds each."""
    return ("".join(THEOREM.format(f"{i}_{k}") for k in range(8)) for i in itertools.count())


def session_pool(host: Host) -> None:
    """A hit against a fresh import, on the library at hand."""
    with SessionPool(host, capacity=1) as pool:

        def hit() -> None:
            pool.acquire(["Init"]).release()

        hit()
        reused = p50(hit, 2000, 100)
    with SessionPool(host, capacity=0) as pool:
        fresh = p50(lambda: pool.acquire(["Init"]).release(), 8, 1)
    show(
        f"Session pool, {host.toolchain.engine} engine (p50)",
        ["what", "time", "against a hit"],
        [["hit: acquire and release", us(reused), "1"], ["fresh import", ms(fresh), ratio(fresh / reused)]],
    )


def leases(toolchain: Toolchain, settings: dict[str, Any]) -> None:
    """What a process of its own costs a check."""
    sources = numbered()
    with Host(toolchain, settings.get("search_path", ())) as host:
        host.check_source(next(sources))
        warm = p50(lambda: host.check_source(next(sources)), 100)
    with WorkerPool(toolchain=toolchain, max_requests=10**6, **settings) as pool:
        pool.check(next(sources))
        kept = p50(lambda: pool.check(next(sources)), 100)
    with WorkerPool(toolchain=toolchain, max_requests=1, spares=0, **settings) as pool:
        pool.check(next(sources))
        forked = p50(lambda: pool.check(next(sources)), 40)
    with WorkerPool(toolchain=toolchain, max_requests=1, spares=1, **settings) as pool:
        pool.check(next(sources))
        spare = p50(lambda: pool.check(next(sources)), 40)
    show(
        "One-line theorem in a process of its own (p50)",
        ["how", "time", "against warm"],
        [
            ["`host.check_source`, warm, in this process", ms(warm), "1"],
            ["a worker that has checked before", ms(kept), ratio(kept / warm)],
            ["a fork for each check, asked for when needed", ms(forked), ratio(forked / warm)],
            ["a fork for each check, one kept ahead", ms(spare), ratio(spare / warm)],
            [
                "the fork itself: lease and first-check costs",
                ms(forked - kept),
                ratio((forked - kept) / warm),
            ],
        ],
    )


def throughput(toolchain: Toolchain, settings: dict[str, Any]) -> None:
    """Checks a second by number of workers, each check in a fork of its own."""
    with Host(toolchain, settings.get("search_path", ())) as host:
        sources = medium()
        host.check_source(next(sources))
        started = time.perf_counter()
        for source in itertools.islice(sources, MANY // 4):
            host.check_source(source)
        alone = (MANY // 4) / (time.perf_counter() - started)
    rows = [["in this process", f"{alone:.0f}", "1"]]
    for count in (1, 2, 4):
        with WorkerPool(toolchain=toolchain, workers=count, **settings) as pool:
            list(pool.check_many(itertools.islice(medium(), 2 * count)))
            started = time.perf_counter()
            statuses = [r.status for r in pool.check_many(itertools.islice(medium(), MANY))]
            rate = MANY / (time.perf_counter() - started)
        assert set(statuses) == {Status.ACCEPTED}
        rows.append([f"{count} worker{'s' if count > 1 else ''}", f"{rate:.0f}", ratio(rate / alone)])
    show(
        f"Checks of eight theorems a second, {os.cpu_count()} cores",
        ["how", "checks a second", "against in-process"],
        rows,
    )


def after_a_kill(toolchain: Toolchain, settings: dict[str, Any]) -> None:
    """How long the first check takes that comes after a killed one."""
    sources = numbered()
    with WorkerPool(toolchain=toolchain, grace=0.1, spares=0, **settings) as pool:
        started = time.perf_counter()
        pool.check(next(sources))
        first = time.perf_counter() - started
        usual = p50(lambda: pool.check(next(sources)), 20)
        ended, next_ones = [], []
        for _ in range(10):
            started = time.perf_counter()
            result = pool.check(CheckItem(source=ENDLESS, timeout=0.2))
            ended.append(time.perf_counter() - started)
            assert result.status is Status.TIMEOUT, result
            started = time.perf_counter()
            assert pool.check(next(sources)).accepted
            next_ones.append(time.perf_counter() - started)
        zygotes = pool.stats().zygotes_started
    after = statistics.median(next_ones)
    show(
        "A timeout keeps the import",
        ["what", "time", "against the usual check"],
        [
            ["first check of a new pool, import included", ms(first), ratio(first / usual)],
            ["usual check", ms(usual), "1"],
            ["a check that hangs, timeout 200 ms (p50)", ms(statistics.median(ended)), ""],
            ["the check after it (p50 of 10)", ms(after), ratio(after / usual)],
            ["the check after it (worst of 10)", ms(max(next_ones)), ratio(max(next_ones) / usual)],
        ],
    )
    print(f"\nimports performed by the pool: {zygotes}")


def main() -> None:
    """Run every table."""
    core = fixture()
    toolchain = resolve("native-runtime")
    settings: dict[str, Any] = {"search_path": [core]}
    with Host(toolchain, [core]) as host:
        session_pool(host)
    leases(toolchain, settings)
    throughput(toolchain, settings)
    after_a_kill(toolchain, settings)


if __name__ == "__main__":
    main()
