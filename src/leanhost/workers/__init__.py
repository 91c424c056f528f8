"""Isolated workers: sources checked in processes that can be killed, crash or run wild at nobody else's cost."""

from leanhost.workers.items import CheckItem
from leanhost.workers.pool import CheckProgress, WorkerPool

__all__ = ["CheckItem", "CheckProgress", "WorkerPool"]
