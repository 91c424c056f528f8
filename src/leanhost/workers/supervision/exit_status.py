"""What the end of a worker says about the source it was checking."""

from __future__ import annotations

import signal

from leanhost.services.values.results import Status

UNKNOWN = 1 << 16
"""Stands for an exit status that is not known."""

_TAIL = 400


def status_of_exit(code: int | None, stderr: str) -> tuple[Status, str]:
    """Read a status and a reason from how a process ended (as ``Popen.returncode``) and what it said last.

    The candidate may have written the text, so it only tells one failure from another.
    """
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if "PANIC" in line or "verflow" in line), "")
    said = said or (lines[-1] if lines else "")
    quoted = f": {said[:_TAIL]}" if said else ""
    if (
        "out of memory" in said
        or "MemoryError" in said
        or "bad_alloc" in said
        or "annot allocate memory" in said
    ):
        return Status.OUT_OF_MEMORY, f"Lean ran out of memory{quoted}"
    if code is None or code == UNKNOWN:
        return Status.CRASHED, f"the worker ended, nobody knows how{quoted}"
    if code >= 0:
        return Status.CRASHED, f"the worker ended with exit status {code}{quoted}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if -code == signal.SIGXCPU:
        return Status.TIMEOUT, "the worker used up its CPU time"
    if -code == signal.SIGKILL:
        return Status.CRASHED, "the worker was killed from outside (SIGKILL)"
    return Status.CRASHED, f"Lean ended with {name}{quoted}"
