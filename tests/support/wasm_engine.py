"""The WebAssembly engine alone: with an elaborator over it, and engines that a test may break."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from leanhost.engine.wasm import WasmEngine
from tests.support.elaborator import Elaborator
from tests.support.engines import Parts, no_handle_left


@pytest.fixture
def lean(shared: WasmEngine, elaborator: Elaborator) -> Iterator[WasmEngine]:
    """The shared engine, with ``Init`` imported; afterwards no handle may be left."""
    with no_handle_left(shared):
        yield shared
        gc.collect()  # an exception's traceback holds handles


@pytest.fixture
def fresh(parts: Parts) -> Iterator[Callable[..., WasmEngine]]:
    """Open engines that a test may break."""
    opened: list[WasmEngine] = []

    def open_one(**more: Any) -> WasmEngine:
        opened.append(parts.open(**more))
        return opened[-1]

    yield open_one
    for engine in opened:
        engine.close()


@pytest.fixture(scope="session")
def elaborator(shared: WasmEngine, parts: Parts) -> Iterator[Elaborator]:
    with Elaborator(shared, parts.core) as made:
        yield made
