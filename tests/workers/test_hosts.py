"""Pools in processes that other libraries start."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from leanhost.errors import PoolClosed, UsageError
from leanhost.services.host import Host
from leanhost.toolchain import Toolchain
from leanhost.workers import WorkerPool
from leanhost.workers.session_pool import SessionPool
from tests.workers.conftest import GOOD, MakePool

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
