"""The pool's one thread: it starts workers, gives them jobs in order, watches the clock and reaps.

Everything about processes happens on this thread, so nothing here needs a lock but the mailbox.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import replace
from types import MappingProxyType

from leanhost.errors import LeanHostError, PoolClosed, PoolTimeout, TooManyRequests, WorkerStartError
from leanhost.services.values.results import CheckResult, Status
from leanhost.system.process_limits import family
from leanhost.workers.jobs.import_profiles import ImportProfile
from leanhost.workers.jobs.job import Job
from leanhost.workers.jobs.lease import Lease
from leanhost.workers.jobs.request_queue import RequestQueue
from leanhost.workers.jobs.settings import Settings
from leanhost.workers.protocol.framing import ProtocolError
from leanhost.workers.supervision import fork_hooks
from leanhost.workers.supervision.launcher import Launcher
from leanhost.workers.supervision.process import LAUNCHING, Process
from leanhost.workers.supervision.worker import State, Worker
from leanhost.workers.supervision.worker_set import WorkerSet
from leanhost.workers.values.known_faults import FaultNotice
from leanhost.workers.values.stats import Counters, WorkerStats, memory_of

START_ATTEMPTS = 2
"""How many workers may end at start before the job that wanted one is given up."""

CLOSE_S = 10.0
"""Seconds that closing waits for killed processes to end."""

STATS_S = 10.0
"""Seconds that somebody who asks for numbers waits for the thread, which takes a millisecond for a turn."""

BROKEN = "the pool's supervisor ended with an error; this pool cannot be used any more"


class Supervisor:
    """Schedules jobs over worker processes. Public methods may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.selector: selectors.BaseSelector = selectors.DefaultSelector()
        self.label = settings.label
        self.sandbox = ""
        self.lean = (settings.toolchain.version, settings.toolchain.platform)
        self._pid = os.getpid()
        # Reentrant: while it is held, a collection may end a forgotten pool, which closes it.
        self._lock = threading.RLock()
        self._mail: deque[Callable[[], None]] = deque()
        self._wakeup_in, self._wakeup = socket.socketpair()
        self._wakeup_in.setblocking(False)
        self._wakeup.setblocking(False)
        self._answers: deque[tuple[Job, CheckResult]] = deque()
        self._open: dict[str, Job] = {}
        """Every job without an answer, wherever it is, by its identity."""
        self._workers = WorkerSet(settings)
        self._waiting = RequestQueue(settings, self._workers)
        self._recent = settings.default_profile
        self._used_up = 0
        self._start_trouble = False
        self._ended: dict[str, int] = {}
        self.counters = Counters()
        self._closing = False
        self._exiting = False
        self._broken = False
        self._thread: threading.Thread | None = None
        self.selector.register(self._wakeup_in, selectors.EVENT_READ, self._on_wakeup)
        self._launcher = Launcher(self)
        fork_hooks.register(self)

    # --- for any thread ---

    def submit(self, job: Job, *, bounded: bool) -> None:
        """Queue a job; with *bounded*, :class:`TooManyRequests` when the queue is full."""
        with self._lock:
            self._check_usable()
            if bounded and self.waiting >= self.settings.max_waiting + self.settings.workers:
                refusal = TooManyRequests(
                    f"{self.waiting} requests are waiting or running already",
                    hint="send less at a time, or raise max_waiting or workers",
                )
                self.counters.error(refusal)
                raise refusal
            if self._thread is None:
                self._thread = self._started()
            self._open[job.identity] = job
            job.count = self._count
            self._post(lambda: self._waiting.add(job))

    def count(self, result: CheckResult) -> None:
        """Count an answer that takes no worker; raises as :meth:`submit`."""
        with self._lock:
            self._check_usable()
            self.counters.answer(result.status, 0.0)

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="leanhost-pool", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # too many of them, or the interpreter is about to end
            refusal = WorkerStartError(
                f"the pool cannot start its thread: {error}",
                hint="this is the machine or the program's end: look at the limit of processes (ulimit -u), and"
                " make the first check before the interpreter's exit",
            )
            self.counters.error(refusal)
            raise refusal from None
        return thread

    def cancel(self, job: Job) -> None:
        """Stop a job wherever it is; its verdict becomes ``cancelled`` unless it has one."""
        with self._lock:
            if self._pid == os.getpid() and self._thread is not None:
                self._post(lambda: self._cancel(job))

    def release(self, lease: Lease) -> None:
        """End a claim: its worker serves others or ends, and requests under it go to any worker."""
        with self._lock:
            if self._pid == os.getpid() and self._thread is not None:
                self._post(lambda: self._release_lease(lease))

    def close(self) -> None:
        """Kill every process, answer every waiting caller with :class:`PoolClosed`, end the thread."""
        if self._pid != os.getpid():
            return
        with self._lock:
            first = not self._closing
            self._closing = True
            thread = self._thread
            if first:
                self._post(lambda: None)
        if thread is None:
            if first:
                self._release()
        elif thread is not threading.current_thread():
            thread.join(CLOSE_S + 5)

    def end(self) -> None:
        """Close at the interpreter's exit. Whoever waits now does so in a daemon thread, which ends without a word."""
        self._exiting = True
        self.close()

    @property
    def waiting(self) -> int:
        """Requests that have no answer yet."""
        return len(self._open)

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closing

    @property
    def here(self) -> bool:
        """Whether the caller runs on the pool's own thread, where nothing may wait for the pool."""
        return self._thread is threading.current_thread()

    def _check_usable(self) -> None:
        if self._pid != os.getpid():
            raise PoolClosed(
                "this pool belongs to the process that made it", hint="make a pool after forking"
            )
        if self._broken:
            raise PoolClosed(BROKEN)
        if self._closing:
            raise PoolClosed("the pool is closed")

    def _count(self, job: Job, outcome: CheckResult | BaseException) -> None:
        with self._lock:
            self._open.pop(job.identity, None)
            if isinstance(outcome, CheckResult):
                self.counters.answer(outcome.status, time.monotonic() - job.queued)
            else:
                self.counters.error(outcome)

    def stats(self) -> WorkerStats:
        """Return a snapshot, taken between two turns of the thread; :class:`PoolTimeout` if that does not turn."""
        asked: Future[tuple[WorkerStats, list[int]]] = Future()
        with self._lock:
            running = self._thread is not None and self._thread.is_alive() and not self._closing
            if running and self._pid == os.getpid() and not self.here:
                self._post(lambda: asked.set_result(self._snapshot()))
            else:
                asked.set_result(self._snapshot())
        try:
            stats, pids = asked.result(STATS_S)
        except TimeoutError:
            raise PoolTimeout(
                f"the pool's thread did not answer within {STATS_S:g} s",
                hint="this process was stopped meanwhile, or the machine has far too much to do; ask again",
            ) from None
        private, shared = memory_of(pids)
        return replace(stats, private_bytes=private, shared_bytes=shared)

    def _snapshot(self) -> tuple[WorkerStats, list[int]]:
        living = [worker for worker in self._workers if worker.state is not State.DYING]
        pids = [pid for worker in living if worker.process.pid for pid in family(worker.process.pid)]
        launcher, counters = self._launcher, self.counters
        stats = WorkerStats(
            workers=self.settings.workers,
            busy=self._workers.busy,
            free=len(living) - self._workers.busy,
            held=self._workers.held,
            waiting=self.waiting,
            answered=MappingProxyType(dict(counters.answered)),
            errors=MappingProxyType(dict(counters.errors)),
            processes_started=launcher.forks + launcher.spawned,
            forks=launcher.forks,
            zygotes=launcher.alive,
            zygotes_started=launcher.zygotes_started,
            imports_avoided=launcher.imports_avoided,
            ended=MappingProxyType(dict(self._ended)),
            latency_buckets=tuple(counters.buckets),
            latency_sum=counters.latency_sum,
            private_bytes=0,
            shared_bytes=0,
        )
        return stats, pids + launcher.pids()

    def _post(self, letter: Callable[[], None]) -> None:
        self._mail.append(letter)
        try:
            self._wakeup.send(b"!")
        except (BlockingIOError, OSError):
            pass  # it rings already

    # --- the thread ---

    def _run(self) -> None:
        try:
            try:
                while not self._closing:
                    self._turn()
            except BaseException:
                self._broken = True
                raise
            finally:
                self._shut()
        finally:
            self._refuse_the_rest()
            self._release()

    def _turn(self) -> None:
        now = time.monotonic()
        looks = [worker.next_look() for worker in self._workers]
        looks.append(self._launcher.next_look())
        looks.append(self._waiting.next_look())
        wait = max(0.0, min(looks) - now)
        for key, mask in self.selector.select(None if wait == float("inf") else wait):
            key.data(mask)
        while self._mail:
            self._mail.popleft()()
        self._dispatch()  # who waits for it waits for nothing else here
        now = time.monotonic()
        self._launcher.tick(now)  # first: what keeps a zygote from being ready keeps its workers from it
        for worker in tuple(self._workers):
            if worker.next_look() <= now or worker.state is State.DYING:
                worker.tick(now)
        self._workers.strike_off()
        self._waiting.expire(self._workers.held)
        # A free worker gets its next job before callers are woken, who would compete for the interpreter.
        self._dispatch()
        self._deliver()
        self._keep_spare()

    def _deliver(self) -> None:
        while self._answers:
            job, result = self._answers.popleft()
            job.finish(result)

    def _on_wakeup(self, _: int) -> None:
        try:
            self._wakeup_in.recv(4096)
        except BlockingIOError:
            pass

    def _cancel(self, job: Job) -> None:
        job.cancelled = True
        worker = self._workers.at_work_on(job)
        if worker is not None:
            worker.cancel(job)
        elif job in self._waiting:
            self._waiting.remove(job)
            job.finish(job.instead(Status.CANCELLED, "the caller cancelled", self.label))

    def _release_lease(self, lease: Lease) -> None:
        lease.over = True
        worker = self._workers.held_by(lease)
        if worker is not None:
            self._workers.end_lease(worker)
            worker.let_go()

    # --- scheduling ---

    def _dispatch(self) -> None:
        while self._waiting and not self._closing and (job := self._next_job()) is not None:
            claim = job.claim
            try:
                worker = self._workers.held_by(claim) if claim is not None else None
                worker = worker or self._workers.free_for(job) or self._launch(job.profile)
                if claim is not None:
                    self._workers.hold(worker, claim)
                self._recent = job.profile
                worker.assign(job)
            except ProtocolError as error:
                job.finish(
                    job.instead(Status.REFUSED, f"the source cannot be sent: {error.message}", self.label)
                )
            except LeanHostError as error:
                job.fail(error)

    def _next_job(self) -> Job | None:
        return self._waiting.next(room=self._workers.has_room, held=self._workers.held)

    def _keep_spare(self) -> None:
        wanted = self._used_up > 0 and not self._start_trouble and self._workers.lacks_spare
        if wanted and not self._closing:
            try:
                self._launch(self._recent)
            except LeanHostError:
                self._start_trouble = True

    def _launch(self, profile: ImportProfile) -> Worker:
        with LAUNCHING:
            process, config, ends = self._launcher.launch(profile)
            worker = Worker(self, profile, process, ends)
            self._workers.append(worker)
        if config is not None:
            worker.configure(config)
        return worker

    # --- what workers tell ---

    def answered(self, job: Job, result: CheckResult) -> None:
        """A worker has given its verdict; the caller gets it now, or at the end of this turn if others wait."""
        if self._waiting:
            self._answers.append((job, result))
        else:
            job.finish(result)

    def up(self, worker: Worker) -> None:
        """A worker has started."""
        self._start_trouble = False
        self.label, self.sandbox, self.lean = worker.label, worker.sandbox, worker.lean

    def notice(self, worker: Worker | None = None) -> FaultNotice:
        """Return what is said about the verdicts of a worker's Lean, or of the one that came up last."""
        version, platform = self.lean if worker is None else worker.lean
        return FaultNotice(version, platform, self.settings.known_faults)

    def overfull(self, worker: Worker) -> str | None:
        """Return what a worker wrote too much of."""
        return self._launcher.overfull(worker.process.pid)

    def gone(self, worker: Worker) -> None:
        """A worker's process has ended."""
        self._launcher.clean(worker.process.pid)

    def dying(self, worker: Worker, why: str) -> None:
        """A worker does no more; a session that holds it gets another with its next call."""
        self._workers.end_lease(worker)
        self._used_up += 1
        self._ended[why] = self._ended.get(why, 0) + 1

    def births_failed(self, children: Collection[Process], why: LeanHostError, lasting: bool) -> None:
        """A zygote ended before it had made these workers."""
        for worker in self._workers:
            if worker.process in children:
                worker.start_error(why, lasting)

    def never_begun(self, job: Job) -> bool:
        """Put back a job that a worker did not come to, which says nothing about its source; not for ever."""
        job.starts += 1
        if job.cancelled:
            job.finish(job.instead(Status.CANCELLED, "the caller cancelled", self.label))
            return True
        if self._closing or job.starts >= START_ATTEMPTS:
            return False
        job.fresh = True  # one that has served may be at its end, too
        self._waiting.put_back(job)
        return True

    def start_failed(self, worker: Worker, error: LeanHostError, lasting: bool) -> None:
        """Put the job of a worker that never came up back, or give it up."""
        self._start_trouble = True
        job, worker.job = worker.job, None
        if job is None:
            return
        job.starts += 1
        if job.cancelled:
            job.finish(job.instead(Status.CANCELLED, "the caller cancelled", self.label))
        elif lasting or job.starts >= START_ATTEMPTS:
            if job.profile == self.settings.default_profile or not isinstance(error, WorkerStartError):
                job.fail(error)
            else:  # others can be checked: it is this source that asks for something that cannot be imported
                job.finish(job.instead(Status.CRASHED, error.message, self.label))
        else:
            self._waiting.put_back(job)

    # --- the end ---

    def _shut(self) -> None:
        for worker in self._workers:
            if worker.job is not None:
                worker.job.fail(self._refusal())
            worker.kill(None, "closed")
        until = time.monotonic() + CLOSE_S
        closing = False
        while time.monotonic() < until:
            for key, mask in self.selector.select(0.002):
                key.data(mask)
            for worker in self._workers:
                if worker.state is not State.GONE:
                    worker.tick(time.monotonic())
            self._launcher.tick(time.monotonic())
            if not closing and all(worker.state is State.GONE for worker in self._workers):
                closing = True  # zygotes go last: they tell how their children ended
                self._launcher.close()
            elif closing and not self._launcher.ending:
                break

    def _refusal(self) -> BaseException:
        if self._exiting:
            return SystemExit("the interpreter ends, and this pool with it")
        return PoolClosed(BROKEN if self._broken else "the pool was closed")

    def _refuse_the_rest(self) -> None:
        """Answer whoever still waits, wherever the job has got to."""
        with self._lock:
            self._closing = True
            letters, self._mail = list(self._mail), deque()
        for letter in letters:
            letter()
        self._deliver()
        self._waiting.clear()
        for job in tuple(self._open.values()):
            job.fail(self._refusal())

    def _release(self) -> None:
        for worker in self._workers:
            if worker.state is not State.GONE:
                worker.close()
        self._workers.clear()
        self._launcher.remove_scratch()
        self.selector.close()
        self._wakeup.close()
        self._wakeup_in.close()

    def forget_in_fork(self) -> None:
        """In a forked process: close the copies of the channels, which would keep workers of a dead pool alive."""
        self._lock = threading.RLock()  # another thread of the parent may have held it
        for worker in self._workers:
            worker.abandon()
        self._launcher.abandon()
        self.selector.close()
        self._wakeup.close()
        self._wakeup_in.close()
