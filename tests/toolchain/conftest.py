from __future__ import annotations

from tests.support.toolchains import (
    bare_env,
    cache_copy,
    embedded_cache,
    install_env,
    make_lean,
    registry,
    tarball,
)

__all__ = ["bare_env", "cache_copy", "embedded_cache", "install_env", "make_lean", "registry", "tarball"]
