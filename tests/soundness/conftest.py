from __future__ import annotations

from tests.support.pools import fake_pool, make_pool, native_pool, pool
from tests.support.sessions import lend, session

__all__ = ["fake_pool", "lend", "make_pool", "native_pool", "pool", "session"]
