"""What a shell expects of any command: pipes, signals, streams."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.command import COMMAND, ENDLESS, ROOT, clean, environment, leanhost, objects
from tests.support.processes import MARK, marked


def none_left(mark: str, within: float = 10.0) -> bool:
    """Return whether all marked processes end *within* seconds."""
    deadline = time.monotonic() + within
    while marked(mark):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def shell(script: str, mark: str = "") -> subprocess.CompletedProcess[str]:
    """Run a bash script in which ``$LEANHOST`` is the command."""
    return subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        env=environment(LEANHOST=" ".join(COMMAND), **{MARK: mark}),
    )


@pytest.mark.parametrize("json", ["", "--json"])
def test_closed_pipe(native: Sequence[str], good: Path, bad: Path, json: str) -> None:
    mark = uuid.uuid4().hex
    files = " ".join([str(bad), str(good)] * 10)
    done = shell(
        f'$LEANHOST check {json} {" ".join(native)} {files} | head -1; echo "status ${{PIPESTATUS[0]}}"', mark
    )
    clean(done)
    assert done.stderr == ""
    first, status = done.stdout.splitlines()
    assert str(bad) in first
    assert status == "status 141"
    assert none_left(mark)


@pytest.mark.usefixtures("native_toolchain", "embedded_toolchain")
@pytest.mark.parametrize(
    ("toolchain", "number", "status"),
    [
        ("native-runtime", signal.SIGINT, 130),
        ("native-runtime", signal.SIGTERM, 143),
        ("native-runtime", signal.SIGHUP, 143),
        ("embedded", signal.SIGINT, 130),
    ],
)
def test_signals_end_it_and_its_children(toolchain: str, number: int, status: int, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    source = tmp_path / "endless.lean"
    source.write_text(ENDLESS)
    with subprocess.Popen(
        [*COMMAND, "check", "--toolchain", toolchain, "--max-heartbeats", "0", str(source)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=environment(**{MARK: mark}),
        start_new_session=True,
    ) as process:
        try:
            deadline = time.monotonic() + 30
            while len(marked(mark)) < 2 and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(4.0 if toolchain == "embedded" else 1.5)  # into the elaboration
            assert len(marked(mark)) >= 2
            os.killpg(process.pid, number)  # a terminal sends it to the whole group
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == status
    assert "Traceback" not in err + out
    assert out == ""
    assert none_left(mark)


def test_ctrl_c_twice(native: Sequence[str], good: Path, tmp_path: Path) -> None:
    """The second while the children are being ended: nothing is left, and nothing but the status is said."""
    mark = uuid.uuid4().hex
    source = tmp_path / "endless.lean"
    source.write_text(ENDLESS)
    with subprocess.Popen(
        [*COMMAND, "check", *native, "-j", "2", "--max-heartbeats", "0", str(good), str(source), str(source)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(**{MARK: mark}),
    ) as process:
        assert process.stdout is not None
        assert str(good) in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)  # the children have not ended yet
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (out, err) == ("", "")
    assert none_left(mark)


@pytest.mark.usefixtures("native_toolchain", "embedded_toolchain")
@pytest.mark.parametrize("toolchain", ["native-runtime", "embedded"])
def test_timeout_is_a_status(toolchain: str, tmp_path: Path) -> None:
    source = tmp_path / "endless.lean"
    source.write_text(ENDLESS)
    arguments = ["--toolchain", toolchain, "--timeout", "1.5", "--max-heartbeats", "0", "--json"]
    done = leanhost("check", *arguments, source)
    clean(done)
    assert done.returncode == 1
    assert [o["status"] for o in objects(done.stdout)] == ["timeout"]


def test_full_disk(native: Sequence[str], good: Path) -> None:
    done = shell(f"$LEANHOST check {' '.join(native)} {good} > /dev/full")
    clean(done)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr


def test_closed_streams(native: Sequence[str], good: Path) -> None:
    for closed in (">&-", "2>&-", "<&-", ">&- 2>&- <&-"):
        done = shell(f"$LEANHOST check {' '.join(native)} {good} {closed}")
        clean(done)
        assert done.returncode == 0, (closed, done.stderr)
    for command in ("check -", f"verify {good} -"):
        done = shell(f"$LEANHOST {command} <&-")
        clean(done)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "leanhost: error: cannot read <stdin>: standard input is closed\n"


@pytest.mark.parametrize("command", ["check -", "check /dev/zero", "verify - examples/first.lean"])
def test_input_without_end(command: str) -> None:
    done = shell(f"yes | $LEANHOST {command}")
    clean(done)
    assert (done.returncode, done.stdout) == (2, "")
    assert "it has more than 67108864 bytes" in done.stderr


def on_a_terminal(columns: int, *arguments: str | Path, **changes: str) -> tuple[int, str]:
    """Run the command on a terminal so wide; return its status and what the terminal got."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, columns))
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        cwd=ROOT,
        env=environment(TERM="xterm", **changes),
    ) as process:
        os.close(slave)
        seen = b""
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:  # Linux: the other side is closed
                break
            if not data:
                break
            seen += data
    os.close(master)
    return process.returncode, seen.decode().replace("\r\n", "\n")


def test_a_terminal_gets_colours_unless_it_does_not_want_them(native: Sequence[str], bad: Path) -> None:
    changes: dict[str, str]
    for changes, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        status, seen = on_a_terminal(80, "check", *native, bad, **changes)
        assert status == 1
        assert ("\x1b[1;31m" in seen) == coloured, seen
        assert "theorem wrong" in seen


def test_a_narrow_terminal(native: Sequence[str], tmp_path: Path) -> None:
    """The line and the carets fit; the place that is meant is in view."""
    source = tmp_path / "wide.lean"
    source.write_text(
        f"theorem wide : {'1 + ' * 40}0 = 40 ∧ Not.missing = 3 ∧ {'1 + ' * 40}0 = 40 := sorry\n"
    )
    status, seen = on_a_terminal(46, "check", *native, source, NO_COLOR="1")
    assert status == 1
    lines = re.sub(r"\x1b\[[\d;]*m", "", seen).splitlines()
    at = next(i for i, line in enumerate(lines) if "missing" in line and line.startswith("    1 | "))
    assert len(lines[at]) <= 46
    assert lines[at].startswith("    1 | …")
    start = lines[at + 1].index("^")
    assert lines[at][start : start + 11] == "Not.missing"
    assert lines[at + 1].count("^") == 11


def test_the_locale_does_not_matter(native: Sequence[str], tmp_path: Path) -> None:
    source = tmp_path / "u.lean"
    source.write_text("theorem wrong (α β : Prop) : α = β := rfl -- 日本\n", encoding="utf-8")
    env = environment(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii")
    done = leanhost("check", *native, source, env=env)
    clean(done)
    assert done.returncode == 1
    assert r"\u03b1" in done.stdout


def test_module_and_version() -> None:
    done = leanhost("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, "leanhost 0.1.0\n", "")
    done = leanhost("check", "--help")
    assert done.returncode == 0
    assert "exit status" in done.stdout
    assert sys.executable == COMMAND[0]
