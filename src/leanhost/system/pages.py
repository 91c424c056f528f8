"""Memory pages of a process: their size, and which of them a fork has copied."""

from __future__ import annotations

import ctypes
import os
import sys
from array import array
from collections.abc import Iterator, Sequence

_PR_SET_THP_DISABLE = 41
_POPULATE_WRITE = 23
_SIZE = os.sysconf("SC_PAGE_SIZE")
_PRESENT, _OF_A_FILE, _ALONE = 1 << 63, 1 << 61, 1 << 56
_LOOKED_AT = _PRESENT | _OF_A_FILE | _ALONE
_OWN = _PRESENT | _ALONE
_CHUNK = 1 << 12
"""How many pages are looked up in one read."""

Ranges = Sequence[tuple[int, int]]
"""Start and length in bytes."""

_libc = ctypes.CDLL(None)


def small_pages() -> None:
    """Take new memory of this process, and of those it forks, in pages of the usual size, where the kernel has others.

    A large page is cleared whole before its first byte is used: two megabytes, which takes longer than a short check
    needs for all else it takes, and counts as private memory. For a process that lives on they are worth it: what it
    has in large pages already stays there.
    """
    if sys.platform == "linux":
        zero = ctypes.c_ulong(0)
        _libc.prctl(_PR_SET_THP_DISABLE, ctypes.c_ulong(1), zero, zero, zero)


def written(pid: int) -> list[tuple[int, int]]:
    """Return the writable ranges of which this forked process has pages of its own.

    Other forks doing the same work will write there, too. ``OSError`` where the kernel does not say.
    """
    found: list[tuple[int, int]] = []
    for page in _own_pages(pid):
        if found and sum(found[-1]) == page:
            found[-1] = (found[-1][0], found[-1][1] + _SIZE)
        else:
            found.append((page, _SIZE))
    return found


def _own_pages(pid: int) -> Iterator[int]:
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:  # noqa: PTH123
        for begin, end in _writable():
            for at in range(begin, end, _CHUNK * _SIZE):
                count = min(_CHUNK, (end - at) // _SIZE)
                states = array("Q", os.pread(pagemap.fileno(), count * 8, at // _SIZE * 8))
                if states.count(0) < len(states):
                    yield from (
                        at + i * _SIZE for i, state in enumerate(states) if state & _LOOKED_AT == _OWN
                    )


def _writable() -> Iterator[tuple[int, int]]:
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as lines:  # noqa: PTH123
        for line in lines:
            where, rights, *_ = line.split()
            if rights == "rw-p":
                begin, end = where.split("-")
                yield int(begin, 16), int(end, 16)


def populate(ranges: Ranges) -> None:
    """Copy these pages for this process now: copying them together is cheaper than a fault for each."""
    madvise = _libc.madvise
    for begin, length in ranges:
        madvise(ctypes.c_void_p(begin), ctypes.c_size_t(length), _POPULATE_WRITE)
