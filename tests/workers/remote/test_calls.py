"""How the calls of a session go: what they raise, how many are under way, what a cancellation or an error stops."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from leanhost.errors import (
    EngineLost,
    EngineStuck,
    LeanHostError,
    OutOfMemory,
    TooManyRequests,
    UnsupportedToolchain,
    UsageError,
)
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.progress import ProgressEvent
from leanhost.services.values.results import CommandResult, Limit, Status
from leanhost.workers.remote import dispatch
from leanhost.workers.remote.dispatch import ProgressSender
from tests.support.fake_worker import COMMAND_RESULT
from tests.support.pools import MakePool
from tests.support.processes import eventually

VALUE = f"value {COMMAND_RESULT}"


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        ("timeout", EngineStuck),
        ("out_of_memory", OutOfMemory),
        ("refused", UsageError),
        ("unsupported", UnsupportedToolchain),
        ("crashed", EngineLost),
        ("rejected", EngineLost),
    ],
)
def test_a_verdict_that_ends_a_call_is_raised_whatever_comes_with_it(
    fake_pool: MakePool, status: str, raised: type[LeanHostError]
) -> None:
    session = fake_pool().session(["Init"])
    error: dict[str, Any] = {"is": "Raised", "code": TooManyRequests.code, "message": "another", "hint": ""}
    error.update(limit="", result=None)
    for payload in ("value ", f"value {COMMAND_RESULT}", f"error {json.dumps(error)}"):
        with pytest.raises(raised, match="said so") as caught:
            session.run(f"say {status} {payload}")
        assert type(caught.value) is raised


def test_many_calls_are_a_bounded_number_at_a_time_and_told_of(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=1, max_waiting=1, grace=60)
    session = pool.session(["Init"])
    events: list[ProgressEvent] = []
    assert len(session.run_many([VALUE] * 9, progress=events.append)) == 9
    assert [(e.phase, e.total) for e in events] == [("bulk", 9)] * len(events)
    counts = [e.current for e in events]
    assert counts == sorted(counts)
    assert counts[-1] == 9
    token = CancellationToken()
    found: list[list[CommandResult]] = []
    thread = threading.Thread(
        target=lambda: found.append(session.run_many([VALUE, *["obey"] * 9], cancellation=token))
    )
    thread.start()
    # Of the first answer nothing waits any more; the bound of the queue is for single calls.
    eventually(lambda: pool.stats.answered.get(Status.ACCEPTED) == 10 and pool._supervisor.waiting == 4)
    enough = threading.Timer(60, token.cancel)  # or it would wait for all that obeys
    enough.start()
    with pytest.raises(TooManyRequests):
        session.run(VALUE)
    enough.cancel()
    assert pool._supervisor.waiting == 4
    token.cancel()
    thread.join(60)
    (results,) = found
    assert [result.limits for result in results] == [(), *[(Limit.CANCELLED,)] * 9]
    assert session.run(VALUE).ok


def test_what_progress_raises_stops_all_that_is_under_way(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=2, grace=0.2)

    def fail(event: ProgressEvent) -> None:
        if event.current:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pool.session(["Init"]).run_many([VALUE, "sleep 600", "sleep 600"], timeout=600, progress=fail)
    eventually(lambda: pool.stats.waiting == 0)


def test_of_the_events_of_a_phase_the_first_and_the_last_are_always_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[ProgressEvent] = []

    def told() -> list[tuple[str, int]]:
        sent.clear()
        teller = ProgressSender(sent.append)
        for phase, total in (("import", 3), ("elaborate", None)):
            for current in range(4):
                teller(ProgressEvent(phase, current, total, 0.0))
        return [(event.phase, event.current) for event in sent]

    monkeypatch.setattr(dispatch, "TELL_S", 1e6)
    assert told() == [("import", 0), ("import", 3), ("elaborate", 0)]
    monkeypatch.setattr(dispatch, "TELL_S", 0.0)
    assert len(told()) == 8
