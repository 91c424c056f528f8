"""The session pool's contract, point by point."""

from __future__ import annotations

import dataclasses
import gc
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from leanhost.errors import (
    Cancelled,
    ClosedError,
    ForeignHandleError,
    FreshImportRefused,
    ImportFailed,
    MemoryRefused,
    PoolClosed,
    SessionBusy,
    SessionReleased,
    UsageError,
)
from leanhost.lean.core import Import
from leanhost.pool import session_pool
from leanhost.pool.free_list import REMEMBERED, FreeList, MissReason, PoolKey
from leanhost.pool.session_pool import PoolStats, SessionPool
from leanhost.services.elaboration.environment import Imported, ImportKey
from leanhost.services.session.host import Host
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.outcomes import Checked
from leanhost.services.values.progress import ProgressEvent
from tests.support.hosts import open_host
from tests.support.session_pools import adds_up
from tests.support.sources import ENDLESS, GOOD

# Small on wasm, where every import stays in Lean's memory.
ONE, OTHER = ["Init.Core"], ["Init"]
BOTH, TURNED = ["Init.Core", "Init"], ["Init", "Init.Core"]


@pytest.fixture
def pool(host: Host) -> Iterator[SessionPool]:
    with SessionPool(host, capacity=2) as made:
        yield made


# --- acquiring ------------------------------------------------------------------------------------


def test_a_second_acquire_does_not_import(pool: SessionPool) -> None:
    heard: list[ProgressEvent] = []
    with pool.acquire(ONE, progress=heard.append) as session:
        assert session.imports == ("Init.Core",)
        assert session.miss is MissReason.NO_ENTRY
        assert not session.reused
        assert isinstance(session.kernel_check(GOOD), Checked)
    assert [event.phase for event in heard] == ["import"] * len(heard)
    heard.clear()
    with pool.acquire(ONE, progress=heard.append) as session:
        assert session.reused
        assert session.miss is None
        assert isinstance(session.kernel_check(GOOD), Checked)
    assert heard == []
    stats = adds_up(pool, releases=2)
    assert stats == PoolStats(imports_performed=1, reused=1, acquired=2, released_to_pool=2)


def test_nested_acquires_of_one_key_each_get_an_environment(pool: SessionPool) -> None:
    with pool.acquire(ONE) as outer, pool.acquire(ONE) as inner:
        assert outer is not inner
        assert isinstance(inner.kernel_check(GOOD), Checked)
        assert isinstance(outer.kernel_check(GOOD), Checked)
    with pool.acquire(ONE), pool.acquire(ONE):
        pass
    assert adds_up(pool, releases=4) == PoolStats(
        imports_performed=2, reused=2, acquired=4, released_to_pool=4
    )


def test_the_most_recently_released_is_taken_first(pool: SessionPool) -> None:
    first, second = pool.acquire(ONE), pool.acquire(ONE)
    environments = [first._state.imported, second._state.imported]
    second.release()
    first.release()
    with pool.acquire(ONE) as session:
        assert session._state.imported is environments[0]
        with pool.acquire(ONE) as deeper:
            assert deeper._state.imported is environments[1]


def test_order_is_part_of_the_key(pool: SessionPool) -> None:
    with pool.acquire(BOTH):
        pass
    with pool.acquire(TURNED) as session:
        assert not session.reused
        assert session.imports == tuple(TURNED)
        assert session.miss is MissReason.OTHER_ORDER
    assert pool.stats.imports_performed == 2


def test_import_options_are_part_of_the_key(pool: SessionPool) -> None:
    with pool.acquire(ONE):
        pass
    assert pool.miss_reason(ONE, is_module=True) is MissReason.OTHER_OPTIONS


def test_cancellation_is_checked_before_anything(pool: SessionPool) -> None:
    with pool.acquire(ONE):
        pass
    token = CancellationToken()
    token.cancel()
    with pytest.raises(Cancelled):
        pool.acquire(ONE, cancellation=token)
    with pytest.raises(Cancelled):
        pool.acquire(["No.Such.Module"], cancellation=token)
    assert len(pool) == 1
    assert adds_up(pool, releases=1).acquired == 1
    pool.close()
    with pytest.raises(Cancelled):
        pool.acquire(ONE, cancellation=token)


def test_a_failed_import_counts_nothing(pool: SessionPool) -> None:
    with pytest.raises(ImportFailed):
        pool.acquire(["No.Such.Module"])
    with pytest.raises(UsageError):
        pool.acquire("Init")
    with pytest.raises(UsageError):
        pool.acquire(["Init", "Init"])
    with pytest.raises(UsageError, match="no option named"):
        pool.acquire(ONE, options=ElabOptions(lean={"no.such": True}))
    assert adds_up(pool, releases=0) == PoolStats()
    with pool.acquire(ONE) as session:
        assert session.run(GOOD).ok


def test_a_sink_that_raises_during_the_import_counts_nothing(pool: SessionPool) -> None:
    def sink(event: ProgressEvent) -> None:
        raise KeyError(event.phase)

    with pytest.raises(KeyError, match="import"):
        pool.acquire(ONE, progress=sink)
    assert adds_up(pool, releases=0) == PoolStats()


def test_a_cached_environment_never_fails_again(
    native_host: Host, tmp_path: Path, fixture_core: Path
) -> None:
    """What is in the pool does not look at its files."""
    from tests.support.fixture_core import compile_module

    olean = compile_module(fixture_core, "theorem kept : 1 = 1 := rfl\n", "Vanishing", tmp_path)
    host = Host(native_host.toolchain, [tmp_path, fixture_core])
    with host, SessionPool(host) as pool:
        with pool.acquire(["Vanishing"]):
            pass
        olean.unlink()
        with pool.acquire(["Vanishing"]) as session:
            assert session.run("#check kept").ok
        with pytest.raises(ImportFailed):
            pool.acquire(["Vanishing", "Init"])


def test_options_are_those_of_the_pool_or_of_the_acquire(host: Host) -> None:
    with SessionPool(host, options=ElabOptions(timeout=7)) as pool:
        with pool.acquire(ONE) as session:
            assert session.options.timeout == 7
        with pool.acquire(ONE, options=ElabOptions(timeout=8)) as session:
            assert session.options.timeout == 8
            assert session.reused


# --- releasing ------------------------------------------------------------------------------------


def test_an_exception_releases_too(pool: SessionPool) -> None:
    with pytest.raises(KeyError), pool.acquire(ONE):
        raise KeyError
    assert len(pool) == 1
    adds_up(pool, releases=1)


def test_nothing_a_caller_did_is_visible_to_the_next(pool: SessionPool) -> None:
    with pool.acquire(ONE, options=ElabOptions(lean={"pp.all": True})) as session:
        session.run("theorem t : 1 = 1 := rfl\nset_option pp.all true\nnamespace N")
        grown = session.extend("theorem leftover : 1 = 1 := rfl")
        assert session.stats.calls == 2
        first = session
    with pool.acquire(ONE) as session:
        assert session is not first
        assert session.reused
        assert session.stats.calls == 0
        assert not session.run("#check leftover").ok
        assert "@Eq" not in session.run("#check (rfl : 1 = 1)").diagnostics[0].message
        # An extension belongs to whoever made it, and lives on.
        assert grown.run("#check leftover").ok
    grown.close()


def test_at_capacity_an_environment_is_dropped(host: Host) -> None:
    with SessionPool(host, capacity=1) as pool:
        first, second = pool.acquire(ONE), pool.acquire(OTHER)
        first.release()
        second.release()
        assert len(pool) == 1
        assert pool.miss_reason(ONE) is None
        assert pool.miss_reason(OTHER) is MissReason.EVICTED
        stats = adds_up(pool, releases=2)
        assert (stats.released_to_pool, stats.released_dropped) == (1, 1)


def test_capacity_zero_keeps_nothing(host: Host) -> None:
    with SessionPool(host, capacity=0) as pool:
        for _ in range(2):
            with pool.acquire(ONE) as session:
                assert session.run(GOOD).ok
        assert len(pool) == pool.capacity == 0
        assert pool  # an empty pool is a pool
        stats = adds_up(pool, releases=2)
        assert stats == PoolStats(imports_performed=2, acquired=2, released_dropped=2)


@pytest.mark.parametrize("bad", [-1, 1.5, True, None, "2"])
def test_a_capacity_is_a_natural_number(host: Host, bad: object) -> None:
    with pytest.raises(UsageError, match="capacity"):
        SessionPool(host, capacity=bad)  # type: ignore[arg-type]


# --- draining, closing ----------------------------------------------------------------------------


def test_drain_drops_what_is_free_and_leaves_what_is_lent(pool: SessionPool) -> None:
    lent = pool.acquire(ONE)
    with pool.acquire(OTHER):
        pass
    assert pool.drain() == 1
    assert pool.drain() == 0
    assert len(pool) == 0
    assert lent.run(GOOD).ok
    lent.release()
    assert len(pool) == 1
    assert pool.miss_reason(OTHER) is MissReason.EVICTED
    stats = adds_up(pool, releases=2)
    assert (stats.drains, stats.drained) == (2, 1)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_drains_nothing_of_its_parents(native_host: Host) -> None:
    with SessionPool(native_host) as pool:
        pool.acquire(ONE).close()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                pool.drain()
            except ForeignHandleError:
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert (pool.drain(), pool.stats.drains) == (1, 1)


def test_a_closed_pool_lends_nothing_and_drops_what_returns(host: Host) -> None:
    pool = SessionPool(host)
    lent = pool.acquire(ONE)
    with pool.acquire(ONE):
        pass
    pool.close()
    pool.close()
    assert pool.closed
    assert len(pool) == 0
    assert "closed" in repr(pool)
    with pytest.raises(PoolClosed):
        pool.acquire(ONE)
    assert lent.run(GOOD).ok
    lent.release()
    assert len(pool) == 0
    assert adds_up(pool, releases=2).released_dropped == 1


def test_a_pool_ends_with_its_host(engine: str, request: pytest.FixtureRequest) -> None:
    host = open_host(engine, request)
    pool = SessionPool(host)
    native = host._lean.engine
    lent = pool.acquire(ONE)
    with pool.acquire(ONE):
        pass
    host.close()
    assert pool.closed
    with pytest.raises(ClosedError):
        lent.run(GOOD)
    with pytest.raises((PoolClosed, ClosedError)):
        pool.acquire(ONE)
    lent.close()
    assert adds_up(pool, releases=2).acquired == 2
    del native


# --- policies -------------------------------------------------------------------------------------


def test_fresh_imports_can_be_bounded(host: Host) -> None:
    heard: list[ProgressEvent] = []
    with SessionPool(host, max_fresh_imports=1) as pool:
        with pytest.raises(ImportFailed):
            pool.acquire(["No.Such.Module"])
        with pool.acquire(ONE):
            with pytest.raises(FreshImportRefused) as caught:
                pool.acquire(ONE, progress=heard.append)
            with pytest.raises(FreshImportRefused):
                pool.acquire(OTHER)
        assert caught.value.code == "leanhost.pool.refused.fresh_imports"
        assert heard == []
        with pool.acquire(ONE) as session:
            assert session.reused
        assert adds_up(pool, releases=2).imports_performed == 1


def test_an_import_under_way_counts_as_one(native_host: Host) -> None:
    refused: list[FreshImportRefused] = []
    with SessionPool(native_host, max_fresh_imports=1) as pool:

        def meanwhile(event: ProgressEvent) -> None:
            if not refused:
                with pytest.raises(FreshImportRefused) as caught:
                    pool.acquire(OTHER)
                refused.append(caught.value)

        with pool.acquire(ONE, progress=meanwhile):
            assert refused
        assert adds_up(pool, 1).imports_performed == 1


def test_an_interrupt_while_a_session_is_made_gives_its_environment_back(
    pool: SessionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(session_pool, "PooledSession", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            pool.acquire(ONE)
    monkeypatch.undo()
    stats = adds_up(pool, 2)
    assert (stats.imports_performed, stats.reused, len(pool)) == (1, 1, 1)


def test_private_memory_can_be_bounded(host: Host) -> None:
    heard: list[ProgressEvent] = []
    with SessionPool(host, max_private_bytes=1 << 40) as roomy, roomy.acquire(ONE):
        pass
    with SessionPool(host, max_private_bytes=0) as pool:
        with pytest.raises(MemoryRefused, match="private memory"):
            pool.acquire(ONE, progress=heard.append)
        assert heard == []
        assert adds_up(pool, releases=0) == PoolStats()


def test_what_is_free_is_lent_in_spite_of_the_policies(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with SessionPool(host, max_private_bytes=1 << 40) as pool:
        with pool.acquire(ONE):
            pass
        monkeypatch.setattr(pool, "_max_private_bytes", 0)
        with pool.acquire(ONE) as session:
            assert session.reused


# --- looking at it --------------------------------------------------------------------------------


def test_reasons_for_a_miss(pool: SessionPool) -> None:
    assert pool.miss_reason(ONE) is MissReason.NO_ENTRY
    with pool.acquire(ONE):
        assert pool.miss_reason(ONE) is MissReason.NO_ENTRY  # it is lent
    assert pool.miss_reason(ONE) is None
    assert pool.miss_reason(TURNED) is MissReason.NO_ENTRY
    with pool.acquire(BOTH):
        pass
    assert pool.miss_reason(TURNED) is MissReason.OTHER_ORDER
    assert pool.miss_reason(ONE, is_module=True) is MissReason.OTHER_OPTIONS
    pool.drain()
    assert pool.miss_reason(ONE) is MissReason.EVICTED
    with pool.acquire(ONE) as session:
        assert session.miss is MissReason.EVICTED
    assert pool.miss_reason(ONE) is None
    assert [str(reason) for reason in MissReason] == ["no entry", "other order", "other options", "evicted"]


def test_so_many_evicted_keys_are_remembered_the_latest_longest() -> None:
    def key(number: int) -> PoolKey:
        return PoolKey(ImportKey((Import(("M", number)),)), (), "")

    free = FreeList()
    for number in range(REMEMBERED):
        free.remember(key(number))
    free.remember(key(0))  # once more
    free.remember(key(REMEMBERED))
    assert free.miss(key(0)) is free.miss(key(REMEMBERED)) is MissReason.EVICTED
    assert free.miss(key(1)) is MissReason.NO_ENTRY
    free.put(key(0), cast("Imported", None))
    assert free.take(key(0)) is None
    assert free.miss(key(0)) is MissReason.NO_ENTRY  # the one that came after is lent


def test_stats_are_a_frozen_snapshot(pool: SessionPool) -> None:
    before = pool.stats
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.acquired = 7  # type: ignore[misc]
    with pool.acquire(ONE):
        pass
    assert before == PoolStats()
    assert pool.stats.acquired == 1


def test_the_repr_tells_its_state(pool: SessionPool) -> None:
    with pool.acquire(ONE) as session:
        assert repr(pool) == "<SessionPool: 0 of 2 free, 1 lent, 1 imported, 0 reused>"
        assert repr(session).startswith("<PooledSession over Init.Core")
    assert repr(pool) == "<SessionPool: 1 of 2 free, 0 lent, 1 imported, 0 reused>"


def test_acquire_and_release_are_traced(
    pool: SessionPool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leanhost.services.values import tracing

    monkeypatch.setattr(tracing, "_find", lambda: None)
    caplog.set_level(logging.DEBUG, logger="leanhost.trace")
    for _ in range(2):
        with pool.acquire(ONE):
            pass
    spans = [record.span for record in caplog.records]  # type: ignore[attr-defined]
    assert [name for name, _ in spans] == [
        "leanhost.import",
        "leanhost.pool.acquire",
        "leanhost.pool.release",
        "leanhost.pool.acquire",
        "leanhost.pool.release",
    ]
    assert [attributes["reused"] for name, attributes in spans if name.endswith("acquire")] == [False, True]


# --- misuse ---------------------------------------------------------------------------------------


def test_use_after_release(pool: SessionPool) -> None:
    with pool.acquire(ONE) as session:
        pass
    with pytest.raises(SessionReleased, match="released to its pool"):
        session.run(GOOD)
    with pytest.raises(SessionReleased, match="released already"):
        session.release()
    adds_up(pool, releases=1)


def test_release_inside_the_block(pool: SessionPool) -> None:
    with pool.acquire(ONE) as session:
        session.release()
        assert len(pool) == 1
        with pytest.raises(SessionReleased):
            session.release()
    adds_up(pool, releases=1)


def test_two_threads_on_one_session(pool: SessionPool) -> None:
    token, begun = CancellationToken(), threading.Event()
    options = ElabOptions(max_heartbeats=0, timeout=600)
    with pool.acquire(ONE, options=options) as session:
        thread = threading.Thread(
            target=lambda: session.run(ENDLESS, cancellation=token, progress=lambda event: begun.set())
        )
        thread.start()
        begun.wait(60)
        with pytest.raises(SessionBusy, match="another thread"):
            session.run(GOOD)
        token.cancel()
        thread.join(60)
        # One after the other is fine.
        assert session.run(GOOD).ok
    adds_up(pool, releases=1)


def test_release_during_a_call_waits_for_its_end(pool: SessionPool) -> None:
    token, begun = CancellationToken(), threading.Event()
    session = pool.acquire(ONE, options=ElabOptions(max_heartbeats=0, timeout=600))
    thread = threading.Thread(
        target=lambda: session.run(ENDLESS, cancellation=token, progress=lambda event: begun.set())
    )
    thread.start()
    begun.wait(60)
    session.release()
    assert len(pool) == 0
    token.cancel()
    thread.join(60)
    assert len(pool) == 1
    adds_up(pool, releases=1)


def test_a_forgotten_session_costs_the_pool_nothing(pool: SessionPool) -> None:
    session = pool.acquire(ONE)
    del session
    gc.collect()
    assert len(pool) == 0
    assert adds_up(pool, releases=1).released_dropped == 1
    assert " 0 lent" in repr(pool)
    with pool.acquire(ONE) as session:
        assert session.miss is MissReason.EVICTED
        assert session.run(GOOD).ok
    adds_up(pool, releases=2)


# --- threads and failures -------------------------------------------------------------------------


def test_the_counters_add_up_under_threads_and_failures(host: Host) -> None:
    faults: list[BaseException] = []
    cancelled = CancellationToken()
    cancelled.cancel()
    with SessionPool(host, capacity=2) as pool:

        def work(i: int) -> None:
            try:
                for k in range(12):
                    if k % 4 == 3:
                        with pytest.raises(ImportFailed):
                            pool.acquire([f"No.Such{i}"])
                    elif k % 6 == 2:
                        pool.drain()
                    else:
                        with pytest.raises(Cancelled):
                            pool.acquire(ONE, cancellation=cancelled)
                        with pool.acquire(ONE) as session:
                            assert session.run("").ok
            except BaseException as error:
                faults.append(error)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert faults == []
        stats = adds_up(pool, releases=4 * 7)
        assert stats.acquired == 4 * 7
        assert len(pool) <= 2
        assert stats.drains == 4 * 2
        assert stats.released_to_pool == stats.reused + stats.drained + len(pool)


def test_handles_come_back(host: Host) -> None:
    native = host._lean.engine
    gc.collect()
    before = native.live
    with SessionPool(host, capacity=1) as pool:
        for _ in range(3):
            with pool.acquire(ONE) as session, pool.acquire(OTHER) as other:
                session.kernel_check(GOOD)
                other.run("")
                session.extend(GOOD).close()
    gc.collect()
    # Every host keeps the options it was last asked for.
    assert native.live - before <= 1


def test_a_lost_lean_takes_its_environments_along(request: pytest.FixtureRequest) -> None:
    import os
    import signal

    from leanhost.errors import EngineLost
    from tests.support.hosts import ENGINES

    if "wasm" not in ENGINES:
        pytest.skip("wasm was not asked for")
    with open_host("wasm", request) as host, SessionPool(host) as pool:
        with pool.acquire(ONE):
            pass
        lent = pool.acquire(OTHER)
        os.kill(host._lean.engine.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        with pytest.raises(EngineLost):
            lent.run(GOOD)
        assert len(pool) == 0
        assert pool.drain() == 0
        assert pool.miss_reason(ONE) is MissReason.EVICTED
        lent.release()
        with pool.acquire(ONE) as session:
            assert session.miss is MissReason.EVICTED
            assert session.run(GOOD).ok
        stats = adds_up(pool, releases=3)
        assert (stats.imports_performed, stats.reused, stats.released_dropped) == (3, 0, 1)
