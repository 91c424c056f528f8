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
from leanhost.workers.protocol import codec, framing
from leanhost.workers.protocol.framing import Message, Unpacker, pack, pack_reply
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


@pytest.mark.parametrize("size", [1 << 20, 2000])
def test_a_request_is_answered_under_its_own_limits_or_told_why_not(
    native_host: Host, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The CPU time is there before the pool's clock begins, and what the pool would not take is not sent."""
    monkeypatch.setattr(framing, "MAX_REPLY_BYTES", size)
    told: list[Message | float] = []

    def send(message: Message) -> None:
        told.extend(Unpacker().feed(pack_reply(message)))

    request = Request("#check Nat\n" * 100, "a.lean", None, (), 60.0)
    question = {"id": "1", "check": codec.request_out(request)}
    answer(
        SessionCache(native_host),
        ElabOptions(timeout=3, grace=5),
        question,
        CancellationToken(),
        send,
        told.append,
    )
    allowed, begun, verdict = told
    assert allowed == 60.0 * CPU_SHARE + 5
    assert begun == {"id": "1", "begun": True}
    assert isinstance(verdict, dict)
    assert (verdict["id"], verdict["spent"]) == ("1", False)
    result = codec.result_in(verdict["result"], "a.lean")
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
