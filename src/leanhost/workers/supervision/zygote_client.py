"""The pool's side of its zygotes: which environments are imported, and the forks made from them."""

from __future__ import annotations

import enum
import os
import select
import selectors
import signal
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from leanhost.errors import LeanHostError, WorkerStartError
from leanhost.workers.jobs.import_profiles import ImportProfile
from leanhost.workers.jobs.settings import Settings
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.framing import Frame, ProtocolError, receive_packet, split
from leanhost.workers.protocol.messages import (
    Born,
    Ended,
    Failed,
    Fork,
    NotForked,
    Ready,
    ZygoteReply,
    error_in,
)
from leanhost.workers.supervision import exit_status
from leanhost.workers.supervision.process import Drain, Inherited, Process, make_ends, spawn

FORK_S = 20.0
"""Seconds after which a zygote that was told to fork and has not is given up: it takes a millisecond."""


class Forked(Process):
    """A child of a zygote. Known by a pidfd, so that no signal can hit another process."""

    def __init__(self, inherited: Inherited) -> None:
        self.inherited: Inherited | None = inherited
        self.code: int | None = None
        self.orphan = False
        """Whether its zygote has ended, so that nothing will report this end."""
        self._pidfd = -1
        self._doomed = False
        self._closed = False

    def born(self, pid: int, pidfd: int) -> None:
        """The zygote has forked it."""
        self.pid = pid
        self._pidfd = pidfd
        if self._doomed or self._closed:
            self.kill()
        if self._closed:
            self.close()

    def kill(self) -> None:
        """Kill the process; its zygote kills the rest of the group before reaping it."""
        self._doomed = True
        if self._pidfd < 0:
            return
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            if self.orphan:
                os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def status(self) -> int | None:
        """How it ended, by its zygote's word; one that was given up before it was asked for has."""
        if self._doomed and self.inherited is not None:
            return exit_status.UNKNOWN
        if self.code is None and self.orphan:
            if self._pidfd < 0:
                return exit_status.UNKNOWN
            look = select.poll()
            look.register(self._pidfd, select.POLLIN)
            if look.poll(0):
                return exit_status.UNKNOWN
        return self.code

    def release(self) -> None:
        """Close the pool's copies of the child's descriptors."""
        inherited, self.inherited = self.inherited, None
        if inherited is not None:
            inherited.close()

    def close(self) -> None:
        """Close every descriptor of this handle, also one that is still to come."""
        self._closed = True
        self.release()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1


class ZygoteState(enum.Enum):
    """Where a zygote is in its life."""

    STARTING = "starting"
    READY = "ready"
    GONE = "gone"


class ZygoteOwner(Protocol):
    """Whom a zygote tells."""

    settings: Settings
    selector: selectors.BaseSelector

    @property
    def scratch(self) -> Path:
        """Where workers have their directories."""

    def zygote_gone(self, zygote: Zygote, why: LeanHostError, lasting: bool) -> None:
        """No more forks come from it; *lasting*: another of the same kind would end the same way."""


class Zygote:
    """One process that has imported what *profile* says. All methods run on the supervisor's thread."""

    def __init__(self, owner: ZygoteOwner, profile: ImportProfile) -> None:
        self._owner = owner
        self.profile = profile
        self.state = ZygoteState.STARTING
        self.used = time.monotonic()
        self.deadline = self.used + owner.settings.startup_timeout
        self.forks = 0
        self._children: dict[int, Forked] = {}
        self.unborn: list[Forked] = []
        """Once it is gone: what it was asked for and did not say it had made."""
        self._asked: dict[int, float] = {}
        """The children it was told to fork and has not, with the time; the oldest first."""
        config = owner.settings.config(profile.text, profile.imports, owner.scratch)
        self._ends, inherited = make_ends(owner.settings.output_limit, socket.SOCK_SEQPACKET)
        ends = self._ends
        try:
            # It reads the configuration from a file without a name: a packet is too small for many imports.
            with tempfile.TemporaryFile() as file:
                file.write(codec.encode(config))
                file.flush()
                socket.send_fds(ends.channel, [b"config"], [file.fileno()])
            self.process = spawn("leanhost.workers.worker_process.zygote_main", inherited, tree=False)
        except BaseException:
            ends.close()
            raise
        finally:
            inherited.close()
        owner.selector.register(ends.channel, selectors.EVENT_READ, self._on_control)
        for drain in (ends.stdout, ends.stderr):
            owner.selector.register(
                drain.fd, selectors.EVENT_READ, lambda _, drain=drain: self._on_output(drain)
            )

    @property
    def living(self) -> int:
        """Children that were asked for and have not ended."""
        return len(self._children)

    def fork(self, inherited: Inherited) -> Forked:
        """Ask for a child with these descriptors; while the import runs it is only noted."""
        self.used = time.monotonic()
        child = Forked(inherited)
        self.forks += 1
        self._children[self.forks] = child
        if self.state is ZygoteState.READY:
            self._request(self.forks, child)
        return child

    def _request(self, number: int, child: Forked) -> None:
        if child.inherited is None:  # given up while the import ran
            del self._children[number]
            return
        try:
            socket.send_fds(self._ends.channel, [codec.encode(Fork(number))], list(child.inherited.fds))
        except OSError as error:  # gone, or so far behind that it must be stuck
            self.kill(WorkerStartError(f"a zygote takes no orders: {error}"))
            return
        self._asked[number] = time.monotonic()
        child.release()

    def tick(self, now: float) -> None:
        """Enforce the time an import may take, and a fork."""
        if now < self.next_look():
            return
        if self.state is ZygoteState.STARTING:
            limit = self._owner.settings.startup_timeout
            late = WorkerStartError(
                f"importing took more than {limit:g} s", hint="allow more with startup_timeout="
            )
            self.kill(late, lasting=True)
        else:
            self.kill(WorkerStartError(f"a zygote did not fork within {FORK_S:g} s"))

    def next_look(self) -> float:
        """When :meth:`tick` wants to be called, on :func:`time.monotonic`."""
        if self.state is ZygoteState.STARTING:
            return self.deadline
        return next(iter(self._asked.values())) + FORK_S if self._asked else float("inf")

    # --- what it says ---

    def _on_control(self, _: int) -> None:
        while self.state is not ZygoteState.GONE:
            try:
                data, fds = receive_packet(self._ends.channel, 1)
            except BlockingIOError:
                return
            except OSError:
                data, fds = b"", []
            if not data:
                self._ended()
                return
            try:
                self._take(split(data, ZygoteReply), fds)
            except (ProtocolError, KeyError, IndexError) as error:
                self.kill(WorkerStartError(f"a zygote did not keep to the protocol: {error}"))

    def _take(self, frame: Frame[ZygoteReply], fds: list[int]) -> None:
        match frame.message:
            case Born(number=number, pid=pid):
                del self._asked[number]
                self._children[number].born(pid, fds[0])
            case Ended(number=number, status=status):
                self._children.pop(number).code = status
            case NotForked(number=number):
                del self._asked[number]
                self._children.pop(number).code = 1
            case Ready():
                self.state = ZygoteState.READY
                for number, child in tuple(self._children.items()):
                    if self.state is ZygoteState.READY:
                        self._request(number, child)
            case Failed():
                self.kill(error_in(frame.payload), lasting=True)

    def _on_output(self, drain: Drain) -> None:
        if self.state is not ZygoteState.GONE and not drain.read():
            self._forget(drain.fd)

    # --- the end ---

    def _ended(self) -> None:
        code = self.process.status()
        self._ends.stderr.read()
        why = exit_status.status_of_exit(
            exit_status.UNKNOWN if code is None else code, self._ends.stderr.text
        )[1]
        self.kill(WorkerStartError(f"importing ended the process: {why}"))

    def kill(self, why: LeanHostError, *, lasting: bool = False) -> None:
        """End the process; its children live on, only their ends are not reported any more."""
        if self.state is ZygoteState.GONE:
            return
        self.state = ZygoteState.GONE
        self.process.kill()
        for source in (self._ends.channel, self._ends.stdout.fd, self._ends.stderr.fd):
            self._forget(source)
        self._ends.close()
        for child in self._children.values():
            child.orphan = True
            child.release()
        self.unborn = [child for child in self._children.values() if not child.pid]
        self._children.clear()
        self._asked.clear()
        self._owner.zygote_gone(self, why, lasting)

    def _forget(self, source: object) -> None:
        try:
            self._owner.selector.unregister(source)  # type: ignore[arg-type]
        except (KeyError, ValueError):
            pass

    def abandon(self) -> None:
        """In a forked process: close the copies of the descriptors and leave the zygote alone."""
        self._ends.abandon()
        for child in self._children.values():
            with suppress(OSError):
                child.close()
