from __future__ import annotations

from tests.support.sessions import lend, session

__all__ = ["lend", "session"]
