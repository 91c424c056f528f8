"""``python -m leanhost.workers.zygote FD``: imports once, then forks a worker whenever it is told to.

It never elaborates: no task manager runs in it and no candidate code, so that every child starts from the same
clean image. Its control socket carries one message a packet, with the descriptors a child is to have.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import warnings

from leanhost.services.host import Host
from leanhost.workers import codec
from leanhost.workers.child import open_host, preload, work
from leanhost.workers.wire import MAX_CONTROL_BYTES, Message


class Zygote:
    """The process's loop; runs on the only Python thread."""

    def __init__(self, control: socket.socket, host: Host, config: Message) -> None:
        self._control = control
        self._host = host
        self._config = config
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, tuple[int, int]] = {}
        """From a child's pidfd to its number and its pid."""

    def run(self) -> None:
        """Serve until the pool closes the control socket."""
        self._selector.register(self._control, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._control:
                    self._reap(key.fd)
                elif not self._command():
                    return

    def _command(self) -> bool:
        try:
            data, fds, _, _ = socket.recv_fds(self._control, MAX_CONTROL_BYTES, 3)
        except ConnectionError:
            return False
        if not data:
            return False
        number = json.loads(data)["fork"]
        try:
            pid = os.fork()
        except OSError as error:
            for fd in fds:
                os.close(fd)
            self._tell({"refused": number, "why": str(error)})
            return True
        if pid == 0:
            self._become_worker(fds)
        for fd in fds:
            os.close(fd)
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = (number, pid)
        self._selector.register(pidfd, selectors.EVENT_READ)
        self._tell({"forked": number, "pid": pid}, [pidfd])
        return True

    def _reap(self, pidfd: int) -> None:
        number, pid = self._children.pop(pidfd)
        try:
            os.killpg(pid, signal.SIGKILL)  # before the pid is given back: what the child left behind
        except (ProcessLookupError, PermissionError):
            pass
        _, status = os.waitpid(pid, 0)
        self._selector.unregister(pidfd)
        os.close(pidfd)
        self._tell({"ended": number, "status": os.waitstatus_to_exitcode(status)})

    def _tell(self, message: Message, fds: list[int] | None = None) -> None:
        try:
            socket.send_fds(self._control, [json.dumps(message).encode()], fds or [])
        except OSError:
            pass  # the pool has gone, which is what is read next

    def _become_worker(self, fds: list[int]) -> None:
        code = 70
        try:
            os.setsid()
            self._control.close()
            self._selector.close()
            for pidfd in self._children:
                os.close(pidfd)
            channel, stdout, stderr = fds
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            os.close(stdout)
            os.close(stderr)
            code = work(socket.socket(fileno=channel), self._host, self._config)
        finally:
            os._exit(code)


def main(argv: list[str]) -> int:
    """Run the zygote on the inherited socket named by the only argument."""
    control = socket.socket(fileno=int(argv[0]))
    control.set_inheritable(False)
    data = control.recv(MAX_CONTROL_BYTES)
    if not data:
        return 0
    config: Message = json.loads(data)
    # Importing looks at no socket: should the pool die meanwhile, this ends the process.
    signal.alarm(int(config["startup_timeout"]) + 5)
    try:
        host = open_host(config, tasks=False)
        preload(host, config)
        host.lean_options(host.lean, codec.options_in(config["options"]))
    except Exception as error:
        control.send(json.dumps({"failed": codec.error_out(error)}).encode())
        return 3
    signal.alarm(0)
    # Lean's own idle threads do not take part in anything here.
    warnings.filterwarnings("ignore", "This process", DeprecationWarning)
    gc.collect()
    gc.freeze()
    control.send(json.dumps({"ready": host.label}).encode())
    Zygote(control, host, config).run()
    # The pool kills its zygotes; one that gets here has outlived it, and nobody else is left to tidy up.
    shutil.rmtree(config["scratch"], ignore_errors=True)
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    os._exit(code)
