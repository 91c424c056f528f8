from __future__ import annotations

from tests.support.wasm_engine import elaborator, fresh, lean

__all__ = ["elaborator", "fresh", "lean"]
