"""Pools for the tests: one shared for each engine, and makers of pools that a test may break."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from leanhost.system.process_limits import family
from leanhost.toolchain import Toolchain
from leanhost.workers import WorkerPool

GOOD = "theorem good (a b : Nat) (h : a = b) : b = a := h.symm\n"
BAD = "theorem bad (a b : Nat) (h : a = b) : b = a := h\n"
ENDLESS = """set_option maxHeartbeats 0
set_option synthInstance.maxHeartbeats 0
set_option synthInstance.maxSize 1000000000
set_option maxRecDepth 1000000
class Endless (n : Nat) where x : Nat
instance next (n : Nat) [Endless (n+1)] : Endless n := ⟨0⟩
example : Endless 0 := inferInstance
"""
"""An instance search without end; only a cancellation stops it."""

MakePool = Callable[..., WorkerPool]


def pool_of(engine: str, request: pytest.FixtureRequest, **settings: Any) -> WorkerPool:
    if engine == "native":
        core: Path = request.getfixturevalue("fixture_core")
        settings = {"search_path": [core], **settings}
        return WorkerPool(toolchain=request.getfixturevalue("native_toolchain"), **settings)
    return WorkerPool(toolchain=request.getfixturevalue("embedded_toolchain"), **settings)


@pytest.fixture(scope="module")
def pool(engine: str, request: pytest.FixtureRequest) -> Iterator[WorkerPool]:
    """A pool of two (native) or one (wasm) for each engine, shared by a module's tests."""
    with pool_of(engine, request, workers=2 if engine == "native" else 1, spares=0) as made:
        yield made


@pytest.fixture(scope="module")
def native_pool(request: pytest.FixtureRequest) -> Iterator[WorkerPool]:
    """A pool of two native workers, shared by a module's tests."""
    with pool_of("native", request, workers=2) as made:
        yield made


@pytest.fixture
def make_pool(request: pytest.FixtureRequest) -> Iterator[MakePool]:
    """Make native pools that are closed after the test."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(pool_of("native", request, **settings))


@pytest.fixture
def fake_pool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePool]:
    """Make pools whose workers are no Lean: they do what the source tells them, see ``fake_worker.py``."""
    from leanhost.workers.supervision import launcher, process

    monkeypatch.setattr(
        launcher, "spawn", lambda _, inherited: process.spawn("tests.support.fake_worker", inherited)
    )
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    nothing = Toolchain(
        name="fake",
        version="0",
        commit="",
        platform="none",
        engine="wasm",
        sysroot=None,
        library=Path("/"),
        core=None,
    )
    with ExitStack() as stack:

        def make(**settings: Any) -> WorkerPool:
            return stack.enter_context(WorkerPool(toolchain=nothing, **{"spares": 0, **settings}))

        yield make


def children() -> set[int]:
    """Every process this one has started, directly or not, that is still there."""
    return set(family(os.getpid())[1:])


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not paths
