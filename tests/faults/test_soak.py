"""Many checks with faults in between: every one answered once, in order, rightly, and nothing left over.

``LEANHOST_SOAK`` sets how many (10,000 for the full run).
"""

from __future__ import annotations

import os
import random
import threading

from leanhost.services.results import Status
from leanhost.workers import CheckItem
from tests.faults.conftest import FAULTS
from tests.workers.conftest import BAD, GOOD, MakePool, children, descriptors

COUNT = int(os.environ.get("LEANHOST_SOAK", "150"))
WORKERS = 2
GROWTH = 64 << 20


def private_bytes() -> int:
    from leanhost.workers.stats import memory_of

    return memory_of([os.getpid()])[0]


def test_every_request_is_answered_once_in_order_and_rightly(make_pool: MakePool) -> None:
    before, open_before, threads = children(), descriptors(), threading.active_count()
    dice = random.Random(4)
    expected: list[set[Status]] = []

    def items() -> list[CheckItem]:
        made = []
        for number in range(COUNT):
            roll = dice.random()
            if roll < 0.02:
                name = dice.choice(["signal", "elaborator", "number"])
                expected.append({Status.CRASHED, Status.TIMEOUT})
                made.append(CheckItem(source=FAULTS[name], file=str(number), timeout=0.2))
            elif roll < 0.3:
                expected.append({Status.REJECTED})
                made.append(CheckItem(source=BAD, file=str(number)))
            else:
                expected.append({Status.ACCEPTED})
                made.append(CheckItem(source=GOOD, file=str(number)))
        return made

    pool = make_pool(workers=WORKERS, grace=0.2)
    assert pool.check(GOOD).accepted
    memory = private_bytes()
    results = list(pool.check_many(items()))
    assert [r.file for r in results] == [str(i) for i in range(COUNT)]
    assert [(i, r.status) for i, r in enumerate(results) if r.status not in expected[i]] == []
    assert private_bytes() - memory < GROWTH
    stats = pool.stats()
    assert stats.waiting == 0
    assert sum(stats.answered.values()) == COUNT + 1
    assert stats.zygotes_started == 1
    pool.close()
    assert children() <= before
    assert descriptors() <= open_before
    assert threading.active_count() == threads
