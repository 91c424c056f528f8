"""The worker's side of a session: look the operation up, get ready what it stands on, perform it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.progress import ProgressEvent
from leanhost.workers.protocol import encoding
from leanhost.workers.protocol.framing import Message
from leanhost.workers.remote import declarations, evidence, proofs, sources, terms
from leanhost.workers.remote.operation import Operation, Task
from leanhost.workers.remote.session_cache import SessionCache

_ALL: tuple[Operation[Any], ...] = (
    *sources.OPERATIONS,
    *terms.OPERATIONS,
    *declarations.OPERATIONS,
    *proofs.OPERATIONS,
    *evidence.OPERATIONS,
)
OPERATIONS: Mapping[str, Operation[Any]] = {operation.name: operation for operation in _ALL}
"""Every operation a worker can be asked for, by its name."""

TELL_S = 0.05
"""Seconds between two events of one phase that are worth a frame each."""


def answered(
    cache: SessionCache,
    message: Message,
    timeout: float,
    cancellation: CancellationToken,
    begun: Callable[[], None],
    tell: Callable[[Message], None],
) -> object:
    """Perform what *message* asks for; encoded. *begun* is called once what it stands on is there."""
    operation = OPERATIONS[message["operation"]]
    cached = cache.entry(message["spec"], timeout, cancellation)
    progress = ProgressSender(tell) if message["progress"] else None
    task = Task(cached.session, message["arguments"], timeout, cancellation, progress, cached, cache)
    if operation.before is not None:
        operation.before(task)
    begun()
    return encoding.out(operation.perform(task))


class ProgressSender:
    """Sends the events of a call: the first and last of a phase, and of the others few enough to cost nothing."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._phase = ""
        self._next = 0.0

    def __call__(self, event: ProgressEvent) -> None:
        """Send *event*, if it is time."""
        now = time.monotonic()
        if event.phase == self._phase and event.current != event.total and now < self._next:
            return
        self._phase, self._next = event.phase, now + TELL_S
        self._send({"progress": encoding.out(event)})
