"""The requests that wait for a worker: whose turn it is, and how long each of them waits."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from leanhost.errors import PoolTimeout
from leanhost.workers.jobs.job import Job
from leanhost.workers.jobs.lease import Lease
from leanhost.workers.jobs.settings import Settings

NEVER = float("inf")


class Held(Protocol):
    """A worker that a session holds."""

    job: Job | None


class Holders(Protocol):
    """Who knows which workers are held."""

    def held_by(self, lease: Lease) -> Held | None:
        """Return the worker that is held under *lease*, if there is one."""


class RequestQueue:
    """Requests in the order of their turns. All methods run on the supervisor's thread."""

    def __init__(self, settings: Settings, holders: Holders) -> None:
        self._settings = settings
        self._holders = holders
        self._jobs: deque[Job] = deque()
        self._all_held = NEVER
        """Since when sessions hold every worker, so that no other request can begin."""

    def __contains__(self, job: Job) -> bool:
        return job in self._jobs

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)

    def add(self, job: Job) -> None:
        """Put a request behind the others, or where the one was that it goes on with."""
        if job.turn < job.queued:
            self.put_back(job)
        else:
            self._jobs.append(job)

    def put_back(self, job: Job) -> None:
        """Put a request, whose turn it was already, where it was: before all that came after it."""
        at = next((i for i, other in enumerate(self._jobs) if other.turn > job.turn), len(self._jobs))
        self._jobs.insert(at, job)

    def remove(self, job: Job) -> None:
        """Take a request out."""
        self._jobs.remove(job)

    def clear(self) -> None:
        """Take every request out."""
        self._jobs.clear()

    def next(self, *, room: bool, held: int) -> Job | None:
        """Take the first request that can have a worker now: the one its session holds, or any if there is *room*.

        *held* is how many workers are held: with none, only the first request need be looked at.
        """
        for job in self._jobs if held else islice(self._jobs, room):
            worker = self._held_for(job)
            if room if worker is None else worker.job is None:
                self._jobs.remove(job)
                return job
        return None

    def next_look(self) -> float:
        """When :meth:`expire` wants to be called, on :func:`time.monotonic`."""
        return min(map(self._gives_up, self._jobs), default=NEVER)

    def expire(self, held: int) -> None:
        """Refuse the requests that have waited long enough; *held* is how many workers sessions hold."""
        if not self._jobs:
            self._all_held = NEVER  # no request waits for them
            return
        now = time.monotonic()
        workers = self._settings.workers
        self._all_held = min(self._all_held, now) if held >= workers else NEVER
        for job in [job for job in self._jobs if self._gives_up(job) <= now]:
            self._jobs.remove(job)
            why = f" ({held} of {workers} are held by sessions)" if held else ""
            job.fail(
                PoolTimeout(
                    f"no worker became free within {now - job.queued:.3g} s{why}",
                    hint="raise queue_timeout or workers, send less at a time, or hold workers for less long",
                )
            )

    def _held_for(self, job: Job) -> Held | None:
        """Return the worker that the session of a request holds."""
        claim = job.claim
        return None if claim is None else self._holders.held_by(claim)

    def _gives_up(self, job: Job) -> float:
        """When a request is given up: at its own limit, or when sessions have held every worker for so long."""
        if job.give_up is not None:
            return job.give_up
        if self._held_for(job) is not None:
            return NEVER  # its turn comes, with its own session's worker
        return max(job.queued, self._all_held) + self._settings.queue_timeout
