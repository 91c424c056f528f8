"""A zygote: imports once, then forks a worker whenever it is told to.

Started as ``python -m leanhost.workers.worker_process.zygote_main FD``.

It elaborates nothing but a rehearsal of its own before the first fork. No task manager runs in it afterwards, and
never any candidate code: every child starts from the same clean image. Its control socket carries one message a
packet, with the descriptors a child is to have.
"""

from __future__ import annotations

import gc
import os
import select
import selectors
import signal
import socket
import sys
import threading
import time
import warnings
from contextlib import suppress

from leanhost.services.session.host import Host
from leanhost.services.session.rehearsal import COMMON
from leanhost.system import process_limits
from leanhost.system.pages import small_pages, written
from leanhost.system.removal import remove_tree
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.framing import ProtocolError, join, receive, receive_packet
from leanhost.workers.protocol.messages import (
    Born,
    Check,
    Config,
    Done,
    Ended,
    Failed,
    Fork,
    NotForked,
    Ready,
    Reply,
    ZygoteReply,
    error_out,
)
from leanhost.workers.worker_process.confine import make_ready, settle_in
from leanhost.workers.worker_process.worker_main import (
    open_host,
    preload,
    rehearsal,
    rehearse,
    work,
)

END_S = 5.0
"""Seconds that the end of killed workers is waited for."""

AHEAD_S = 10.0
"""Seconds that the worker may take that shows what workers write; it takes as many milliseconds."""


class Zygote:
    """The process's loop; runs on the only Python thread."""

    def __init__(self, control: socket.socket, host: Host, config: Config) -> None:
        self._control = control
        self._host = host
        self._config = config
        self._selector = selectors.DefaultSelector()
        self._written: list[tuple[int, int]] = []
        """Where a worker writes to memory it has from this process."""
        self._children: dict[int, tuple[int, int]] = {}
        """From a child's pidfd to its number and its pid."""
        # What belongs to this process alone, Lean's event loop among it: a candidate could open a pipe of it
        # again and write to it.
        self._private = [int(fd) for fd in os.listdir("/proc/self/fd") if int(fd) > 2]  # noqa: PTH208

    def run(self) -> None:
        """Serve until the pool closes the control socket."""
        self._selector.register(self._control, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._control:
                    self._reap(key.fd)
                elif not self._command():
                    self._end_children()
                    return

    def _command(self) -> bool:
        try:
            data, fds = receive_packet(self._control, 3)
        except ConnectionError:
            return False
        if not data:
            return False
        number = codec.decode(data, Fork).number
        try:
            pid = self._fork(fds)
        except OSError as error:
            self._tell(NotForked(number, str(error)))
            return True
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = (number, pid)
        self._selector.register(pidfd, selectors.EVENT_READ)
        self._tell(Born(number, pid), [pidfd])
        return True

    def _fork(self, fds: list[int]) -> int:
        """Fork a worker that has these descriptors, which are closed here."""
        try:
            pid = os.fork()
            if pid == 0:
                self._become_worker(fds)
            return pid
        finally:
            for fd in fds:
                os.close(fd)

    def look_ahead(self, ours: socket.socket, theirs: socket.socket) -> None:
        """Find out what a worker writes, with one that checks a source of ours over this pair."""
        ours.settimeout(AHEAD_S)
        pid = 0
        try:
            pid = self._fork([theirs.detach(), *(os.open(os.devnull, os.O_WRONLY) for _ in range(2))])
            ours.sendall(rehearsal(self._config, Check(), COMMON))
            while (frame := receive(ours, Reply)) is not None and not isinstance(frame.message, Done):
                pass
            self._written = written(pid)
        except (OSError, ProtocolError):
            pass  # they will do without
        finally:
            ours.close()
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                remove_tree(f"{self._config.scratch}/{pid}")

    def _reap(self, pidfd: int) -> None:
        number, pid = self._children.pop(pidfd)
        try:
            os.killpg(pid, signal.SIGKILL)  # before the pid is given back: what the child left behind
        except (ProcessLookupError, PermissionError):
            pass
        _, status = os.waitpid(pid, 0)
        self._selector.unregister(pidfd)
        os.close(pidfd)
        self._tell(Ended(number, os.waitstatus_to_exitcode(status)))

    def _end_children(self) -> None:
        # They notice themselves that the pool has ended, unless they were stopped.
        for _, pid in self._children.values():
            for kill in (os.kill, os.killpg):
                with suppress(ProcessLookupError, PermissionError):
                    kill(pid, signal.SIGKILL)
        until = (
            time.monotonic() + END_S
        )  # one that is still there could make its directory after the others went
        for pidfd in self._children:
            look = select.poll()
            look.register(pidfd, select.POLLIN)
            look.poll(max(0.0, until - time.monotonic()) * 1000)

    def _tell(self, message: ZygoteReply, fds: list[int] | None = None) -> None:
        try:
            socket.send_fds(self._control, [join(message)], fds or [])
        except OSError:
            pass  # the pool has ended, which is what is read next

    def _become_worker(self, fds: list[int]) -> None:
        code = 70
        try:
            os.setsid()
            for pidfd in self._children:
                os.close(pidfd)
            channel, stdout, stderr = fds
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            os.close(stdout)
            os.close(stderr)
            for fd in self._private:
                if fd != channel:  # one that was closed since may have got its number
                    os.dup2(0, fd, inheritable=False)
            code = work(socket.socket(fileno=channel), self._host, self._config, self._written)
        finally:
            os._exit(code)


def main(argv: list[str]) -> int:
    """Run the zygote on the inherited socket named by the only argument."""
    control = socket.socket(fileno=int(argv[0]))
    control.set_inheritable(False)
    # A program that ignores the ends of its children hands that down, and they could not be waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    config = _configuration(control)
    if config is None:
        return 0
    settle_in(config)
    try:
        with Watch(control, config.scratch):
            host = open_host(config, tasks=False)
            imported = preload(host, config) and not config.kernel
            host._lean_options(host._lean, config.options)
            if imported:
                rehearse(host, config)
            pair = socket.socketpair()  # there are none afterwards
            make_ready(config)
            small_pages()
            process_limits.hand_down(config.limits)
    except Exception as error:
        control.send(join(Failed(), error_out(error)))
        return 3
    # Lean's own idle threads do not take part in anything here.
    warnings.filterwarnings("ignore", "This process", DeprecationWarning)
    gc.collect()
    gc.freeze()
    zygote = Zygote(control, host, config)
    if imported:
        zygote.look_ahead(*pair)
    for end in pair:
        end.close()
    control.send(join(Ready(host.label)))
    zygote.run()
    _tidy_up(config.scratch)
    return 0


def _configuration(control: socket.socket) -> Config | None:
    """Return what this is to be, from the file the pool sent."""
    _, fds = receive_packet(control, 1)
    if not fds:
        return None
    with os.fdopen(fds[0], "rb") as file:
        file.seek(0)
        config: Config = codec.decode(file.read(), Config)
        return config


def _tidy_up(scratch: str) -> None:
    """Remove what is left. The pool kills its zygotes: one that gets here has outlived it, and nobody else will."""
    remove_tree(scratch)


class Watch:
    """Ends this process if the pool goes while it imports, which looks at no socket.

    The thread is gone on leaving the context, as it must be before the first fork; so is every trace of it.
    """

    def __init__(self, control: socket.socket, scratch: str) -> None:
        self._control = control
        self._scratch = scratch
        self._wakeup, self._wakeup_in = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._wakeup.close()
        self._thread.join()
        self._wakeup_in.close()

    def _run(self) -> None:
        look = select.poll()
        look.register(self._control, 0)  # only that the other end is closed
        look.register(self._wakeup_in, select.POLLIN)
        if any(fd == self._control.fileno() for fd, _ in look.poll()):
            _tidy_up(self._scratch)
            os._exit(1)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    os._exit(code)
