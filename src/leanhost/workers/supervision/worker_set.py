"""The workers of a pool: how many of them are somebody's, and which one a request gets."""

from __future__ import annotations

from leanhost.workers.jobs.job import Job
from leanhost.workers.jobs.lease import Lease
from leanhost.workers.jobs.settings import Settings
from leanhost.workers.supervision.worker import State, Worker


class WorkerSet(list[Worker]):
    """Every worker that has not ended. All methods run on the supervisor's thread."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._held: dict[Lease, Worker] = {}

    @property
    def busy(self) -> int:
        """How many are somebody's: at work, or held by a session."""
        return sum(
            1
            for worker in self
            if (worker.job is not None or worker.lease is not None) and worker.state is not State.DYING
        )

    @property
    def held(self) -> int:
        """How many are held by a session, at work or not."""
        return len(self._held)

    def hold(self, worker: Worker, lease: Lease) -> None:
        """Keep *worker* for the requests under *lease*."""
        self._held[lease] = worker
        worker.lease = lease

    def held_by(self, lease: Lease) -> Worker | None:
        """Return the worker that is held under *lease*, if there is one."""
        return self._held.get(lease)

    def end_lease(self, worker: Worker) -> None:
        """Hold *worker* no longer."""
        if worker.lease is not None:
            self._held.pop(worker.lease, None)
            worker.lease = None

    def at_work_on(self, job: Job) -> Worker | None:
        """Return the worker that has *job*, if one has."""
        return next((worker for worker in self if worker.job is job), None)

    @property
    def living(self) -> int:
        """How many are started or starting, and not about to end."""
        return sum(1 for worker in self if worker.state is not State.DYING)

    @property
    def has_room(self) -> bool:
        """Whether one more request may have a worker."""
        return self.busy < self._settings.workers

    @property
    def lacks_spare(self) -> bool:
        """Whether fewer are kept ahead than there should be."""
        return self.living - self.busy < self._settings.spares

    def strike_off(self) -> None:
        """Forget those that have ended."""
        self[:] = [worker for worker in self if worker.state is not State.GONE]

    def free_for(self, job: Job) -> Worker | None:
        """Return a worker without a job, best one that has the imports; make room when there is none to use."""
        settings = self._settings
        free = [
            w for w in self if w.job is None and w.lease is None and w.state in (State.IDLE, State.STARTING)
        ]
        usable = [w for w in free if not (job.clean and w.touched) and not (job.fresh and w.served)]
        fitting = [w for w in usable if w.profile == job.profile or not settings.forks]
        if fitting:
            # Judges are kept for judging: another would have to be started in the place of one that is not clean.
            return min(fitting, key=lambda w: (w.state is State.STARTING, w.is_judge != job.clean, w.born))
        if len(free) + self.busy >= settings.workers + settings.spares and free:
            min(free, key=lambda worker: worker.born).kill(None, "other imports wanted")
        return None
