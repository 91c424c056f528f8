"""``python -m leanhost.workers.worker_process.program_main FD``: runs one program, confined, and says how it ended.

Its first frame on FD says which. When the pool has ended, or its time is over, it ends with everything it started.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import threading
import time

from leanhost.errors import LeanHostError
from leanhost.system import process_limits as limits
from leanhost.workers.protocol.framing import MAX_CONTROL_BYTES, pack, receive
from leanhost.workers.protocol.messages import Exited, Late, NotRun, ProgramConfig, ProgramReply
from leanhost.workers.worker_process.confine import confine, settle_in
from leanhost.workers.worker_process.request_loop import CPU_SHARE, end_with_group


def main(argv: list[str]) -> int:
    """Run the program on the inherited socket named by the only argument."""
    channel = socket.socket(fileno=int(argv[0]))
    channel.set_inheritable(False)
    first = receive(channel, ProgramConfig)
    if first is None:
        return 0
    config: ProgramConfig = first.message
    settle_in(config)
    deadline = time.monotonic() + config.seconds
    try:
        confine(config, programs=True)
        limits.hand_down(config.limits)
        limits.take_on(config.limits)
        limits.allow_cpu(config.seconds * CPU_SHARE)
        program = subprocess.Popen(config.command, stdin=subprocess.DEVNULL)
    except LeanHostError as error:
        return _say(channel, NotRun(error.message))
    except (OSError, ValueError) as error:
        return _say(channel, NotRun(f"cannot start {config.command[0]}: {error}"))
    threading.Thread(target=_watch, args=(channel,), daemon=True).start()
    try:
        return _say(channel, Exited(program.wait(max(0.0, deadline - time.monotonic()))))
    except subprocess.TimeoutExpired:
        return _say(channel, Late())


def _watch(channel: socket.socket) -> None:
    """Wait until the pool has ended, then end everything."""
    look = select.poll()
    look.register(channel, 0)  # only that the other end is closed
    look.poll()
    end_with_group()


def _say(channel: socket.socket, message: ProgramReply) -> int:
    channel.sendall(pack(message, limit=MAX_CONTROL_BYTES))
    end_with_group()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
