"""Where workers come from: forked from a zygote that has the imports, or started afresh."""

from __future__ import annotations

import selectors
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from leanhost.errors import LeanHostError, WorkerStartError
from leanhost.system.scratch import Scratch
from leanhost.workers.jobs.import_profiles import ImportProfile
from leanhost.workers.jobs.settings import Settings
from leanhost.workers.protocol.messages import Config
from leanhost.workers.supervision.process import Ends, Inherited, Process, make_ends, spawn
from leanhost.workers.supervision.zygote_client import Zygote


class LauncherOwner(Protocol):
    """Whom the launcher tells."""

    settings: Settings
    selector: selectors.BaseSelector

    def births_failed(self, children: Collection[Process], why: LeanHostError, lasting: bool) -> None:
        """These processes will never be; *lasting*: another attempt would end the same way."""


class Launcher:
    """Starts processes; keeps at most ``max_zygotes`` environments imported, and those with children alive."""

    def __init__(self, owner: LauncherOwner) -> None:
        self._owner = owner
        self.settings = owner.settings
        self.selector = owner.selector
        self._scratch: Scratch | None = None
        self._zygotes: dict[ImportProfile, Zygote] = {}
        """Those that run; the one that was used last comes last."""
        self._ending: list[Process] = []
        self.spawned = 0
        self.zygotes_started = 0
        self.forks = 0
        self.imports_avoided = 0

    def launch(self, profile: ImportProfile) -> tuple[Process, Config | None, Ends]:
        """Start a worker with the imports of *profile*; the message, if any, is its first frame.

        Raises :class:`~leanhost.errors.WorkerStartError`, also when the system is out of what it takes.
        """
        try:
            ends, inherited = make_ends(self.settings.output_limit)
        except OSError as error:
            raise _no_means(error) from None
        try:
            return *self._start(profile, inherited), ends
        except BaseException as error:
            inherited.close()
            ends.close()
            if isinstance(error, OSError):
                raise _no_means(error) from None
            raise

    def _start(self, profile: ImportProfile, inherited: Inherited) -> tuple[Process, Config | None]:
        settings = self.settings
        if settings.forks:
            zygote = self._zygote(profile)
            process = zygote.fork(inherited)
            self.imports_avoided += zygote.forks > 1
            self.forks += 1
            return process, None
        config = settings.config(profile.text, profile.imports, self.scratch)
        started = spawn("leanhost.workers.worker_process.worker_main", inherited)
        self.spawned += 1
        inherited.close()
        return started, config

    @property
    def scratch(self) -> Path:
        """Where each worker has a directory to write to, named by its pid."""
        if self._scratch is None:
            self._scratch = Scratch()
        return self._scratch.path

    def overfull(self, pid: int) -> str | None:
        """Return what a worker has too much of in its directory."""
        return self._scratch.overfull(pid) if self._scratch is not None and pid else None

    def clean(self, pid: int) -> None:
        """Remove what a worker that has ended left behind."""
        if self._scratch is not None and pid:
            self._scratch.clean(pid)

    def remove_scratch(self) -> None:
        """Remove the directory of them all."""
        if self._scratch is not None:
            self._scratch.remove()

    def _zygote(self, profile: ImportProfile) -> Zygote:
        zygote = self._zygotes.pop(profile, None)
        if zygote is None:
            self._make_room()
            zygote = Zygote(self, profile)
            self.zygotes_started += 1
        self._zygotes[profile] = zygote
        return zygote

    def _make_room(self) -> None:
        for zygote in tuple(self._zygotes.values()):
            if len(self._zygotes) < self.settings.max_zygotes:
                return
            if not zygote.living:
                zygote.kill(WorkerStartError("a zygote was evicted"))

    def zygote_gone(self, zygote: Zygote, why: LeanHostError, lasting: bool) -> None:
        """Strike a zygote off; what it had not forked yet has failed."""
        if self._zygotes.get(zygote.profile) is zygote:
            del self._zygotes[zygote.profile]
        self._ending.append(zygote.process)
        self._owner.births_failed(zygote.unborn, why, lasting)

    @property
    def alive(self) -> int:
        """Zygotes that run."""
        return len(self._zygotes)

    def pids(self) -> list[int]:
        """The processes the launcher itself keeps."""
        return [zygote.process.pid for zygote in self._zygotes.values()]

    def next_look(self) -> float:
        """When :meth:`tick` wants to be called."""
        return min((z.next_look() for z in self._zygotes.values()), default=float("inf"))

    def tick(self, now: float) -> None:
        """Enforce the time imports may take, and reap."""
        for zygote in tuple(self._zygotes.values()):
            zygote.tick(now)
        self._ending = [process for process in self._ending if process.status() is None]

    @property
    def ending(self) -> bool:
        """Whether a killed zygote has not ended yet."""
        return bool(self._ending)

    def close(self) -> None:
        """Kill every zygote."""
        for zygote in tuple(self._zygotes.values()):
            zygote.kill(WorkerStartError("the pool was closed"))

    def abandon(self) -> None:
        """In a forked process: close the copies of the descriptors and leave the zygotes alone."""
        for zygote in self._zygotes.values():
            zygote.abandon()
        if self._scratch is not None:
            self._scratch.abandon()


def _no_means(error: OSError) -> WorkerStartError:
    return WorkerStartError(
        f"no worker can be started: {error}",
        hint="this is the machine: look at open files (ulimit -n), memory, and the temporary directory",
    )
