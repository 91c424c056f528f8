"""Giving up for good what checked code has no use for: network, programs, files outside a scratch directory.

Two mechanisms of the Linux kernel, neither of which needs privileges: Landlock for the file system and TCP,
seccomp for system calls. Both hold for the calling process and whatever it starts; nothing can take them back.
Landlock binds the calling thread and those it starts later, so a process does this before it starts any.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PR_SET_NO_NEW_PRIVS = 38

# --- capabilities ---

_CAPABILITIES_3 = 0x20080522
_KEPT_CAPABILITIES = 1 << 2  # DAC_READ_SEARCH: reading is not prevented, and imports may need it

# --- Landlock (numbers are the same on every machine) ---

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
# Remove and make anything, all since the first version; then REFER, TRUNCATE and IOCTL_DEV.
_CHANGES = sum(1 << bit for bit in range(4, 13)) | _WRITE_FILE
_SINCE = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
# MAKE_CHAR, MAKE_SOCK, MAKE_BLOCK: who makes a disk's node can write to the disk.
_NODES = 1 << 6 | 1 << 9 | 1 << 11
_NET_TCP = 3  # bind, connect: since version 4
_SCOPES = 3  # abstract UNIX sockets, signals: since version 6

# --- seccomp ---

_SET_MODE_FILTER = 1
_TSYNC = 1
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARG0, _ARG1 = 0, 4, 16, 24
_CLONE_THREAD = 0x10000


@dataclass(frozen=True, slots=True)
class Report:
    """What is in force now. ``landlock`` is the kernel's version of it, 0 for none; ``missing`` says what is not."""

    landlock: int = 0
    seccomp: bool = False
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"Landlock {self.landlock}"] if self.landlock else []
        parts += ["seccomp"] if self.seccomp else []
        return " and ".join(parts) or "none"


class _Means:
    """What confinement needs and all processes of a kind share; made before a fork, it costs nothing afterwards."""

    def __init__(self, programs: bool) -> None:
        self._libc = libc = ctypes.CDLL(None, use_errno=True)
        self._forgone = False
        self._syscall = libc.syscall
        self._syscall.restype = ctypes.c_long
        self.version = 0
        self._changes = self._handled = 0
        self._attributes = b""
        self.no_landlock = self.no_seccomp = ""
        try:
            self._find_landlock(programs)
        except OSError as error:
            self.no_landlock = error.strerror or str(error)
        rules = (_shared_rules(), _programs_rules() if programs else _own_rules())
        self._shared, self._last = (_Filter(*each) for each in rules)
        if platform.machine() != _MACHINE:
            self.no_seccomp = f"no filter for {platform.machine()}"

    def call(self, number: int, *args: object) -> int:
        """Make a system call; ``OSError`` when it fails."""
        return self._checked(int(self._syscall(ctypes.c_long(number), *args)))

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result

    def _find_landlock(self, programs: bool) -> None:
        zero = ctypes.c_size_t(0)
        version = self.call(_CREATE_RULESET, None, zero, ctypes.c_uint32(_VERSION_FLAG))
        changes = _CHANGES | sum(bit for since, bit in _SINCE.items() if version >= since)
        attributes = struct.pack("=Q", changes if programs else changes | _EXECUTE)
        if version >= 4:
            attributes += struct.pack("=Q", _NET_TCP)
        if version >= 6:
            attributes += struct.pack("=Q", _SCOPES)
        self.version, self._changes, self._attributes = version, changes, attributes

    def landlock(self, writable: Iterable[str | Path]) -> None:
        """Restrict this process to *writable*."""
        size = ctypes.c_size_t(len(self._attributes))
        ruleset = self.call(_CREATE_RULESET, self._attributes, size, ctypes.c_uint32(0))
        try:
            for path in writable:
                self._beneath(ruleset, path, self._changes & ~_NODES)
            self._beneath(ruleset, os.devnull, _WRITE_FILE)
            self.call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
        finally:
            os.close(ruleset)

    def _beneath(self, ruleset: int, path: str | Path, allowed: int) -> None:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = struct.pack("=Qi", allowed, handle)
            kind = ctypes.c_int(_PATH_BENEATH)
            self.call(_ADD_RULE, ctypes.c_int(ruleset), kind, rule, ctypes.c_uint32(0))
        finally:
            os.close(handle)

    def restrict(self) -> None:
        """Give up privileges from set-user-ID programs; the kernel accepts no restriction before this."""
        self._checked(self._libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))

    def forgo(self) -> None:
        """Give up root's capabilities except reading."""
        if self._forgone:
            return
        header, sets = struct.pack("=Ii", _CAPABILITIES_3, 0), ctypes.create_string_buffer(24)
        self._checked(self._libc.capget(header, sets))
        _, permitted, *_ = struct.unpack("=6I", sets.raw)
        kept = permitted & _KEPT_CAPABILITIES
        self._checked(self._libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)))
        self._forgone = True

    def seccomp(self, *, whole: bool = True) -> None:
        """Filter this process's system calls; without *whole*, only as far as a forking process can bear."""
        for each in (self._shared, self._last) if whole else (self._shared,):
            if not each.holds:
                each.finish()
                self.call(_SECCOMP, ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(_TSYNC), each.program)
                each.holds = True


_means = functools.cache(_Means)


def make_ready() -> None:
    """Make what :func:`apply` needs, before this process forks the ones that are confined.

    What neither this process nor they have any use for is given up now: most of a filter's time is its making.
    """
    if sys.platform != "linux":
        return
    means = _means(False)
    # What cannot be is found out by them, too, and reported.
    with suppress(OSError):
        means.forgo()
    with suppress(OSError):
        if not means.no_seccomp:
            means.restrict()
            means.seccomp(whole=False)


def apply(writable: Iterable[str | Path], *, programs: bool = False) -> Report:
    """Confine this process; call it before it starts threads.

    Nothing outside *writable* can be changed, no socket can be opened and, unless *programs*, nothing executed
    and no process started. What the machine lacks is reported, not raised.
    """
    if sys.platform != "linux":
        return Report(missing=("there is no sandbox on this system",))
    means = _means(programs)
    try:
        means.restrict()
    except OSError as error:
        return Report(missing=(f"no_new_privs: {error.strerror}",))
    missing = []
    try:
        means.forgo()
    except OSError as error:
        missing.append(f"capabilities: {error.strerror}")
    landlock, no_landlock, no_seccomp = means.version, means.no_landlock, means.no_seccomp
    if not no_landlock:
        try:
            means.landlock(writable)
        except OSError as error:
            landlock, no_landlock = 0, error.strerror or str(error)
    if no_landlock:
        missing.append(f"Landlock: {no_landlock}")
    elif landlock < 3:
        missing.append(f"Landlock {landlock} does not stop files from being truncated")
    if not no_seccomp:
        try:
            means.seccomp()
        except OSError as error:
            no_seccomp = error.strerror or str(error)
    if no_seccomp:
        missing.append(f"seccomp: {no_seccomp}")
    return Report(landlock, not no_seccomp, tuple(missing))


# x86-64 only: a filter has to know every number it is about.
_MACHINE, _AUDIT_ARCH, _SECCOMP = "x86_64", 0xC000003E, 317
_CLONE, _KILL_NR, _TGKILL, _PRLIMIT = 56, 62, 234, 302
# socket; socketpair, either end of which can send datagrams to any socket that has a path.
_NETWORK = (41, 53)
_PROGRAMS = (57, 58, 59, 322)  # fork, vfork, execve, execveat
_GROUPS = (109, 112)  # setpgid, setsid: the group is how a process is ended with all it started
_FILES_IN_MEMORY = (
    319,
    447,
)  # memfd_create, memfd_secret: memory of no process, to which no limit applies
_HANDLES = (434,)  # pidfd_open
_ABSENT = (425, 426, 427)  # io_uring, which would go round every other rule: callers fall back
# What Landlock leaves free: rights, owners, times and attributes of files that the user can name.
_MARKS = (
    *(90, 91, 268, 452),  # chmod, fchmod, fchmodat, fchmodat2
    *(92, 93, 94, 260),  # chown, fchown, lchown, fchownat
    *(132, 235, 261, 280),  # utime, utimes, futimesat, utimensat
    *(188, 189, 190, 463, 197, 198, 199, 466, 469),  # setxattr, removexattr and their kin, file_setattr
)
_PRIORITIES = (141, 142, 144, 203, 251, 314, 256, 279)  # of other processes, their processors and pages
# fcntl and ioctl with these would have the kernel send signals, type at a terminal or mark a file.
_FORBIDDEN_ARGUMENTS = {
    72: (8, 10, 15),  # F_SETOWN, F_SETSIG, F_SETOWN_EX
    16: (
        0x8901,
        0x8902,
        0x5412,
        0x541C,
        0x40086602,
        0x401C5820,
    ),  # FIOSETOWN, SIOCSPGRP, TIOCSTI, TIOCLINUX, flags
}
_OTHERS = (
    *(101, 310, 311, 312),  # ptrace, process_vm_readv, process_vm_writev, kcmp
    *(438, 424, 440, 448),  # pidfd_getfd, pidfd_send_signal, process_madvise, process_mrelease
    *(200, 129, 297),  # tkill, rt_sigqueueinfo, rt_tgsigqueueinfo
    *(165, 166, 155, 161, 272, 308),  # mount, umount2, pivot_root, chroot, unshare, setns
    *(428, 429, 430, 431, 432, 433, 442, 467),  # the newer mount calls
    *(300,),  # fanotify_init: who has it can hold up what others open
    *(321, 298, 323),  # bpf, perf_event_open, userfaultfd
    *(248, 249, 250),  # keys
    *(175, 176, 313, 246, 320, 169, 167, 168),  # modules, kexec, reboot, swap
    *(303, 304),  # file handles
    *(135, 172, 173, 103, 159, 164, 170, 171, 227, 305),  # personality, ports, syslog, clocks, names
    *(163, 153, 179, 443),  # accounting, hanging up, quotas
    *(29, 30, 31, 64, 65, 66, 68, 69, 70, 71, 240),  # System V and POSIX message queues
)


class _Filter:
    """A program for the kernel; ``own`` says where in it the process's own number is to be written, 0 for nowhere."""

    def __init__(self, code: bytes, own: int = 0) -> None:
        self._code = ctypes.create_string_buffer(code, len(code))
        self._own = own
        self.program = struct.pack("=HxxxxxxQ", len(code) // 8, ctypes.addressof(self._code))
        self.holds = False

    def finish(self) -> None:
        """Write the process it is for into it."""
        if self._own:
            struct.pack_into("=I", self._code, self._own, os.getpid())


class _Rules:
    """A filter being written: rules about system call numbers; the first that applies decides."""

    def __init__(self) -> None:
        self.code = bytearray()
        self.op(_LD, _ARCH)
        self.op(_JEQ, _AUDIT_ARCH, 1, 0)
        self.op(_RET, _KILL)
        self.op(_LD, _NR)
        self.op(_JGE, 0x40000000, 0, 1)  # the x32 numbers of the same calls
        self.refuse()

    def op(self, kind: int, value: int, yes: int = 0, no: int = 0) -> None:
        """Add an instruction."""
        self.code.extend(struct.pack("=HBBI", kind, yes, no, value))

    def allow(self) -> None:
        """Allow the call."""
        self.op(_RET, _ALLOW)

    def refuse(self, error: int = errno.EPERM) -> None:
        """Have the call fail."""
        self.op(_RET, _ERRNO | error)

    def refuse_all(self, numbers: Iterable[int], error: int = errno.EPERM) -> None:
        """Have these calls fail."""
        for number in numbers:
            self.op(_JEQ, number, 0, 1)
            self.refuse(error)


def _shared_rules() -> tuple[bytes, int]:
    """Refuse what neither a confined process nor one that forks it needs."""
    rules = _Rules()
    rules.refuse_all((*_NETWORK, *_MARKS, *_PRIORITIES, *_OTHERS))
    rules.refuse_all(_ABSENT, errno.ENOSYS)
    for number, values in _FORBIDDEN_ARGUMENTS.items():
        rules.op(_JEQ, number, 0, 2 * len(values) + 2)
        rules.op(_LD, _ARG1)
        for value in values:
            rules.op(_JEQ, value, 0, 1)
            rules.refuse()
        rules.allow()
    rules.allow()
    return bytes(rules.code), 0


def _programs_rules() -> tuple[bytes, int]:
    """Refuse what else a process that runs programs does not need."""
    rules = _Rules()
    rules.refuse_all(_HANDLES)
    rules.allow()
    return bytes(rules.code), 0


def _own_rules() -> tuple[bytes, int]:
    """Refuse what else a process that runs no programs does not need."""
    rules = _Rules()
    rules.refuse_all((*_HANDLES, *_PROGRAMS, *_GROUPS))
    rules.refuse_all((435, *_FILES_IN_MEMORY), errno.ENOSYS)  # clone3: its arguments cannot be seen
    rules.op(_JEQ, _PRLIMIT, 0, 4)  # its own limits only
    rules.op(_LD, _ARG0)
    rules.op(_JEQ, 0, 0, 1)
    rules.allow()
    rules.refuse()
    rules.op(_JEQ, _CLONE, 0, 4)
    rules.op(_LD, _ARG0)
    rules.op(_JSET, _CLONE_THREAD, 0, 1)
    rules.allow()
    rules.refuse()
    # Signals only to its own group (its way to end itself) and to itself (abort).
    own = 0
    for number in (_KILL_NR, _TGKILL):
        rules.op(_JEQ, number, 0, 4)
        rules.op(_LD, _ARG0)
        own = len(rules.code) + 4  # the last of the two
        rules.op(_JEQ, 0, 0, 1)
        rules.allow()
        rules.refuse()
    rules.allow()
    return bytes(rules.code), own
