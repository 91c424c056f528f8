"""The Lean runtimes: the native and the wasm engine behind one interface."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from leanhost.engine.base import Engine
    from leanhost.toolchain import Toolchain

__all__ = ["can_fork", "open_engine"]


def can_fork(toolchain: Toolchain) -> bool:
    """Whether a process that has imported with *toolchain* can fork and its children go on from there."""
    return toolchain.engine == "native" and sys.platform == "linux" and hasattr(os, "pidfd_open")


def open_engine(toolchain: Toolchain, *, tasks: bool = True, scratch: Path | None = None) -> Engine:
    """Start the engine a toolchain runs on.

    ``tasks=False`` is for a process that imports and then forks: the native engine leaves Lean's task manager
    off until :meth:`Engine.start_tasks`. *scratch* is the one directory that an engine which confines Lean lets
    it write to; others let it write where this process can.

    Raises :class:`~leanhost.errors.EngineError` (or a subclass) when it does not start.
    """
    if toolchain.engine == "native":
        from leanhost.engine.native import NativeEngine

        return NativeEngine.open(toolchain.library, tasks=tasks)
    from leanhost.engine.wasm import WasmEngine

    if toolchain.node is None or toolchain.glue is None or toolchain.core is None:
        raise ValueError(f"a wasm toolchain needs node, glue and core: {toolchain!r}")
    return WasmEngine.open(
        node=toolchain.node,
        glue=toolchain.glue,
        wasm=toolchain.library,
        mounts=[toolchain.core],
        scratch=scratch,
    )
