"""One thread that cancels brief calls when their time is over, so that they need no thread of their own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from leanhost.engine.base import Guard
from leanhost.engine.values import Ref

_TICK = 0.02
"""Seconds between two looks while calls are running, and for a while after the last one."""

_IDLE_TICKS = 50
"""How many looks in a row find no call before the thread sleeps: to wake it for each of many short calls costs more."""


class Watchdog:
    """Watches the guards of calls that run on their callers' threads."""

    def __init__(self, cancel: Callable[[Ref], None]) -> None:
        self._cancel = cancel
        self._guards: list[Guard] = []
        self._wake = threading.Event()
        self._start = threading.Lock()
        self._lock = threading.Lock()
        """Held while a token is being set: its owner may release it as soon as :meth:`forget` has returned."""
        self._serving = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        """A forked child has none of its parent's threads, and none of its parent's calls."""
        if not (self._serving or self._guards or self._lock.locked() or self._start.locked()):
            return
        self._guards, self._wake = [], threading.Event()
        self._start, self._lock = threading.Lock(), threading.Lock()
        self._serving = False

    def watch(self, guard: Guard) -> None:
        """Cancel *guard*'s token when its time is over, until :meth:`forget`."""
        if not self._serving:
            self.start()
        self._guards.append(guard)
        if not self._wake.is_set():
            self._wake.set()

    def forget(self, guard: Guard) -> None:
        """Stop watching *guard*."""
        with self._lock:
            guards = self._guards
            # By identity: equal guards of other calls stay. It is the last but for calls on other threads.
            for i in range(len(guards) - 1, -1, -1):
                if guards[i] is guard:
                    del guards[i]
                    return

    def start(self) -> None:
        """Have a thread in this process."""
        with self._start:
            if not self._serving:
                threading.Thread(target=self._serve, name="leanhost-watchdog", daemon=True).start()
                self._serving = True

    def _serve(self) -> None:
        idle = 0
        while True:
            if not self._wake.is_set():
                self._wake.wait()
                idle = 0
            idle = 0 if self._guards else idle + 1
            if idle > _IDLE_TICKS:
                self._wake.clear()
                if not self._guards:
                    continue
                self._wake.set()
            self._look()
            time.sleep(_TICK)

    def _look(self) -> None:
        """Cancel what is over; in a method of its own, so that no guard stays in a variable while the thread sleeps."""
        with self._lock:
            now = time.monotonic()
            for guard in self._guards:
                if guard.why:
                    continue
                guard.why = guard.reason(now)
                if guard.why:
                    self._cancel(guard.token)
