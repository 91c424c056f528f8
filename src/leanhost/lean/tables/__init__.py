"""One table of facts for each Lean minor version."""

from leanhost.lean.tables.monads import MonadTable as Table
from leanhost.lean.tables.v4_28 import V4_28
from leanhost.lean.tables.v4_35 import V4_35

TABLES: tuple[type[Table], ...] = (V4_35, V4_28)
"""Every known table, newest first."""

__all__ = ["TABLES", "V4_28", "V4_35", "Table"]
