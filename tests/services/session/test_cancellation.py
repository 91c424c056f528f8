"""Tokens, timeouts and Ctrl-C: work stops, the answer is typed, the session stays good."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from leanhost.errors import Cancelled, UsageError
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.outcomes import Checked, Unavailable
from leanhost.services.values.progress import ProgressEvent
from leanhost.services.values.results import Limit, Status
from tests.support.sources import ENDLESS, GOOD

Lend = Callable[[ElabOptions], Session]

UNLIMITED = ElabOptions(max_heartbeats=0, timeout=600)


def cancelled_token() -> CancellationToken:
    token = CancellationToken()
    token.cancel()
    return token


def good(session: Session) -> bool:
    return isinstance(session.kernel_check(GOOD), Checked)


# --- the token ------------------------------------------------------------------------------------


def test_a_token_is_cancelled_once_and_for_all() -> None:
    token = CancellationToken()
    assert not token.is_cancelled
    token.raise_if_cancelled()
    token.cancel()
    token.cancel()
    assert token.is_cancelled
    with pytest.raises(Cancelled, match="the walk was cancelled") as caught:
        token.raise_if_cancelled("the walk")
    assert caught.value.code == "leanhost.cancelled"


def test_a_token_can_have_a_deadline() -> None:
    assert CancellationToken(timeout=0).is_cancelled
    assert CancellationToken(deadline=time.monotonic() - 1).is_cancelled
    assert CancellationToken(timeout=600, deadline=time.monotonic()).is_cancelled
    assert not CancellationToken(timeout=600).is_cancelled


@pytest.mark.parametrize("timeout", [-1, float("nan"), "1", True])
def test_a_timeout_is_a_number_of_seconds(timeout: object) -> None:
    with pytest.raises(UsageError):
        CancellationToken(timeout=timeout)  # type: ignore[arg-type]


# --- before the start -----------------------------------------------------------------------------


def test_a_cancelled_call_does_not_start(lend: Lend) -> None:
    token = cancelled_token()
    heard: list[ProgressEvent] = []
    with lend(ElabOptions()) as session:
        result = session.run(GOOD, cancellation=token, progress=heard.append)
        assert result.limits == (Limit.CANCELLED,)
        assert result.declarations == ()
        assert not result.ok
        outcome = session.kernel_check(GOOD, cancellation=token, progress=heard.append)
        assert isinstance(outcome, Unavailable)
        assert outcome.limit is Limit.CANCELLED
        with pytest.raises(Cancelled):
            session.extend(GOOD, cancellation=token, progress=heard.append)
        assert heard == []
        assert good(session)


def test_a_cancelled_import_does_not_start(host: Host) -> None:
    heard: list[ProgressEvent] = []
    with pytest.raises(Cancelled):
        host.session(["Init"], cancellation=cancelled_token(), progress=heard.append)
    assert heard == []


def test_a_cancelled_check_says_so(host: Host) -> None:
    result = host.check_source(GOOD, cancellation=cancelled_token())
    assert result.status is Status.CANCELLED
    assert not result.accepted
    assert result.reasons


# --- while it runs --------------------------------------------------------------------------------


def cancel_when_elaborating(token: CancellationToken) -> threading.Event:
    """Cancel *token* from another thread shortly after the returned event is set."""
    begun = threading.Event()

    def cancel() -> None:
        begun.wait(60)
        token.cancel()

    threading.Thread(target=cancel, daemon=True).start()
    return begun


def test_cancelling_from_another_thread_stops_elaboration(lend: Lend) -> None:
    with lend(UNLIMITED) as session:
        token = CancellationToken()
        begun = cancel_when_elaborating(token)
        result = session.run(ENDLESS, cancellation=token, progress=lambda event: begun.set())
        assert result.limits == (Limit.CANCELLED,)
        assert [d.name for d in result.declarations] == ["g"]
        assert good(session)


def test_cancelling_a_kernel_check_and_an_extension(lend: Lend) -> None:
    with lend(UNLIMITED) as session:
        token = CancellationToken()
        begun = cancel_when_elaborating(token)
        outcome = session.kernel_check(ENDLESS, cancellation=token, progress=lambda event: begun.set())
        assert isinstance(outcome, Unavailable)
        assert outcome.limit is Limit.CANCELLED
        token = CancellationToken()
        begun = cancel_when_elaborating(token)
        with pytest.raises(Cancelled):
            session.extend(ENDLESS, cancellation=token, progress=lambda event: begun.set())
        assert good(session)


def test_cancelling_a_check_of_a_source(host: Host) -> None:
    token = CancellationToken()
    begun = cancel_when_elaborating(token)
    result = host.check_source(
        ENDLESS, options=UNLIMITED, cancellation=token, progress=lambda event: begun.set()
    )
    assert result.status is Status.CANCELLED
    assert host.check_source(GOOD).accepted


def test_one_token_stops_many_calls(host: Host) -> None:
    token = CancellationToken()
    running = threading.Barrier(3)
    answers: list[tuple[Limit, ...]] = []

    def work() -> None:
        with host.session(["Init"], UNLIMITED) as session:
            running.wait(60)
            answers.append(session.run(ENDLESS, cancellation=token).limits)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    running.wait(60)
    token.cancel()
    for thread in threads:
        thread.join(60)
    assert answers == [(Limit.CANCELLED,)] * 2
    assert host.check_source(GOOD).accepted


def test_a_caller_that_waits_for_its_turn_can_be_cancelled(lend: Lend) -> None:
    """While another caller's work runs, a cancelled call comes back without waiting for its end."""
    first = CancellationToken()
    begun = threading.Event()
    with lend(UNLIMITED) as busy, lend(UNLIMITED) as session:
        thread = threading.Thread(
            target=lambda: busy.run(ENDLESS, cancellation=first, progress=lambda event: begun.set())
        )
        thread.start()
        begun.wait(60)
        result = session.run(GOOD, cancellation=CancellationToken(timeout=0.1))
        assert result.limits == (Limit.CANCELLED,)
        assert thread.is_alive()
        first.cancel()
        thread.join(60)
        assert good(session)
        assert good(busy)


def test_a_deadline_of_the_token_cancels_and_a_timeout_of_the_call_times_out(lend: Lend) -> None:
    with lend(UNLIMITED) as session:
        assert session.run(ENDLESS, cancellation=CancellationToken(timeout=0.3)).limits == (Limit.CANCELLED,)
        assert session.run(ENDLESS, timeout=0.3).limits == (Limit.TIMEOUT,)
        outcome = session.kernel_check(ENDLESS, timeout=0.3)
        assert isinstance(outcome, Unavailable)
        assert outcome.limit is Limit.TIMEOUT
        assert good(session)


@pytest.mark.parametrize("timeout", [0, -1, "1", float("nan")])
def test_a_call_timeout_is_a_positive_number(host: Host, lend: Lend, timeout: object) -> None:
    with lend(ElabOptions()) as session, pytest.raises(UsageError):
        session.run(GOOD, timeout=timeout)  # type: ignore[arg-type]


# --- Ctrl-C ---------------------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
from leanhost.services.values.outcomes import Checked
from leanhost.services.session.host import Host
from leanhost.services.values.options import ElabOptions
from leanhost.toolchain import resolve
from tests.support.sources import ENDLESS, GOOD

with Host(resolve(sys.argv[1]), [Path(entry) for entry in sys.argv[2:]]) as host:
    session = host.session(["Init"], ElabOptions(max_heartbeats=0, timeout=600))
    for _ in range(2):
        try:
            session.run(ENDLESS, progress=lambda event: print("running", flush=True))
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    print(type(session.kernel_check(GOOD)).__name__, flush=True)
"""


def test_control_c_stops_the_call_and_the_session_stays_good(
    engine: str, request: pytest.FixtureRequest
) -> None:
    toolchain = "embedded"
    paths: list[str] = []
    if engine == "native":
        toolchain, paths = "native-runtime", [str(request.getfixturevalue("fixture_core"))]
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, toolchain, *paths],
        stdout=subprocess.PIPE,
        cwd=root,
        text=True,
    ) as script:
        assert script.stdout is not None
        try:
            for _ in range(2):
                assert script.stdout.readline() == "running\n"
                script.send_signal(signal.SIGINT)
                assert script.stdout.readline() == "interrupted\n"
            assert script.stdout.readline() == "Checked\n"
            assert script.wait(60) == 0
        finally:
            script.kill()
