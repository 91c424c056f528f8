"""Reading what is named on the command line; whatever prevents it is an ``OSError``."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from leanhost import MAX_SOURCE_BYTES, CheckItem, CheckResult, Diagnostic, Status, decode_source
from leanhost.cli.entry import complain
from leanhost.errors import UsageError

STDIN = "<stdin>"
"""What ``-`` is called in messages and results."""


def stdin() -> IO[bytes]:
    """Return standard input."""
    if sys.stdin is None:  # started with `<&-`
        raise OSError(errno.EBADF, "standard input is closed")
    return sys.stdin.buffer


def read_whole(handle: IO[bytes]) -> bytes:
    """Read a source to its end; devices and pipes that have none are refused like files that are too large."""
    data = handle.read(MAX_SOURCE_BYTES + 1)
    if len(data) > MAX_SOURCE_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {MAX_SOURCE_BYTES} bytes")
    return data


@dataclass(frozen=True, slots=True)
class Given:
    """A file as it was named. A pipe is read at once; a file that is not Lean text has its verdict already."""

    label: str
    entry: CheckItem | CheckResult
    data: bytes | None = None


def look_at(names: Sequence[str]) -> list[Given | None]:
    """Look at every argument before anything is started; complain about those that cannot be read: ``None``."""
    if names.count("-") > 1:
        raise UsageError("standard input (-) can be read only once")
    return [_looked_at(name) for name in names]


def _looked_at(name: str) -> Given | None:
    try:
        if name == "-":
            return _read_now(stdin(), STDIN)
        with open(name, "rb") as handle:  # noqa: PTH123 - the name as given is the label
            if stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                return Given(name, CheckItem(path=name, file=name))
            # A pipe or a device can be read once, and `<(...)` of a shell has no name in a child process.
            return _read_now(handle, name)
    except OSError as error:
        complain(f"cannot read {STDIN if name == '-' else name}: {error.strerror or error}")
        return None


def _read_now(handle: IO[bytes], label: str) -> Given:
    data = read_whole(handle)
    text = decode_source(data, label)
    if isinstance(text, Diagnostic):
        return Given(label, CheckResult(label, Status.REJECTED, (text,), reasons=(text.message,)), data)
    return Given(label, CheckItem(source=text, file=label), data)
