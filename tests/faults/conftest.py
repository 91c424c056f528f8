"""Sources that break the process that checks them, and the pools they may break."""

from __future__ import annotations

from tests.faults.candidates import FAULTS
from tests.workers.conftest import ENDLESS, GOOD, fake_pool, make_pool, pool_of

__all__ = ["ENDLESS", "FAULTS", "GOOD", "fake_pool", "make_pool", "pool_of"]
