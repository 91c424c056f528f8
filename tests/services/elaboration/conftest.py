from __future__ import annotations

from tests.support.core_session import session

__all__ = ["session"]
