"""The free environments of a session pool, their keys, and the reason of a miss."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from leanhost.services.elaboration.environment import Imported, ImportKey
from leanhost.services.values.recent import Recent

REMEMBERED = 256
"""How many evicted keys a pool remembers, to be able to say that it once had them."""


class MissReason(StrEnum):
    """Why no free environment fits a key."""

    NO_ENTRY = "no entry"
    """No environment with these modules is free: never imported here, or all are checked out."""
    OTHER_ORDER = "other order"
    """One with the same modules in another order is free; the order of imports matters to Lean."""
    OTHER_OPTIONS = "other options"
    """One with the same modules in the same order is free, read with other import options."""
    EVICTED = "evicted"
    """There was one: dropped at capacity, by :meth:`leanhost.SessionPool.drain`, or with a Lean that was lost."""


@dataclass(frozen=True, slots=True)
class PoolKey:
    """What makes two environments interchangeable: ordered imports, how they are read, where from, by which Lean."""

    key: ImportKey
    search_path: tuple[Path, ...]
    toolchain: str

    @property
    def modules(self) -> tuple[tuple[str | int, ...], ...]:
        """The modules in order, without how they are read."""
        return tuple(i.module for i in self.key.imports)


class FreeList:
    """Environments that are not checked out, and the keys of those that were dropped.

    It closes nothing and locks nothing: its pool calls it with a lock held and closes what it hands out.
    """

    def __init__(self) -> None:
        # From the least to the most recently put.
        self._free: list[tuple[PoolKey, Imported]] = []
        self._evicted: Recent[PoolKey, None] = Recent(REMEMBERED)

    def put(self, key: PoolKey, imported: Imported) -> None:
        """Add an environment, as the first to be taken."""
        self._free.append((key, imported))
        if self._evicted:  # to hash a key takes longer than all the rest
            self._evicted.forget(key)

    def take(self, key: PoolKey) -> Imported | None:
        """Take out the environment with *key* that was put last, if there is one."""
        for i in range(len(self._free) - 1, -1, -1):
            if self._free[i][0] == key:
                return self._free.pop(i)[1]
        return None

    def take_all(self) -> list[tuple[PoolKey, Imported]]:
        """Take out everything."""
        taken, self._free = self._free, []
        return taken

    def remember(self, key: PoolKey) -> None:
        """Note that an environment with *key* was dropped; only the latest notes are kept."""
        self._evicted.put(key, None)

    def forget_lost(self) -> None:
        """Drop the environments of a Lean that was lost; their memory is gone with it."""
        lost = [key for key, imported in self._free if imported.lean.engine.lost]
        if lost:
            self._free = [entry for entry in self._free if not entry[1].lean.engine.lost]
            for key in lost:
                self.remember(key)

    def has(self, key: PoolKey) -> bool:
        """Whether there is an environment with *key*."""
        return any(entry == key for entry, _ in self._free)

    def miss(self, key: PoolKey) -> MissReason:
        """Return why there is none with *key*, by what there is instead."""
        if key in self._evicted:
            return MissReason.EVICTED
        modules = key.modules
        reason = MissReason.NO_ENTRY
        for other, _ in self._free:
            if other.modules == modules:
                return MissReason.OTHER_OPTIONS
            if sorted(other.modules, key=str) == sorted(modules, key=str):
                reason = MissReason.OTHER_ORDER
        return reason

    def __len__(self) -> int:
        return len(self._free)
