"""What is always true of a session pool's counters."""

from __future__ import annotations

from leanhost.pool.session_pool import PoolStats, SessionPool


def adds_up(pool: SessionPool, releases: int) -> PoolStats:
    stats = pool.stats
    assert stats.imports_performed + stats.reused == stats.acquired
    assert stats.released_to_pool + stats.released_dropped == releases
    return stats
