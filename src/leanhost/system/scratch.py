"""The directory a pool's workers may write to, and the leftovers of killed pools."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import time
from pathlib import Path

from leanhost.system.removal import remove_tree

PREFIX = "leanhost-pool-"
MAX_FILES = 1000
"""How many files and directories a worker may have at once, and how many are looked at."""
MAX_BYTES = 512 << 20
"""How many bytes a worker's files may take together."""
FRESH_S = 60.0
"""How many seconds a directory is left alone: its pool may be about to claim it."""

_BLOCK = 512
"""The unit of ``st_blocks``."""


class Scratch:
    """A directory claimed with a lock as long as its pool lives, however the pool ends."""

    def __init__(self) -> None:
        _sweep(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._claim = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._claim, fcntl.LOCK_EX)

    def overfull(self, pid: int) -> str | None:
        """Return the limit a worker exceeds, in words; ``None`` when it exceeds none."""
        files, taken = 0, 0
        front = [str(self.path / str(pid))]
        while front:
            try:
                with os.scandir(front.pop()) as entries:
                    for entry in entries:
                        files += 1
                        if files > MAX_FILES:
                            return f"the check made more than {MAX_FILES} files"
                        taken += entry.stat(follow_symlinks=False).st_blocks * _BLOCK
                        if entry.is_dir(follow_symlinks=False):
                            front.append(entry.path)
            except (FileNotFoundError, NotADirectoryError):
                continue  # it was removed meanwhile
            except PermissionError:
                return "the check made a directory that nobody may look into"
            except OSError as error:
                if error.errno == errno.ENAMETOOLONG:
                    return "the check made directories in each other beyond what a path can say"
                continue  # this process, or the machine, is out of something
        return f"the check filled more than {MAX_BYTES} bytes with files" if taken > MAX_BYTES else None

    def clean(self, pid: int) -> None:
        """Remove what a worker that has ended left behind."""
        place = self.path / str(pid)
        try:
            place.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            remove_tree(str(place))

    def remove(self) -> None:
        """Remove everything, once."""
        if self._claim >= 0:
            remove_tree(str(self.path))
            self.abandon()

    def abandon(self) -> None:
        """Give up the claim; in a forked process, only the process's copy of it."""
        claim, self._claim = self._claim, -1
        if claim >= 0:
            os.close(claim)


def _sweep(place: Path) -> None:
    """Remove the directories of this user's pools that were killed."""
    for path in place.glob(PREFIX + "*"):
        try:
            state = path.lstat()
            if state.st_uid != os.getuid() or time.time() - state.st_mtime < FRESH_S:
                continue
            claim = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(str(path))
        except OSError:
            pass  # its pool lives
        finally:
            os.close(claim)
