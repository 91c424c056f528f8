"""Progress events: in order, on the caller's thread, and their sinks may raise."""

from __future__ import annotations

import threading

import pytest

from leanhost.services.session.host import Host
from leanhost.services.values.outcomes import Checked
from leanhost.services.values.progress import ProgressEvent
from leanhost.services.values.results import Limit
from tests.support.sources import ENDLESS, GOOD, forget_imports

THREE = "theorem a : True := True.intro\n\ntheorem b : True := a\ntheorem ü : True := b\n"


class Listener:
    """Keeps what it hears, and on which threads."""

    def __init__(self) -> None:
        self.events: list[ProgressEvent] = []
        self.threads: set[int] = set()

    def __call__(self, event: ProgressEvent) -> None:
        self.events.append(event)
        self.threads.add(threading.get_ident())

    def phases(self) -> list[str]:
        return list(dict.fromkeys(event.phase for event in self.events))

    def of(self, phase: str) -> list[tuple[int, int | None]]:
        return [(event.current, event.total) for event in self.events if event.phase == phase]


def test_an_import_is_reported_in_modules(host: Host) -> None:
    listener = Listener()
    forget_imports(host)
    host.session(["Init"], progress=listener).close()
    steps = listener.of("import")
    assert steps[0] == (0, None)
    current, total = steps[-1]
    assert current == total
    assert total is not None
    assert total >= 1
    assert listener.threads == {threading.get_ident()}


def test_elaboration_is_reported_after_each_command_in_bytes(host: Host) -> None:
    listener = Listener()
    with host.session(["Init"]) as session:
        assert session.run(THREE, progress=listener).ok
    steps = listener.of("elaborate")
    size = len(THREE.encode())
    assert {total for _, total in steps} == {size}
    done = [current for current, _ in steps]
    assert done == sorted(done)
    assert len(done) >= 3
    assert done[-1] == size
    assert listener.threads == {threading.get_ident()}
    times = [event.elapsed for event in listener.events]
    assert times == sorted(times)
    assert times[0] >= 0


def test_a_check_goes_through_its_phases(host: Host) -> None:
    listener = Listener()
    with host.session(["Init"]) as session:
        assert isinstance(session.kernel_check(THREE, progress=listener), Checked)
    assert listener.phases() == ["elaborate", "kernel"]
    assert listener.of("kernel") == [(0, 3), (3, 3)]


def test_a_check_of_a_source_imports_once(host: Host) -> None:
    listener = Listener()
    assert host.check_source(THREE, progress=listener).accepted
    assert listener.phases()[-2:] == ["elaborate", "kernel"]
    again = Listener()
    assert host.check_source(THREE, progress=again).accepted
    assert again.phases() == ["elaborate", "kernel"]


def test_a_sink_that_raises_stops_the_work_and_the_exception_travels(host: Host) -> None:
    class Enough(Exception):
        pass

    heard: list[ProgressEvent] = []

    def sink(event: ProgressEvent) -> None:
        heard.append(event)
        raise Enough

    with host.session(["Init"]) as session:
        with pytest.raises(Enough):
            session.run(THREE, progress=sink)
        with pytest.raises(Enough):
            # Years of work behind the first command: the sink alone ends it.
            session.run(ENDLESS, progress=sink, timeout=600)
        assert len(heard) == 2
        with pytest.raises(Enough):
            session.kernel_check(GOOD, progress=sink)
        forget_imports(host)
        with pytest.raises(Enough):
            host.session(["Init"], progress=sink)
        assert isinstance(session.kernel_check(GOOD), Checked)


def test_a_sink_may_use_the_session(host: Host) -> None:
    answers: list[bool] = []
    with host.session(["Init"]) as session:
        result = session.run(THREE, progress=lambda event: answers.append(session.run(GOOD).ok))
        assert result.ok
        assert answers
        assert all(answers)


def test_events_come_while_the_work_goes_on(host: Host) -> None:
    """The first command is reported long before the call ends: the sink can end it."""
    from leanhost.services.values.cancellation import CancellationToken

    token = CancellationToken()
    with host.session(["Init"]) as session:
        result = session.run(ENDLESS, progress=lambda event: token.cancel(), cancellation=token, timeout=600)
        assert Limit.CANCELLED in result.limits or Limit.HEARTBEATS in result.limits
