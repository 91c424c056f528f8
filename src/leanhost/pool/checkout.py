"""What a session pool has lent: an environment on its way out and back, counted once each way."""

from __future__ import annotations

from collections import deque

from leanhost.pool.free_list import PoolKey
from leanhost.services.elaboration.environment import Imported


class Checkout:
    """One lending, whatever is interrupted between its beginning and its end.

    Owned by the session it is lent with. One that is collected before it was given back is noted in *forgotten*,
    where the pool finds it: the collector can come while the pool's lock is held.
    """

    __slots__ = ("__weakref__", "_forgotten", "imported", "key", "lent", "over")

    def __init__(self, key: PoolKey, forgotten: deque[PoolKey]) -> None:
        self.key = key
        self.imported: Imported | None = None
        self.lent = False
        """Whether the pool has counted it as acquired."""
        self.over = False
        """Whether the pool has counted it as released."""
        self._forgotten = forgotten

    def __del__(self) -> None:
        if getattr(self, "lent", False) and not self.over:  # an interrupt can come before the first attribute
            self._forgotten.append(self.key)
