"""Many items through the pool: what is ahead, what is next, what is cancelled."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from leanhost.errors import UsageError
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.results import Status
from leanhost.workers.batch.submitted import LOOK_S, Result, Submitted
from leanhost.workers.supervision.dispatcher import Dispatcher
from leanhost.workers.values.items import CheckItem

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class CheckProgress:
    """How far ``check_many`` or ``verify_many`` has come: items taken, items answered, answers by status."""

    taken: int
    done: int
    statuses: dict[Status, int] = field(default_factory=dict)


ProgressCallback = Callable[[CheckProgress], object]


def check_iterable(items: object, single: str) -> None:
    """Refuse one item in the place of many; *single* is the method that takes one."""
    if isinstance(items, str | CheckItem):
        raise UsageError("one item is no iterable of items", hint=f"write [item], or use {single}")


class BatchRun(Generic[Item, Result]):
    """The items of one call that were read and whose results were not yet given out. *send* sets one off."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        send: Callable[[Item], Submitted[Result]],
        *,
        ordered: bool,
        progress: ProgressCallback | None,
        cancellation: Cancellation,
    ) -> None:
        self._dispatcher = dispatcher
        self._send: Callable[[Item], Submitted[Result]] = send
        self._ordered = ordered
        self._progress = progress
        self._cancellation = cancellation
        self._ahead = 8 + 4 * dispatcher.workers
        self._pending: deque[Submitted[Result]] = deque()
        self._taken = self._done = 0
        self._statuses: dict[Status, int] = {}
        self._stopped = False
        """Whether the caller cancelled: nothing more is read."""

    def results(self, items: Iterable[Item]) -> Iterator[Result]:
        """Yield the results, reading *items* in the caller's thread; leaving it early stops what still runs."""
        source = iter(items)
        exhausted = False
        try:
            while True:
                while not exhausted and self._wants_more:
                    try:
                        item = next(source)
                    except StopIteration:
                        exhausted = True
                    else:
                        self._add(item)
                result = self._pop()
                if result is not None:
                    yield result
                elif not self._pending:
                    return
                else:
                    wait(self._awaited, timeout=self._patience, return_when=FIRST_COMPLETED)
        finally:
            self._dispatcher.linger(self._cancel())

    async def aresults(self, items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Result]:
        """Yield the results under asyncio or trio."""
        from leanhost.workers.batch.futures import Notifier, in_thread

        notifier = Notifier()
        source = aiter(items) if isinstance(items, AsyncIterable) else _asynchronous(items)
        exhausted = False
        try:
            while True:
                while not exhausted and self._wants_more:
                    try:
                        item = await anext(source)
                    except StopAsyncIteration:
                        exhausted = True
                    else:
                        notifier.watch(await in_thread(partial(self._add, item)))
                result = self._pop()
                if result is not None:
                    yield result
                elif not self._pending:
                    return
                else:
                    await notifier.wait(self._patience)
        finally:
            self._cancel()

    @property
    def _wants_more(self) -> bool:
        """Whether to read another item now: there is room, and no result that could be given out first."""
        self._look()
        return not self._stopped and len(self._pending) < self._ahead and self._ready() is None

    def _add(self, item: Item) -> Future[Result]:
        sent = self._send(item)
        self._pending.append(sent)
        self._taken += 1
        return sent.future

    def _pop(self) -> Result | None:
        """Return the next result there is, ``None`` while there is none. Raises what kept it from being."""
        self._look()
        index = self._ready()
        if index is None:
            return None
        sent = self._pending[index]
        del self._pending[index]
        result = sent.future.result()
        self._done += 1
        self._statuses[result.status] = self._statuses.get(result.status, 0) + 1
        if self._progress is not None:
            self._progress(CheckProgress(self._taken, self._done, dict(self._statuses)))
        return result

    def _ready(self) -> int | None:
        for index, sent in enumerate(self._pending):
            if sent.future.done():
                return index
            if self._ordered:
                break
        return None

    def _look(self) -> None:
        if not self._stopped and self._cancellation is not None and self._cancellation.is_cancelled:
            self._stopped = True
            self._cancel()

    @property
    def _awaited(self) -> list[Future[Result]]:
        """The futures of which one must be done before :meth:`_pop` has something."""
        futures = [sent.future for sent in self._pending]
        return futures[:1] if self._ordered else futures

    @property
    def _patience(self) -> float | None:
        """How long to wait before the token has to be looked at again."""
        return LOOK_S if self._cancellation is not None and not self._stopped else None

    def _cancel(self) -> list[Future[Result]]:
        """Stop everything that is under way; return what will still be answered."""
        under_way = [sent for sent in self._pending if not sent.future.done()]
        for sent in under_way:
            sent.cancel()
        return [sent.future for sent in under_way]


async def _asynchronous(items: Iterable[Item]) -> AsyncIterator[Item]:
    for item in items:
        yield item
