"""A pool's numbers for Prometheus, through ``prometheus-client`` (the extra ``metrics``)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector
except ImportError as error:
    message = "leanhost.workers.metrics needs prometheus-client\n  next step: pip install 'leanhost[metrics]'"
    raise ImportError(message, name=error.name) from None

from leanhost.services.values.results import Status
from leanhost.workers.pool import WorkerPool
from leanhost.workers.values.stats import LATENCY_BOUNDS_S


class PoolCollector(Collector):
    """Register it with a registry: ``REGISTRY.register(PoolCollector(pool))``. Numbers are read when scraped."""

    def __init__(self, pool: WorkerPool, *, name: str = "default") -> None:
        self._pool = pool
        self._name = name

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of one scrape, each with the label ``pool``."""
        stats = self._pool.stats
        for key, text, value in (
            ("limit", "Workers that may check at once.", stats.workers),
            ("busy", "Workers that check now or are held.", stats.busy),
            ("held", "Workers held by sessions.", stats.held),
            ("free", "Workers without work.", stats.free),
            ("waiting", "Requests without an answer, running ones included.", stats.waiting),
            ("zygotes", "Zygotes alive.", stats.zygotes),
            ("private_bytes", "Memory that belongs to one process alone, summed.", stats.private_bytes),
            ("shared_bytes", "Proportional share of memory that several processes map.", stats.shared_bytes),
        ):
            gauge = GaugeMetricFamily(f"leanhost_workers_{key}", text, labels=["pool"])
            gauge.add_metric([self._name], value)
            yield gauge
        for key, text, value in (
            ("processes_started", "Worker processes started.", stats.processes_started),
            ("forks", "Workers forked from zygotes.", stats.forks),
            ("zygotes_started", "Zygotes started.", stats.zygotes_started),
            ("imports_avoided", "Forks that found their imports done.", stats.imports_avoided),
        ):
            counter = CounterMetricFamily(f"leanhost_workers_{key}", text, labels=["pool"])
            counter.add_metric([self._name], value)
            yield counter
        # Statuses are known beforehand: a series that begins with its first event would hide that event.
        answers = {status: stats.answered.get(status, 0) for status in Status}
        for key, label, text, values in (
            ("answers", "status", "Answers by status.", answers),
            ("errors", "error", "Requests without an answer by exception.", stats.errors),
            ("ended", "cause", "Ended worker processes by cause.", stats.ended),
        ):
            counter = CounterMetricFamily(f"leanhost_workers_{key}", text, labels=["pool", label])
            for what, count in values.items():
                counter.add_metric([self._name, str(what)], count)
            yield counter
        bounds = [*map(str, LATENCY_BOUNDS_S), "+Inf"]
        histogram = HistogramMetricFamily(
            "leanhost_workers_latency_seconds", "From question to answer.", labels=["pool"]
        )
        buckets = list(zip(bounds, map(float, accumulate(stats.latency_buckets)), strict=True))
        histogram.add_metric([self._name], buckets, stats.latency_sum)
        yield histogram
