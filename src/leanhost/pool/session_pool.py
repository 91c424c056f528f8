"""Sessions over environments that are imported once and lent again and again."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from leanhost.errors import (
    ClosedError,
    FreshImportRefused,
    MemoryRefused,
    PoolClosed,
    SessionBusy,
    SessionReleased,
)
from leanhost.lean.core import Import, Lean
from leanhost.pool.checkout import Checkout
from leanhost.pool.free_list import FreeList, MissReason, PoolKey
from leanhost.services.elaboration.environment import Imported
from leanhost.services.session.session import Session
from leanhost.services.session.state import SessionState
from leanhost.services.values.cancellation import Cancellation, check
from leanhost.services.values.lifecycle import Access, Closing, ProcessBound
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.progress import ProgressSink
from leanhost.services.values.tracing import span
from leanhost.services.values.validate import natural

if TYPE_CHECKING:
    from leanhost.services.session.host import Host


@dataclass(frozen=True, slots=True)
class PoolStats:
    """A snapshot of a pool's counters, which are never reset.

    Always ``imports_performed + reused == acquired``, and ``released_to_pool + released_dropped`` is the
    number of sessions that were released; one that is forgotten, or whose acquire or release is interrupted,
    was dropped once it is collected. A refused, cancelled or failed acquire is in none of them.
    """

    imports_performed: int = 0
    reused: int = 0
    acquired: int = 0
    released_to_pool: int = 0
    released_dropped: int = 0
    drains: int = 0
    drained: int = 0


class PooledSession(Session):
    """A session lent by a :class:`SessionPool`: leaving its ``with`` block gives the environment back.

    It belongs to one caller at a time: a call while another thread's call runs is a
    :class:`~leanhost.errors.SessionBusy`; a call after the release, or a second :meth:`release`, is a
    :class:`~leanhost.errors.SessionReleased`. What a caller made with it (an extended session, evidence)
    lives on; the next caller sees nothing of it.
    """

    def __init__(self, host: Host, state: SessionState, miss: MissReason | None) -> None:
        super().__init__(host, state, _OneCaller())
        self.miss = miss
        """Why a fresh import was needed, or ``None`` when the environment was there."""

    @property
    def reused(self) -> bool:
        """Whether the environment was there already."""
        return self.miss is None

    def release(self) -> None:
        """Give the environment back now instead of at the end of the ``with`` block.

        Raises :class:`~leanhost.errors.SessionReleased` when it was given back before.
        """
        if not self._lifecycle.close():
            raise SessionReleased("this pooled session was released already")


class _OneCaller(Access):
    """Lets one thread in at a time."""

    def __init__(self) -> None:
        self._caller = 0

    def claim(self, running: int) -> None:
        me = threading.get_ident()
        if running and self._caller != me:
            raise SessionBusy(
                "this pooled session is in use by another thread",
                hint="acquire a session for each thread; sessions over the same imports share one environment",
            )
        self._caller = me

    def closed_error(self) -> ClosedError:
        return SessionReleased(
            "this pooled session was released to its pool",
            hint="use it inside the with block that acquired it",
        )


class SessionPool(Closing, ProcessBound):
    """A bounded free list of imported environments over one host.

    ``with pool.acquire(["Init", "Std"]) as session:`` takes the free environment with exactly these imports,
    most recently released first, or imports it. An environment that comes back is kept while fewer than
    *capacity* are free, else dropped; capacity 0 keeps none. It is the environment as it was imported:
    nothing a caller did in a session is visible to the next one. Safe to use from many threads.

    Dropping, like :meth:`drain`, lets Lean reuse what an environment has on its heap: its tables of constants
    and the states of its extensions. It does not bring back the files: Lean maps a ``.olean`` and never
    unmaps it, and a module imported while it is mapped already is read into private memory a second time, for
    good. Measured on native with 10,000 theorems (11.6 MB of files): a second import takes 13.1 MB of private
    memory, of which dropping gives 2.0 MB (15 %) back, to Lean's next imports rather than to the system. On
    wasm nothing is mapped and every import stays. A capacity that avoids importing again is what keeps memory
    flat.

    Args:
        host: whose Lean imports; closing it ends the pool's sessions.
        capacity: how many free environments to keep at most.
        options: the limits of the sessions, unless :meth:`acquire` is given others.
        max_fresh_imports: how many imports the pool may perform in its life, or ``None``.
        max_private_bytes: no fresh import while Lean's private memory (:meth:`leanhost.Host.private_bytes`) is
            above this many bytes, or ``None``. What is free can still be acquired.
    """

    def __init__(
        self,
        host: Host,
        *,
        capacity: int = 4,
        options: ElabOptions | None = None,
        max_fresh_imports: int | None = None,
        max_private_bytes: int | None = None,
    ) -> None:
        natural("capacity", capacity)
        if max_fresh_imports is not None:
            natural("max_fresh_imports", max_fresh_imports)
        if max_private_bytes is not None:
            natural("max_private_bytes", max_private_bytes)
        self._host = host
        self._source = host.search_path, f"{host.toolchain.library}@{host.toolchain.commit}"
        self._capacity = capacity
        self._options = options or ElabOptions()
        self._max_fresh_imports = max_fresh_imports
        self._max_private_bytes = max_private_bytes
        self._lock = threading.Lock()
        self._free = FreeList()
        self._closed = False
        self._importing: weakref.WeakSet[Checkout] = weakref.WeakSet()
        self._forgotten: deque[PoolKey] = deque()
        self._imports_performed = 0
        self._reused = 0
        self._released_to_pool = 0
        self._released_dropped = 0
        self._drains = 0
        self._drained = 0
        host._adopt(self)

    # --- lending ---

    def acquire(
        self,
        imports: Sequence[str | Import] = ("Init",),
        options: ElabOptions | None = None,
        *,
        is_module: bool = False,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> PooledSession:
        """Return a session over *imports*, in this order; use it as a context manager, which releases it.

        *is_module* reads the imports as a ``module`` does: their exported parts only. *progress* receives the
        phase ``import`` when one is needed. Raises :class:`~leanhost.errors.Cancelled` (before anything
        else), :class:`~leanhost.errors.PoolClosed`, :class:`~leanhost.errors.FreshImportRefused`,
        :class:`~leanhost.errors.MemoryRefused` and :class:`~leanhost.errors.ImportFailed`.
        """
        check(cancellation, "the acquisition of a session")
        options = options or self._options
        key = self._key(imports, is_module)
        with span("leanhost.pool.acquire", imports=key.key, capacity=self._capacity) as said:
            lean = self._host._lean
            self._host._lean_options(lean, options)  # refused before anything is taken
            checkout, miss = Checkout(key, self._forgotten), None
            with self._lock:
                self._check_open()
                self._look_over()
                checkout.imported = self._free.take(key)
                if checkout.imported is not None:
                    self._reused, checkout.lent = self._reused + 1, True
                else:
                    miss = self._free.miss(key)
                    self._admit_import(checkout)
            said.set("reused", miss is None)
            if miss is not None:
                said.set("miss", miss)
                self._import(lean, checkout, progress)
            imported = checkout.imported
            assert imported is not None
            try:
                state = SessionState(
                    lean,
                    imported,
                    options,
                    self._host._lean_options(lean, options),
                    give_back=partial(self._take_back, checkout, imported),
                )
                return PooledSession(self._host, state, miss)
            except BaseException:
                # Only an interrupt, or the host closing meanwhile: the lease counts, and ends here.
                self._take_back(checkout, imported)
                raise

    def _key(self, imports: Sequence[str | Import], is_module: bool) -> PoolKey:
        return PoolKey(self._host._import_key(imports, is_module=is_module), *self._source)

    def _admit_import(self, checkout: Checkout) -> None:
        """Reserve a fresh import, or refuse it; called with the lock held."""
        limit = self._max_fresh_imports
        if limit is not None and self._imports_performed + len(self._importing) >= limit:
            raise FreshImportRefused(
                f"the pool has performed its {limit} fresh imports and has no free environment for this one",
                hint="raise max_fresh_imports or capacity, or ask for imports that are in the pool",
            )
        self._importing.add(checkout)

    def _import(self, lean: Lean, checkout: Checkout, progress: ProgressSink | None) -> None:
        try:
            limit = self._max_private_bytes
            if limit is not None and (used := lean.engine.private_bytes()) > limit:
                raise MemoryRefused(
                    f"no fresh import: Lean holds {used} bytes of private memory, more than the {limit} allowed",
                    hint="raise max_private_bytes, drain the pool, or use worker processes",
                )
            checkout.imported = self._host._import_fresh(lean, checkout.key.key, progress)
        finally:
            with self._lock:
                self._importing.discard(checkout)
                if checkout.imported is not None:
                    self._imports_performed, checkout.lent = self._imports_performed + 1, True

    def _take_back(self, checkout: Checkout, imported: Imported) -> None:
        """Keep a returned environment or drop it; twice is fine."""
        key = checkout.key
        with span("leanhost.pool.release", imports=key.key) as said:
            with self._lock:
                if checkout.over:
                    return
                lost = bool(imported.lean.engine.lost) or self._host.closed
                kept = not self._closed and not lost and len(self._free) < self._capacity
                # Counted and over in one step, which no interrupt can divide.
                if kept:
                    self._released_to_pool, checkout.over = self._released_to_pool + 1, True
                    self._free.put(key, imported)
                else:
                    self._released_dropped, checkout.over = self._released_dropped + 1, True
                    self._free.remember(key)
            said.set("kept", kept)
            if not kept:
                imported.close()

    def _look_over(self) -> None:
        """Drop what was lost with its Lean and count the sessions never released; called with the lock held."""
        self._free.forget_lost()
        while self._forgotten:
            self._free.remember(self._forgotten.popleft())
            self._released_dropped += 1

    def miss_reason(
        self, imports: Sequence[str | Import] = ("Init",), *, is_module: bool = False
    ) -> MissReason | None:
        """Return why :meth:`acquire` would have to import now, or ``None`` when it would not."""
        key = self._key(imports, is_module)
        with self._lock:
            self._look_over()
            return None if self._free.has(key) else self._free.miss(key)

    # --- evicting and closing ---

    def drain(self) -> int:
        """Drop every free environment and return how many there were.

        Sessions that are lent out are left alone and may return their environments later. This evicts, it
        does not reset Lean; the class says which memory comes back.
        """
        self._host._life.check_home("this session pool")
        with self._lock:
            self._look_over()
            dropped = self._free.take_all()
            for key, _ in dropped:
                self._free.remember(key)
            self._drains += 1
            self._drained += len(dropped)
        for _, imported in dropped:
            imported.close()
        if dropped and not self._host.closed:
            dropped[0][1].lean.engine.drain()
        return len(dropped)

    def close(self) -> None:
        """Drop every free environment and lend no more; what is lent is dropped when it returns.

        Closing twice is fine. Not counted as a drain.
        """
        with self._lock:
            self._closed = True
            dropped = self._free.take_all()
        for _, imported in dropped:
            imported.close()

    def _check_open(self) -> None:
        if self._closed:
            raise PoolClosed("this session pool is closed")

    # --- looking at it ---

    @property
    def stats(self) -> PoolStats:
        """Return the counters as they are now, all of one moment."""
        with self._lock:
            self._look_over()
            return PoolStats(
                imports_performed=self._imports_performed,
                reused=self._reused,
                acquired=self._imports_performed + self._reused,
                released_to_pool=self._released_to_pool,
                released_dropped=self._released_dropped,
                drains=self._drains,
                drained=self._drained,
            )

    @property
    def capacity(self) -> int:
        """How many free environments are kept at most."""
        return self._capacity

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    def __len__(self) -> int:
        with self._lock:
            self._look_over()
            return len(self._free)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        stats = self.stats
        lent = stats.acquired - stats.released_to_pool - stats.released_dropped
        state = ", closed" if self._closed else ""
        return (
            f"<SessionPool: {len(self)} of {self._capacity} free, {lent} lent, "
            f"{stats.imports_performed} imported, {stats.reused} reused{state}>"
        )
