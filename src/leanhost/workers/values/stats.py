"""What a pool has done and what it holds, as numbers."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leanhost.services.values.results import Status

LATENCY_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of the latency histogram, in seconds; one more bucket holds the rest."""


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """A snapshot of a :class:`~leanhost.workers.pool.WorkerPool`. Counters never go back.

    The answers by status and the latency buckets add up to the same number, and so do forks and other starts to
    ``processes_started``.

    Attributes:
        workers: how many may check at once.
        busy: workers that check now, or are held by a session.
        free: workers that are started, or starting, without work.
        held: workers held by a session, at work or not.
        waiting: requests without an answer, running ones included.
        answered: requests answered so far, by status; a call of a session that came to an end is `accepted`.
        errors: requests that ended with an exception of the pool, by its class.
        processes_started: worker processes started; ``forks`` of them from zygotes.
        forks: workers forked.
        zygotes: zygotes alive.
        zygotes_started: zygotes ever started.
        imports_avoided: forks that found their imports done.
        ended: ends of worker processes, by cause: a status, or why the pool replaced one.
        latency_buckets: answers up to each of :data:`LATENCY_BOUNDS_S`, not cumulated; the last entry is the rest.
        latency_sum: seconds between question and answer, all answers together.
        private_bytes: memory that belongs to one process of the pool alone, summed.
        shared_bytes: the proportional share of what several processes map, summed.
    """

    workers: int
    busy: int
    free: int
    held: int
    waiting: int
    answered: Mapping[Status, int]
    errors: Mapping[str, int]
    processes_started: int
    forks: int
    zygotes: int
    zygotes_started: int
    imports_avoided: int
    ended: Mapping[str, int]
    latency_buckets: tuple[int, ...]
    latency_sum: float
    private_bytes: int
    shared_bytes: int


@dataclass(slots=True)
class Counters:
    """What is counted when a request is done; guarded by the supervisor's lock."""

    answered: dict[Status, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS_S) + 1))
    latency_sum: float = 0.0

    def answer(self, status: Status, seconds: float) -> None:
        """Count an answer."""
        self.answered[status] = self.answered.get(status, 0) + 1
        self.buckets[bisect.bisect_left(LATENCY_BOUNDS_S, seconds)] += 1
        self.latency_sum += seconds

    def error(self, error: BaseException) -> None:
        """Count a request that got none."""
        name = type(error).__name__
        self.errors[name] = self.errors.get(name, 0) + 1


def memory_of(pids: Iterable[int]) -> tuple[int, int]:
    """Return private bytes and the proportional share of shared bytes of some processes, 0 where unknown."""
    private = shared = 0
    for pid in pids:
        own = proportional = 0
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name.startswith("Private_"):
                    own += int(rest.split()[0]) * 1024
                elif name == "Pss":
                    proportional = int(rest.split()[0]) * 1024
        except (OSError, ValueError, IndexError):
            continue
        private += own
        shared += max(0, proportional - own)
    return private, shared
