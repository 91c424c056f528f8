"""Many checks with faults and kills in between: each answered once, in order, rightly, and nothing left over.

``LEANHOST_SOAK`` sets how many on native (10,000 for the full run), a tenth of it runs on wasm.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from leanhost.services.values.results import Status
from leanhost.system.process_limits import anonymous_bytes
from leanhost.workers import CheckItem, WorkerPool
from leanhost.workers.values.stats import memory_of
from tests.support.candidates import FAULTS, Fault, fault
from tests.support.pools import BAD, GOOD, children, descriptors, pool_of
from tests.support.processes import zygotes

COUNT = {"native": int(os.environ.get("LEANHOST_SOAK", "150"))}
COUNT["wasm"] = max(15, COUNT["native"] // 10)
GROWTH = 16 << 20
"""Bytes that this process, and a zygote, may have more in the end than after the first checks."""
MEMORY = {"native": 300 << 20, "wasm": 2 << 30}
FAULTY = 0.02
KILLED = 0.005
SLOW = {"recursion", "nesting", "threads", "allocation"}
"""Too slow on wasm to be had by the hundred."""


class Sabotage:
    """Kills workers, and now and then a zygote, on the pool's own thread, where it is known who works on what."""

    def __init__(self, pool: WorkerPool, dice: random.Random) -> None:
        self.pool = pool
        self.dice = dice
        self.hit: set[str] = set()
        self.zygotes = 0

    def strike(self) -> None:
        supervisor = self.pool._supervisor
        with supervisor._lock:
            supervisor._post(self._kill)

    def _kill(self) -> None:
        old = zygotes(self.pool)
        if old and self.dice.random() < 0.2:
            self.zygotes += 1
            os.kill(old[0], signal.SIGKILL)
            return
        busy = [w for w in self.pool._supervisor._workers if w.job is not None and w._begun and w.process.pid]
        if busy:
            worker = self.dice.choice(busy)
            assert worker.job is not None
            self.hit.add(worker.job.request.file)
            with suppress(ProcessLookupError):  # it has ended, which its zygote is about to tell
                os.kill(worker.process.pid, signal.SIGKILL)


def pick(engine: str, dice: random.Random) -> Fault:
    roll = dice.random()
    if roll < FAULTY:
        names = [name for name in FAULTS[engine] if engine == "native" or name not in SLOW]
        return FAULTS[engine][dice.choice(names)]
    if roll < 0.3:
        return fault(BAD, Status.REJECTED)
    return fault(GOOD, Status.ACCEPTED)


def test_every_request_is_answered_once_in_order_and_rightly(
    engine: str, request: pytest.FixtureRequest
) -> None:
    before, open_before, threads = children(), descriptors(), set(threading.enumerate())
    dice = random.Random(4)
    count, asked, wrong = COUNT[engine], [], []
    made = pool_of(engine, request, workers=2, grace=0.3, memory_limit=MEMORY[engine])
    with made as pool:
        sabotage = Sabotage(pool, dice)

        def items() -> Iterator[CheckItem]:
            for number in range(count):
                if number == 10 or dice.random() < KILLED:
                    sabotage.strike()
                # Some faults early, however few checks there are.
                chosen = list(FAULTS[engine].values())[number] if 4 <= number < 6 else pick(engine, dice)
                asked.append(chosen.statuses)
                yield CheckItem(source=chosen.source, file=str(number), timeout=chosen.timeout)

        assert all(r.accepted for r in pool.check_many([GOOD] * 20))
        gc.collect()
        memory, zygote = memory_of([os.getpid()])[0], zygotes(pool)
        imported = {pid: anonymous_bytes(pid) for pid in zygote}
        started, answered = time.monotonic(), 0
        for number, result in enumerate(pool.check_many(items())):
            assert result.file == str(number)
            answered += 1
            allowed = asked[number] | ({Status.CRASHED} if result.file in sabotage.hit else set())
            if result.status not in allowed:
                wrong.append((number, result.status, result.reasons[:1]))
            asked[number] = frozenset()
        elapsed = time.monotonic() - started
        assert wrong == []
        assert answered == count
        stats = pool.stats
        assert stats.waiting == 0
        assert stats.errors == {}
        assert sum(stats.answered.values()) == count + 20
        assert stats.zygotes_started <= len(zygote) + sabotage.zygotes
        gc.collect()
        grown = memory_of([os.getpid()])[0] - memory
        swollen = [anonymous_bytes(pid) - imported[pid] for pid in zygotes(pool) if pid in imported]
        print(
            f"{engine}: {count} checks in {elapsed:.0f} s, {len(sabotage.hit)} workers and {sabotage.zygotes} "
            f"zygotes killed, {stats.processes_started} processes, {grown / 2**20:+.1f} MiB, zygote {swollen} bytes, "
            f"{ {str(status): n for status, n in stats.answered.items()} }"
        )
        assert grown < GROWTH
        assert all(more < GROWTH for more in swollen)
    assert children() <= before
    assert descriptors() <= open_before
    assert set(threading.enumerate()) <= threads  # threads of earlier tests may have ended
