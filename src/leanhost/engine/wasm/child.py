"""The Node process of one engine: its start, its pipes, its output, its end."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import struct
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from leanhost.engine.wasm.mounts import Scratch
from leanhost.errors import EngineError

HOST = Path(__file__).with_name("host.js")

_OUTPUT_KEPT = 64 * 1024
_READ = 1 << 16
_V8_STACK = 96 * 1024 * 1024
"""Half of Lean's C stack, so that a RangeError comes first: the interpreter needs about as much of one as
of the other."""
_ORDER = struct.Struct("<cIi")
_STACK_RESERVE = 32 * 1024 * 1024

Tick = Callable[[], float]
"""Called before each wait: may raise, and returns the seconds to wait at most."""


class ChildGone(Exception):
    """The child's end of a pipe is closed."""


def _v8_stack() -> int:
    """Return the bytes of stack for V8: what is wanted, or what the hard limit leaves."""
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    if hard == resource.RLIM_INFINITY or hard >= _V8_STACK + _STACK_RESERVE:
        return _V8_STACK
    return max(hard // 2, 1024 * 1024)


class Child:
    """A running ``host.js``. Reads and writes wait only as long as *tick* says, then call it again."""

    def __init__(
        self, node: Path, config: Mapping[str, object], scratch: Scratch, inherited: Sequence[int] = ()
    ) -> None:
        """Start *node*; it also gets the descriptors *inherited*, which *config* names."""
        request_read, self._request = os.pipe()
        self._reply, reply_write = os.pipe()
        control_read, self._control = os.pipe()
        theirs = (request_read, reply_write, control_read)
        output_read, output_write = os.pipe()
        # V8 must report an overflow before the kernel does, so its limit stays below the process's.
        v8_stack = _v8_stack()
        stack = v8_stack + (_STACK_RESERVE if v8_stack == _V8_STACK else v8_stack)
        command = [
            "/bin/sh",
            "-c",
            'ulimit -s "$0" && exec "$@"',
            str(stack // 1024),
            str(node),
            "--wasm-lazy-validation",
            f"--stack-size={v8_stack // 1024}",
            "--no-deprecation",
            # Behind what host.js itself refuses: no programs, no addons, no code from text, no files to write.
            "--permission",
            "--allow-worker",
            "--allow-fs-read=*",
            f"--allow-fs-write={scratch.real}",
            "--disallow-code-generation-from-strings",
            "--disable-warning=SecurityWarning",  # of --allow-worker, among what Lean printed
            str(HOST),
            json.dumps(
                {
                    **config,
                    "requestFd": request_read,
                    "replyFd": reply_write,
                    "controlFd": control_read,
                    "parent": os.getpid(),
                    "scratch": str(scratch.path) if scratch.private else None,
                }
            ),
        ]
        try:
            # The user's NODE_OPTIONS are for the user's programs, and secrets are often kept in an environment.
            environment = {k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"}
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output_write,
                stderr=output_write,
                pass_fds=(*theirs, *inherited),
                start_new_session=True,  # the terminal's Ctrl-C is for the Python side to handle
                cwd="/",
                env=environment,
            )
        except OSError as error:
            for fd in (self._request, self._reply, self._control, output_read):
                os.close(fd)
            raise EngineError(f"cannot start {node}: {error}") from error
        finally:
            for fd in (*theirs, output_write):
                os.close(fd)
        os.set_blocking(self._request, False)
        os.set_blocking(self._reply, False)
        os.set_blocking(self._control, False)
        self._readable = select.poll()
        self._readable.register(self._reply, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(self._request, select.POLLOUT)
        self._buffer = bytearray()
        self._output = bytearray()
        self._open = True
        self._drain = threading.Thread(
            target=self._keep_output, args=(output_read,), name="leanhost-wasm-output", daemon=True
        )
        self._drain.start()

    @property
    def pid(self) -> int:
        """The process id of the Node child."""
        return self._process.pid

    def _keep_output(self, fd: int) -> None:
        with open(fd, "rb", buffering=0) as pipe:
            while data := pipe.read(_READ):
                self._output += data
                excess = len(self._output) - _OUTPUT_KEPT
                if excess > 0:
                    del self._output[:excess]

    def output(self) -> str:
        """Return the end of what the child printed."""
        return bytes(self._output).decode("utf-8", "replace")

    def forget_output(self) -> None:
        """Drop what the child has printed so far."""
        self._output.clear()

    def send(self, frame: bytes, tick: Tick) -> None:
        """Write one frame."""
        view = memoryview(frame)
        while view:
            try:
                view = view[os.write(self._request, view) :]
            except BlockingIOError:
                self._writable.poll(tick() * 1000)
            except BrokenPipeError as error:
                raise ChildGone from error

    def receive(self, limit: int, tick: Tick) -> bytes:
        """Read one frame, without its length; :class:`ChildGone` at the end, or if longer than *limit*."""
        buffer = self._buffer
        while True:
            if len(buffer) >= 4:
                need = 4 + int.from_bytes(buffer[:4], "little")
                if need - 4 > limit:
                    raise ChildGone
                if len(buffer) >= need:
                    # Given back by hand: a profiler that lists all objects may hold the views a moment longer.
                    with memoryview(buffer) as whole, whole[4:need] as part:
                        frame = bytes(part)
                    del buffer[:need]
                    return frame
            if not self._readable.poll(tick() * 1000):
                continue
            data = os.read(self._reply, _READ if len(buffer) < _READ else 1 << 20)
            if not data:
                raise ChildGone
            buffer += data

    def cancel(self, ref: int, time: int) -> None:
        """Ask the child's second thread to set the cancel token at address *ref*, if it is still that *time*."""
        try:
            os.write(self._control, _ORDER.pack(b"C", ref, time))
        except OSError:
            pass  # a child that is gone, or that has a thousand such orders already

    def kill(self) -> None:
        """Kill the process; whoever waits for its answer sees the pipe end."""
        self._process.kill()

    def end(self, *, kill: bool) -> int | None:
        """Close the pipes, end the process, and return its exit status. Calling it twice is fine."""
        if self._open:
            self._open = False
            if kill:
                self.kill()
            for fd in (self._request, self._reply, self._control):
                os.close(fd)
            try:
                self._process.wait(2.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._drain.join(2.0)
        return self._process.returncode

    def forget(self) -> None:
        """Close this process's copies of the pipes, in a forked process that does not own the child."""
        if self._open:
            self._open = False
            for fd in (self._request, self._reply, self._control):
                os.close(fd)

    def describe_end(self) -> str:
        """Say how the process ended (after :meth:`end`)."""
        code = self._process.returncode
        if code is not None and code < 0:
            try:
                return f"killed by {signal.Signals(-code).name}"
            except ValueError:
                return f"killed by signal {-code}"
        return f"exit status {code}"
