"""The worker's side of a session: look the operation up, get ready what it stands on, perform it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from leanhost.errors import UsageError
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.progress import ProgressEvent
from leanhost.workers.batch.submitted import LOOK_S
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.messages import Invocation
from leanhost.workers.remote import declarations, evidence, proofs, sources, terms
from leanhost.workers.remote.operation import Operation, Task
from leanhost.workers.remote.session_cache import SessionCache

_ALL: tuple[Operation[Any, Any], ...] = (
    *sources.OPERATIONS,
    *terms.OPERATIONS,
    *declarations.OPERATIONS,
    *proofs.OPERATIONS,
    *evidence.OPERATIONS,
)
OPERATIONS: Mapping[str, Operation[Any, Any]] = {operation.name: operation for operation in _ALL}
"""Every operation a worker can be asked for, by its name."""

TELL_S = LOOK_S
"""Seconds between two events of one phase that are worth a frame each: a caller looks no more often."""


def warm() -> None:
    """Derive now what each operation's arguments and answer are decoded and encoded by, a millisecond each."""
    for operation in OPERATIONS.values():
        codec.warm(Invocation[operation.arguments])  # type: ignore[name-defined]
        codec.warm(operation.answer)


def answered(
    cache: SessionCache,
    name: str,
    payload: bytes,
    timeout: float,
    cancellation: CancellationToken,
    begun: Callable[[], None],
    tell: Callable[[ProgressEvent], None] | None,
) -> bytes:
    """Perform an operation on what *payload* holds, and return the answer, encoded.

    *begun* is called once what it stands on is there, *tell* with how far it has come.
    """
    operation = OPERATIONS[name]
    try:
        asked: Invocation[Any] = codec.decode(payload, Invocation[operation.arguments])  # type: ignore[name-defined]
    except codec.ProtocolError as error:
        raise UsageError(f"arguments of {name}: {error.message}") from None
    cached = cache.entry(asked.spec, timeout, cancellation)
    progress = None if tell is None else ProgressSender(tell)
    task = Task(cached.session, asked.arguments, timeout, cancellation, progress, cached, cache)
    if operation.before is not None:
        operation.before(task)
    begun()
    return codec.encode(operation.perform(task), operation.answer)


class ProgressSender:
    """Sends the events of a call: the first and last of a phase, and of the others few enough to cost nothing."""

    def __init__(self, send: Callable[[ProgressEvent], None]) -> None:
        self._send = send
        self._phase = ""
        self._next = 0.0

    def __call__(self, event: ProgressEvent) -> None:
        """Send *event*, if it is time."""
        now = time.monotonic()
        if event.phase == self._phase and event.current != event.total and now < self._next:
            return
        self._phase, self._next = event.phase, now + TELL_S
        self._send(event)
