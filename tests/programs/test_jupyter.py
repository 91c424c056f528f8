"""A pool in a notebook's kernel: the guide's cells, ``await`` in the running loop, interrupts, restart and shutdown."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.support.documents import DOCS
from tests.support.pools import ENDLESS, GOOD
from tests.support.programs import Place

Message = dict[str, Any]

CELLS = re.findall(
    r"^```\{\.python \.cell\}\n(.*?)^```\n+```text\n(.*?)^```$",
    (DOCS / "guides" / "services.md").read_text(),
    re.MULTILINE | re.DOTALL,
)

# Before a cell that takes long: says so once a worker is at it.
TELLING = """
import threading, time
def telling_when_busy():
    while not workers.stats.busy:
        time.sleep(0.05)
    print("busy", flush=True)
threading.Thread(target=telling_when_busy, daemon=True).start()
"""


class Kernel:
    """A kernel, started for real, and its one client."""

    def __init__(self, place: Place, environment: Mapping[str, str]) -> None:
        self.place = place
        self.manager = KernelManager(connection_file=str(place.path / "connection.json"))
        self._stderr = place.stderr.open("a")  # a restarted kernel gets it, too
        self.manager.start_kernel(
            env=place.environment(IPYTHONDIR=str(place.path), **environment),
            cwd=str(place.path),
            stderr=self._stderr,
        )
        self._connect()

    def _connect(self) -> None:
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def run(self, code: str, *, interrupted: bool = False) -> tuple[str, str]:
        """Run a cell; return what it printed and the name of what it raised.

        When it is to be *interrupted*, that is done once it has printed a line.
        """
        printed: list[str] = []

        def hear(message: Message) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])
                if interrupted and len(printed) == 1:
                    self.manager.interrupt_kernel()

        reply = self.client.execute_interactive(code, timeout=120, output_hook=hear, allow_stdin=False)
        return "".join(printed), reply["content"].get("ename", "")

    def begin(self, code: str) -> None:
        """Run a cell until it has printed a line."""
        self.client.execute(code, allow_stdin=False)
        while self.client.get_iopub_msg(timeout=120)["msg_type"] != "stream":
            pass

    @property
    def pid(self) -> int:
        pid = getattr(self.manager.provisioner, "pid", None)  # of the one that starts local processes
        assert isinstance(pid, int)
        return pid

    def restart(self) -> None:
        self.client.stop_channels()
        self.manager.restart_kernel()
        self._connect()

    def shut_down(self, *, now: bool = False) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=now)
        self._stderr.close()


@contextmanager
def kernel(place: Place, environment: Mapping[str, str]) -> Iterator[Kernel]:
    made = Kernel(place, environment)
    try:
        yield made
    finally:
        if made.manager.has_kernel:
            made.shut_down(now=True)


def test_the_guides_cells(place: Place, embedded: dict[str, str]) -> None:
    with kernel(place, embedded) as running:
        assert len(CELLS) == 2
        for code, output in CELLS:
            assert running.run(code) == (output, "")
        running.shut_down()
        place.empties()
    assert not place.scratch
    assert not place.noise


def test_interrupts_a_restart_and_a_killed_kernel(place: Place, native: dict[str, str]) -> None:
    begin = "import leanhost\nworkers = leanhost.WorkerPool(workers=1, spares=0)"
    good = f"print(workers.check({GOOD!r}).status)"
    endless = f"leanhost.CheckItem(source={ENDLESS!r}, timeout=600)"
    hanging = f"{TELLING}\nworkers.check({endless})"
    with kernel(place, native) as running:
        assert running.run(begin) == ("", "")
        assert running.run(good) == ("accepted\n", "")
        assert running.run(hanging, interrupted=True) == ("busy\n", "KeyboardInterrupt")
        assert running.run(good) == ("accepted\n", "")
        awaited = f"{TELLING}\nawait workers.acheck({endless})"
        said, raised = running.run(awaited, interrupted=True)
        assert said == "busy\n"
        assert raised in ("CancelledError", "KeyboardInterrupt")  # as the kernel has it
        assert running.run(f"print((await workers.acheck({GOOD!r})).status)") == ("accepted\n", "")
        assert running.run("print(workers.stats.busy, workers.stats.waiting)") == ("0 0\n", "")

        here = (
            f"host = leanhost.open()\nprint('begun', flush=True)\nhost.check_source({ENDLESS!r}, timeout=600)"
        )
        assert running.run(here, interrupted=True) == ("begun\n", "KeyboardInterrupt")
        assert running.run(f"print(host.check_source({GOOD!r}).status)") == ("accepted\n", "")

        running.begin(hanging)
        before = running.pid
        running.restart()
        assert running.pid != before
        place.empties(running.pid)
        assert running.run(begin) == ("", "")
        running.begin(hanging)
        os.kill(running.pid, signal.SIGKILL)
        place.empties()
    # The kernel itself complains that a restart breaks off a cell.
    assert "/leanhost/workers/" not in place.said
