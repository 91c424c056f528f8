"""What a worker process may use, set by the worker on itself before it is given any work."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from dataclasses import dataclass

_PAGE = resource.getpagesize()
_ANONYMOUS = (b"\nRssAnon:", b"\nRssShmem:")

SLACK_BYTES = 1 << 30
"""Address space allowed beyond the memory limit: stacks and allocator reservations count before they are used."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one worker process.

    ``memory`` counts private bytes on top of what the process has when it starts work; it is also watched from
    outside, which is exact, where this limit only bounds the address space. ``processes`` counts tasks of the
    user on top of all that run now.
    """

    memory: int
    file_size: int = 256 << 20
    open_files: int = 512
    processes: int = 256


def apply(limits: Limits, helpers: Sequence[int], *, address_space: bool) -> None:
    """Set the limits of this process and of its *helpers*, the pids of an engine that is a process.

    ``address_space=False`` where the runtime reserves what it never uses.
    """
    hand_down(limits, helpers, address_space=address_space)
    take_on(limits, helpers)


def hand_down(limits: Limits, helpers: Sequence[int] = (), *, address_space: bool = True) -> None:
    """Set the limits that also suit a process that forks the limited ones, so that they start with them."""
    charged = _charged_bytes()
    for pid in (0, *helpers):
        _lower(pid, resource.RLIMIT_CORE, 0)
        _lower(pid, resource.RLIMIT_FSIZE, limits.file_size)
        if address_space and charged is not None:
            _lower(pid, resource.RLIMIT_DATA, charged + limits.memory + SLACK_BYTES)


def take_on(limits: Limits, helpers: Sequence[int] = ()) -> None:
    """Set the remaining limits."""
    running = _running_tasks()
    for pid in (0, *helpers):
        _lower(pid, resource.RLIMIT_NOFILE, limits.open_files)
        if running is not None:
            _lower(pid, resource.RLIMIT_NPROC, running + limits.processes)


def allow_cpu(seconds: float, helpers: Sequence[int] = ()) -> None:
    """Let this process, and each helper, use *seconds* more of CPU; past that the kernel ends it (``SIGXCPU``)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _allow(0, used.ru_utime + used.ru_stime + seconds)
    for pid in helpers:
        taken = _cpu_seconds(pid)
        if taken is not None:
            _allow(pid, taken + seconds)


def _allow(pid: int, seconds: float) -> None:
    soft = int(seconds) + 2
    try:
        _, hard = resource.prlimit(pid, resource.RLIMIT_CPU)
        if hard == resource.RLIM_INFINITY or soft < hard:
            resource.prlimit(pid, resource.RLIMIT_CPU, (soft, hard))
    except ProcessLookupError:
        pass  # a helper that has ended is missed where it is used


def _lower(pid: int, which: int, value: int) -> None:
    try:
        _, hard = resource.prlimit(pid, which)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.prlimit(pid, which, (value, value))
    except ProcessLookupError:
        pass


def _cpu_seconds(pid: int) -> float | None:
    try:
        fields = _said(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def _running_tasks() -> int | None:
    """Count all tasks of the machine: an upper bound for those of this user, which the limit is about."""
    try:
        return int(_said("/proc/loadavg").split()[3].partition(b"/")[2])
    except (OSError, ValueError, IndexError):
        return None


def _charged_bytes() -> int | None:
    """What the kernel charges to ``RLIMIT_DATA`` now, including the stack."""
    try:
        return int(_said("/proc/self/statm").split()[5]) * _PAGE
    except (OSError, ValueError, IndexError):
        return None


def _said(path: str) -> bytes:
    """Read a file of the kernel in few steps: this runs at every fork."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        said = b""
        while more := os.read(file, 1 << 16):  # it says a page at a time
            said += more
        return said
    finally:
        os.close(file)


def anonymous_bytes(pid: int) -> int:
    """Return the bytes of a process's resident memory that no file backs; 0 when the process has ended.

    Pages of files (``.olean``) are not in it; pages shared with a zygote are, so only its growth says something.
    """
    try:
        said = _said(f"/proc/{pid}/status")
        # A process that has ended and was not waited for has neither line.
        return sum(
            int(said.partition(mark)[2].split(None, 1)[0]) * 1024 for mark in _ANONYMOUS if mark in said
        )
    except (OSError, ValueError, IndexError):
        return 0


def family(pid: int) -> list[int]:
    """Return *pid* and its descendants, as far as the kernel reports them."""
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):  # noqa: PTH208 - for each worker that starts
                found.extend(map(int, _said(f"/proc/{parent}/task/{task}/children").split()))
        except (OSError, ValueError):
            continue
    return found
