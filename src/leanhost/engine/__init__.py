"""The Lean runtimes: the native and the wasm engine behind one interface."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from leanhost.errors import EngineError, EngineLost
from leanhost.toolchain.images import discard, image_path, store, used, wanted_again

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from leanhost.engine.base import Engine
    from leanhost.engine.values import Ref
    from leanhost.engine.wasm.image import Image
    from leanhost.toolchain import Toolchain

__all__ = ["can_fork", "find_image", "keep_image", "keeps_images", "lacks_image", "open_engine"]


def can_fork(toolchain: Toolchain) -> bool:
    """Whether a process that has imported with *toolchain* can fork and its children go on from there."""
    return toolchain.engine == "native" and sys.platform == "linux" and hasattr(os, "pidfd_open")


def keeps_images(toolchain: Toolchain) -> bool:
    """Whether a process that has imported with *toolchain* can be kept as an image, from which others go on."""
    return toolchain.engine == "wasm"


def find_image(toolchain: Toolchain, label: str, what: str) -> Image | None:
    """Open the image of *what*, if the cache has one that is whole; see :func:`keep_image`."""
    from leanhost.engine.wasm.image import image_key, read_image

    try:
        path = image_path(label, image_key(toolchain, what))
    except OSError:
        return None
    try:
        found = read_image(path, path.stem)
    except ValueError:
        discard(path)
        return None
    if found is not None:
        used(path)
    return found


def lacks_image(toolchain: Toolchain, label: str, what: str) -> bool:
    """Whether the image of *what* is not in the cache, and was looked for before: time to make it."""
    from leanhost.engine.wasm.image import image_key

    try:
        path = image_path(label, image_key(toolchain, what))
        return not path.exists() and wanted_again(path)
    except OSError:
        return False


def keep_image(
    engine: Engine,
    toolchain: Toolchain,
    label: str,
    what: str,
    roots: Mapping[str, Ref],
    notes: Mapping[str, Any],
) -> bool:
    """Keep Lean as it is now in the cache, for :func:`find_image`; return whether that was possible.

    *what* says all that *roots* depend on besides the toolchain itself.
    """
    from leanhost.engine.wasm.image import image_key

    try:
        path = image_path(label, image_key(toolchain, what))
        return store(path, lambda out: engine.save(out, path.stem, roots, notes))
    except EngineLost:
        raise
    except (OSError, EngineError):
        return False


def open_engine(
    toolchain: Toolchain, *, tasks: bool = True, scratch: Path | None = None, image: Image | None = None
) -> Engine:
    """Start the engine a toolchain runs on.

    ``tasks=False`` is for a process that imports and then forks: the native engine leaves Lean's task manager
    off until :meth:`Engine.start_tasks`. *scratch* is the one directory that an engine which confines Lean lets
    it write to; others let it write where this process can. *image* is where Lean goes on from.

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
        image=image,
    )
