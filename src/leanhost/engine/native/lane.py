"""The thread with a large stack on which Lean works, and the work handed to it."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from typing import Any

from leanhost.engine.base import Engine
from leanhost.engine.native.ffi import current_cpu

STACK_BYTES = 256 << 20
"""Stack of the thread that elaborates; reserved, not committed, so that deep terms do not end the process."""


class LaneJob:
    """Work handed to the lane: waits like a future, without the pool around it."""

    __slots__ = ("_done", "_error", "_value", "_work", "give_up", "started")

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._done = threading.Lock()
        self._done.acquire()
        self._value: Any = None
        self._error: BaseException | None = None
        self.started = False
        self.give_up: float | None = None
        """When the grace after a cancellation is over, once there was one."""

    def run(self) -> None:
        """Do the work; on the lane."""
        self.started = True
        try:
            self._value = self._work()
        except BaseException as error:
            self._error = error
        finally:
            self._done.release()

    def wait(self, timeout: float | None) -> bool:
        """Wait until the work is done, at most *timeout* seconds; whether it is."""
        done = self._done.acquire(timeout=-1 if timeout is None else timeout)
        if done:
            self._done.release()
        return done

    def result(self) -> Any:
        """Return what the work returned, or raise what it raised."""
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None
        return self._value


class Lane:
    """One daemon thread with a large stack, started when first needed and again after a fork."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._jobs: queue.SimpleQueue[LaneJob] = queue.SimpleQueue()
        self._start = threading.Lock()
        self._pid = 0
        self._ident = 0
        self._native_id = 0
        self._cpu = -1

    def is_current(self) -> bool:
        """Whether the caller is on the lane."""
        return self._ident == threading.get_ident() and self._pid == os.getpid()

    def submit(self, work: Callable[[], Any], *, near: bool = True) -> LaneJob:
        """Hand *work* over; *near*: to the processor of the caller, who will wait for it."""
        if self._pid != os.getpid():
            self._launch()
        if near:
            self._come_near()
        job = LaneJob(work)
        self._jobs.put(job)
        return job

    def _come_near(self) -> None:
        """Move the lane to the caller's processor, which is free while the caller waits.

        Waking a thread on a processor that sleeps takes longer than a short check; :meth:`spread` undoes it.
        """
        cpu = current_cpu()
        if cpu != self._cpu:
            try:
                os.sched_setaffinity(self._native_id, {cpu})
                self._cpu = cpu
            except OSError:
                self._cpu = cpu  # not allowed here; it is only about speed

    def spread(self) -> None:
        """Let the lane run wherever its caller may."""
        if self._cpu >= 0:
            self._cpu = -1
            with contextlib.suppress(OSError):
                os.sched_setaffinity(self._native_id, os.sched_getaffinity(0))

    def _launch(self) -> None:
        with self._start:
            if self._pid == os.getpid():
                return
            self._jobs = queue.SimpleQueue()
            before = threading.stack_size(STACK_BYTES)
            try:
                thread = threading.Thread(
                    target=self._serve, args=(self._jobs,), name="leanhost-lane", daemon=True
                )
                thread.start()
            finally:
                threading.stack_size(before)
            assert thread.ident is not None
            assert thread.native_id is not None
            self._ident = thread.ident
            self._native_id = thread.native_id
            self._cpu = -1
            self._pid = os.getpid()

    def _serve(self, jobs: queue.SimpleQueue[LaneJob]) -> None:
        while True:
            job = jobs.get()
            with self._engine.lock:
                job.run()
            del job
