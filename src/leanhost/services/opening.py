"""Opening a toolchain: start its engine, choose its version table, make sure the two fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from leanhost.engine import open_engine
from leanhost.errors import UnsupportedToolchain
from leanhost.lean.core import Lean
from leanhost.lean.tables import TABLES, Table
from leanhost.toolchain import Toolchain


@dataclass(frozen=True, slots=True)
class Opened:
    """A running Lean and the toolchain it came from, with what is now known about it."""

    lean: Lean
    toolchain: Toolchain


def table_for(commit: str) -> type[Table] | None:
    """Return the table that was verified on *commit*."""
    return next((table for table in TABLES if commit in table.commits), None)


def open_lean(toolchain: Toolchain, *, strict: bool = False, tasks: bool = True) -> Opened:
    """Open *toolchain* with a table that fits it; *tasks* as in :func:`~leanhost.engine.open_engine`."""
    table = table_for(toolchain.commit)
    if table is None:
        raise UnsupportedToolchain(f"no version table names Lean commit {toolchain.commit}")
    return start(toolchain, table, tasks=tasks)


def start(toolchain: Toolchain, table: type[Table], *, tasks: bool = True) -> Opened:
    """Start *toolchain*'s engine with *table*; every symbol of the table must be there."""
    engine = open_engine(toolchain, tasks=tasks)
    lean = Lean(engine, table(engine.word))
    missing = engine.missing(sorted(lean.table.symbols()))
    if missing:
        raise UnsupportedToolchain(
            f"{toolchain.name} does not export {len(missing)} of the functions of table {table.version}: "
            + ", ".join(missing[:5])
        )
    version, commit = lean.version()
    return Opened(lean, replace(toolchain, version=version, commit=commit, verified="table"))
