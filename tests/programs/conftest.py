from __future__ import annotations

from tests.support.programs import either, embedded, native, place

__all__ = ["either", "embedded", "native", "place"]
