"""What a worker keeps between two calls: bounded, and a cache only. A worker that has not got it makes it again."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from leanhost.services.elaboration.source_view import SourceView
from leanhost.services.exports.read.kernel_library import KernelLibrary
from leanhost.services.proofs.proof_state import ProofState
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.outcomes import Evidence
from leanhost.services.values.progress import ProgressSink
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.framing import Message

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
    spec: Message
    """The imports, options and extensions that make the session, encoded."""
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

    def clear(self) -> None:
        """Let all of them go."""
        self._entries.clear()

    def entry(
        self,
        spec: Message,
        timeout: float,
        cancellation: CancellationToken,
        progress: ProgressSink | None = None,
    ) -> CachedSession:
        """Return the session over ``spec["imports"]``, extended by each source of ``spec["grown"]``.

        Raises what opening and extending a session do; *timeout* is for each extension.
        """
        key = _key(spec)
        found = self._entries.get(key)
        if found is not None:
            return found
        session = self._grown(spec, timeout, cancellation, progress)
        return self._entries.put(key, CachedSession(session, spec))

    def _grown(
        self,
        spec: Message,
        timeout: float,
        cancellation: CancellationToken,
        progress: ProgressSink | None,
    ) -> Session:
        """Extend the nearest session that is kept, or open one; what lies between is not kept."""
        grown = spec["grown"]
        at, below = len(grown), None
        while below is None and at:
            at -= 1
            below = self._entries.get(_key({**spec, "grown": grown[:at]}))
        if below is None:
            imports = codec.imports_in(spec["imports"]) or ()
            session = self.host.session(imports, codec.options_in(spec["options"]))
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


def _key(spec: Message) -> str:
    return json.dumps([spec["imports"], spec["options"], spec["grown"]], sort_keys=True)
