from __future__ import annotations

from tests.support.native_engine import lean, script

__all__ = ["lean", "script"]
