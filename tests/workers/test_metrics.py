"""What each number of a pool means, and its name for Prometheus."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from leanhost.errors import PoolClosed, PoolTimeout, TooManyRequests
from leanhost.services.values.results import CheckResult, Status
from leanhost.workers import CheckItem, WorkerPool
from leanhost.workers.metrics import PoolCollector
from leanhost.workers.supervision import supervisor
from leanhost.workers.values.stats import LATENCY_BOUNDS_S, WorkerStats
from tests.support.pools import ENDLESS, GOOD, MakePool
from tests.support.processes import busy_worker, eventually

MEGABYTE = 1 << 20


def test_every_field_is_explained() -> None:
    explained = re.findall(r"^    (\w+): ", inspect.getdoc(WorkerStats) or "", re.MULTILINE)
    assert explained == [field.name for field in dataclasses.fields(WorkerStats)]


def test_a_snapshot_does_not_change(pool: WorkerPool) -> None:
    before = pool.stats
    counted = dict(before.answered)
    assert pool.check(GOOD).accepted
    assert dict(before.answered) == counted
    assert pool.stats.answered[Status.ACCEPTED] == counted.get(Status.ACCEPTED, 0) + 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.busy = 7  # type: ignore[misc]
    with pytest.raises(TypeError):
        before.answered[Status.ACCEPTED] = 7  # type: ignore[index]


def test_numbers_are_not_waited_for_without_end(fake_pool: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = fake_pool()
    assert pool.check("accept").accepted
    go_on = threading.Event()

    def stand_still() -> None:
        go_on.wait(60)

    pool._supervisor._post(stand_still)
    with monkeypatch.context() as impatient:
        impatient.setattr(supervisor, "STATS_S", 0.1)
        with pytest.raises(PoolTimeout, match=r"did not answer within 0\.1 s"):
            _ = pool.stats
    go_on.set()
    assert pool.stats.answered == {Status.ACCEPTED: 1}


def test_who_works_and_who_waits(make_pool: MakePool) -> None:
    pool = make_pool(workers=2, spares=0, grace=0.3)
    with pool.session(["Init"]) as session:
        session.run(GOOD)
        running = pool._submit(CheckItem(source=ENDLESS, timeout=60), bounded=True)
        queued = pool._submit(GOOD, bounded=True)
        busy_worker(pool)
        stats = pool.stats
        assert (stats.workers, stats.busy, stats.held, stats.free, stats.waiting) == (2, 2, 1, 0, 2)
        assert not isinstance(running, CheckResult)
        pool._cancel(running)
        assert not isinstance(queued, CheckResult)
        assert queued.future.result(60).accepted
    eventually(lambda: pool.stats.busy == 0)
    stats = pool.stats
    assert (stats.held, stats.waiting) == (0, 0)
    assert stats.answered == {Status.ACCEPTED: 2, Status.CANCELLED: 1}


def test_a_started_worker_without_work_is_free(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=2)
    assert pool.check("accept").accepted
    assert (pool.stats.free, pool.stats.busy) == (1, 0)


def test_what_takes_no_worker_is_counted_and_refused_by_a_closed_pool(
    fake_pool: MakePool, tmp_path: Path
) -> None:
    pool = fake_pool()
    missing = CheckItem(path=tmp_path / "missing.lean")
    assert pool.check(missing).status is Status.REFUSED
    assert [r.status for r in pool.check_many([missing, "accept"])] == [Status.REFUSED, Status.ACCEPTED]
    stats = pool.stats
    assert stats.answered == {Status.REFUSED: 2, Status.ACCEPTED: 1}
    assert sum(stats.latency_buckets) == 3
    assert stats.processes_started == 1
    pool.close()
    with pytest.raises(PoolClosed):
        pool.check(missing)
    with pytest.raises(PoolClosed):
        pool.verify(missing, "accept")


def test_latency_is_from_question_to_answer(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=1)
    assert [r.accepted for r in pool.check_many(["sleep 0.3", "sleep 0.3"])] == [True] * 2
    stats = pool.stats
    quick = sum(bound < 0.3 for bound in LATENCY_BOUNDS_S)
    assert sum(stats.latency_buckets[:quick]) == 0
    assert sum(stats.latency_buckets) == 2
    # The second waited for the first.
    assert stats.latency_sum >= 0.3 + 0.6


def test_private_memory_is_what_a_process_has_alone(fake_pool: MakePool) -> None:
    pool = fake_pool()
    assert pool.check("accept").accepted
    before = pool.stats
    pool.check("hold 64")
    held = pool.stats
    assert held.private_bytes - before.private_bytes >= 64 * MEGABYTE
    assert held.shared_bytes > 0


def test_nobody_is_refused_or_forgotten_unseen(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=1, max_waiting=0, grace=0.2)
    job = pool._submit("sleep 600", bounded=True)
    with pytest.raises(TooManyRequests):
        pool.check("accept")
    assert pool.stats.errors == {"TooManyRequests": 1}
    assert not isinstance(job, CheckResult)
    pool._cancel(job)
    assert job.future.result(60).status is Status.CANCELLED
    assert pool.stats.ended == {"cancelled": 1}


# --- Prometheus -----------------------------------------------------------------------------------


def metrics(pool: WorkerPool) -> dict[str, Metric]:
    return {metric.name: metric for metric in PoolCollector(pool, name="p").collect()}


def test_names_follow_the_rules_of_prometheus_and_the_guide_lists_them(fake_pool: MakePool) -> None:
    found = metrics(fake_pool())
    for name, metric in found.items():
        # One prefix, base units, no type in the name: the client itself adds ``_total`` to counters.
        assert re.fullmatch(r"leanhost_workers_[a-z]+(_[a-z]+)*", name)
        assert not name.endswith(("_total", "_count", "_sum", "_bucket", "_ms", "_mb"))
        assert name.endswith("_seconds") == (metric.type == "histogram")
        assert metric.documentation.endswith(".")
    guide = Path(__file__).parents[2] / "docs" / "guides" / "metrics.md"
    rows = re.findall(
        r"^\| `(leanhost_workers_\w+)`(?: by `(\w+)`)? \| (\w+) \| (.+) \|$",
        guide.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    labels = {"answers": "status", "errors": "error", "ended": "cause"}
    assert rows == [
        (
            name + "_total" * (metric.type == "counter"),
            labels.get(name.removeprefix("leanhost_workers_"), ""),
            metric.type,
            metric.documentation.removesuffix("."),
        )
        for name, metric in found.items()
    ]


def test_without_the_client_there_is_a_next_step() -> None:
    code = "import sys; sys.modules['prometheus_client'] = None; import leanhost.workers.metrics"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "  next step: pip install 'leanhost[metrics]'"


def test_every_number_can_be_scraped(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pool.check(GOOD).accepted
    stats = pool.stats
    monkeypatch.setattr(pool._supervisor, "stats", lambda: stats)  # memory is never the same twice
    registry = CollectorRegistry(auto_describe=True)
    registry.register(PoolCollector(pool, name="p"))

    def read(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"leanhost_workers_{name}", {"pool": "p", **labels})

    for name in ("busy", "held", "free", "waiting", "zygotes", "private_bytes", "shared_bytes"):
        assert read(name) == getattr(stats, name)
    for name in ("processes_started", "forks", "zygotes_started", "imports_avoided"):
        assert read(f"{name}_total") == getattr(stats, name)
    assert read("limit") == stats.workers
    assert stats.private_bytes > 0
    # A status that has not come yet is there, as 0.
    for status in Status:
        assert read("answers_total", status=status) == stats.answered.get(status, 0)
    assert {cause: read("ended_total", cause=cause) for cause in stats.ended} == dict(stats.ended)
    for at, bound in enumerate(LATENCY_BOUNDS_S):
        assert read("latency_seconds_bucket", le=str(bound)) == sum(stats.latency_buckets[: at + 1])
    assert read("latency_seconds_count") == sum(stats.latency_buckets) == sum(stats.answered.values())
    assert read("latency_seconds_bucket", le="+Inf") == sum(stats.latency_buckets)
    assert read("latency_seconds_sum") == stats.latency_sum > 0
    assert stats.processes_started == stats.forks if pool._settings.forks else stats.forks == 0
    assert (stats.busy, stats.waiting) == (0, 0)
