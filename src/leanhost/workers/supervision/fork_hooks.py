"""What becomes of this process's pools when it forks, and when its interpreter ends."""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Protocol

from leanhost.workers.supervision.process import LAUNCHING


class ForkHook(Protocol):
    """A pool's supervisor, which wants to know."""

    def forget_in_fork(self) -> None:
        """This process is a fork: the pool is the parent's."""

    def end(self) -> None:
        """The interpreter ends."""


_alive: weakref.WeakSet[ForkHook] = weakref.WeakSet()


def register(one: ForkHook) -> None:
    """Tell *one* of a fork and of the interpreter's end, for as long as it is kept by others."""
    _alive.add(one)


@atexit.register
def _at_exit() -> None:
    for one in tuple(_alive):
        one.end()


def _after_fork() -> None:
    LAUNCHING.release()
    for one in tuple(_alive):
        one.forget_in_fork()
    _alive.clear()


os.register_at_fork(before=LAUNCHING.acquire, after_in_parent=LAUNCHING.release, after_in_child=_after_fork)
