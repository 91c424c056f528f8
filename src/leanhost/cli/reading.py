"""Reading what is named on the command line; whatever prevents it is an ``OSError``."""

from __future__ import annotations

import errno
import sys
from typing import IO

from leanhost.services.source import MAX_SOURCE_BYTES, read

STDIN = "<stdin>"
"""What ``-`` is called in messages and results."""


def stdin() -> IO[bytes]:
    """Return standard input."""
    if sys.stdin is None:  # started with `<&-`
        raise OSError(errno.EBADF, "standard input is closed")
    return sys.stdin.buffer


def read_whole(handle: IO[bytes]) -> bytes:
    """Read a source to its end; devices and pipes that have none are refused like files that are too large."""
    data = read(handle)
    if len(data) > MAX_SOURCE_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {MAX_SOURCE_BYTES} bytes")
    return data
