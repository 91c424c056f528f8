"""Which pages a fork has for itself, and having them before they are written."""

from __future__ import annotations

import subprocess
import sys
import textwrap

SCRIPT = """
import ctypes, mmap, os, signal, sys
from leanhost.system.pages import populate, written
size = mmap.PAGESIZE
place = mmap.mmap(-1, 1000 * size, flags=mmap.MAP_PRIVATE)
place.madvise(mmap.MADV_NOHUGEPAGE)
place[:] = b"x" * len(place)
begin = ctypes.addressof(ctypes.c_char.from_buffer(place))

def forked(work):
    done_in, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        work()
        os.write(done, b"!")
        signal.pause()
    os.read(done_in, 1)
    return pid

def seen(pid):
    return [(at - begin) // size for start, length in written(pid) for at in range(start, start + length, size)
            if 0 <= at - begin < len(place)]
"""


def told(code: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT + textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_what_a_fork_wrote_is_found_and_can_be_had_before_it_is_written() -> None:
    out = told(
        """
        def write():
            for page in (3, 500, 501, 999):
                place[page * size] = 0
        first = forked(write)
        print(seen(first))
        ranges = [each for each in written(first) if begin <= each[0] < begin + len(place)]
        print([length // size for _, length in ranges])
        second = forked(lambda: populate(ranges))
        print(seen(second), place[3 * size])
        for pid in (first, second):
            os.kill(pid, signal.SIGKILL)
        """
    )
    assert out == ["[3, 500, 501, 999]", "[1, 2, 1]", "[3, 500, 501, 999] 120"]


def test_ranges_that_are_not_there_are_passed_over() -> None:
    assert told("populate([(8 * size, size)]); print('fine')") == ["fine"]


def test_a_process_that_has_gone_says_nothing() -> None:
    out = told(
        """
        pid = forked(lambda: None)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        try:
            written(pid)
        except OSError as error:
            print(type(error).__name__)
        """
    )
    assert out == ["FileNotFoundError"]
