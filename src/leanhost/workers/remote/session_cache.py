"""What a worker keeps between two calls: a bounded cache. A miss is recomputed, never an error."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from msgspec.structs import replace

from leanhost.services.elaboration.source_view import SourceView
from leanhost.services.exports.read.kernel_library import KernelLibrary
from leanhost.services.proofs.proof_state import ProofState
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.outcomes import Evidence
from leanhost.services.values.progress import ProgressSink
from leanhost.services.values.recent import Recent
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.messages import Spec

SESSIONS = 4
STATES = 1024
VIEWS = 4
EVIDENCE = 256
LIBRARIES = 4


@dataclass(slots=True)
class CachedSession:
    """A session and what was made in it."""

    session: Session
    spec: Spec
    """The imports, options and extensions that make the session."""
    states: Recent[Hashable, ProofState] = field(default_factory=lambda: Recent(STATES))
    views: Recent[Hashable, SourceView] = field(
        default_factory=lambda: Recent(VIEWS, lambda view: view.close())
    )
    evidence: Recent[Hashable, Evidence] = field(default_factory=lambda: Recent(EVIDENCE))

    def close(self) -> None:
        """Release the session."""
        self.states.clear()
        self.views.clear()
        self.evidence.clear()
        self.session.close()


class SessionCache:
    """The sessions a worker has used last, and the libraries it has as another kernel."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.libraries: Recent[Hashable, KernelLibrary] = Recent(LIBRARIES, lambda library: library.close())
        self._entries: Recent[bytes, CachedSession] = Recent(SESSIONS, lambda cached: cached.close())

    def clear(self) -> None:
        """Let all of them go."""
        self._entries.clear()

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
