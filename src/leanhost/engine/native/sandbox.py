"""Giving up, for good, what code that is checked has no use for: network, programs, files outside a scratch place.

Two mechanisms of the Linux kernel, neither of which needs privileges: Landlock for the file system and TCP,
seccomp for system calls. Both hold for the calling process and whatever it starts; nothing can take them back.
Landlock binds the calling thread and those it starts later, so a process does this before it starts any.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PR_SET_NO_NEW_PRIVS = 38

# --- Landlock (numbers are the same on every machine) ---

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
# Remove and make anything, all since the first version; then REFER and TRUNCATE.
_CHANGES = sum(1 << bit for bit in range(4, 13)) | _WRITE_FILE
_SINCE = {2: 1 << 13, 3: 1 << 14}
_NET_TCP = 3  # bind, connect: since version 4
_SCOPES = 3  # abstract UNIX sockets, signals: since version 6

# --- seccomp ---

_SET_MODE_FILTER = 1
_TSYNC = 1
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARG0 = 0, 4, 16
_CLONE_THREAD = 0x10000


@dataclass(frozen=True, slots=True)
class Report:
    """What holds now. ``landlock`` is the kernel's version of it, 0 for none; ``missing`` says what does not hold."""

    landlock: int = 0
    seccomp: bool = False
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"Landlock {self.landlock}"] if self.landlock else []
        parts += ["seccomp"] if self.seccomp else []
        return " and ".join(parts) or "none"


def apply(writable: Iterable[Path], *, programs: bool = False) -> Report:
    """Confine this process; call it before it starts threads.

    Nothing outside *writable* can be changed, no socket can be opened and, unless *programs*, nothing executed
    and no process started. What the machine cannot do is reported, not raised.
    """
    if sys.platform != "linux":
        return Report(missing=("there is no sandbox on this system",))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return Report(missing=(f"no_new_privs: {os.strerror(ctypes.get_errno())}",))
    missing = []
    landlock = 0
    try:
        landlock = _landlock(libc, writable, programs)
        if landlock < 3:
            missing.append(f"Landlock {landlock} does not stop files from being truncated")
    except OSError as error:
        missing.append(f"Landlock: {error.strerror}")
    seccomp = False
    try:
        _seccomp(libc, programs)
        seccomp = True
    except OSError as error:
        missing.append(f"seccomp: {error.strerror}")
    return Report(landlock, seccomp, tuple(missing))


def _syscall(libc: ctypes.CDLL, number: int, *args: object) -> int:
    function = libc.syscall
    function.restype = ctypes.c_long
    result = int(function(ctypes.c_long(number), *args))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _landlock(libc: ctypes.CDLL, writable: Iterable[Path], programs: bool) -> int:
    zero = ctypes.c_size_t(0)
    version = _syscall(libc, _CREATE_RULESET, None, zero, ctypes.c_uint32(_VERSION_FLAG))
    changes = _CHANGES | sum(bit for since, bit in _SINCE.items() if version >= since)
    handled = changes if programs else changes | _EXECUTE
    attributes = struct.pack("=Q", handled)
    if version >= 4:
        attributes += struct.pack("=Q", _NET_TCP)
    if version >= 6:
        attributes += struct.pack("=Q", _SCOPES)
    size = ctypes.c_size_t(len(attributes))
    ruleset = _syscall(libc, _CREATE_RULESET, attributes, size, ctypes.c_uint32(0))
    try:
        for path in writable:
            _beneath(libc, ruleset, path, changes)
        _beneath(libc, ruleset, Path(os.devnull), _WRITE_FILE)
        _syscall(libc, _RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return version


def _beneath(libc: ctypes.CDLL, ruleset: int, path: Path, allowed: int) -> None:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", allowed, handle)
        _syscall(
            libc, _ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0)
        )
    finally:
        os.close(handle)


# x86-64 only: a filter has to know every number it is about.
_MACHINE, _AUDIT_ARCH, _SECCOMP = "x86_64", 0xC000003E, 317
_CLONE, _KILL_NR, _TGKILL = 56, 62, 234
_NETWORK = (41,)  # socket
_PROGRAMS = (57, 58, 59, 322)  # fork, vfork, execve, execveat
_GROUPS = (109, 112)  # setpgid, setsid: the group is how a process is ended with all it started
_ABSENT = (425, 426, 427)  # io_uring, which would go round every other rule: callers fall back
_OTHERS = (
    *(101, 310, 311, 312),  # ptrace, process_vm_readv, process_vm_writev, kcmp
    *(
        434,
        438,
        424,
        440,
        448,
    ),  # pidfd_open, pidfd_getfd, pidfd_send_signal, process_madvise, process_mrelease
    *(200, 129, 297),  # tkill, rt_sigqueueinfo, rt_tgsigqueueinfo
    *(165, 166, 155, 161, 272, 308),  # mount, umount2, pivot_root, chroot, unshare, setns
    *(428, 429, 430, 431, 432, 433, 442),  # the newer mount calls
    *(321, 298, 323),  # bpf, perf_event_open, userfaultfd
    *(248, 249, 250),  # keys
    *(175, 176, 313, 246, 320, 169, 167, 168),  # modules, kexec, reboot, swap
    *(303, 304),  # file handles
    *(135, 172, 173, 103, 159, 164, 170, 171, 227, 305),  # personality, ports, syslog, clocks, names
    *(29, 30, 31, 64, 65, 66, 68, 69, 70, 71, 240),  # System V and POSIX message queues
)


def _seccomp(libc: ctypes.CDLL, programs: bool) -> None:
    if platform.machine() != _MACHINE:
        raise OSError(errno.ENOSYS, f"no filter for {platform.machine()}")
    code = b"".join(_filter(os.getpid(), programs))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("=HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    _syscall(libc, _SECCOMP, ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(_TSYNC), program)


def _filter(pid: int, programs: bool) -> Iterator[bytes]:
    def op(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("=HBBI", code, yes, no, value)

    allow, refuse = op(_RET, _ALLOW), op(_RET, _ERRNO | errno.EPERM)
    yield op(_LD, _ARCH)
    yield op(_JEQ, _AUDIT_ARCH, 1, 0)
    yield op(_RET, _KILL)
    yield op(_LD, _NR)
    yield op(_JGE, 0x40000000, 0, 1)  # the x32 numbers of the same calls
    yield refuse
    for number in (*_NETWORK, *_OTHERS, *(() if programs else _PROGRAMS + _GROUPS)):
        yield op(_JEQ, number, 0, 1)
        yield refuse
    for number in (*_ABSENT, *(() if programs else (435,))):  # clone3: its arguments cannot be seen
        yield op(_JEQ, number, 0, 1)
        yield op(_RET, _ERRNO | errno.ENOSYS)
    if not programs:
        yield op(_JEQ, _CLONE, 0, 4)
        yield op(_LD, _ARG0)
        yield op(_JSET, _CLONE_THREAD, 0, 1)
        yield allow
        yield refuse
        # Signals only to itself (abort) and to its own group (its way to end itself).
        for number, own in ((_KILL_NR, 0), (_TGKILL, pid)):
            yield op(_JEQ, number, 0, 4)
            yield op(_LD, _ARG0)
            yield op(_JEQ, own, 0, 1)
            yield allow
            yield refuse
    yield allow
