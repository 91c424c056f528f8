"""What an operation of a session is when it runs in a worker: described once, for both ends of the channel.

The caller encodes arguments and decodes the answer by its type, on no trust; the worker looks the operation up by
its name and performs it on a session of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from leanhost.services.session.session import Session
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.progress import ProgressSink

if TYPE_CHECKING:
    from leanhost.workers.remote.session_cache import CachedSession, SessionCache

A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task(Generic[A]):
    """One operation being performed in a worker.

    Attributes:
        session: over the imports, extended as the caller's is.
        arguments: as the caller gave them.
        timeout: seconds the operation may take.
        cancellation: set when the caller cancels.
        progress: hears how far it has come, if the caller wants to know.
        cached: what the worker keeps that belongs to *session*.
        cache: what the worker keeps at all.
    """

    session: Session
    arguments: A
    timeout: float
    cancellation: CancellationToken
    progress: ProgressSink | None
    cached: CachedSession
    cache: SessionCache


@dataclass(frozen=True, slots=True)
class Operation(Generic[A, T]):
    """An operation by its name.

    Attributes:
        name: how it is called on the channel, in spans and in statistics.
        arguments: the type of its arguments, a struct.
        answer: the type of its answer, as :func:`leanhost.workers.protocol.codec.decode` takes it.
        perform: does it, in the worker.
        before: makes what it stands on, in the time a worker may take to get ready.
        each: whether the answer is a list with one entry for each item asked about.
        cancelled: the answer, or the entry of it, where a cancellation came first; ``None`` raises
            :class:`~leanhost.errors.Cancelled`.
    """

    name: str
    arguments: type[A]
    answer: Any
    perform: Callable[[Task[A]], object]
    before: Callable[[Task[A]], object] | None = None
    each: bool = False
    cancelled: Callable[[], Any] | None = None
