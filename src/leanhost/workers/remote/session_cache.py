"""What a worker keeps between two calls: bounded, and a cache only. A worker that has not got it makes it again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from msgspec.structs import replace

from leanhost.services.elaboration.source_view import SourceView
from leanhost.services.exports.read.kernel_library import KernelLibrary
from leanhost.services.proofs.proof_state import ProofState
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.outcomes import Evidence
from leanhost.services.values.progress import ProgressSink
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.messages import Spec

SESSIONS = 4
STATES = 1024
VIEWS = 4
EVIDENCE = 256
LIBRARIES = 4

V = TypeVar("V")


class Recent(Generic[V]):
    """The values used last, at most *size* of them; *drop* is told of each that has to go."""

    def __init__(self, size: int, drop: Callable[[V], object] = lambda _: None) -> None:
        self._size = size
        self._drop = drop
        self._values: OrderedDict[Hashable, V] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        """Return the value of *key*, which has been used now."""
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def put(self, key: Hashable, value: V) -> V:
        """Keep *value*, in the place of what may have been there."""
        former = self._values.pop(key, None)
        if former is not None and former is not value:
            self._drop(former)
        self._values[key] = value
        while len(self._values) > self._size:
            self._drop(self._values.popitem(last=False)[1])
        return value

    def clear(self) -> None:
        """Let everything go."""
        while self._values:
            self._drop(self._values.popitem()[1])


@dataclass(slots=True)
class CachedSession:
    """A session and what was made in it."""

    session: Session
    spec: Spec
    """The imports, options and extensions that make the session."""
    states: Recent[ProofState] = field(default_factory=lambda: Recent(STATES))
    views: Recent[SourceView] = field(default_factory=lambda: Recent(VIEWS, lambda view: view.close()))
    evidence: Recent[Evidence] = field(default_factory=lambda: Recent(EVIDENCE))

    def close(self) -> None:
        """Let the session go."""
        self.states.clear()
        self.views.clear()
        self.evidence.clear()
        self.session.close()


class SessionCache:
    """The sessions a worker has used last, and the libraries it has as another kernel."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.libraries: Recent[KernelLibrary] = Recent(LIBRARIES, lambda library: library.close())
        self._entries: Recent[CachedSession] = Recent(SESSIONS, lambda cached: cached.close())

    def entry(
        self,
        spec: Spec,
        timeout: float,
        cancellation: CancellationToken,
        progress: ProgressSink | None = None,
    ) -> CachedSession:
        """Return the session over the imports of *spec*, extended by each of its sources.

        Raises what opening and extending a session do; *timeout* is for each extension.
        """
        key = codec.encode(spec)
        found = self._entries.get(key)
        if found is not None:
            return found
        session = self._grown(spec, timeout, cancellation, progress)
        return self._entries.put(key, CachedSession(session, spec))

    def _grown(
        self,
        spec: Spec,
        timeout: float,
        cancellation: CancellationToken,
        progress: ProgressSink | None,
    ) -> Session:
        """Extend the nearest session that is kept, or open one; what lies between is not kept."""
        grown = spec.grown
        at, below = len(grown), None
        while below is None and at:
            at -= 1
            below = self._entries.get(codec.encode(replace(spec, grown=grown[:at])))
        if below is None:
            session = self.host.session(spec.imports, spec.options)
        else:
            session = below.session
        kept = below is not None
        for source, file in grown[at:]:
            less = session
            try:
                session = less.extend(
                    source, file=file, timeout=timeout, cancellation=cancellation, progress=progress
                )
            finally:
                if not kept:
                    less.close()
            kept = False
        return session
