from __future__ import annotations

from tests.support.command import bad, good, native

__all__ = ["bad", "good", "native"]
