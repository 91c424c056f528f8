"""One request on its way through the pool."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field, replace

from leanhost.services.values.progress import ProgressEvent
from leanhost.services.values.results import CheckResult, Status
from leanhost.workers.jobs.import_profiles import ImportProfile
from leanhost.workers.jobs.lease import Lease
from leanhost.workers.protocol.framing import Frame
from leanhost.workers.protocol.messages import Check, Done, Question
from leanhost.workers.values.items import Request


@dataclass(slots=True, eq=False)
class Job:
    """A request and the future of its verdict. Only the supervisor's thread changes it."""

    request: Request
    profile: ImportProfile
    give_up: float | None
    """When the caller stops waiting for a worker, on :func:`time.monotonic`."""
    future: Future[CheckResult] = field(default_factory=Future)
    queued: float = field(default_factory=time.monotonic)
    turn: float = 0.0
    """Those with an earlier one come first: when it was queued, or what it goes on with."""
    identity: str = field(default_factory=lambda: os.urandom(16).hex())
    """Not to be guessed: an answer must have seen the question."""
    question: Question = field(default_factory=Check)
    """What the worker is asked for."""
    payload: bytes = b""
    """The arguments that go with it, encoded."""
    text: str | None = None
    """An export that goes with it."""
    lease: Lease | None = None
    """The claim of a session that holds a worker for its requests."""
    reply: Frame[Done] | None = None
    """What a worker answered, if one did."""
    told: deque[ProgressEvent] | None = None
    """Progress the worker has reported and no caller has taken yet; ``None`` when no caller asked for it."""
    clean: bool = False
    """Whether the worker must not have run any candidate before; it will not run one now."""
    fresh: bool = False
    """Whether the worker must not have served at all."""
    starts: int = 0
    """How many processes ended before they could take it."""
    cancelled: bool = False
    ended: bool = False
    count: Callable[[Job, CheckResult | BaseException], None] | None = None
    """Told of the end, once, before the caller is."""

    def __post_init__(self) -> None:
        self.turn = self.queued

    @property
    def claim(self) -> Lease | None:
        """The claim to a worker that the request comes under, unless that has ended."""
        return None if self.lease is None or self.lease.over else self.lease

    def finish(self, result: CheckResult) -> None:
        """Give the verdict, unless there is an end already."""
        if self.request.id is not None:
            result = replace(result, id=self.request.id)
        if self._end(result):
            with suppress(InvalidStateError):  # somebody has cancelled the future
                self.future.set_result(result)

    def fail(self, error: BaseException) -> None:
        """Say that there will be none, unless there is an end already."""
        if self._end(error):
            with suppress(InvalidStateError):
                self.future.set_exception(error)

    def _end(self, outcome: CheckResult | BaseException) -> bool:
        if self.ended:
            return False
        self.ended = True
        if self.count is not None:
            self.count(self, outcome)
        return True

    def instead(self, status: Status, why: str, toolchain: str, elapsed: float = 0.0) -> CheckResult:
        """Return a verdict that Lean did not give."""
        return CheckResult(self.request.file, status, reasons=(why,), toolchain=toolchain, elapsed=elapsed)
