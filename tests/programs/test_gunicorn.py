"""A pool in each worker of gunicorn: answers, reload, graceful end, kills; and what was made before the fork."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import threading
from concurrent.futures import Future

import pytest

from leanhost.system.process_limits import family
from tests.support.documents import DOCS, examples
from tests.support.pools import BAD, ENDLESS, GOOD
from tests.support.processes import alive, eventually
from tests.support.programs import Place

APP = examples(DOCS / "guides" / "services.md")[0][0]

# The guide's application; it also tells which process answered, and takes a check's time from the path.
TELLING = """
import os, sys, threading, time
import guide, leanhost

def telling_when_busy():
    while not guide.pool().stats.busy:
        time.sleep(0.05)
    print("busy", os.getpid(), file=sys.stderr, flush=True)

def application(environ, start_response):
    def start(status, headers):
        start_response(status, [*headers, ("Process", str(os.getpid()))])
    seconds = environ["PATH_INFO"].strip("/")
    if not seconds:
        return guide.application(environ, start)
    if seconds == "inherited":
        start("200 OK", [])
        return [" ".join(inherited()).encode()]
    threading.Thread(target=telling_when_busy, daemon=True).start()
    source = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
    result = guide.pool().check(leanhost.CheckItem(source=source, timeout=float(seconds)))
    start("200 OK", [])
    return [str(result.status).encode()]
"""

# Everything is made, and used, before the fork.
PRELOADED = """
host = leanhost.open()
sessions = leanhost.SessionPool(host)
with sessions.acquire() as session:
    assert session.run("#check Nat").ok
kept = host.session()
before = leanhost.WorkerPool(workers=1, spares=0)
assert before.check("example (p : Prop) (h : p) : p := h").accepted
uses = (
    host.session, lambda: host.check_source("#check Nat"), sessions.acquire, sessions.drain,
    lambda: kept.run("#check Nat"), lambda: before.check("#check Nat"), lambda: before.session().run("#check Nat"),
)

def inherited():
    for use in uses:
        try:
            yield str(use())
        except leanhost.LeanHostError as error:
            yield error.code
    for each in (kept, sessions, host, before):
        each.close()
"""


class Server:
    """A gunicorn that listens on a socket of the test's, so that no request is refused while it starts."""

    def __init__(self, place: Place, *options: str, extra: str = "", environment: dict[str, str]) -> None:
        self.place = place
        (place.path / "guide.py").write_text(APP)
        (place.path / "app.py").write_text(TELLING + extra)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
            bind = f"fd://{listening.fileno()}"
            command = ["-m", "gunicorn", "--workers", "2", "--bind", bind]
            # Nothing outside the place: the control socket is one for all of a user's servers.
            command += ["--worker-tmp-dir", str(place.path), "--no-control-socket"]
            fds = [listening.fileno()]
            self.process = place.start([*command, *options, "app"], pass_fds=fds, environment=environment)

    @property
    def pid(self) -> int:
        return self.process.pid

    def post(self, source: str, path: str = "") -> tuple[str, int]:
        """Return the answer, and the pid of the gunicorn worker that gave it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request("POST", f"/{path}", source.encode())
            answer = connection.getresponse()
            return answer.read().decode(), int(answer.headers["Process"])
        finally:
            connection.close()

    def answers(self) -> set[int]:
        """Have both gunicorn workers judge, rightly; return their pids."""
        seen: set[int] = set()

        def asked() -> bool:
            for source, verdict in ((GOOD, "accepted"), (BAD, "rejected")):
                said, pid = self.post(source)
                assert said == verdict
                seen.add(pid)
            return len(seen & set(family(self.pid))) == 2

        eventually(asked)
        return seen & set(family(self.pid))

    def begin(self, source: str, seconds: int) -> tuple[Future[tuple[str, int]], int]:
        """Have a source checked; return what will be the answer, and the pid of the gunicorn worker that is at it."""
        answer: Future[tuple[str, int]] = Future()

        def ask() -> None:
            try:
                answer.set_result(self.post(source, str(seconds)))
            except Exception as error:
                answer.set_exception(error)

        said = self.place.said
        threading.Thread(target=ask, daemon=True).start()
        found: list[str] = []

        def busy() -> bool:
            found[:] = re.findall(r"^busy (\d+)$", self.place.said[len(said) :], re.MULTILINE)
            return bool(found)

        eventually(busy)
        return answer, int(found[0])

    def ended(self) -> int:
        """Wait until the server has ended, and everything that was started with it; return how it ended."""
        code = self.process.wait(120)
        self.place.empties()
        return code


def test_requests_a_reload_a_killed_worker_and_a_graceful_end(place: Place, native: dict[str, str]) -> None:
    server = Server(place, environment=native)
    first = server.answers()

    os.kill(server.pid, signal.SIGHUP)
    eventually(lambda: not any(map(alive, first)))
    place.empties(server.pid)
    second = server.answers()
    assert not first & second

    answer, worker = server.begin(ENDLESS, 600)
    os.kill(worker, signal.SIGKILL)
    assert isinstance(answer.exception(60), ConnectionError)
    eventually(lambda: not alive(worker))
    place.empties(server.pid)
    assert worker not in server.answers()

    answer, worker = server.begin(ENDLESS, 2)
    os.kill(server.pid, signal.SIGTERM)
    assert answer.result(60) == ("timeout", worker)
    assert server.ended() == 0
    assert not place.scratch
    assert not place.noise


@pytest.mark.parametrize(
    ("kind", "how", "seconds"),
    [("sync", signal.SIGQUIT, 600), ("gthread", signal.SIGKILL, 1)],
)
def test_an_abrupt_end_in_the_middle_of_a_check(
    place: Place, native: dict[str, str], kind: str, how: signal.Signals, seconds: int
) -> None:
    """Of a killed master gunicorn's workers learn when a request has ended, or half of their timeout is over."""
    server = Server(place, "--worker-class", kind, "--threads", "1", "--timeout", "4", environment=native)
    server.begin(ENDLESS, seconds)
    os.kill(server.pid, how)
    killed = how == signal.SIGKILL
    assert server.ended() == (-how if killed else 0)
    assert place.noise == ([] if killed else ["Traceback"])  # in gunicorn's log, of the request it broke off


def test_what_was_made_before_the_fork_stays_the_masters(place: Place, native: dict[str, str]) -> None:
    server = Server(place, "--preload", "--worker-class", "gthread", extra=PRELOADED, environment=native)
    said, _ = server.post("", "inherited")
    assert said.split() == ["leanhost.handle.foreign"] * 5 + ["leanhost.pool.closed"] * 2
    server.answers()
    os.kill(server.pid, signal.SIGTERM)
    assert server.ended() == 0
    assert not place.scratch
    assert not place.noise


def test_the_guides_application_as_it_is_preloaded(place: Place, embedded: dict[str, str]) -> None:
    server = Server(place, "--preload", "--workers", "1", "--worker-class", "gthread", environment=embedded)
    assert [server.post(source)[0] for source in (GOOD, BAD)] == ["accepted", "rejected"]
    os.kill(server.pid, signal.SIGTERM)
    assert server.ended() == 0
    assert not place.scratch
    assert not place.noise
