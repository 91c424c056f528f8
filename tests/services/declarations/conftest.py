from __future__ import annotations

from tests.support.declared import declarations, session

__all__ = ["declarations", "session"]
