from __future__ import annotations

from tests.support.exporting import exporter, native, native_extended, session

__all__ = ["exporter", "native", "native_extended", "session"]
