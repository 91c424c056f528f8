"""What the filter of system calls says about every number there is, asked of the kernel that runs it.

No call is made: a filter of the test's own, put in first, has every marked call fail with an error that nothing else
gives. The kernel prefers the word of the filter that came last, which is the sandbox's.
"""

from __future__ import annotations

import json
import platform
import signal
import subprocess
import sys
import textwrap
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the filter is for x86-64 only")

EPERM, ENOSYS = 1, 38

SCRIPT = """
import ctypes, json, mmap, os, struct, sys, threading
from leanhost.system.sandbox import apply, make_ready
MARK, ASIDE = 0x5EA1ED, 118
libc = ctypes.CDLL(None, use_errno=True)
def filter_out_marked():
    lines = [(0x20, 0, 0, 56), (0x15, 0, 1, MARK), (0x06, 0, 0, 0x50000 | ASIDE), (0x06, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.syscall(317, 1, 0, struct.pack("=HxxxxxxQ", len(lines), ctypes.addressof(code))) == 0
def refusal(number, *args):
    words = [ctypes.c_long(word) for word in (number, *args, *[0] * (5 - len(args)), MARK)]
    ctypes.set_errno(0)
    assert libc.syscall(*words) == -1
    return None if ctypes.get_errno() == ASIDE else ctypes.get_errno()
def tell(**said):
    print(json.dumps(said), flush=True)
filter_out_marked()
if {forked}:
    make_ready()
    child = os.fork()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def run(code: str, *, forked: bool = False) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(forked=forked) + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)


def told(code: str, *, forked: bool = False) -> Any:
    done = run(code, forked=forked)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def numbers(text: str) -> set[int]:
    """The numbers of a list of names, each with its number behind it."""
    return {int(word) for word in text.split()[1::2]}


NETWORK = numbers("socket 41 socketpair 53")
MARKS = numbers("""
    chmod 90 fchmod 91 fchmodat 268 fchmodat2 452 chown 92 fchown 93 lchown 94 fchownat 260
    utime 132 utimes 235 futimesat 261 utimensat 280
    setxattr 188 lsetxattr 189 fsetxattr 190 setxattrat 463
    removexattr 197 lremovexattr 198 fremovexattr 199 removexattrat 466 file_setattr 469
""")
OTHER_PROCESSES = numbers("""
    setpriority 141 sched_setparam 142 sched_setscheduler 144 sched_setaffinity 203 sched_setattr 314
    ioprio_set 251 migrate_pages 256 move_pages 279
    ptrace 101 process_vm_readv 310 process_vm_writev 311 kcmp 312
    pidfd_getfd 438 pidfd_send_signal 424 process_madvise 440 process_mrelease 448
    tkill 200 rt_sigqueueinfo 129 rt_tgsigqueueinfo 297
    shmget 29 shmat 30 shmctl 31 semget 64 semop 65 semctl 66 msgget 68 msgsnd 69 msgrcv 70 msgctl 71 mq_open 240
""")
SYSTEM = numbers("""
    mount 165 umount2 166 pivot_root 155 chroot 161 unshare 272 setns 308
    open_tree 428 move_mount 429 fsopen 430 fsconfig 431 fsmount 432 fspick 433 mount_setattr 442 open_tree_attr 467
    fanotify_init 300 bpf 321 perf_event_open 298 userfaultfd 323
    add_key 248 request_key 249 keyctl 250
    init_module 175 delete_module 176 finit_module 313 kexec_load 246 kexec_file_load 320
    reboot 169 swapon 167 swapoff 168 name_to_handle_at 303 open_by_handle_at 304
    personality 135 iopl 172 ioperm 173 syslog 103
    adjtimex 159 settimeofday 164 clock_settime 227 clock_adjtime 305 sethostname 170 setdomainname 171
    acct 163 vhangup 153 quotactl 179 quotactl_fd 443
""")
SHARED = NETWORK | MARKS | OTHER_PROCESSES | SYSTEM
RINGS = numbers("io_uring_setup 425 io_uring_enter 426 io_uring_register 427")
HANDLES = numbers("pidfd_open 434")
OWN = numbers("fork 57 vfork 58 execve 59 execveat 322 setpgid 109 setsid 112")
ABSENT = numbers("clone3 435 memfd_create 319 memfd_secret 447")
WITHOUT_ARGUMENTS = numbers("clone 56 tgkill 234")
"""Refused for what their arguments are not, when all of them are zero."""


def words(error: int, calls: set[int]) -> dict[str, int]:
    return {str(number): error for number in calls}


EVERY = """
probes = {335, 336}  # of the kernel's own making, which no filter is asked about
tell(**{str(number): error for number in {*range(600)} - probes if (error := refusal(number)) is not None})
"""


@pytest.mark.parametrize("forked", [False, True], ids=["alone", "forked"])
def test_every_call_that_is_refused(forked: bool) -> None:
    expected = words(EPERM, SHARED | HANDLES | OWN | WITHOUT_ARGUMENTS)
    expected |= words(ENOSYS, RINGS | ABSENT)
    assert told("apply([])" + EVERY, forked=forked) == expected


def test_every_call_that_is_refused_to_an_engine_that_is_a_program() -> None:
    expected = words(EPERM, SHARED | HANDLES) | words(ENOSYS, RINGS)
    assert told("apply([], programs=True)" + EVERY) == expected


def test_every_call_that_is_refused_to_a_process_that_forks_confined_ones() -> None:
    assert told("make_ready()" + EVERY) == words(EPERM, SHARED) | words(ENOSYS, RINGS)


@pytest.mark.parametrize("forked", [False, True], ids=["alone", "forked"])
def test_calls_that_are_refused_for_their_arguments(forked: bool) -> None:
    """Processes and limits of others, signals to others, and files that have the kernel send signals."""
    answers = told(
        """
        apply([])
        own, parent = os.getpid(), os.getppid()
        ioctls = (0x8901, 0x8902, 0x5412, 0x541C, 0x40086602, 0x401C5820)
        tell(
            refused=[
                refusal(56, 17), refusal(56, 0x4100),
                refusal(302, parent), refusal(302, own), refusal(302, -1),
                refusal(62, parent), refusal(62, -1), refusal(62, -parent), refusal(62, 1),
                refusal(234, parent), refusal(234, -1), refusal(234, 0),
                refusal(72, 0, 8), refusal(72, 0, 10), refusal(72, 0, 15),
                *[refusal(16, 0, request) for request in ioctls],
            ],
            free=[
                refusal(56, 0x3D0F00), refusal(302, 0), refusal(62, 0), refusal(234, own),
                refusal(72, 0, 2), refusal(72, 0, 3), refusal(72, 0, 1030), refusal(16, 0, 0x5401),
            ],
        )
        """,
        forked=forked,
    )
    assert set(answers["refused"]) == {EPERM}
    assert set(answers["free"]) == {None}


def test_the_x32_numbers_are_refused_too() -> None:
    """The same calls as x86-64's, under numbers of their own."""
    answers = told("apply([]); tell(refused=[refusal(0x40000000 + number) for number in (0, 41, 520, 545)])")
    assert answers["refused"] == [EPERM] * 4


CALL_OF_386 = """
memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
memory.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
ask = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
{first}
print(ask() == os.getpid())
"""


def test_the_calls_of_32_bits_end_the_process() -> None:
    """Their numbers mean something else, so that no rule is about them."""
    if run(CALL_OF_386.format(first="")).stdout != "True\n":
        pytest.skip("this kernel runs no calls of 32 bits (CONFIG_IA32_EMULATION)")
    assert run(CALL_OF_386.format(first="apply([])")).returncode == -signal.SIGSYS


def test_threads_that_run_already_are_filtered_too() -> None:
    answers = told("""
        go, said = threading.Event(), []
        thread = threading.Thread(target=lambda: (go.wait(), said.append(refusal(41))))
        thread.start()
        apply([])
        go.set(); thread.join()
        tell(refused=said)
    """)
    assert answers["refused"] == [EPERM]
