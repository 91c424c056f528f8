"""``leanhost doctor`` and ``leanhost toolchain``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from leanhost import Toolchain
from leanhost.cli import doctor
from tests.support.command import clean, environment, leanhost


def test_doctor(native_toolchain: Toolchain) -> None:
    done = leanhost("doctor", "--toolchain", "native-runtime")
    clean(done)
    assert (done.returncode, done.stderr) == (0, "")
    assert "* argument" in done.stdout
    assert "self-test     passed" in done.stdout
    assert native_toolchain.commit in done.stdout
    assert "\nnumbers       GMP, linked in, 6.3.0 or newer\n" in done.stdout
    assert "\nknown faults  none of the " in done.stdout


def test_doctor_names_known_faults(embedded_toolchain: Toolchain, capsys: pytest.CaptureFixture[str]) -> None:
    doctor._print_faults(embedded_toolchain)
    count, *lines = capsys.readouterr().out.splitlines()
    assert count.startswith(f"known faults  {len(embedded_toolchain.known_faults)} of the ")
    for fault, line in zip(embedded_toolchain.known_faults, lines, strict=True):
        assert line == f"  {fault.name}  {fault.what} (fixed in {', '.join(fault.fixed)})"


def test_doctor_says_that_a_version_is_not_known(
    native_toolchain: Toolchain, capsys: pytest.CaptureFixture[str]
) -> None:
    doctor._print_faults(replace(native_toolchain, version="mine"))
    assert "its version is not known: it may have any of the " in capsys.readouterr().out


def test_doctor_json(native_toolchain: Toolchain) -> None:
    done = leanhost("doctor", "--toolchain", "native-runtime", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert [f["rule"] for f in found["discovery"] if f["chosen"]] == ["argument"]
    assert len(found["discovery"]) == 7
    assert found["self_test"]["ok"]
    assert found["self_test"]["steps"]
    assert found["toolchain"]["name"] == "native-runtime"
    assert found["toolchain"]["commit"] == native_toolchain.commit
    assert found["toolchain"]["core"] is None
    assert found["python"]["version"]
    assert found["numbers"] == "GMP, linked in, 6.3.0 or newer"
    assert found["known_faults"]["version_known"]
    assert found["known_faults"]["faults"] == []


def test_doctor_fetches_nothing(tmp_path: Path) -> None:
    env = environment(LEANHOST_CACHE=str(tmp_path / "cache"), PATH="/usr/bin:/bin")
    done = leanhost("doctor", env=env)
    clean(done)
    assert done.returncode == 0
    assert "it would be fetched" in done.stdout
    assert not list(tmp_path.rglob("*wasm*"))


def test_doctor_tells_what_is_wrong(tmp_path: Path) -> None:
    for arguments in (["--toolchain", "v4.0.0"], ["--toolchain", str(tmp_path)]):
        done = leanhost("doctor", *arguments)
        clean(done)
        assert done.returncode == 2
        assert "* argument" in done.stdout
    broken = tmp_path / "libleanshared.so"
    broken.write_bytes(b"\x7fELF nothing more")
    done = leanhost("doctor", "--toolchain", broken)
    clean(done)
    assert done.returncode == 2


@pytest.mark.usefixtures("native_toolchain", "embedded_toolchain")
def test_list() -> None:
    done = leanhost("toolchain", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.split()[0] for line in done.stdout.splitlines()} >= {"embedded", "native-runtime"}
    done = leanhost("toolchain", "list", "--json")
    found = {t["name"]: t for t in json.loads(done.stdout)}
    assert found["embedded"]["engine"] == "wasm"
    assert found["native-runtime"]["engine"] == "native"


def test_path(native_toolchain: Toolchain, embedded_toolchain: Toolchain) -> None:
    done = leanhost("toolchain", "path", "native-runtime")
    assert (done.returncode, done.stdout) == (0, f"{native_toolchain.library}\n")
    done = leanhost("toolchain", "path", "embedded")
    assert (done.returncode, done.stdout) == (0, f"{embedded_toolchain.sysroot}\n")
    done = leanhost("toolchain", "path", "v4.0.0")
    clean(done)
    assert (done.returncode, done.stdout) == (2, "")
    assert "next step: " in done.stderr


def test_install_when_it_is_there_prints_its_place(embedded_toolchain: Toolchain) -> None:
    done = leanhost("toolchain", "install")
    assert (done.returncode, done.stdout) == (0, f"{embedded_toolchain.sysroot}\n")


def test_an_empty_cache(tmp_path: Path) -> None:
    env = environment(LEANHOST_CACHE=str(tmp_path / "cache"), PATH="/usr/bin:/bin")
    done = leanhost("toolchain", "remove", env=env)
    assert done.returncode == 0
    assert "nothing to remove" in done.stdout
    done = leanhost("toolchain", "path", env=env)
    clean(done)
    assert (done.returncode, done.stdout) == (2, "")
    assert "next step: leanhost toolchain install" in done.stderr


def test_an_install_that_fails_says_why(tmp_path: Path) -> None:
    tarball = tmp_path / "wrong.tgz"
    tarball.write_bytes(b"not the pinned one")
    env = environment(LEANHOST_CACHE=str(tmp_path / "cache"), LEANHOST_EMBEDDED_TARBALL=str(tarball))
    done = leanhost("toolchain", "install", env=env)
    clean(done)
    assert (done.returncode, done.stdout) == (2, "")
    assert "leanhost: error: " in done.stderr
