"""Toolchains to open, each test with a cache of its own."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from leanhost.services.opening import selftest
from leanhost.toolchain import Toolchain
from tests.support.hosts import ENGINES


@pytest.fixture(scope="session", params=ENGINES)
def toolchain(request: pytest.FixtureRequest) -> Toolchain:
    """The toolchain of each engine; resolved before a test gets a cache of its own, which is empty."""
    found = request.getfixturevalue("native_toolchain" if request.param == "native" else "embedded_toolchain")
    assert isinstance(found, Toolchain)
    return found


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache directory that nobody else uses."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("LEANHOST_CACHE", str(cache))
    return cache


@pytest.fixture
def no_child(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Fail a test that starts a self-test while this fixture's patches hold (``no_child.undo()`` ends them)."""

    def refuse(*_: object, **__: object) -> NoReturn:
        pytest.fail("a self-test was started")

    monkeypatch.setattr(selftest, "run", refuse)
    monkeypatch.setattr(selftest, "identify", refuse)
    return monkeypatch
