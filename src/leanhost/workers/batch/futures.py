"""Waiting for the pool's futures under asyncio or trio, without a thread for each."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from leanhost.services.values.cancellation import Cancellation
from leanhost.workers.batch.submitted import LOOK_S, Result, Submitted

T = TypeVar("T")

LOOK_UP_S = 1.0
"""Seconds after which a loop with nothing to do is woken. A handler of a signal that only cancels a task, like that of
a notebook's kernel, does not wake a loop that sleeps: without this, an interrupt would wait for the answer."""


class Notifier:
    """Wakes the event loop that made it whenever a future it watches is done.

    Each future is told of it once, however often one waits: what is waited for can be many and take long.
    """

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._wake = _waker(lambda: self._event.set())

    def watch(self, future: Future[Any]) -> None:
        """Wake when *future* is done; at once when it is."""
        future.add_done_callback(lambda _: self._wake())

    async def wait(self, timeout: float | None = None) -> None:
        """Wait until a watched future is done, since the last time, or for *timeout* seconds."""
        with anyio.move_on_after(timeout):
            while not self._event.is_set():
                with anyio.move_on_after(LOOK_UP_S):
                    await self._event.wait()
        self._event = anyio.Event()


async def in_thread(function: Callable[[], T]) -> T:
    """Run something short that reads files in a worker thread, to its end."""
    return await anyio.to_thread.run_sync(function)


async def awaited(begin: Callable[[], Submitted[Result]], cancellation: Cancellation = None) -> Result:
    """Have *begin* run in a thread and wait for what it sets off; *cancellation*, or that of the task, stops it."""
    begun: list[Submitted[Result]] = []
    try:
        # Kept outside: a cancelled task does not get what the thread returns.
        await in_thread(lambda: begun.append(begin()))
        notifier = Notifier()
        notifier.watch(begun[0].future)
        while cancellation is not None and not begun[0].future.done():
            await notifier.wait(LOOK_S)
            if cancellation.is_cancelled:
                begun[0].cancel()
                break
        if not begun[0].future.done():
            await notifier.wait()
        return begun[0].future.result()
    except BaseException:
        for sent in begun:
            sent.cancel()
        raise


def _waker(function: Callable[[], object]) -> Callable[[], None]:
    """Return what runs *function* in the current event loop, from any thread; a loop that has ended is fine."""
    trio = sys.modules.get("trio")
    if trio is not None:
        try:
            token = trio.lowlevel.current_trio_token()
        except RuntimeError:
            pass
        else:

            def wake_trio() -> None:
                try:
                    token.run_sync_soon(function)
                except trio.RunFinishedError:
                    pass

            return wake_trio
    loop = asyncio.get_running_loop()

    def wake_asyncio() -> None:
        try:
            loop.call_soon_threadsafe(function)
        except RuntimeError:
            pass

    return wake_asyncio
