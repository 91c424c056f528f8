"""The self-test of a toolchain: does Lean do what a version table says? It runs where a crash does no harm.

:func:`run` starts a throw-away child (:mod:`leanhost.services.probe`), which opens the toolchain with one table and
goes through the steps of :mod:`leanhost.services.probe.steps`. The request goes in on
standard input; the report comes back line by line on a descriptor of its own, because standard output is
Lean's to write to. Each step is announced before it starts, so a dead child still tells where it died.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeAlias

from leanhost.lean.tables import Table, candidates
from leanhost.toolchain import Toolchain
from leanhost.version import PACKAGE_ROOT

TIMEOUT = 300.0
"""Seconds a whole self-test may take; it needs about one (native) to ten (wasm)."""

PROBE = "leanhost.services.probe"
"""The module that is the child."""

_KEPT_OUTPUT = 16_384
_KEPT_REPORT = 1 << 20
_READ = 1 << 16

KEPT_DETAIL = 2_000
"""Characters kept of what a step says."""

EXIT_GRACE = 5.0
"""Seconds a child that has finished may take to end."""


@dataclass(frozen=True, slots=True)
class SelfTestStep:
    """One thing the self-test tried: ``seconds`` it took, and in ``detail`` what came of it."""

    name: str
    ok: bool
    detail: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.name}: {'ok' if self.ok else 'FAILED'} ({self.seconds:.2f} s) {self.detail}"

    def to_json(self) -> dict[str, Any]:
        """Return the step as JSON-ready values."""
        return {"name": self.name, "ok": self.ok, "detail": self.detail, "seconds": round(self.seconds, 4)}


Progress: TypeAlias = Callable[[SelfTestStep], object]
"""Called with each step as it ends."""


@dataclass(frozen=True, slots=True)
class SelfTestReport:
    """What a self-test found.

    ``table`` is the version of the table tried, ``""`` when the child was only asked which Lean it is;
    ``version`` and ``commit`` are Lean's own words, ``""`` when it did not get that far. ``ended`` tells how
    the child ended when it did not finish by itself (a signal, the time limit), with its last output.
    """

    table: str
    version: str
    commit: str
    steps: tuple[SelfTestStep, ...]
    elapsed: float
    ended: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything that was tried worked, and the child came to its end."""
        return not self.ended and bool(self.steps) and all(step.ok for step in self.steps)

    @property
    def failed(self) -> tuple[SelfTestStep, ...]:
        """The steps that failed."""
        return tuple(step for step in self.steps if not step.ok)

    def summary(self) -> str:
        """Return one or a few lines: the table and what failed with it."""
        head = f"table {self.table}" if self.table else "asking Lean for its version"
        if self.ok:
            return f"{head}: passed ({len(self.steps)} steps, {self.elapsed:.1f} s)"
        faults = [f"{step.name}: {step.detail}" for step in self.failed] or [
            self.ended or "it reported nothing"
        ]
        return f"{head}: " + "; ".join(faults)

    def __str__(self) -> str:
        return "\n".join([self.summary(), *(f"  {step}" for step in self.steps)])

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            "table": self.table,
            "version": self.version,
            "commit": self.commit,
            "ok": self.ok,
            "steps": [step.to_json() for step in self.steps],
            "elapsed": round(self.elapsed, 4),
            "ended": self.ended,
        }


def run(
    toolchain: Toolchain,
    table: type[Table] | None = None,
    *,
    timeout: float = TIMEOUT,
    progress: Progress | None = None,
) -> SelfTestReport:
    """Run the self-test of *toolchain* in a child process and report; nothing is remembered.

    *table* is the version table to try, by default the one that names the toolchain's commit, else the
    nearest one. *timeout* is in seconds, for everything. *progress* is called with each step as it ends.
    """
    if table is None:
        table = candidates(toolchain.version, toolchain.commit)[0]
    return _run(toolchain, table.version, timeout, progress)


def self_test(
    toolchain: Toolchain,
    *,
    timeout: float = TIMEOUT,
    progress: Callable[[str, SelfTestStep], object] | None = None,
) -> SelfTestReport:
    """Try the version tables that could fit *toolchain* in child processes; report the first that does, or the last.

    Nothing is remembered. *timeout* in seconds is for each table. *progress* is called with the table's version and
    each step as it ends.
    """
    for table in candidates(toolchain.version, toolchain.commit):
        told = None if progress is None else partial(progress, table.version)
        report = run(toolchain, table, timeout=timeout, progress=told)
        if report.ok:
            break
    return report


def identify(toolchain: Toolchain, *, timeout: float = TIMEOUT) -> SelfTestReport:
    """Start *toolchain* in a child process and only ask it for its version and commit."""
    return _run(toolchain, "", timeout, None)


def _run(toolchain: Toolchain, table: str, timeout: float, progress: Progress | None) -> SelfTestReport:
    # Made and removed on this side: the child may die at any moment.
    with tempfile.TemporaryDirectory(prefix="leanhost-self-test-", ignore_cleanup_errors=True) as scratch:
        request = {"toolchain": _pack(toolchain), "table": table, "timeout": timeout, "scratch": scratch}
        return _supervise(request, table, timeout, progress)


def _supervise(
    request: dict[str, Any], table: str, timeout: float, progress: Progress | None
) -> SelfTestReport:
    begun = time.monotonic()
    reading, writing = os.pipe()
    request = {**request, "report": writing}
    # The child must find this very leanhost, however the caller found it. -P: `-m` alone would look into the
    # current directory first, which may be anybody's.
    paths = [str(Path(PACKAGE_ROOT).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        process = subprocess.Popen(
            [sys.executable or "python3", "-P", "-m", PROBE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(writing,),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # a group of its own to kill; Ctrl-C is the parent's to handle
        )
    except OSError as error:
        os.close(reading)
        return SelfTestReport(table, "", "", (), 0.0, f"the child process could not be started: {error}")
    finally:
        os.close(writing)
    listener = _Listener(table, begun, progress)
    in_time = False
    with os.fdopen(reading, "rb", buffering=0) as report, process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()  # and left open: its end tells the child that its parent has ended
            in_time = _listen(report, process.stdout, listener, begun + timeout)
            if in_time:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(EXIT_GRACE)
        finally:
            # Also when the caller is interrupted. The group may be gone already.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            with suppress(BrokenPipeError):
                process.stdin.close()
    return listener.finish(process.returncode, None if in_time else timeout)


def _listen(report: IO[bytes], output: IO[bytes], listener: _Listener, deadline: float) -> bool:
    """Read both pipes until the report's end; False when *deadline* came first."""
    with selectors.DefaultSelector() as selector:
        for pipe in (report, output):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ)
        done = False
        while not done:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            for key, _ in selector.select(left):
                data = os.read(key.fd, _READ)
                if key.fileobj is report:
                    listener.report(data)
                    done = not data
                elif data:
                    listener.output(data)
                else:
                    selector.unregister(output)
        with suppress(BlockingIOError):
            while data := os.read(output.fileno(), _READ):
                listener.output(data)
        return True


class _Listener:
    """Puts a report together from the child's lines, trusting them no more than needed."""

    def __init__(self, table: str, begun: float, progress: Progress | None) -> None:
        self._table = table
        self._begun = begun
        self._progress = progress
        self._buffer = bytearray()
        self._room = _KEPT_REPORT
        self._tail = bytearray()
        self._steps: list[SelfTestStep] = []
        self._running: tuple[str, float] = ("before its first step", begun)
        self._version = self._commit = ""
        self._done = False

    def output(self, data: bytes) -> None:
        self._tail += data
        del self._tail[:-_KEPT_OUTPUT]

    def report(self, data: bytes) -> None:
        self._buffer += data[: self._room]
        self._room -= min(self._room, len(data))
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            with suppress(ValueError, KeyError, TypeError):
                self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        if "begin" in event:
            self._running = (str(event["begin"]), time.monotonic())
        elif "version" in event:
            self._version, self._commit = str(event["version"]), str(event["commit"])
        elif "done" in event:
            self._done = True
        else:
            step = SelfTestStep(
                str(event["name"]), event["ok"] is True, str(event["detail"]), float(event["seconds"])
            )
            self._running = (f"after {step.name}", time.monotonic())
            self._add(step)

    def _add(self, step: SelfTestStep) -> None:
        self._steps.append(step)
        if self._progress is not None:
            self._progress(step)

    def finish(self, code: int, timeout: float | None) -> SelfTestReport:
        ended = ""
        if not self._done:
            how = f"it was given up after {timeout:g} s" if timeout is not None else _describe(code)
            name, since = self._running
            tail = self._tail.decode("utf-8", "replace").strip()
            last = "; last output: " + tail[-KEPT_DETAIL:] if tail else ""
            ended = f"the child ended in step {name!r}: {how}{last}"
            self._add(SelfTestStep(name, False, f"{how}{last}", time.monotonic() - since))
        steps = tuple(self._steps)
        return SelfTestReport(
            self._table, self._version, self._commit, steps, time.monotonic() - self._begun, ended
        )


def _describe(code: int) -> str:
    if code >= 0:
        return f"it exited with status {code}"
    try:
        return f"it was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was killed by signal {-code}"


def _pack(toolchain: Toolchain) -> dict[str, str | None]:
    values = {field.name: getattr(toolchain, field.name) for field in fields(toolchain)}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
