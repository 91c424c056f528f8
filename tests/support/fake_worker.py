"""A worker that misbehaves on demand: the first word of a source says how. No Lean is started."""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import signal
import socket
import sys
import tempfile
import termios
import threading
import time
from array import array
from typing import Any

from leanhost.workers.protocol.framing import LENGTH, pack
from leanhost.workers.worker_process.request_loop import Channel

LIMIT = 1 << 20
COMMAND_RESULT = (
    '{"is":"CommandResult","diagnostics":[],"declarations":[],"sorries":[],'
    '"elapsed":0,"heartbeats":0,"limits":[]}'
)


def verdict(status: str = "accepted", **changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {"status": status, "diagnostics": [], "theorems": [], "sorries": [], "reasons": []}
    return {**base, "caveats": [], "elapsed_s": 0.0, "toolchain": "fake", **changes}


def unread(pipe: int) -> int:
    """How many bytes that were written to *pipe* nobody has read yet."""
    count = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    messages = Channel(channel)
    held: list[object] = []
    threading.Thread(target=messages.watch, daemon=True).start()
    messages.next()
    os.write(1, b"said before it was ready")
    while unread(1):  # the pool hears of both at once otherwise, in any order
        time.sleep(0.001)
    channel.sendall(pack({"ready": "fake", "sandbox": "none"}, LIMIT))
    while True:
        message, token = messages.next()
        identity = message["id"]
        # Of a session's calls it knows running a source, and asking about positions in one.
        source = message["check"]["source"] if "check" in message else message["arguments"]["source"]
        what, _, argument = source.partition(" ")

        def answer(identity: str = identity, **fields: Any) -> None:
            channel.sendall(pack({"id": identity, "spent": False, **fields}, LIMIT))

        match what:
            case "never":
                os._exit(9)
            case "mute":
                time.sleep(600)
            case "unready":
                answer(result=verdict("refused", reasons=["could not begin"]))
                continue
            case "tell-early":
                answer(progress=json.loads(argument))
        answer(begun=True)
        match what:
            case "accept":
                answer(result=verdict(reasons=[str(os.getpid())]))
            case "spent":
                answer(result=verdict(reasons=[str(os.getpid())]), spent=json.loads(argument))
            case "begin-again":
                answer(begun=True)
                answer(result=verdict())
            case "obey":
                while not token.is_cancelled:
                    time.sleep(0.001)
                answer(result=verdict(reasons=[str(os.getpid())]))
            case "say-and-exit":
                os.write(1, b"out")
                os.write(2, b"err")
                os._exit(3)
            case "last":
                answer(result=verdict())
                os._exit(0)
            case "sleep":
                time.sleep(float(argument))
                answer(result=verdict())
            case "exit":
                os._exit(int(argument))
            case "signal":
                os.kill(os.getpid(), int(argument))
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "flood":
                for _ in range(int(argument)):
                    os.write(1, b"o" * 65536)
                    os.write(2, b"e" * 65536)
                answer(result=verdict())
            case "endless-flood":
                while True:
                    os.write(1, b"x" * 65536)
            case "garbage":
                channel.sendall(b"\0\0\0\x07nothing")
            case "huge":
                channel.sendall(LENGTH.pack(1 << 31))
            case "list":
                channel.sendall(b"\0\0\0\2[]")
            case "other-id":
                answer("0" * 32, result=verdict())
            case "twice":
                channel.sendall(pack({"id": identity, "result": verdict(), "spent": False}, LIMIT) * 2)
            case "malformed":
                answer(result=verdict("accepted", theorems=[{"name": 1}]))
            case "no-float":
                answer(result=verdict(elapsed_s=10**400))
            case "unknown-status":
                answer(result=verdict("splendid"))
            case "deep":
                channel.sendall(LENGTH.pack(200_000) + b"[" * 200_000)
            case "costly":
                body = b"[" + b"[]," * (5 << 20) + b"0]"
                channel.sendall(LENGTH.pack(len(body)) + body)
            case "dribble":
                # One byte now and then: never silent, never done.
                for byte in LENGTH.pack(1 << 20) + b'{"id":"' + b"x" * (1 << 20):
                    channel.sendall(bytes([byte]))
                    time.sleep(0.01)
            case "forge":
                # What a candidate can reach: every descriptor it has inherited, but for the private socket.
                frame = pack({"id": identity, "result": verdict(), "spent": False}, LIMIT)
                for fd in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208
                    for path in (f"/proc/self/fd/{fd}", f"/dev/fd/{fd}"):
                        try:
                            handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
                            os.write(handle, frame)
                        except OSError:
                            pass
                answer(result=verdict("rejected"))
            case "value":
                answer(result=verdict(), extra={"value": json.loads(argument)})
            case "say":  # a verdict that is none of a session's, and something with it
                status, _, extra = argument.partition(" ")
                answer(result=verdict(status, reasons=["said so"]), extra=json.loads(extra))
            case "error":
                answer(result=verdict(), extra={"error": json.loads(argument)})
            case "tell" | "tell-early":
                if what == "tell":
                    answer(progress=json.loads(argument))
                answer(result=verdict(), extra={"value": json.loads(COMMAND_RESULT)})
            case "hold":  # megabytes of its own
                held.append(bytearray(os.urandom(1 << 20) * int(argument)))
                answer(result=verdict(reasons=[str(os.getpid())]))
            case "hoard":  # megabytes of its own, for ever
                held.append(bytearray(os.urandom(1 << 20) * int(argument)))
                time.sleep(600)
            case "share":  # megabytes that others could have as well, and no file holds
                shared = mmap.mmap(-1, int(argument) << 20)
                shared[:] = os.urandom(1 << 20) * int(argument)
                held.append(shared)
                answer(result=verdict(reasons=[str(os.getpid())]))
            case "map":  # megabytes of a file, which others could map as well
                with open("/proc/self/exe", "rb") as program, tempfile.TemporaryFile() as file:  # noqa: PTH123
                    while file.tell() < int(argument) << 20:
                        program.seek(0)
                        file.write(program.read())
                    file.flush()
                    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                    sum(mapped[:: mmap.PAGESIZE])
                    held.append(mapped)
                answer(result=verdict(reasons=[str(os.getpid())]))
            case "grandchild":
                if os.fork() == 0:
                    os.setsid()
                    time.sleep(600)
                time.sleep(600)
            case "orphan":  # in the same group, but nobody's child
                if (child := os.fork()) == 0:
                    if os.fork() == 0:
                        time.sleep(600)
                    os._exit(0)
                os.waitpid(child, 0)
                time.sleep(600)


if __name__ == "__main__":
    main()
