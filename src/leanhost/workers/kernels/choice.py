"""Which kernels have to agree with the judge's: what ``kernels=`` and ``--kernel`` mean."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from leanhost.errors import ToolchainNotFound, UsageError
from leanhost.toolchain import Toolchain, resolve
from leanhost.toolchain.native_runtime import NAME as NEWEST

NONE = "none"
PLACE = "{file}"

KernelChoice: TypeAlias = "str | Path | Toolchain"
"""A toolchain, by name, path or description, or a command with ``{file}`` in the place of an export's name."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that takes an lean4export file and ends with the status 0 if it accepts it."""

    command: tuple[str, ...]

    @property
    def name(self) -> str:
        """The command as it was given."""
        return shlex.join(self.command)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The kernels beside the judge's."""

    toolchains: tuple[Toolchain, ...] = ()
    programs: tuple[Program, ...] = ()
    missing: str = ""
    """Why the one that there should be by default is not there."""

    def __bool__(self) -> bool:
        return bool(self.toolchains or self.programs)


def choose(kernels: Sequence[KernelChoice] | None, judge: Toolchain) -> Chosen:
    """Return the kernels that *kernels* names, or by default the newest that is there, if that is another.

    Raises :class:`~leanhost.errors.ToolchainError` for a toolchain that was named and is not there, and
    :class:`~leanhost.errors.UsageError` for what is no choice.
    """
    if kernels is None:
        return _default(judge)
    if isinstance(kernels, str | Path | Toolchain):
        raise UsageError(f"kernels is a sequence; write [{str(kernels)!r}]")
    toolchains: dict[Toolchain, None] = {}
    programs: dict[Program, None] = {}
    for kernel in kernels:
        if kernel == NONE:
            if len(kernels) > 1:
                raise UsageError(f"the kernel {NONE!r} means that there is no other; name it alone")
        elif isinstance(kernel, str) and PLACE in kernel:
            programs[_program(kernel)] = None
        elif isinstance(kernel, str | Path | Toolchain):
            toolchains[kernel if isinstance(kernel, Toolchain) else resolve(kernel)] = None
        else:
            raise UsageError(f"a kernel is a toolchain or a command, not {type(kernel).__name__}")
    return Chosen(tuple(toolchains), tuple(programs))


def _program(command: str) -> Program:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"the command {command!r} cannot be read: {error}") from None
    if not words or PLACE in words[0]:
        raise UsageError(f"the command {command!r} names no program")
    return Program(tuple(words))


def _default(judge: Toolchain) -> Chosen:
    try:
        newest = resolve(NEWEST)
    except ToolchainNotFound as error:
        return Chosen(missing=error.message)
    same = (judge.commit and judge.commit == newest.commit) or judge.version == newest.version
    return Chosen(() if same else (newest,))
