from __future__ import annotations

from tests.support.engines import lean, parts, shared

__all__ = ["lean", "parts", "shared"]
