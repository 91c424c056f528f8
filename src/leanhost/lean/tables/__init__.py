"""One table of facts for each Lean minor version, and which of them to try."""

from __future__ import annotations

import re

from leanhost.lean.tables.monads import MonadTable as Table
from leanhost.lean.tables.v4_28 import V4_28
from leanhost.lean.tables.v4_35 import V4_35

__all__ = ["TABLES", "V4_28", "V4_35", "Table", "candidates", "table_for"]

TABLES: tuple[type[Table], ...] = (V4_35, V4_28)
"""Every known table, newest first."""


def table_for(commit: str) -> type[Table] | None:
    """Return the table that was verified on *commit*."""
    return next((table for table in TABLES if commit in table.commits), None)


def candidates(version: str, commit: str) -> list[type[Table]]:
    """Return the tables to try: the one that names *commit*, else all, nearest to *version* first."""
    named = table_for(commit)
    if named is not None:
        return [named]
    wanted = _minor(version)
    if wanted is None:
        return list(TABLES)

    def distance(table: type[Table]) -> tuple[int, int]:
        major, minor = _minor(table.version) or (0, 0)
        return abs(major - wanted[0]), abs(minor - wanted[1])

    return sorted(TABLES, key=distance)


def _minor(version: str) -> tuple[int, int] | None:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None
