"""A worker's own side: the requests it takes, and what it does while there are none."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from leanhost.services.host import Host
from leanhost.workers import WorkerPool
from leanhost.workers.child import REHEARSAL, rehearse
from leanhost.workers.serve import Channel
from leanhost.workers.wire import Message, pack
from tests.workers.conftest import GOOD


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Channel]]:
    pool, worker = socket.socketpair()
    with pool, worker:  # it ends its process when the pool's end is closed: not before it has been forgotten
        yield pool, Channel(worker)


def frame(message: Message) -> bytes:
    return pack(message, 1 << 20)


def test_requests_are_taken_in_order_and_whole(ends: tuple[socket.socket, Channel]) -> None:
    pool, channel = ends
    first, second = frame({"id": "a", "check": "x" * 70_000}), frame({"id": "b"})
    assert not channel.has_request()
    pool.sendall(first[:-1])
    assert not channel.has_request()
    pool.sendall(first[-1:] + second)
    while not channel.has_request():
        pass
    assert [channel.next()[0]["id"] for _ in range(2)] == ["a", "b"]
    assert not channel.has_request()


def test_a_cancellation_is_seen_by_whoever_looks(ends: tuple[socket.socket, Channel]) -> None:
    pool, channel = ends
    pool.sendall(frame({"id": "a"}))
    _, token = channel.next()
    assert not token.is_cancelled
    pool.sendall(frame({"cancel": "b"}))
    assert not token.is_cancelled
    pool.sendall(frame({"cancel": "a"}) + frame({"id": "b"}) + frame({"id": "c"}))
    assert token.is_cancelled
    assert token.is_set()
    assert channel.next()[1].is_cancelled  # it was told before its request came
    assert not channel.next()[1].is_cancelled


def test_rehearsing_stops_when_the_process_is_wanted(embedded_host: Host, tmp_path: Path) -> None:
    with WorkerPool(toolchain=embedded_host.toolchain) as pool:
        config = pool._settings.config("", None, tmp_path)
    answers = iter([False, False, True])
    rehearse(embedded_host, config, lambda: next(answers))
    assert not list(answers)
    assert len(REHEARSAL) > 3
    assert embedded_host.check_source(GOOD).accepted
