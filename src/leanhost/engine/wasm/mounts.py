"""Which host directories a runtime sees, and the one it may write to."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from leanhost.errors import UsageError
from leanhost.system.removal import remove_tree


class Scratch:
    """A directory given by the caller, or a private one of ours that goes when its engine does."""

    def __init__(self, given: Path | None) -> None:
        self.private = given is None
        if given is None:
            self.path = Path(tempfile.mkdtemp(prefix="leanhost-wasm-"))
        else:
            self.path = given.absolute()
            if "*" in str(self.path.resolve()):
                raise UsageError(f"a scratch directory with an asterisk in its path: {given}")
        self.real = self.path.resolve()
        """What the permission to write is for: the host follows links in the path."""

    def holds(self, directory: Path) -> bool:
        """Whether *directory* is the scratch directory or below it."""
        return directory.resolve().is_relative_to(self.real)

    def empty(self) -> None:
        """Remove what is in a private directory."""
        if self.private:
            for entry in os.scandir(self.path):
                if entry.is_dir(follow_symlinks=False):
                    remove_tree(entry.path)
                else:
                    os.unlink(entry.path)  # noqa: PTH108 - no Path for each of many files

    def remove(self) -> None:
        """Remove a private directory with everything in it."""
        if self.private:
            remove_tree(str(self.path))


class Mounts:
    """What was mounted, and what has to be for a directory to be seen."""

    def __init__(self, scratch: Scratch) -> None:
        self.scratch = scratch
        self.done: dict[Path, bool] = {}
        """Whether each is writable."""

    def due(self, directory: Path, writable: bool) -> list[tuple[Path, bool]]:
        """Return what to mount now; nothing when *directory* is mounted already."""
        path = mountable(directory)
        if writable and not self.scratch.holds(path):
            raise UsageError(f"only what is in the scratch directory can be writable: {directory}")
        if path in self.done and self.done[path] >= writable:
            return []
        # A mount hides those below it.
        hidden = [(inner, True) for inner, writes in self.done.items() if writes and path in inner.parents]
        return [(path, writable), *hidden]

    def reset(self, done: dict[Path, bool]) -> None:
        """Know of *done* only, and empty a private scratch directory that Lean may have written to."""
        if self.done.get(self.scratch.path):
            self.scratch.empty()
        self.done = dict(done)


def mountable(path: Path) -> Path:
    """Return the absolute path of a directory that can be mounted; ``UsageError`` if it cannot."""
    absolute = path.absolute()
    if absolute == Path(absolute.anchor):
        raise UsageError("the root directory cannot be shown to Lean as a whole")
    if not absolute.is_dir():
        raise UsageError(f"not a directory: {absolute}")
    return absolute
