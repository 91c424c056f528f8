"""What this machine has to confine processes with, asked of its kernel and not of the code that is tested."""

from __future__ import annotations

import ctypes
import platform
import sys
from pathlib import Path


def _landlock() -> int:
    if sys.platform != "linux":
        return 0
    syscall = ctypes.CDLL(None).syscall
    syscall.restype = ctypes.c_long
    return max(0, int(syscall(ctypes.c_long(444), None, ctypes.c_size_t(0), ctypes.c_uint32(1))))


LANDLOCK = _landlock()
"""The kernel's version of Landlock, 0 for none."""
SECCOMP = platform.machine() == "x86_64" and "Seccomp:" in Path("/proc/self/status").read_text()
"""Whether the kernel takes filters, for a machine that there is one for."""
WHOLE = LANDLOCK >= 3 and SECCOMP
