"""Confining a worker process before it starts threads or sees a candidate."""

from __future__ import annotations

import os
import sys

from leanhost.errors import SandboxUnavailable
from leanhost.services.values.tracing import stay_silent
from leanhost.system import sandbox
from leanhost.workers.protocol.messages import Config, ProgramConfig


def settle_in(config: Config | ProgramConfig) -> None:
    """Do what concerns the process itself, before it opens a host.

    Temporary files go where the pool, or the next one, removes them: this process can be killed at any moment.
    """
    stay_silent()
    _put_temporary_files(config.scratch)


def make_ready(config: Config) -> None:
    """Make what the processes forked from this one need to be confined."""
    if config.sandbox != "off":
        sandbox.make_ready()


def confine(config: Config | ProgramConfig, *, programs: bool) -> str:
    """Go to a scratch directory and give up everything else, as the pool wants it; say what holds.

    *programs* leaves the right to start processes, for an engine that is one. Raises
    :class:`~leanhost.errors.SandboxUnavailable` when the pool requires what this machine does not have.
    """
    scratch = f"{config.scratch}/{os.getpid()}"
    try:  # in few steps, like all that is done after each fork
        os.mkdir(scratch, 0o700)  # noqa: PTH102
    except FileExistsError:
        pass
    os.chdir(scratch)
    _put_temporary_files(scratch)
    if config.sandbox == "off":
        return "off"
    report = sandbox.apply([scratch], programs=programs)
    if report.missing and config.sandbox == "required":
        raise SandboxUnavailable(
            f"the sandbox is incomplete ({'; '.join(report.missing)})",
            hint='use a Linux with Landlock and seccomp, or sandbox="auto" for trusted sources',
        )
    return str(report)


def _put_temporary_files(place: str) -> None:
    os.environ["TMPDIR"] = place
    if (tempfile := sys.modules.get("tempfile")) is not None:  # which may have looked already
        tempfile.tempdir = place  # type: ignore[attr-defined]
