"""``Ctrl-C`` at any moment in the pool's own code: the counters still add up and nothing is reserved for ever."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from leanhost.pool import checkout, free_list, session_pool
from leanhost.pool.session_pool import SessionPool
from leanhost.services.session import session
from leanhost.services.session.host import Host
from leanhost.services.values import lifecycle
from tests.support.session_pools import adds_up

NOTHING: list[str] = []
"""Imports nothing, which costs nothing."""
OWN = {module.__file__ for module in (session_pool, free_list, checkout, lifecycle, session)}


def interrupted(at: int, action: Callable[[], object]) -> bool:
    """Run *action* with an interrupt at the *at*-th place where CPython looks for one; whether it came that far.

    Those are the entry of a function and the end of a call. Between two of them nothing can come.
    """
    places = 0

    def place() -> None:
        nonlocal places
        places += 1
        if places == at:
            raise KeyboardInterrupt

    def enter(frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        # What a finalizer raises is nobody's.
        if code.co_filename not in OWN or code.co_name == "__del__":
            return None
        called = False

        def step(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal called
            if event == "opcode":
                if called:
                    place()
                called = dis.opname[code.co_code[frame.f_lasti]].startswith("CALL")
            return step

        frame.f_trace_opcodes = True
        place()
        return step

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        action()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def lend(pool: SessionPool) -> None:
    with pool.acquire(NOTHING):
        pass


@pytest.mark.parametrize("capacity", [0, 1])
def test_an_interrupt_at_any_moment_leaves_nothing_lent_and_nothing_reserved(
    host: Host, capacity: int
) -> None:
    """With capacity 0 on the way through an import, with capacity 1 through the free list."""
    at = 0
    came = True
    while came:
        at += 1
        with SessionPool(host, capacity=capacity, max_fresh_imports=2) as pool:
            if capacity:
                lend(pool)
            came = interrupted(at, lambda pool=pool: lend(pool))  # type: ignore[misc]
            stats = pool.stats
            adds_up(pool, releases=stats.acquired)
            assert len(pool) <= capacity
            # As many imports are left as were not made.
            if capacity == 0:
                for _ in range(2 - stats.imports_performed):
                    lend(pool)
    assert at > 20  # how many places there are is CPython's affair
