"""The size of the pages a process takes new memory in."""

from __future__ import annotations

import ctypes
import sys

_PR_SET_THP_DISABLE = 41


def small_pages() -> None:
    """Take new memory of this process, and of those it forks, in pages of the usual size, where the kernel has others.

    A large page is cleared whole before its first byte is used: two megabytes, which takes longer than a short check
    needs for all else it takes, and counts as private memory. For a process that lives on they are worth it: what it
    has in large pages already stays there.
    """
    if sys.platform == "linux":
        zero = ctypes.c_ulong(0)
        ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, ctypes.c_ulong(1), zero, zero, zero)
