"""Opening a toolchain: which table it gets, what is remembered, what is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from leanhost.errors import EngineError, UnsupportedToolchain
from leanhost.lean import tables
from leanhost.lean.tables import TABLES, V4_28, V4_35, Table, candidates
from leanhost.services.opening import selftest, selftest_cache
from leanhost.services.opening.open import open_lean
from leanhost.services.opening.selftest import SelfTestReport
from leanhost.toolchain import Toolchain
from leanhost.version import PACKAGE_ROOT

pytestmark = pytest.mark.usefixtures("own_cache")

UNKNOWN = "f" * 40
ROOT = Path(__file__).parents[3]


def unknown(toolchain: Toolchain, version: str = "") -> Toolchain:
    """The same toolchain, said to be of a commit no table names."""
    return replace(toolchain, commit=UNKNOWN, version=version or toolchain.version)


def opened_as(toolchain: Toolchain, *, strict: bool = False) -> tuple[str, str, str]:
    """Open, and return the table's version, how it was verified, and the commit Lean says."""
    opened = open_lean(toolchain, strict=strict)
    found = (opened.lean.table.version, opened.toolchain.verified, opened.toolchain.commit)
    opened.lean.engine.close()
    return found


def test_a_named_commit_is_tested_once(toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = counted(monkeypatch)
    table = next(t for t in TABLES if toolchain.commit in t.commits)
    for _ in range(2):
        assert opened_as(toolchain, strict=True) == (table.version, "table", toolchain.commit)
    assert [report.table for report in runs] == [table.version]


def counted(monkeypatch: pytest.MonkeyPatch) -> list[SelfTestReport]:
    """Record the reports of the self-tests that are run."""
    reports: list[SelfTestReport] = []
    real = selftest.run

    def run(toolchain: Toolchain, table: type[Table] | None = None) -> SelfTestReport:
        reports.append(real(toolchain, table))
        return reports[-1]

    monkeypatch.setattr(selftest, "run", run)
    return reports


def test_an_unknown_commit_is_accepted_by_self_test(
    toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = counted(monkeypatch)
    right = next(t for t in TABLES if toolchain.commit in t.commits)
    wanted = (right.version, "self-test", toolchain.commit)
    assert opened_as(unknown(toolchain)) == wanted
    assert [report.ok for report in runs] == [True]
    assert opened_as(unknown(toolchain)) == wanted
    assert len(runs) == 1


def test_tables_are_tried_until_one_passes(
    native_toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = counted(monkeypatch)
    # 4.28 is nearer to 4.30 than 4.35 is; it crashes the child.
    assert opened_as(unknown(native_toolchain, "4.30.0")) == ("4.35", "self-test", native_toolchain.commit)
    assert [(report.table, report.ok) for report in runs] == [("4.28", False), ("4.35", True)]
    assert "killed by" in runs[0].ended


def test_a_toolchain_that_does_not_say_what_it_is(toolchain: Toolchain) -> None:
    right = next(t for t in TABLES if toolchain.commit in t.commits)
    anonymous = replace(toolchain, version="", commit="")
    opened = open_lean(anonymous, strict=True)
    opened.lean.engine.close()
    assert opened.toolchain.verified == "table"
    assert opened.toolchain.commit == toolchain.commit
    assert opened.toolchain.version == toolchain.version.partition("-")[0]
    assert opened.lean.table.version == right.version


@pytest.mark.parametrize(
    ("version", "order"),
    [
        ("4.40.1", ["4.35", "4.28"]),
        ("4.9.0-rc2", ["4.28", "4.35"]),
        ("v4.30.0", ["4.28", "4.35"]),
        ("", ["4.35", "4.28"]),
        ("nightly", ["4.35", "4.28"]),
    ],
)
def test_nearest_version_first(version: str, order: list[str]) -> None:
    assert [table.version for table in candidates(version, UNKNOWN)] == order


def test_strict_refuses_untried(native_toolchain: Toolchain, no_child: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedToolchain, match=f"commit {UNKNOWN}.*strict=True"):
        open_lean(unknown(native_toolchain), strict=True)


def test_strict_refuses_what_is_remembered_by_self_test(native_toolchain: Toolchain) -> None:
    open_lean(unknown(native_toolchain))
    with pytest.raises(UnsupportedToolchain, match="strict=True"):
        open_lean(unknown(native_toolchain), strict=True)
    assert open_lean(unknown(native_toolchain)).toolchain.verified == "self-test"


def test_no_table_fits(native_toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "TABLES", (V4_28,))
    with pytest.raises(UnsupportedToolchain) as caught:
        open_lean(unknown(native_toolchain))
    assert "table 4.28: elaborate: it was killed by" in caught.value.message
    assert caught.value.hint
    # A failure is not remembered.
    monkeypatch.undo()
    assert selftest_cache.load(unknown(native_toolchain)) is None


def test_a_library_that_is_not_what_its_files_say(native_toolchain: Toolchain) -> None:
    (other,) = V4_28.commits
    with pytest.raises(UnsupportedToolchain, match=f"this should be commit {other}"):
        open_lean(replace(native_toolchain, commit=other))


def test_a_lean_that_does_not_start(tmp_path: Path, native_toolchain: Toolchain) -> None:
    library = tmp_path / "libleanshared.so"
    library.write_bytes(b"this is no ELF file")
    with pytest.raises(EngineError, match="does not start"):
        open_lean(replace(native_toolchain, library=library))


# --- records --------------------------------------------------------------------------------------


def changed(key: str, value: object) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        record = json.loads(data)
        (record if key in record else record["record"])[key] = value
        return json.dumps(record).encode()

    return change


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"\xff\xfe\0",
        lambda data: b"null",
        lambda data: b"[]",
        lambda data: b'{"format": 1}',
        changed("format", 0),
        changed("sources", "of another leanhost"),
        changed("record", None),
        changed("record", {"table": "4.35"}),
        changed("table", "9.99"),
        changed("table", 4.35),
        changed("verified", "by hand"),
        changed("commit", UNKNOWN),
    ],
)
def test_a_damaged_record_only_costs_a_self_test(
    damage: Callable[[bytes], bytes], native_toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = SelfTestReport(
        "4.35", "4.35.0", native_toolchain.commit, (selftest.SelfTestStep("all", True, "", 0.0),), 0.0
    )
    runs: list[type[Table]] = []

    def run(toolchain: Toolchain, table: type[Table]) -> SelfTestReport:
        runs.append(table)
        return passed

    # What a record is worth is asked here, not what a self-test finds.
    monkeypatch.setattr(selftest, "run", run)
    open_lean(native_toolchain)
    file = selftest_cache.record_file(native_toolchain)
    good = file.read_bytes()
    file.write_bytes(damage(good))
    assert open_lean(native_toolchain).toolchain.verified == "table"
    assert runs == [V4_35, V4_35]
    assert file.read_bytes() == good


def test_another_leanhost_tests_again(native_toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = counted(monkeypatch)
    open_lean(native_toolchain)
    monkeypatch.setattr(selftest_cache, "sources", lambda: "those of the next release")
    open_lean(native_toolchain)
    open_lean(native_toolchain)
    assert len(runs) == 2


def test_what_decides_a_self_test_is_hashed() -> None:
    """A module that moves, or a new floor, has to be looked for here."""
    probe = (
        "leanhost.services.opening.selftest",
        "leanhost.services.probe.steps",
        "leanhost.services.probe.__main__",
    )
    code = f"import sys, {probe[-1]}, leanhost.engine.native, leanhost.engine.wasm; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    others = re.compile(r"leanhost(\.(__\w+|errors|services|system|toolchain|version)(\..*)?)?")
    deciding = {name for name in loaded if name.split(".")[0] == "leanhost" and not others.fullmatch(name)}
    deciding.update(probe)
    listed = [".".join(("leanhost", *Path(part).with_suffix("").parts)) for part in selftest_cache.SOURCES]
    assert all(any(f"{name}.".startswith(f"{part}.") for name in deciding) for part in listed)
    assert not {name for name in deciding if not any(f"{name}.".startswith(f"{part}.") for part in listed)}
    assert all(Path(PACKAGE_ROOT, part).exists() for part in selftest_cache.SOURCES)


def test_unreadable_sources_remember_nothing(
    native_toolchain: Toolchain, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftest_cache, "sources", lambda: "")
    open_lean(native_toolchain)
    assert selftest_cache.load(native_toolchain) is None
    assert not list(own_cache.rglob("*.json"))


def test_another_library_is_another_record(native_toolchain: Toolchain, tmp_path: Path) -> None:
    elsewhere = tmp_path / "libleanshared.so"
    elsewhere.symlink_to(native_toolchain.library)
    files = {
        selftest_cache.record_file(described)
        for described in (
            native_toolchain,
            unknown(native_toolchain),
            replace(native_toolchain, library=elsewhere),
            replace(native_toolchain, core=tmp_path),
            replace(native_toolchain, node=Path(sys.executable)),
        )
    }
    assert len(files) == 5


def test_a_cache_that_cannot_be_written(
    native_toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    monkeypatch.setenv("LEANHOST_CACHE", str(in_the_way / "cache"))
    runs = counted(monkeypatch)
    for _ in range(2):
        assert open_lean(native_toolchain).toolchain.verified == "table"
    assert len(runs) == 2


SCRIPT = """
import sys
from leanhost.services.opening import selftest
from leanhost.services.opening.open import open_lean
from leanhost.toolchain import resolve
real = selftest.run
def run(toolchain, table):
    with open(sys.argv[1], "a") as log:
        log.write("tested\\n")
    return real(toolchain, table)
selftest.run = run
print(open_lean(resolve("native-runtime")).toolchain.verified)
"""


def test_two_processes_open_at_once(tmp_path: Path, native_toolchain: Toolchain) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", SCRIPT, str(log)]
    # The second waits for the first one's self-test and uses what it found.
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=os.environ) for _ in range(2)]
    assert [process.communicate()[0] for process in started] == [b"table\n", b"table\n"]
    assert log.read_text() == "tested\n"
