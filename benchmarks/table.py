"""Timing helpers and the tables benchmarks print."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence


def p50(work: Callable[[], object], rounds: int, warmup: int = 3) -> float:
    """Return the median seconds of *rounds* calls."""
    for _ in range(warmup):
        work()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def alternate(works: Mapping[str, Callable[[], object]], rounds: int, each: int) -> dict[str, list[float]]:
    """Return the seconds of calls of several kinds, made in turns: a clock that drifts, drifts for all.

    In each of *rounds*, each kind is called once for practice and then *each* times.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            work()
            for _ in range(each):
                started = time.perf_counter()
                work()
                seconds[name].append(time.perf_counter() - started)
    return seconds


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(head) + " |")
    print("|" + "|".join("---" for _ in head) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def ms(seconds: float) -> str:
    """Format seconds as milliseconds."""
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def us(seconds: float) -> str:
    """Format seconds as microseconds."""
    return f"{seconds * 1e6:.1f} µs"


def ratio(value: float) -> str:
    """Format a ratio."""
    return f"{value:.1f}x" if value < 100 else f"{value:.0f}x"
