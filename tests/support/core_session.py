from __future__ import annotations

from collections.abc import Iterator

import pytest

from leanhost.services.session.host import Host
from leanhost.services.session.session import Session


@pytest.fixture(scope="module")
def session(host: Host) -> Iterator[Session]:
    with host.session(["Init"]) as opened:
        yield opened
