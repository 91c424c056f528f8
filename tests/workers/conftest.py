from __future__ import annotations

from tests.support.pools import fake_pool, make_pool, native_pool, pool

__all__ = ["fake_pool", "make_pool", "native_pool", "pool"]
