"""Isolated workers: sources checked in processes that can be killed, crash or run wild at nobody else's cost."""

from leanhost.workers.items import CheckItem
from leanhost.workers.pool import WorkerPool
from leanhost.workers.stats import WorkerStats
from leanhost.workers.stream import CheckProgress

__all__ = ["CheckItem", "CheckProgress", "WorkerPool", "WorkerStats"]
