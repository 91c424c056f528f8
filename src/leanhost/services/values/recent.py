"""A bounded cache of what was used last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The values used last, at most *size* of them; *drop* is called with each that is removed.

    It locks nothing.
    """

    __slots__ = ("_drop", "_size", "_values")

    def __init__(self, size: int, drop: Callable[[V], object] = lambda _: None) -> None:
        self._size = size
        self._drop = drop
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return the value of *key* and count it as used now."""
        try:
            self._values.move_to_end(key)
        except KeyError:
            return None
        return self._values.get(key)

    def put(self, key: K, value: V) -> V:
        """Keep *value* as the one used last, in place of an earlier value of *key*."""
        former = self._values.pop(key, None)
        if former is not None and former is not value:
            self._drop(former)
        self._values[key] = value
        while len(self._values) > self._size:
            self._drop(self._values.popitem(last=False)[1])
        return value

    def forget(self, key: K) -> None:
        """Remove *key*, if it is there; nothing is dropped."""
        self._values.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        while self._values:
            self._drop(self._values.popitem()[1])

    def copy(self) -> Recent[K, V]:
        """Return a cache of the same values; both drop what they remove."""
        copied: Recent[K, V] = Recent(self._size, self._drop)
        copied._values = OrderedDict(self._values)
        return copied

    def items(self) -> tuple[tuple[K, V], ...]:
        """Return the keys with their values, the least recently used first."""
        return tuple(self._values.items())

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def values(self) -> tuple[V, ...]:
        """Return the values, the least recently used first."""
        return tuple(self._values.values())

    def __len__(self) -> int:
        return len(self._values)
