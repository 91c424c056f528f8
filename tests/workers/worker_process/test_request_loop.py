"""A worker's own side: the requests it takes, and what it does while there are none."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from leanhost.services.session.host import Host
from leanhost.services.session.rehearsal import REHEARSAL
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.results import Status
from leanhost.workers import WorkerPool
from leanhost.workers.protocol import framing
from leanhost.workers.protocol.framing import Frame, Unpacker, pack, pack_reply
from leanhost.workers.protocol.messages import Begun, Cancel, Check, Command, Done, Order, Reply
from leanhost.workers.remote.session_cache import SessionCache
from leanhost.workers.values.items import Request
from leanhost.workers.worker_process.request_loop import CPU_SHARE, Channel, answer
from leanhost.workers.worker_process.worker_main import rehearse
from tests.support.pools import GOOD


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Channel]]:
    pool, worker = socket.socketpair()
    with pool, worker:  # it ends its process when the pool's end is closed: not before it has been forgotten
        yield pool, Channel(worker)


def order(identity: str, source: str = "") -> Order:
    return Order(identity, Request(source, "a.lean", None, (), 60.0), Check())


def frame(message: Command) -> bytes:
    return pack(message, limit=1 << 20)


def test_requests_are_taken_in_order_and_whole(ends: tuple[socket.socket, Channel]) -> None:
    pool, channel = ends
    first, second = frame(order("a", "x" * 70_000)), frame(order("b"))
    assert not channel.has_request()
    pool.sendall(first[:-1])
    assert not channel.has_request()
    pool.sendall(first[-1:] + second)
    while not channel.has_request():
        pass
    requests = [channel.next()[0] for _ in range(2)]
    assert [request.message.id for request in requests if request is not None] == ["a", "b"]
    assert not channel.has_request()


def test_a_cancellation_is_seen_by_whoever_looks(ends: tuple[socket.socket, Channel]) -> None:
    pool, channel = ends
    pool.sendall(frame(order("a")))
    _, token = channel.next()
    assert not token.is_cancelled
    pool.sendall(frame(Cancel("b")))
    assert not token.is_cancelled
    pool.sendall(frame(Cancel("a")) + frame(order("b")) + frame(order("c")))
    assert token.is_cancelled
    assert token.is_set()
    assert channel.next()[1].is_cancelled  # it was told before its request came
    assert not channel.next()[1].is_cancelled


@pytest.mark.parametrize("size", [1 << 20, 2000])
def test_a_request_is_answered_under_its_own_limits_or_told_why_not(
    native_host: Host, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The CPU time is there before the pool's clock begins, and what the pool would not take is not sent."""
    monkeypatch.setattr(framing, "MAX_REPLY_BYTES", size)
    told: list[Reply | float] = []

    def send(message: Reply, payload: bytes = b"", text: str | None = None) -> None:
        unpacker: Unpacker[Reply] = Unpacker(Reply)
        told.extend(frame.message for frame in unpacker.feed(pack_reply(message, payload, text)))

    answer(
        SessionCache(native_host),
        ElabOptions(timeout=3, grace=5),
        Frame(order("1", "#check Nat\n" * 100)),
        CancellationToken(),
        send,
        told.append,
    )
    allowed, begun, verdict = told
    assert allowed == 60.0 * CPU_SHARE + 5
    assert begun == Begun("1")
    assert isinstance(verdict, Done)
    assert (verdict.id, verdict.spent) == ("1", False)
    result = verdict.result
    if size > 2000:
        assert (result.status, len(result.diagnostics)) == (Status.ACCEPTED, 100)
    else:
        assert (result.status, result.diagnostics) == (Status.REFUSED, ())
        assert "the verdict cannot be sent" in result.reasons[0]


def test_rehearsing_stops_when_the_process_is_wanted(embedded_host: Host, tmp_path: Path) -> None:
    with WorkerPool(toolchain=embedded_host.toolchain) as pool:
        config = pool._settings.config("", None, tmp_path)
    answers = iter([False, False, True])
    rehearse(embedded_host, config, lambda: next(answers))
    assert not list(answers)
    assert len(REHEARSAL) > 3
    assert embedded_host.check_source(GOOD).accepted
