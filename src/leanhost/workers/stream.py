"""Many items through the pool: what is ahead, what is next, what is cancelled. No waiting happens here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leanhost.errors import UsageError
from leanhost.services.cancellation import Cancellation
from leanhost.services.results import CheckResult, Status
from leanhost.workers.items import CheckItem
from leanhost.workers.job import Job

if TYPE_CHECKING:
    from leanhost.workers.pool import WorkerPool


@dataclass(frozen=True, slots=True)
class CheckProgress:
    """How far ``check_many`` has come: items taken, items answered, answers by status."""

    taken: int
    done: int
    statuses: dict[Status, int] = field(default_factory=dict)


ProgressCallback = Callable[[CheckProgress], object]


class Stream:
    """The items of one ``check_many`` that were read and whose results were not yet given out."""

    def __init__(
        self,
        pool: WorkerPool,
        items: object,
        *,
        ordered: bool,
        progress: ProgressCallback | None,
        cancellation: Cancellation,
    ) -> None:
        if isinstance(items, str | CheckItem):
            raise UsageError("one item is no iterable of items", hint="write [item], or use check")
        self._pool = pool
        self._ordered = ordered
        self._progress = progress
        self._cancellation = cancellation
        self._ahead = 8 + 4 * pool.workers
        self._pending: deque[Job | CheckResult] = deque()
        self._taken = self._done = 0
        self._statuses: dict[Status, int] = {}
        self.stopped = False
        """Whether the caller cancelled: nothing more is read."""

    @property
    def wants_more(self) -> bool:
        """Whether to read another item now: there is room, and no result that could be given out first."""
        self._look()
        return not self.stopped and len(self._pending) < self._ahead and self._ready() is None

    def add(self, item: CheckItem | str) -> Future[CheckResult] | None:
        """Send an item off; return what will hold its answer, ``None`` when it has it already."""
        entry = self._pool.submit(item, bounded=False)
        self._pending.append(entry)
        self._taken += 1
        return entry.future if isinstance(entry, Job) else None

    def pop(self) -> CheckResult | None:
        """Return the next result there is, ``None`` while there is none. Raises what kept it from being."""
        self._look()
        index = self._ready()
        if index is None:
            return None
        entry = self._pending[index]
        del self._pending[index]
        result = entry if isinstance(entry, CheckResult) else entry.future.result()
        self._done += 1
        self._statuses[result.status] = self._statuses.get(result.status, 0) + 1
        if self._progress is not None:
            self._progress(CheckProgress(self._taken, self._done, dict(self._statuses)))
        return result

    def _ready(self) -> int | None:
        for index, entry in enumerate(self._pending):
            if isinstance(entry, CheckResult) or entry.future.done():
                return index
            if self._ordered:
                break
        return None

    def _look(self) -> None:
        if not self.stopped and self._cancellation is not None and self._cancellation.is_cancelled:
            self.stopped = True
            self.cancel()

    @property
    def empty(self) -> bool:
        """Whether every result was given out."""
        return not self._pending

    @property
    def awaited(self) -> list[Future[CheckResult]]:
        """The futures of which one must be done before :meth:`pop` has something."""
        futures = [entry.future for entry in self._pending if isinstance(entry, Job)]
        return futures[:1] if self._ordered else futures

    @property
    def watches(self) -> bool:
        """Whether a token has to be looked at while waiting."""
        return self._cancellation is not None and not self.stopped

    def cancel(self) -> list[Future[CheckResult]]:
        """Stop everything that is under way; return what will still be answered."""
        jobs = [entry for entry in self._pending if isinstance(entry, Job)]
        for job in jobs:
            self._pool.cancel(job)
        return [job.future for job in jobs]
