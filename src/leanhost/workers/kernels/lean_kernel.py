"""A kernel of another Lean: its processes, and which of them a question goes to."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace

from leanhost.toolchain import Toolchain
from leanhost.workers.jobs.import_profiles import headerless
from leanhost.workers.jobs.job import Job
from leanhost.workers.jobs.lease import Lease
from leanhost.workers.jobs.settings import Settings
from leanhost.workers.protocol.messages import Kernel
from leanhost.workers.supervision.supervisor import Supervisor
from leanhost.workers.values.items import Request

_NOTHING = '{"meta":{"format":{"version":"3.1.0"}}}\n'
"""An export that declares nothing."""


class LeanKernel:
    """At most so many processes as the pool has workers, each kept for what it was sent of libraries.

    A process is started with the first question that finds the others busy.
    """

    def __init__(self, toolchain: Toolchain, pool: Settings) -> None:
        self.toolchain = toolchain
        self._settings = replace(
            pool,
            toolchain=toolchain,
            search_path=(),
            imports=(),
            max_requests=sys.maxsize,
            spares=0,
            max_zygotes=1,
            kernel=True,
        )
        self.supervisor = Supervisor(self._settings)
        self._lock = threading.Lock()
        self._slots: list[tuple[Lease, list[Job]]] = [(Lease(), []) for _ in range(pool.workers)]

    def warm(self) -> None:
        """Have a process started before it is needed."""
        self.ask(
            Request("", "<kernel>", (), (), self._settings.startup_timeout),
            Kernel("nothing"),
            _NOTHING,
        )

    def ask(self, request: Request, question: Kernel, text: str) -> Job:
        """Ask the process that has least to do, of those with the same load the one that was used first."""
        request = replace(request, source="", imports=(), allow_axioms=())  # all of it is data
        job = Job(request, headerless(()), None, question=question, text=text, clean=True)
        with self._lock:
            for _, jobs in self._slots:
                jobs[:] = [each for each in jobs if not each.ended]
            lease, jobs = min(self._slots, key=lambda slot: len(slot[1]))
            job.lease = lease
            jobs.append(job)
        self.supervisor.submit(job, bounded=False)
        return job

    def cancel(self, job: Job) -> None:
        """Stop what :meth:`ask` returned."""
        self.supervisor.cancel(job)

    def close(self) -> None:
        """End the processes."""
        self.supervisor.close()
