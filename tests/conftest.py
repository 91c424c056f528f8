"""Fixtures every test shares: the two engines, each with a core library to import.

``native`` runs Lean 4.35.0 over the prelude library of ``tests/fixtures/core``; ``wasm`` runs the embedded
Lean 4.28.0-pre over the real one. An engine that cannot be had fails the tests that want it.
``LEANHOST_TEST_ENGINES=native`` (or ``wasm``) narrows a local run.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from leanhost.services.session.host import Host
from leanhost.toolchain import Toolchain, resolve
from leanhost.toolchain.cache import cache_dir
from tests.support.fixture_core import build_fixture_core
from tests.support.hosts import ENGINES, open_host


def pytest_configure() -> None:
    """Who starts this in the background or with `nohup` has it ignore what some tests send."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """A few tests are done sooner in this process than others are started; ``-s`` and a debugger need it, too."""
    named = all(".py" in argument for argument in config.args)
    if named or config.option.keyword or config.option.capture == "no":
        return 0
    return None


@pytest.fixture(scope="session")
def fixture_core() -> Path:
    """The compiled prelude library: a directory for the search path of the native engine."""
    return build_fixture_core(cache_dir() / "tests" / "fixture-core")


@pytest.fixture(scope="session")
def native_toolchain() -> Toolchain:
    return resolve("native-runtime")


@pytest.fixture(scope="session")
def embedded_toolchain() -> Toolchain:
    """The embedded toolchain, installed into the user's cache when it is not there."""
    return resolve("embedded")


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """The engine's name; a test that takes ``engine`` or ``host`` runs on both."""
    assert isinstance(request.param, str)
    return request.param


@pytest.fixture(scope="session")
def host(engine: str, request: pytest.FixtureRequest) -> Iterator[Host]:
    """One host for each engine, shared by all tests; do not close it, do not crash it."""
    with open_host(engine, request) as opened:
        yield opened


@pytest.fixture(scope="session")
def native_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """The native engine alone, for tests of what only it does."""
    with open_host("native", request) as opened:
        yield opened


@pytest.fixture(scope="session")
def embedded_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """The embedded toolchain alone, for tests of what only it lacks."""
    with open_host("wasm", request) as opened:
        yield opened
