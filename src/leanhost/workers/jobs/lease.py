"""A worker held for one session: warm between its calls, and not shared."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass

from leanhost.errors import UsageError


@dataclass(slots=True, eq=False)
class Lease:
    """The claim to one worker at a time. Only the supervisor's thread changes it."""

    over: bool = False
    """Whether the session has given it up."""


class Hold:
    """Whether the calls of a session, and of those that extend it, go to one worker."""

    __slots__ = ("__weakref__", "_end", "_release", "lease")

    def __init__(self, release: Callable[[Lease], object]) -> None:
        self._release = release
        self._end: weakref.finalize[[Lease], Hold] | None = None
        self.lease: Lease | None = None

    def begin(self) -> None:
        """Take a worker with the next call."""
        if self.lease is not None:
            raise UsageError(
                "this session, or one it extends, holds a worker already",
                hint="take another session of the pool for another worker",
            )
        self.lease = Lease()
        # A session that is entered and forgotten gives its worker back when it is collected.
        self._end = weakref.finalize(self, self._release, self.lease)

    def end(self) -> None:
        """Give the worker back; later calls take any."""
        self.lease = None
        if self._end is not None:
            self._end()
