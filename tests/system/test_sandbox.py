"""What a confined process cannot do any more, tried with Python in the candidate's place."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from leanhost.errors import SandboxUnavailable
from leanhost.system import sandbox
from tests.support.confinement import LANDLOCK, WHOLE
from tests.support.pools import GOOD, MakePool

PRELUDE = """
import ctypes, fcntl, os, resource, signal, socket, stat, subprocess, sys, threading
from pathlib import Path
from leanhost.system.sandbox import apply, make_ready
inside = Path(sys.argv[1]); outside = inside.parent / "outside"
pair = socket.socketpair()
if {forked}:
    make_ready()
    child = os.fork()
    if child:
        os.pidfd_open(child)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
report = apply([inside], programs={programs})
if report.missing:
    print("MISSING", report.missing); sys.exit()
def libc(number, *args):
    ctypes.set_errno(0)
    if ctypes.CDLL(None, use_errno=True).syscall(number, *args) < 0:
        raise OSError(ctypes.get_errno(), "")
"""


def confined(tmp_path: Path, code: str, *, programs: bool = False, forked: bool = False) -> str:
    (tmp_path / "in").mkdir(exist_ok=True)
    (tmp_path / "outside").write_text("kept")
    script = PRELUDE.format(programs=programs, forked=forked) + textwrap.dedent(code)
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "in")], capture_output=True, text=True, timeout=60
    )
    assert (tmp_path / "outside").read_text() == "kept"
    if run.stdout.startswith("MISSING") and not WHOLE:
        pytest.skip(f"this machine has no whole sandbox: {run.stdout}")
    return run.stdout.strip() or run.stderr[-300:]


FORBIDDEN = {
    "write": "outside.write_text('x')",
    "append": "os.open(outside, os.O_WRONLY | os.O_APPEND)",
    "create": "(inside.parent / 'new').write_text('x')",
    "delete": "outside.unlink()",
    "truncate": "os.truncate(outside, 0)",
    "move": "outside.rename(inside / 'stolen')",
    "link": "os.link(outside, inside / 'link')",
    "memory of itself": "os.open('/proc/self/mem', os.O_RDWR)",
    "socket": "socket.socket()",
    "unix socket": "socket.socket(socket.AF_UNIX)",
    "datagram": "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",  # one end could write to any other socket
    "io_uring": "libc(425, 8, 0)",
    "file in memory": "os.memfd_create('x')",
    "program": "os.execv('/bin/true', ['true'])",
    "subprocess": "subprocess.run(['/bin/true'])",
    "fork": "os.fork() or os._exit(0)",
    "fork bomb through clone3": "libc(435, 0, 0)",
    "signal to others": "os.kill(os.getppid(), 0)",
    "signal by pidfd": "os.pidfd_open(os.getppid())",
    "leaving the group": "os.setsid()",
    "rights": "os.chmod(outside, 0o777)",
    "rights of an open file": "os.fchmod(os.open(outside, os.O_RDONLY), 0o777)",
    "rights without following": "libc(452, -100, str(outside).encode(), 0o777, 0)",
    "owner": "os.chown(outside, -1, -1)",
    "times": "os.utime(outside)",
    "attributes": "os.setxattr(outside, 'user.x', b'')",
    "limits of others": "libc(302, os.getppid(), 4, bytes(16), None)",
    "priority of others": "os.setpriority(os.PRIO_PROCESS, os.getppid(), 1)",
    "processors of others": "os.sched_setaffinity(os.getppid(), {0})",
    "signal to others by a file": "fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid())",
    "signal to others by ioctl": "fcntl.ioctl(pair[0], 0x8901, os.getppid().to_bytes(4, 'little'))",
    "tracing": "libc(101, 16, os.getppid(), 0, 0)",
    "namespaces": "libc(272, 0x10000000)",
    "node of a disk": "os.mknod(inside / 'disk', 0o600 | stat.S_IFBLK, os.makedev(8, 0))",
    "node of a device": "os.mknod(inside / 'memory', 0o600 | stat.S_IFCHR, os.makedev(1, 1))",
    "node of a socket": "os.mknod(inside / 'socket', 0o600 | stat.S_IFSOCK)",
    "limits of its own": "resource.prlimit(0, resource.RLIMIT_NOFILE, (200, 300))",
    "another user": "os.setuid(12345)",
}


@pytest.mark.parametrize("forked", [False, True], ids=["alone", "forked"])
def test_nothing_outside_can_be_changed_reached_or_started(tmp_path: Path, forked: bool) -> None:
    tries = "\n".join(
        f"try:\n    {code}\n    print('{name}')\nexcept OSError:\n    pass"
        for name, code in FORBIDDEN.items()
    )
    assert confined(tmp_path, tries + "\nprint('done')", forked=forked) == "done"


@pytest.mark.parametrize("forked", [False, True], ids=["alone", "forked"])
def test_ordinary_work_goes_on(tmp_path: Path, forked: bool) -> None:
    code = """
    (inside / "a").write_text("x"); (inside / "a").rename(inside / "b"); (inside / "b").unlink()
    (inside / "of").mkdir(); (inside / "c").write_text("x"); (inside / "c").rename(inside / "of" / "c")
    Path("/dev/null").write_text("x")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); fcntl.fcntl(0, fcntl.F_GETFL)
    thread = threading.Thread(target=lambda: print("thread", flush=True)); thread.start(); thread.join()
    print(outside.read_text())
    """
    assert confined(tmp_path, code, forked=forked).split() == ["thread", "kept"]


@pytest.mark.parametrize("forked", [False, True], ids=["alone", "forked"])
@pytest.mark.parametrize("programs", [False, True], ids=["native", "wasm"])
def test_nothing_of_root_is_left_but_reading(tmp_path: Path, forked: bool, programs: bool) -> None:
    code = """
    said = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(*(int(said[name], 16) & ~4 for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")), said["NoNewPrivs"].strip())
    """
    assert confined(tmp_path, code, forked=forked, programs=programs) == "0 0 0 0 1"


def test_a_process_can_still_end_itself_and_its_group(tmp_path: Path) -> None:
    assert "Abort" in confined(tmp_path, "import faulthandler; faulthandler.enable(); os.abort()")


def test_an_engine_that_is_a_program_may_start_it_and_no_more(tmp_path: Path) -> None:
    code = """
    subprocess.run(["/bin/sh", "-c", "echo started; echo x > " + str(outside)], stderr=subprocess.DEVNULL)
    try:
        socket.socket()
    except OSError:
        print("no network")
    try:
        outside.chmod(0o777)
    except OSError:
        print("no rights")
    """
    assert confined(tmp_path, code, programs=True) == "started\nno network\nno rights"


ALONE = """
import os, platform, socket, stat, subprocess, sys
from pathlib import Path
from leanhost.system.sandbox import apply
place = Path(sys.argv[1]); inside = place / "in"
for name in ("in", "empty", "full"):
    (place / name).mkdir()
for name in ("file", "full/file"):
    (place / name).write_text("kept")
listening = socket.create_server(("127.0.0.1", 0)); port = listening.getsockname()
server = socket.socket(socket.AF_UNIX); server.bind("\\0" + str(place)); server.listen()
platform.machine = lambda: "pdp11"
report = apply([inside]) if {confined} else None
assert report is None or [word[:7] for word in report.missing] == ["seccomp"], report
def control(device):
    try:
        os.get_terminal_size(os.open(device, os.O_RDONLY))
    except OSError as error:
        if error.errno == 13:
            raise
"""

CHANGES = {
    "write": (1, "(place / 'file').write_text('x')"),
    "truncate": (3, "os.truncate(place / 'file', 0)"),
    "make a file": (1, "os.mknod(place / 'new')"),
    "make a directory": (1, "(place / 'directory').mkdir()"),
    "make a link": (1, "(place / 'symbolic').symlink_to('file')"),
    "make a pipe": (1, "os.mkfifo(place / 'pipe')"),
    "make a socket": (1, "os.mknod(place / 'socket', stat.S_IFSOCK)"),
    "make a device": (1, "os.mknod(place / 'device', stat.S_IFCHR)"),
    "remove a directory": (1, "(place / 'empty').rmdir()"),
    "remove a file": (1, "(place / 'full' / 'file').unlink()"),
    "start a program": (1, "subprocess.run(['/bin/true'], check=True)"),
    "connect": (4, "socket.create_connection(port).close()"),
    "be connected to": (4, "socket.create_server(('127.0.0.1', 0)).close()"),
    "control a device": (5, "control('/dev/zero')"),
    "reach a socket without a file": (6, "socket.socket(socket.AF_UNIX).connect('\\0' + str(place))"),
    "signal others": (6, "os.kill(os.getppid(), 0)"),
}
"""With the version of Landlock that can refuse it."""
if os.geteuid() == 0:
    CHANGES["make a block device"] = (1, "os.mknod(place / 'block', stat.S_IFBLK)")


@pytest.mark.skipif(not LANDLOCK, reason="this machine has no Landlock")
@pytest.mark.parametrize("confined", [False, True])
def test_landlock_refuses_its_part_by_itself(tmp_path: Path, confined: bool) -> None:
    """Two walls: a hole in the filter of system calls is not one in what can be changed."""
    tries = "\n".join(
        f"try:\n    {code}\n    print('{name}')\nexcept PermissionError:\n    pass"
        for name, (_, code) in CHANGES.items()
    )
    run = subprocess.run(
        [sys.executable, "-c", ALONE.format(confined=confined) + tries, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    able = [name for name, (since, _) in CHANGES.items() if not confined or since > LANDLOCK]
    assert (run.stdout.splitlines(), run.stderr) == (able, "")


def test_a_worker_writes_to_its_own_directory_and_to_no_other_workers(tmp_path: Path) -> None:
    script = f"""
import os, sys
from pathlib import Path
from leanhost.system.process_limits import Limits
from leanhost.workers.protocol.messages import ProgramConfig
from leanhost.workers.worker_process.confine import confine
place = Path({str(tmp_path)!r})
(place / "other").mkdir()
said = confine(ProgramConfig((), 1.0, Limits(1 << 30), "auto", str(place)), programs=False)
Path("mine").write_text("x")
try:
    (place / "other" / "forged").write_text("x")
except PermissionError:
    print("refused", (place / str(os.getpid()) / "mine").read_text(), flush=True)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    if not LANDLOCK:
        pytest.skip("this machine has no Landlock")
    assert (run.stdout, run.stderr) == ("refused x\n", "")


def test_workers_say_that_nothing_holds(make_pool: MakePool) -> None:
    off = make_pool(sandbox="off")
    assert off.check(GOOD).accepted
    assert off.sandbox == "off"


def test_required_means_required(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pool = make_pool(sandbox="required")
    try:
        assert pool.check(GOOD).accepted
    except SandboxUnavailable:
        if WHOLE:
            raise
        pytest.skip("this machine has no whole sandbox")
    # A machine without: the workers' own Python starts with a sandbox that cannot do its part.
    (tmp_path / "sitecustomize.py").write_text(
        "import platform\nplatform.machine = lambda: 'pdp11'\n", encoding="ascii"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SandboxUnavailable, match="pdp11"):
        make_pool(sandbox="required").check(GOOD)
    assert make_pool(sandbox="auto").check(GOOD).accepted


def test_what_does_not_hold_is_said(tmp_path: Path) -> None:
    """Of a directory that is not there, neither more nor less is allowed: nothing of Landlock is in force."""
    code = "from leanhost.system.sandbox import apply; report = apply(['/no/such/directory'])"
    code += "; print(report.landlock, report.missing[0])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    if not LANDLOCK:
        pytest.skip("this machine has no Landlock")
    assert run.stdout == "0 Landlock: No such file or directory\n", run.stderr


@pytest.mark.skipif(not WHOLE, reason="this machine has no whole sandbox")
def test_capabilities_that_cannot_be_given_up_are_reported_and_the_rest_holds(tmp_path: Path) -> None:
    """As where a service may not call `capset`."""
    script = f"""
import ctypes, struct
from leanhost.system.sandbox import apply
libc = ctypes.CDLL(None)
lines = [(0x20, 0, 0, 0), (0x15, 0, 1, 126), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.syscall(317, 1, 0, struct.pack("=HxxxxxxQ", len(lines), ctypes.addressof(code))) == 0
report = apply([{str(tmp_path)!r}])
print(report.landlock > 0, report.seccomp, report.missing)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert run.stdout == "True True ('capabilities: Operation not permitted',)\n", run.stderr


def test_a_report_is_readable() -> None:
    assert str(sandbox.Report(7, True)) == "Landlock 7 and seccomp"
    assert str(sandbox.Report(missing=("all",))) == "none"
