"""Processes as the pool sees them: started with a private socket and two drained pipes, killed as a group."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from contextlib import ExitStack, suppress
from pathlib import Path

from leanhost.errors import WorkerStartError
from leanhost.system.process_limits import family
from leanhost.toolchain.cache import cache_dir
from leanhost.version import PACKAGE_ROOT

LAUNCHING = threading.Lock()
"""Held while a process is being started. A fork of this process waits for it: until the pool knows the
descriptors of the new process, nobody could close the copies that the fork would keep open."""

_KEPT = {
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "XDG_CACHE_HOME",
}
_KEPT_PREFIXES = ("LC_", "LEAN_", "PYTHON", "COVERAGE_")

_READ = 1 << 16
_READS = 16
"""How often one pipe is read before others get their turn: a flood must not starve them."""


class Drain:
    """One output pipe: kept up to a limit, read on and thrown away behind it."""

    def __init__(self, fd: int, limit: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self._limit = limit
        self._kept = bytearray()
        self._dropped = 0

    def read(self) -> bool:
        """Take what is there without waiting; ``False`` at the end of the pipe."""
        for _ in range(_READS):
            try:
                data = os.read(self.fd, _READ)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            room = self._limit - len(self._kept)
            self._kept += data[: max(0, room)]
            self._dropped += max(0, len(data) - room)
        return True

    @property
    def text(self) -> str:
        """What was kept, and how much was not."""
        text = self._kept.decode("utf-8", "replace")
        return text if not self._dropped else f"{text}\n... ({self._dropped} bytes left out)"

    def take(self) -> str:
        """Return what there is, and forget it."""
        self.read()
        if not self._kept and not self._dropped:
            return ""
        text = self.text
        self.clear()
        return text

    def clear(self) -> None:
        """Forget what was read."""
        self._kept.clear()
        self._dropped = 0

    def close(self) -> None:
        """Close the pipe; closing twice is fine."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Process(ABC):
    """A process that leads a group of its own."""

    pid: int = 0

    @abstractmethod
    def kill(self) -> None:
        """Send SIGKILL to the process and to everything in its group."""

    @abstractmethod
    def status(self) -> int | None:
        """Return how it ended as :class:`subprocess.Popen` does, or ``None`` while it has not."""

    def close(self) -> None:  # noqa: B027 - not every handle owns something
        """Release what the handle owns."""


class Spawned(Process):
    """A child of this process, started afresh."""

    def __init__(self, popen: subprocess.Popen[bytes], *, tree: bool) -> None:
        self._popen = popen
        self._tree = tree
        self.pid = popen.pid

    def kill(self) -> None:
        """Kill the group, and with *tree* all it started; the pid is ours until :meth:`status` has reaped it."""
        if self._popen.returncode is None:
            # What it started may lead groups of its own.
            for pid in family(self.pid)[:0:-1] if self._tree else ():
                try:
                    os.kill(pid, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                self._popen.kill()

    def status(self) -> int | None:
        """Reap without waiting."""
        return self._popen.poll()


class Ends:
    """The pool's ends of a process: its socket and its two pipes."""

    def __init__(self, channel: socket.socket, stdout: int, stderr: int, output_limit: int) -> None:
        channel.setblocking(False)
        self.channel = channel
        self.stdout = Drain(stdout, output_limit)
        self.stderr = Drain(stderr, output_limit)

    def close(self) -> None:
        """Close all three."""
        self.channel.close()
        self.stdout.close()
        self.stderr.close()

    def abandon(self) -> None:
        """Close a forked process's copies; the parent may have been closing them at that moment."""
        for close in (self.channel.close, self.stdout.close, self.stderr.close):
            with suppress(OSError):
                close()


class Inherited:
    """The process's ends, to be closed here as soon as it has them."""

    def __init__(self, channel: socket.socket, stdout: int, stderr: int) -> None:
        self.channel = channel
        self.stdout = stdout
        self.stderr = stderr

    @property
    def fds(self) -> tuple[int, int, int]:
        """The three descriptors."""
        return self.channel.fileno(), self.stdout, self.stderr

    def close(self) -> None:
        """Close all three; closing twice is fine."""
        self.channel.close()
        for fd in (self.stdout, self.stderr):
            if fd >= 0:
                os.close(fd)
        self.stdout = self.stderr = -1


def make_ends(output_limit: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> tuple[Ends, Inherited]:
    """Create a private socket pair and two pipes; none of them is inherited by accident.

    A socket and not a pipe, because a pipe can be opened again through ``/proc/self/fd``.
    """
    with ExitStack() as undo:
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        undo.callback(ours.close)
        undo.callback(theirs.close)
        out_read, out_write = os.pipe()
        undo.callback(os.close, out_read)
        undo.callback(os.close, out_write)
        err_read, err_write = os.pipe()
        undo.pop_all()
    return Ends(ours, out_read, err_read, output_limit), Inherited(theirs, out_write, err_write)


def spawn(module: str, inherited: Inherited, *, tree: bool = True) -> Spawned:
    """Start ``python -m module FD`` as the leader of a session of its own; *tree*: what it starts ends with it."""
    if not sys.executable:
        raise WorkerStartError(
            "this Python does not know its own executable, so no worker can be started",
            hint="set sys.executable to a Python that has leanhost installed",
        )
    # A candidate can read the environment of its process, and secrets are often kept in there.
    environment = {k: v for k, v in os.environ.items() if k in _KEPT or k.startswith(_KEPT_PREFIXES)}
    roots = [str(Path(PACKAGE_ROOT).parent), environment.get("PYTHONPATH", "")]
    environment["LEANHOST_CACHE"] = str(cache_dir())  # not to be found out by each of them
    environment["UV_USE_IO_URING"] = "0"  # Lean's event loop: rings are memory that forks would share
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, roots))
    channel, stdout, stderr = inherited.fds
    try:
        popen = subprocess.Popen(
            # -P: a file in the current directory must not stand in for a module.
            [sys.executable, "-P", "-m", module, str(channel)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(channel,),
            env=environment,
            start_new_session=True,
        )
    except (OSError, RuntimeError) as error:  # the latter from an interpreter that is about to end
        raise WorkerStartError(f"cannot start {sys.executable}: {error}") from None
    return Spawned(popen, tree=tree)
