"""Opening a toolchain: choose its version table, make sure the two fit, start its engine.

Calling compiled Lean by a table that does not fit it ends the process at best. So before a toolchain is
opened here for the first time, a child process goes through the self-test with the table
(:mod:`~leanhost.services.opening.selftest`), and what passed is remembered
(:mod:`~leanhost.services.opening.selftest_cache`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leanhost.engine import open_engine
from leanhost.errors import EngineError, ToolchainCorrupt, UnsupportedToolchain
from leanhost.lean.core import Lean
from leanhost.lean.tables import TABLES, Table, candidates, table_for
from leanhost.services.opening import images, selftest_cache
from leanhost.services.opening.selftest_cache import Record
from leanhost.toolchain import Toolchain

if TYPE_CHECKING:
    from leanhost.services.elaboration.environment import ImportKey
    from leanhost.services.opening.selftest import SelfTestReport

_DOCTOR = "`leanhost doctor` shows what there is; name another toolchain by toolchain= or LEANHOST_TOOLCHAIN"


@dataclass(frozen=True, slots=True)
class Opened:
    """A running Lean and the toolchain it came from, with what is now known about it."""

    lean: Lean
    toolchain: Toolchain


_under_test: Opened | None = None


def put_under_test(opened: Opened) -> None:
    """Make every :func:`open_lean` of this process return *opened*: for the self-test's child process alone.

    It lets the self-test use hosts and sessions as everybody does, and never starts a self-test of its own.
    """
    global _under_test
    _under_test = opened


def is_under_test() -> bool:
    """Whether this is the self-test's child process."""
    return _under_test is not None


def open_lean(
    toolchain: Toolchain, *, strict: bool = False, tasks: bool = True, first: ImportKey | None = None
) -> Opened:
    """Open *toolchain* with a table that fits it.

    The first time, a child process runs the self-test with the table that names the toolchain's commit, or
    with one table after the other when none does; later the remembered result is used. ``verified`` of the
    returned toolchain is ``"table"`` or ``"self-test"`` accordingly. ``strict=True`` refuses the second kind
    untried. *tasks* as in :func:`~leanhost.engine.open_engine`. Lean is started from the image of *first*, where the
    cache has one: see :func:`leanhost.services.opening.images.taken_over`.

    Raises :class:`~leanhost.errors.UnsupportedToolchain` with what failed for each table, and
    :class:`~leanhost.errors.EngineError` when Lean does not start at all.
    """
    if _under_test is not None:
        return _under_test
    record = selftest_cache.load(toolchain)
    if record is not None and (opened := _open_recorded(toolchain, record, strict, tasks, first)) is not None:
        return opened
    record = settle(toolchain, strict=strict)
    opened = _open_recorded(toolchain, record, strict, tasks, first)
    if opened is None:
        raise ToolchainCorrupt(
            f"{toolchain.library} does not run as the Lean it was a moment ago ({record.commit})",
            hint="try again once its installation has finished",
        )
    return opened


def settle(toolchain: Toolchain, *, strict: bool = False, first: ImportKey | None = None) -> Record:
    """Return what is remembered about *toolchain*; find it out, and write it down, when that is nothing.

    An image of *first* is due then, because whoever waited for the self-test waits for that, too, and never again.
    """
    record = selftest_cache.load(toolchain)
    if record is not None:
        return record
    with selftest_cache.alone(toolchain):
        # Another process may have done it meanwhile; a record that misled us once is gone.
        record = selftest_cache.load(toolchain)
        if record is None:
            record = _establish(toolchain, strict)
            selftest_cache.save(toolchain, record)
            if first is not None:
                images.expect(toolchain, record, first)
        return record


def _open_recorded(
    toolchain: Toolchain, record: Record, strict: bool, tasks: bool, first: ImportKey | None
) -> Opened | None:
    """Open as *record* says; ``None``, and the record dropped, when it is about another Lean."""
    table = next((table for table in TABLES if table.version == record.table), None)
    if table is not None:
        if strict and record.verified != "table":
            raise _refused(toolchain, record.version, record.commit)
        opened = start(toolchain, table, record.verified, tasks=tasks, first=first)
        if opened.toolchain.commit == record.commit:
            return opened
        opened.lean.engine.close()
    selftest_cache.forget(toolchain)
    return None


def start(
    toolchain: Toolchain,
    table: type[Table],
    how: selftest_cache.How = "table",
    *,
    tasks: bool = True,
    first: ImportKey | None = None,
) -> Opened:
    """Start *toolchain*'s engine with a table that is known to fit it."""
    image = images.find(toolchain, table.version, first) if first is not None else None
    engine = open_engine(toolchain, tasks=tasks, image=image)
    lean = Lean(engine, table(engine.word))
    version, commit = lean.version()
    # What its files say is more exact: "4.28.0-pre".
    return Opened(lean, replace(toolchain, version=toolchain.version or version, commit=commit, verified=how))


# --- the first time -------------------------------------------------------------------------------


def _establish(toolchain: Toolchain, strict: bool) -> Record:
    """Find the table *toolchain* passes the self-test with."""
    from leanhost.services.opening import selftest  # starts processes: few who open a Lean need it

    if not toolchain.commit:
        asked = selftest.identify(toolchain)
        if not asked.ok:
            raise _did_not_start(toolchain, asked) or _unsupported(toolchain, [asked])
        toolchain = replace(toolchain, version=asked.version, commit=asked.commit)
    named = table_for(toolchain.commit)
    if named is None and strict:
        raise _refused(toolchain, toolchain.version, toolchain.commit)
    reports: list[SelfTestReport] = []
    for table in candidates(toolchain.version, toolchain.commit):
        report = selftest.run(toolchain, table)
        if report.ok:
            return Record(table.version, report.version, report.commit, "table" if named else "self-test")
        if error := _did_not_start(toolchain, report):
            raise error
        reports.append(report)
    raise _unsupported(toolchain, reports)


def _did_not_start(toolchain: Toolchain, report: SelfTestReport) -> EngineError | None:
    """Return the error for a Lean that did not come up, which no table could change."""
    first = report.steps[0] if report.steps else None
    if first is None or first.ok:
        return None
    return EngineError(f"{_name(toolchain)} does not start: {first.detail}", hint=_DOCTOR)


def _refused(toolchain: Toolchain, version: str, commit: str) -> UnsupportedToolchain:
    return UnsupportedToolchain(
        f"no version table names Lean {version or '(unknown version)'}, commit {commit or '(unknown)'}, of"
        f" {_name(toolchain)}, and strict=True allows no other",
        hint="open it without strict=True: a self-test then decides",
    )


def _unsupported(toolchain: Toolchain, reports: list[SelfTestReport]) -> UnsupportedToolchain:
    lines = "".join(f"\n  {report.summary()}" for report in reports)
    what = f"Lean {toolchain.version}, commit {toolchain.commit}"
    return UnsupportedToolchain(
        f"{_name(toolchain)} ({what}) passes the self-test with no table:{lines}", hint=_DOCTOR
    )


def _name(toolchain: Toolchain) -> str:
    return f"toolchain {toolchain.name!r} ({toolchain.library})"
