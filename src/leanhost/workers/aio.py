"""Waiting for the pool's futures under asyncio or trio, without a thread for each."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


async def first_done(futures: Iterable[Future[Any]], timeout: float | None = None) -> None:
    """Wait until one of *futures* is done, or for *timeout* seconds. Cancellation leaves the futures alone."""
    event = anyio.Event()
    wake = _waker(event.set)

    def told(_: Future[Any]) -> None:
        wake()

    for future in futures:
        future.add_done_callback(told)
    with anyio.move_on_after(timeout):
        await event.wait()


async def in_thread(function: Callable[[], T]) -> T:
    """Run something short that reads files in a worker thread, to its end."""
    return await anyio.to_thread.run_sync(function)


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
