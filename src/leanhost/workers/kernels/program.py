"""Running a program that takes an export: in a process of its own, confined, for so long and no longer."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from leanhost.errors import LeanHostError
from leanhost.services.values.results import Status
from leanhost.system.process_limits import Limits
from leanhost.system.scratch import Scratch
from leanhost.workers.jobs.settings import Settings
from leanhost.workers.kernels.choice import PLACE, Program
from leanhost.workers.protocol.framing import MAX_CONTROL_BYTES, MAX_REQUEST_BYTES, Unpacker, pack
from leanhost.workers.protocol.messages import Exited, Late, NotRun, ProgramConfig, ProgramReply
from leanhost.workers.supervision.process import LAUNCHING, Ends, Spawned, make_ends, spawn
from leanhost.workers.values.kernel_answers import KernelAnswer

MODULE = "leanhost.workers.worker_process.program_main"
TAIL = 2000
"""Characters of what a program said that go into its answer."""

START_S = 20.0
"""Seconds that the process around a program may take to start and to end."""


class ProgramRun:
    """One run of one program over one file, on a thread of its own; *done* is told how it ended."""

    def __init__(
        self,
        program: Program,
        export: str,
        seconds: float,
        settings: Settings,
        done: Callable[[KernelAnswer, Status], None],
    ) -> None:
        self._program = program
        self._export = export
        self._seconds = seconds
        self._settings = settings
        self._done = done
        self._stopped = threading.Event()
        self._wake, self._woken = socket.socketpair()
        threading.Thread(target=self._run, name="leanhost-kernel", daemon=True).start()

    def cancel(self) -> None:
        """End it."""
        self._stopped.set()
        with suppress(OSError):
            self._wake.send(b"!")

    def _run(self) -> None:
        try:
            try:
                answer, status = self._answer()
            except (LeanHostError, OSError) as error:
                answer, status = self._limit(f"{error}"), Status.CRASHED
        finally:
            self._wake.close()
            self._woken.close()
        self._done(answer, status)

    def _limit(self, message: str) -> KernelAnswer:
        return KernelAnswer(self._program.name, "", "", "limit", message)

    def _answer(self) -> tuple[KernelAnswer, Status]:
        scratch = Scratch()
        try:
            file = scratch.path / "export.ndjson"
            file.write_text(self._export, encoding="utf-8")
            self._export = ""
            ends, inherited = make_ends(self._settings.output_limit)
            try:
                with LAUNCHING:
                    process = spawn(MODULE, inherited)
            finally:
                inherited.close()
            try:
                config = ProgramConfig(
                    tuple(word.replace(PLACE, str(file)) for word in self._program.command),
                    self._seconds,
                    Limits(self._settings.memory_limit),
                    self._settings.sandbox,
                    str(scratch.path),
                )
                ends.channel.setblocking(True)
                ends.channel.sendall(pack(config, limit=MAX_REQUEST_BYTES))
                ends.channel.setblocking(False)
                said = self._said(ends)
                process.kill()
                ends.stdout.read()
                ends.stderr.read()
                return self._judged(said, (ends.stderr.text + ends.stdout.text).strip()[-TAIL:])
            finally:
                _end(process)
                ends.close()
        finally:
            scratch.remove()

    def _said(self, ends: Ends) -> ProgramReply | None:
        """Wait for the process's word, and throw away what the program prints; ``None`` if it ends without one."""
        unpacker: Unpacker[ProgramReply] = Unpacker(ProgramReply, MAX_CONTROL_BYTES)
        until = time.monotonic() + self._seconds + START_S
        with selectors.DefaultSelector() as selector:
            for source in (ends.channel, ends.stdout.fd, ends.stderr.fd, self._woken):
                selector.register(source, selectors.EVENT_READ)
            while not self._stopped.is_set() and (left := until - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    for drain in (ends.stdout, ends.stderr):
                        if key.fileobj == drain.fd and not drain.read():
                            selector.unregister(drain.fd)
                    if key.fileobj is ends.channel:
                        data = ends.channel.recv(1 << 16)
                        frames = unpacker.feed(data)
                        if frames or not data:
                            return frames[0].message if frames else None
        return Late()

    def _judged(self, said: ProgramReply | None, output: str) -> tuple[KernelAnswer, Status]:
        name, after = self._program.name, f": {output}" if output else ""
        if self._stopped.is_set() and isinstance(said, Late):
            return self._limit("the caller cancelled"), Status.CANCELLED
        match said:
            case Late():
                return self._limit(f"the wall-clock limit of {self._seconds:g} s ran out"), Status.TIMEOUT
            case NotRun(why=why):
                return self._limit(why[:TAIL]), Status.CRASHED
            case Exited(status=0):
                return KernelAnswer(name, "", "", "accepted"), Status.ACCEPTED
            case Exited(status=status) if status > 0:
                return KernelAnswer(name, "", "", "rejected", f"exit status {status}{after}"), Status.REJECTED
            case Exited(status=status):
                return self._limit(f"it was ended by signal {-status}{after}"), Status.CRASHED
            case None:
                return self._limit(f"it ended without a word{after}"), Status.CRASHED


def _end(process: Spawned) -> None:
    process.kill()
    until = time.monotonic() + START_S
    while process.status() is None and time.monotonic() < until:
        time.sleep(0.002)
