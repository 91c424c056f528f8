"""Where a Lean lives and how bytes get there: the native and the wasm engine behind one interface."""

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
    """Whether a process that has imported with *toolchain* can fork, and its children work on from there."""
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

    node, glue, module, core = toolchain.node, toolchain.glue, toolchain.module, toolchain.core
    if node is None or glue is None or module is None or core is None:
        raise ValueError(f"a wasm toolchain needs node, glue, module and core: {toolchain!r}")
    return WasmEngine.open(
        node=node,
        glue=glue,
        wasm=module,
        mounts=[core],
        scratch=scratch,
    )
