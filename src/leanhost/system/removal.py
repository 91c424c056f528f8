"""Removing what a candidate may have written: any depth, any permissions, links to anywhere."""

from __future__ import annotations

import os
from contextlib import suppress

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(place: str) -> None:
    """Remove a directory with all that is in it, as far as that can be done. Not :func:`shutil.rmtree`:

    that calls itself, so that directories a thousand deep end its caller, and leaves what its owner may not look
    into. Links are removed, never followed.
    """
    with suppress(OSError):
        _Walk(place).run()
    with suppress(OSError):
        os.rmdir(place)  # noqa: PTH106 - a removal is for each worker that wrote something


class _Walk:
    """Walks down and up a tree with one directory open at a time, however deep it goes."""

    def __init__(self, place: str) -> None:
        self._here = _opened(place)
        self._way: list[tuple[str, int]] = []
        """The directories between: the name of each, and the inode of the one it is in."""
        self._left = [self._swept()]
        """The directories yet to be entered, of each on the way and of this one."""

    def run(self) -> None:
        """Remove all that is in the directory."""
        try:
            while self._left:
                if self._left[-1]:
                    self._down(self._left[-1].pop())
                else:
                    self._left.pop()
                    if self._way:
                        self._up(*self._way.pop())
        finally:
            os.close(self._here)

    def _swept(self) -> list[str]:
        """Remove the files in this directory; return its directories."""
        below = []
        with os.scandir(self._here) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.name)
                else:
                    with suppress(OSError):
                        os.unlink(entry.name, dir_fd=self._here)
        return below

    def _down(self, name: str) -> None:
        with suppress(OSError):
            above = os.fstat(self._here).st_ino
            self._move(_opened(name, self._here))
            self._way.append((name, above))
            self._left.append([])
            self._left[-1] = self._swept()

    def _up(self, name: str, above: int) -> None:
        self._move(os.open("..", _OPEN, dir_fd=self._here))
        if os.fstat(self._here).st_ino != above:
            raise OSError("somebody has moved the directory; what is above it now is nobody's to remove")
        with suppress(OSError):
            os.rmdir(name, dir_fd=self._here)

    def _move(self, to: int) -> None:
        os.close(self._here)
        self._here = to


def _opened(name: str, above: int | None = None) -> int:
    """Open a directory and let its owner read and change it from here on."""
    try:
        opened = os.open(name, _OPEN, dir_fd=above)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=above)
        opened = os.open(name, _OPEN, dir_fd=above)
    with suppress(OSError):  # a process that is confined changes no rights, and mostly need not
        os.fchmod(opened, 0o700)
    return opened
