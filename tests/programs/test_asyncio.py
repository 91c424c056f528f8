"""A server with an event loop, under SIGTERM and SIGINT while checks run."""

from __future__ import annotations

import signal
import socket

import pytest

from tests.support.documents import DOCS, examples
from tests.support.pools import BAD, ENDLESS, GOOD
from tests.support.programs import Place

(SERVER,) = [code for code, _ in examples(DOCS / "guides" / "services.md") if "async def serve(" in code]

# The guide's server; on standard output its port, and a line once three checks are in flight.
MAIN = """
import threading, time

def tell_when_busy():
    while not (workers.stats.busy and workers.stats.waiting == 3):
        time.sleep(0.05)
    print("busy", flush=True)

def told(port, stop):
    print(port, flush=True)
    threading.Thread(target=tell_when_busy, daemon=True).start()

asyncio.run(serve(0, told))
"""


def ask(port: int, source: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=120)
    connection.sendall(source.encode())
    connection.shutdown(socket.SHUT_WR)
    return connection


def read(connection: socket.socket) -> str:
    with connection, connection.makefile() as file:
        return file.read()


@pytest.mark.parametrize(
    ("number", "where"),
    [
        (signal.SIGTERM, "embedded"),
        (signal.SIGINT, "native"),
        (signal.SIGKILL, "native"),
    ],
)
def test_the_guides_server_is_ended_with_checks_in_flight(
    place: Place, request: pytest.FixtureRequest, number: signal.Signals, where: str
) -> None:
    process = place.start(["-c", SERVER + MAIN], environment=request.getfixturevalue(where))
    assert process.stdout is not None
    port = int(process.stdout.readline())
    assert read(ask(port, GOOD)) == "accepted"
    assert read(ask(port, BAD)) == "rejected"
    waiting = [ask(port, ENDLESS) for _ in range(3)]
    assert process.stdout.readline() == "busy\n"
    process.send_signal(number)
    killed = number == signal.SIGKILL
    assert [read(one) for one in waiting] == ["" if killed else "stopped"] * 3
    assert process.wait(60) == (-number if killed else 0)
    process.stdout.close()
    place.empties()
    assert not place.noise
    assert killed or not place.scratch
