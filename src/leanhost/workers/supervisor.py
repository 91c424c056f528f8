"""The pool's one thread: it starts workers, gives them jobs in order, watches the clock and reaps.

Everything about processes happens on this thread, so nothing here needs a lock but the mailbox.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

from leanhost.errors import LeanHostError, PoolClosed, PoolTimeout, TooManyRequests
from leanhost.services.results import Status
from leanhost.workers.job import Job
from leanhost.workers.process import make_ends, spawn
from leanhost.workers.settings import Settings
from leanhost.workers.worker import State, Worker

START_ATTEMPTS = 2
"""How many workers may end at start before the job that wanted one is given up."""

CLOSE_S = 10.0
"""Seconds that closing waits for killed processes to end."""

_alive: weakref.WeakSet[Supervisor] = weakref.WeakSet()


class Supervisor:
    """Schedules jobs over worker processes. Public methods may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.selector: selectors.BaseSelector = selectors.DefaultSelector()
        self.label = settings.label
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._mail: deque[Callable[[], None]] = deque()
        self._bell_in, self._bell = socket.socketpair()
        self._bell_in.setblocking(False)
        self._bell.setblocking(False)
        self._queue: deque[Job] = deque()
        self._waiting = 0
        self._workers: list[Worker] = []
        self._idle: deque[Worker] = deque()
        self._closing = False
        self._broken = False
        self._thread: threading.Thread | None = None
        self.selector.register(self._bell_in, selectors.EVENT_READ, self._on_bell)
        _alive.add(self)

    # --- for any thread ---

    def submit(self, job: Job, *, bounded: bool) -> None:
        """Queue a job; with *bounded*, :class:`TooManyRequests` when the queue is full."""
        with self._lock:
            self._check_usable()
            if bounded and self._waiting >= self.settings.max_waiting + self.settings.workers:
                raise TooManyRequests(
                    f"{self._waiting} requests are waiting or running already",
                    hint="send less at a time, or raise max_waiting or workers",
                )
            self._waiting += 1
            job.future.add_done_callback(self._count_done)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="leanhost-pool", daemon=True)
                self._thread.start()
            self._post(lambda: self._queue.append(job))

    def cancel(self, job: Job) -> None:
        """Stop a job wherever it is; its verdict becomes ``cancelled`` unless it has one."""
        with self._lock:
            if self._pid == os.getpid() and self._thread is not None:
                self._post(lambda: self._cancel(job))

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

    @property
    def waiting(self) -> int:
        """Requests that have no answer yet."""
        return self._waiting

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closing

    def _check_usable(self) -> None:
        if self._pid != os.getpid():
            raise PoolClosed(
                "this pool belongs to the process that made it", hint="make a pool after forking"
            )
        if self._closing:
            raise PoolClosed("the pool is closed")
        if self._broken:
            raise PoolClosed("the pool's supervisor ended with an error; this pool cannot be used any more")

    def _count_done(self, _: object) -> None:
        with self._lock:
            self._waiting -= 1

    def _post(self, letter: Callable[[], None]) -> None:
        self._mail.append(letter)
        try:
            self._bell.send(b"!")
        except (BlockingIOError, OSError):
            pass  # it rings already

    # --- the thread ---

    def _run(self) -> None:
        try:
            while not self._closing:
                self._turn()
            self._shut()
        except BaseException:
            self._broken = True
            self._shut()
            raise

    def _turn(self) -> None:
        now = time.monotonic()
        looks = [worker.next_look() for worker in self._workers]
        looks += [job.give_up for job in self._queue if job.give_up is not None]
        wait = max(0.0, min(looks) - now) if looks else None
        for key, mask in self.selector.select(None if wait == float("inf") else wait):
            key.data(mask)
        while self._mail:
            self._mail.popleft()()
        now = time.monotonic()
        for worker in tuple(self._workers):
            if worker.next_look() <= now or worker.state is State.DYING:
                worker.tick(now)
        self._workers = [worker for worker in self._workers if worker.state is not State.GONE]
        self._expire(now)
        self._dispatch()

    def _on_bell(self, _: int) -> None:
        try:
            self._bell_in.recv(4096)
        except BlockingIOError:
            pass

    def _expire(self, now: float) -> None:
        for job in [job for job in self._queue if job.give_up is not None and job.give_up <= now]:
            self._queue.remove(job)
            job.fail(
                PoolTimeout(
                    f"no worker became free within {now - job.queued:.3g} s",
                    hint="raise queue_timeout or workers, or send less at a time",
                )
            )

    def _cancel(self, job: Job) -> None:
        job.cancelled = True
        if job.worker is not None:
            job.worker.cancel(job)
        elif job in self._queue:
            self._queue.remove(job)
            job.finish(job.instead(Status.CANCELLED, "the caller cancelled", self.label))

    # --- scheduling ---

    def _busy(self) -> int:
        return sum(
            1 for worker in self._workers if worker.job is not None and worker.state is not State.DYING
        )

    def _living(self) -> int:
        return sum(1 for worker in self._workers if worker.state is not State.DYING)

    def _dispatch(self) -> None:
        settings = self.settings
        while self._queue and self._busy() < settings.workers and not self._closing:
            job = self._queue.popleft()
            worker = self._idle.popleft() if self._idle else self._starting()
            if worker is None:
                try:
                    worker = self._launch()
                except LeanHostError as error:
                    job.fail(error)
                    continue
            worker.assign(job)
        while not self._closing and self._wants_spare():
            try:
                self._launch()
            except LeanHostError:
                break

    def _starting(self) -> Worker | None:
        """Return a worker that was started ahead and has no job yet."""
        for worker in self._workers:
            if worker.state is State.STARTING and worker.job is None:
                return worker
        return None

    def _wants_spare(self) -> bool:
        free = self._living() - self._busy()
        return self._served and not self._start_trouble and free < self.settings.spares

    _served = False
    _start_trouble = False

    def _launch(self) -> Worker:
        settings = self.settings
        ends, inherited = make_ends(settings.output_limit)
        try:
            process = spawn("leanhost.workers.child", inherited)
        except BaseException:
            ends.close()
            raise
        finally:
            inherited.close()
        worker = Worker(self, None, process, ends)
        self._workers.append(worker)
        worker.configure(settings.config("", settings.imports))
        return worker

    # --- what workers tell ---

    def idle(self, worker: Worker) -> None:
        """Take back a worker that can do more."""
        self._served = True
        self._start_trouble = False
        self.label = worker.label
        self._idle.append(worker)

    def dying(self, worker: Worker, why: str) -> None:
        """Strike a worker off."""
        if worker in self._idle:
            self._idle.remove(worker)

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
            job.fail(error)
        else:
            self._queue.appendleft(job)

    # --- the end ---

    def _shut(self) -> None:
        for worker in self._workers:
            if worker.job is not None:
                worker.job.fail(PoolClosed("the pool was closed"))
            worker.kill(None, "closed")
        until = time.monotonic() + CLOSE_S
        while any(w.state is not State.GONE for w in self._workers) and time.monotonic() < until:
            self.selector.select(0.002)
            for worker in self._workers:
                if worker.state is not State.GONE:
                    worker.tick(time.monotonic())
        with self._lock:
            self._closing = True
            letters, self._mail = list(self._mail), deque()
        for letter in letters:
            letter()
        for job in self._queue:
            job.fail(PoolClosed("the pool was closed"))
        self._queue.clear()
        self._release()

    def _release(self) -> None:
        for worker in self._workers:
            if worker.state is not State.GONE:
                worker.close()
        self._workers.clear()
        self.selector.close()
        self._bell.close()
        self._bell_in.close()

    def forget_in_fork(self) -> None:
        """In a forked process: close the copies of the channels, which would keep workers of a dead pool alive."""
        for worker in self._workers:
            worker.abandon()
        self.selector.close()


def _after_fork() -> None:
    for supervisor in tuple(_alive):
        supervisor.forget_in_fork()
    _alive.clear()


os.register_at_fork(after_in_child=_after_fork)
