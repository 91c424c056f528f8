"""How a request gets to a worker: which imports its process should have, and how long it waits for one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection
from concurrent.futures import Future, wait
from typing import Any

from leanhost.lean.core import Import
from leanhost.services.values.results import CheckResult
from leanhost.workers.jobs.import_profiles import ImportProfile, headerless, importable, profile_of
from leanhost.workers.jobs.job import Job
from leanhost.workers.jobs.lease import Lease
from leanhost.workers.jobs.settings import Settings
from leanhost.workers.protocol.messages import Ask, Check, Question
from leanhost.workers.supervision.supervisor import Supervisor
from leanhost.workers.values.items import CheckItem, Request, prepare_item
from leanhost.workers.values.known_faults import FaultNotice

TOLD = 256
"""Events of a call's progress that wait for the caller; older ones are dropped for newer ones."""


class Dispatcher:
    """Makes jobs of requests and hands them to the supervisor. Safe to use from many threads."""

    def __init__(self, settings: Settings, supervisor: Supervisor) -> None:
        self._settings = settings
        self._supervisor = supervisor
        core = settings.toolchain.core
        self._roots = (*settings.search_path, *((core,) if core is not None else ()))

    @property
    def workers(self) -> int:
        """How many requests are served at once."""
        return self._settings.workers

    def request(self, item: CheckItem | str) -> Request | CheckResult:
        """Read an item: its request, or its verdict when it cannot be read."""
        settings = self._settings
        prepared = prepare_item(
            item,
            imports=settings.imports,
            allow_axioms=settings.allow_axioms,
            timeout=settings.options.timeout,
            toolchain=self._supervisor.label,
        )
        if isinstance(prepared, CheckResult):
            self._supervisor.count(prepared)
        return prepared

    def submit(self, item: CheckItem | str, *, bounded: bool) -> Job | CheckResult:
        """Queue an item: a job whose ``future`` will hold the verdict, or the verdict itself."""
        request = self.request(item)
        return request if isinstance(request, CheckResult) else self.queue(request, bounded=bounded)

    def queue(
        self,
        request: Request,
        *,
        bounded: bool,
        question: Question = Check(),  # noqa: B008 - frozen
        text: str | None = None,
        after: Job | None = None,
    ) -> Job:
        """Queue a request, in the place of the one it comes *after*."""
        profile = self.profile(request.source, request.imports)
        job = Job(
            request, profile, self._patience(bounded), question=question, text=text, clean=question.judging
        )
        if after is not None:
            job.turn = after.turn
        self._supervisor.submit(job, bounded=bounded and after is None)
        return job

    def ask(
        self,
        request: Request,
        question: Ask,
        payload: bytes,
        profile: ImportProfile,
        *,
        lease: Lease | None,
        bounded: bool,
    ) -> Job:
        """Queue a question of a session, with its arguments as the *payload*."""
        patience = self._patience(bounded)
        job = Job(request, profile, patience, question=question, payload=payload, lease=lease)
        job.told = deque(maxlen=TOLD) if question.progress else None
        self._supervisor.submit(job, bounded=bounded)
        return job

    def cancel(self, job: Job) -> None:
        """Stop a job; its verdict becomes ``cancelled`` unless it has one."""
        self._supervisor.cancel(job)

    def notice(self) -> FaultNotice:
        """Return what is said about the verdicts of the Lean in use."""
        return self._supervisor.notice()

    def linger(self, running: Collection[Future[Any]]) -> None:
        """Wait for what was cancelled to end."""
        if not self._supervisor.here:  # a forgotten iterator can be collected on any thread
            wait(running, timeout=self._settings.grace + 10)

    def profile(self, source: str, imports: tuple[Import, ...] | None) -> ImportProfile:
        """Return what the worker for a source should have imported."""
        settings = self._settings
        default = settings.default_profile
        if settings.forks:
            wanted = profile_of(source, default if imports is settings.imports else headerless(imports))
            if wanted != default and importable(wanted.modules, self._roots):
                return wanted
        return default

    def _patience(self, bounded: bool) -> float | None:
        """Return when a request that begins to wait now is given up."""
        return time.monotonic() + self._settings.queue_timeout if bounded else None
