"""The table of published soundness faults: every row is well-formed, and holds for the right versions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from leanhost.toolchain import Toolchain, bignum
from leanhost.toolchain.faults import (
    KNOWN_FAULTS,
    KNOWN_FAULTS_AS_OF,
    KnownFault,
    caveat,
    is_caveat,
    known_faults,
    parse_version,
    uncovered,
)

ORDERED = [
    "4.0.0-m5",
    "4.0.0",
    "4.28.0-pre",
    "4.28.0-rc1",
    "4.28.0",
    "4.28.1",
    "4.33.0-nightly-2026-07-01",
    "v4.33.0-rc1",
    "4.33.0-rc2",
    "4.33.0-rc10",
    "v4.33.0",
    "4.100.0",
    "5.0.0",
]


def names(version: str, platform: str = "x86_64-linux") -> set[str]:
    return {fault.name for fault in known_faults(version, platform)}


def test_versions_are_ordered_as_releases_are() -> None:
    parsed = [parse_version(text) for text in ORDERED]
    assert None not in parsed
    assert parsed == sorted(parsed, key=lambda version: version or ())
    assert len(set(parsed)) == len(parsed)


@pytest.mark.parametrize(
    "text", ["", "4", "4.35", "nightly", "master", "4.35.0 (mine)", "4.x.0", "-4.35.0", "4.35.0-"]
)
def test_what_is_no_version_has_every_fault(text: str) -> None:
    assert parse_version(text) is None
    assert known_faults(text) == KNOWN_FAULTS
    line = caveat(text, known_faults(text))
    assert "not known" in line
    assert is_caveat(line)


@pytest.mark.parametrize("fault", KNOWN_FAULTS, ids=lambda fault: fault.name)
def test_each_row_holds_until_it_is_fixed(fault: KnownFault) -> None:
    fixes = [parse_version(text) for text in fault.fixed]
    assert all(fix is not None and fix[3] == 1 for fix in fixes)
    lines = [fix[:2] for fix in fixes if fix is not None]
    assert lines == sorted(set(lines))
    assert fault.published <= KNOWN_FAULTS_AS_OF
    assert fault.what
    assert "\n" not in fault.what
    for text in fault.fixed:
        assert not fault.holds(text)
        assert fault.holds(f"{text}-rc1")
        major, minor, patch = text.split(".")
        assert not fault.holds(f"{major}.{minor}.{int(patch) + 1}")
        if patch != "0":
            assert fault.holds(f"{major}.{minor}.{int(patch) - 1}")
    assert fault.holds("4.0.0-m4")
    assert not fault.holds("4.99.0")


def test_rows_are_told_apart_and_come_in_the_order_of_their_fixes() -> None:
    numbers = [number for fault in KNOWN_FAULTS for number in fault.numbers]
    assert len(set(numbers)) == len(numbers)
    last = [parse_version(fault.fixed[-1]) for fault in KNOWN_FAULTS]
    assert last == sorted(last, key=lambda version: version or ())


def test_release_lines() -> None:
    """What the release notes say of each line."""
    assert "#2125" not in names("4.0.0")
    assert "#8060" in names("4.19.0")
    assert "#8060" not in names("4.20.0")
    assert names("4.32.0") - names("4.32.1") == {"#14484"}
    assert names("4.32.1") - names("4.32.2") == {"#14576"}
    assert {"#14613", "#14616"} <= names("4.32.2") - names("4.33.0")
    assert names("4.33.0") - names("4.33.1") == {"#14806", "#14807", "#14833", "#14838", "#14843"}
    assert names("4.33.1") == names("4.34.0") == {"#15241", "#15289"}
    assert names("4.34.1") == names("4.35.0") == set()
    assert names("4.35.0-rc1") == names("4.34.0")


def test_what_a_build_cannot_have(native_toolchain: Toolchain, embedded_toolchain: Toolchain) -> None:
    """Without GMP its faults do not matter, nor do counters that four gigabytes cannot make overflow."""
    assert native_toolchain.known_faults == ()
    embedded = {fault.name for fault in embedded_toolchain.known_faults}
    assert {"#14484", "#14576", "#14613", "#14806", "#14807"} <= embedded
    assert names("4.28.0-pre") - embedded == {"#14833", "#14838", "#15241", "#15289"}
    assert replace(embedded_toolchain, version="", platform="").known_faults == KNOWN_FAULTS


def test_another_kernel_covers_what_it_does_not_have() -> None:
    faults = known_faults("4.28.0-pre", "wasm32")
    assert uncovered(faults, []) == faults
    assert uncovered(faults, ["4.28.0"]) == faults
    assert uncovered(faults, ["4.35.0"]) == ()
    assert uncovered(faults, ["4.28.0", "4.35.0"]) == ()
    assert uncovered(faults, ["of my own"]) == faults
    left = uncovered(faults, ["4.33.0"])
    assert {fault.name for fault in left} == {"#14806", "#14807", "#14843"}
    line = caveat("4.28.0-pre", left)
    assert is_caveat(line)
    assert "Lean 4.28.0-pre has #14806, #14807, #14843" in line
    assert caveat("4.28.0-pre", ()) == ""


def test_the_numbers_of_each_build(native_toolchain: Toolchain, embedded_toolchain: Toolchain) -> None:
    assert bignum.describe(native_toolchain) == "GMP, linked in, 6.3.0 or newer"
    assert bignum.describe(embedded_toolchain) == "Lean's own, without GMP"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", bignum.UNKNOWN),
        (
            b"GNU MP: Cannot allocate memory (size=%lu)\n\0",
            "GMP, linked in, of a version that the library does not tell",
        ),
        (b"\0libgmp.so.10\0", "GMP of the machine, of whatever version that is"),
    ],
)
def test_the_numbers_of_other_builds(
    native_toolchain: Toolchain, tmp_path: Path, content: bytes, told: str
) -> None:
    library = tmp_path / "libleanshared.so"
    library.write_bytes(content)
    assert bignum.describe(replace(native_toolchain, library=library)) == told
    assert bignum.describe(replace(native_toolchain, library=tmp_path / "none")) == bignum.UNKNOWN
