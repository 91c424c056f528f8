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

from leanhost.workers.protocol.framing import LENGTH, receive
from leanhost.workers.protocol.messages import Ask, Config
from leanhost.workers.worker_process.request_loop import Channel

COMMAND_RESULT = (
    '{"is":"CommandResult","diagnostics":[],"declarations":[],"sorries":[],'
    '"elapsed":0,"heartbeats":0,"limits":[]}'
)


def verdict(status: str = "accepted", **changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {"status": status, "diagnostics": [], "theorems": [], "sorries": [], "reasons": []}
    base |= {"caveats": [], "elapsed": 0.0, "toolchain": "fake"}
    return {**base, "file": "forged", "stdout": "forged", "stderr": "forged", "id": "forged", **changes}


def frame(kind: str, payload: str | None = None, **fields: Any) -> bytes:
    """A frame of the protocol, whatever is in it."""
    body = json.dumps({"type": kind, **fields}).encode()
    if payload is not None:
        body += b"\n" + payload.encode()
    return LENGTH.pack(len(body)) + body


def unread(pipe: int) -> int:
    """How many bytes that were written to *pipe* nobody has read yet."""
    count = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    receive(channel, Config)
    messages = Channel(channel)
    held: list[object] = []
    threading.Thread(target=messages.watch, daemon=True).start()
    os.write(1, b"said before it was ready")
    while unread(1):  # the pool hears of both at once otherwise, in any order
        time.sleep(0.001)
    channel.sendall(frame("ready", label="fake", sandbox="none"))
    while True:
        request, token = messages.next()
        if request is None:  # a reset, of which there is nothing to do here
            continue
        identity, source = request.message.id, request.message.request.source
        if isinstance(request.message.question, Ask):
            # Of a session's calls it knows running a source, and asking about positions in one.
            source = json.loads(request.payload)["arguments"]["source"]
        what, _, argument = source.partition(" ")

        def send(kind: str, payload: str | None = None, /, id: str = identity, **fields: Any) -> None:
            channel.sendall(frame(kind, payload, id=id, **fields))

        def answer(given: dict[str, Any], payload: str | None = None, /, **fields: Any) -> None:
            send("done", payload, result=given, spent=False, **fields)

        match what:
            case "never":
                os._exit(9)
            case "mute":
                time.sleep(600)
            case "unready":
                answer(verdict("refused", reasons=["could not begin"]))
                continue
            case "tell-early":
                send("told", event=json.loads(argument))
        send("begun")
        match what:
            case "accept":
                answer(verdict(reasons=[str(os.getpid())]))
            case "spent":
                send("done", result=verdict(reasons=[str(os.getpid())]), **json.loads(argument))
            case "begin-again":
                send("begun")
                answer(verdict())
            case "obey":
                while not token.is_cancelled:
                    time.sleep(0.001)
                answer(verdict(reasons=[str(os.getpid())]))
            case "say-and-exit":
                os.write(1, b"out")
                os.write(2, b"err")
                os._exit(3)
            case "last":
                answer(verdict())
                os._exit(0)
            case "sleep":
                time.sleep(float(argument))
                answer(verdict())
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
                answer(verdict())
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
                answer(verdict(), id="0" * 32)
            case "twice":
                channel.sendall(frame("done", id=identity, result=verdict(), spent=False) * 2)
            case "malformed":
                answer(verdict("accepted", theorems=[{"name": 1}]))
            case "no-float":
                answer(verdict(elapsed=10**400))
            case "unknown-status":
                answer(verdict("splendid"))
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
                forged = frame("done", id=identity, result=verdict(), spent=False)
                for fd in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208
                    for path in (f"/proc/self/fd/{fd}", f"/dev/fd/{fd}"):
                        try:
                            handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
                            os.write(handle, forged)
                        except OSError:
                            pass
                answer(verdict("rejected"))
            case "value":
                answer(verdict(), argument)
            case "say":  # a verdict that is none of a session's, and something with it
                status, kind, payload = argument.split(" ", 2)
                said = verdict(status, reasons=["said so"])
                answer(said, payload or None, raised=kind == "error")
            case "error":
                answer(verdict(), argument, raised=True)
            case "tell" | "tell-early":
                if what == "tell":
                    send("told", event=json.loads(argument))
                answer(verdict(), COMMAND_RESULT)
            case "hold":  # megabytes of its own
                held.append(bytearray(os.urandom(1 << 20) * int(argument)))
                answer(verdict(reasons=[str(os.getpid())]))
            case "hoard":  # megabytes of its own, for ever
                held.append(bytearray(os.urandom(1 << 20) * int(argument)))
                time.sleep(600)
            case "share":  # megabytes that others could have as well, and no file holds
                shared = mmap.mmap(-1, int(argument) << 20)
                shared[:] = os.urandom(1 << 20) * int(argument)
                held.append(shared)
                answer(verdict(reasons=[str(os.getpid())]))
            case "map":  # megabytes of a file, which others could map as well
                with open("/proc/self/exe", "rb") as program, tempfile.TemporaryFile() as file:  # noqa: PTH123
                    while file.tell() < int(argument) << 20:
                        program.seek(0)
                        file.write(program.read())
                    file.flush()
                    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                    sum(mapped[:: mmap.PAGESIZE])
                    held.append(mapped)
                answer(verdict(reasons=[str(os.getpid())]))
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
