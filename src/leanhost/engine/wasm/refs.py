"""Handles that end when Lean is put back to what it was before they were made."""

from __future__ import annotations

from typing import Protocol

from leanhost.engine.values import Memory, Ref
from leanhost.errors import ClosedError


class Eras:
    """The times between snapshots and resets. A handle is valid in the era it was made in, and as long as Lean is put
    back to a snapshot that was taken later."""

    __slots__ = ("_kept", "now")

    def __init__(self) -> None:
        self.now = 0
        self._kept: set[int] = set()

    def keep(self) -> None:
        """A snapshot was taken: what is valid now stays so."""
        self._kept.add(self.now)
        self.now += 1

    def reset(self) -> None:
        """Lean was put back to the last snapshot."""
        self.now += 1

    def holds(self, era: int) -> bool:
        """Whether what was made in *era* is still there."""
        return era == self.now or era in self._kept


class Resettable(Memory, Protocol):
    """What an :class:`EraRef` needs of its engine."""

    eras: Eras


class EraRef(Ref):
    """A :class:`~leanhost.engine.values.Ref` that knows when it was made."""

    __slots__ = ("era",)
    engine: Resettable

    def __init__(self, engine: Memory, word: int) -> None:
        super().__init__(engine, word)
        self.era: int = self.engine.eras.now

    def ptr(self) -> int:
        """Return the object word; :class:`ClosedError` also when Lean was reset since."""
        if self.word and not self.engine.eras.holds(self.era):
            raise ClosedError("Lean was reset since this handle was made")
        return super().ptr()

    def close(self) -> None:
        """Release the reference, unless it went with a reset."""
        if self.word and not self.engine.eras.holds(self.era):
            self.word = 0
            self.engine.live -= 1
            return
        super().close()

    __del__ = close
