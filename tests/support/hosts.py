"""The two engines, and a host on one of them."""

from __future__ import annotations

import os

import pytest

from leanhost.services.session.host import Host

ENGINES = tuple(os.environ.get("LEANHOST_TEST_ENGINES", "native,wasm").split(","))


def open_host(engine: str, request: pytest.FixtureRequest) -> Host:
    if engine == "native":
        return Host(request.getfixturevalue("native_toolchain"), [request.getfixturevalue("fixture_core")])
    return Host(request.getfixturevalue("embedded_toolchain"))
