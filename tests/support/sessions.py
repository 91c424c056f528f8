"""Sessions for tests, all over one import: on wasm every import stays in Lean's memory until the process ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from leanhost.pool.session_pool import SessionPool
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.options import ElabOptions


@pytest.fixture(scope="session")
def lend(host: Host) -> Iterator[Callable[[ElabOptions], Session]]:
    """Make a session over ``Init`` with given options."""
    with SessionPool(host, capacity=8) as pool:
        yield lambda options: pool.acquire(["Init"], options=options)


@pytest.fixture
def session(lend: Callable[[ElabOptions], Session]) -> Iterator[Session]:
    """A session over ``Init`` with the default options."""
    with lend(ElabOptions()) as lent:
        yield lent
