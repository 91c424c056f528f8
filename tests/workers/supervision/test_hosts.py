"""Pools in processes that other libraries start."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from leanhost.errors import ForeignHandleError, PoolClosed, UsageError, WorkerStartError
from leanhost.pool.session_pool import SessionPool
from leanhost.services.session.host import Host
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.limits import CallContext
from leanhost.services.values.results import CheckResult, Status
from leanhost.toolchain import Toolchain
from leanhost.workers import WorkerPool
from tests.support.pools import ENDLESS, GOOD, MakePool

_inherited: list[WorkerPool] = []


def own_pool(toolchain: Toolchain, core: Path) -> bool:
    with WorkerPool(toolchain=toolchain, search_path=[core], workers=1, spares=0) as pool:
        return pool.check(GOOD).accepted


def inherited_pool() -> str:
    try:
        return _inherited[0].check(GOOD).status.value
    except PoolClosed as error:
        return error.hint


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_a_process_of_an_executor_has_a_pool_of_its_own(
    make_pool: MakePool, native_toolchain: Toolchain, fixture_core: Path, method: str
) -> None:
    """Also where the parent has one, and threads with it, that goes on."""
    pool = make_pool(workers=1, spares=0)
    assert pool.check(GOOD).accepted
    _inherited[:] = [pool]
    try:
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(1, mp_context=context) as executor:
            assert executor.submit(own_pool, native_toolchain, fixture_core).result(60)
            if method == "fork":
                assert executor.submit(inherited_pool).result(60) == "make a pool after forking"
        assert pool.check(GOOD).accepted
    finally:
        _inherited.clear()


def test_a_pool_or_a_host_is_not_sent_to_another_process(make_pool: MakePool, native_host: Host) -> None:
    each: object
    for each in (make_pool(workers=1, spares=0), native_host, SessionPool(native_host)):
        with pytest.raises(UsageError, match="in each process that uses one"):
            pickle.dumps(each)


def test_a_fork_in_the_middle_of_a_check_has_no_host_and_waits_for_nothing(host: Host) -> None:
    """The parent's thread holds what the check needs; in the child nobody would let go of it."""
    token = CancellationToken()
    imported = threading.Event()
    answers: list[CheckResult] = []

    def check() -> None:
        call = CallContext(600, token)
        answers.append(host._check_source(ENDLESS, call, None, (), None, imported.set))

    pool = SessionPool(host)
    thread = threading.Thread(target=check)
    thread.start()
    assert imported.wait(60)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        said = []
        try:
            uses = (
                host.session,
                lambda: host.check_source(GOOD),
                pool.acquire,
                pool.drain,
                lambda: SessionPool(host),
            )
            for use in uses:
                try:
                    use()
                    said.append("worked")
                except ForeignHandleError:
                    said.append("refused")
            pool.close()
            host.close()
        finally:
            os.write(writing, " ".join(said).encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == " ".join(["refused"] * 5)
    os.waitpid(child, 0)
    token.cancel()
    thread.join(60)
    assert answers[0].status is Status.CANCELLED
    assert host.check_source(GOOD).accepted


def test_a_pool_whose_thread_cannot_be_started_says_so_and_goes_on(make_pool: MakePool) -> None:
    pool = make_pool(workers=1, spares=0)
    before = threading.stack_size(1 << 46)  # more than there is
    try:
        with pytest.raises(WorkerStartError, match="thread") as caught:
            pool.check(GOOD)
    finally:
        threading.stack_size(before)
    assert "ulimit -u" in caught.value.hint
    assert pool.check(GOOD).accepted
    assert pool.stats.waiting == 0
