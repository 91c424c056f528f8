"""The one directory a runtime may write to."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from leanhost.errors import UsageError


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

    def remove(self) -> None:
        """Remove a private directory with everything in it."""
        if self.private:
            shutil.rmtree(self.path, ignore_errors=True)
