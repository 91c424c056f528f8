"""Every exception leanhost raises, each with a stable ``code``.

A *verdict* about user input (a rejected theorem, a timeout of the candidate) is a value, not an exception.
Exceptions mean that the question could not be put: bad arguments, a missing toolchain, a lost engine.
"""

from __future__ import annotations

from typing import ClassVar

from leanhost.limit import Limit

_MAX_MESSAGE = 16_384


def bounded(text: str, limit: int = _MAX_MESSAGE) -> str:
    """Return *text* cut to at most *limit* characters, saying how many were left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}... ({len(text) - limit} characters left out)"


class LeanHostError(Exception):
    """Base of every error raised by leanhost.

    ``code`` is stable across releases (``leanhost.<area>.<what>``); ``hint`` is the next step, or ``""``.
    """

    code: ClassVar[str] = "leanhost.error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = bounded(message)
        self.hint = hint
        super().__init__(self.message if not hint else f"{self.message}\n  next step: {hint}")


class UsageError(LeanHostError, ValueError):
    """An argument is not what the call takes."""

    code = "leanhost.usage"


class ClosedError(LeanHostError, ValueError):
    """The host, session or handle was closed before this call."""

    code = "leanhost.closed"


class ForeignHandleError(LeanHostError, ValueError):
    """A handle was used with an engine it does not belong to (another host, or a forked process)."""

    code = "leanhost.handle.foreign"


class Cancelled(LeanHostError):
    """The caller cancelled a call that has no other way to report it; nothing was changed."""

    code = "leanhost.cancelled"


# --- toolchains -----------------------------------------------------------------------------------


class ToolchainError(LeanHostError):
    """A toolchain could not be found, fetched, verified or opened."""

    code = "leanhost.toolchain"


class ToolchainNotFound(ToolchainError):
    """No toolchain matches the request."""

    code = "leanhost.toolchain.not_found"


class ToolchainCorrupt(ToolchainError):
    """A toolchain's files are damaged, incomplete or do not have the pinned digest."""

    code = "leanhost.toolchain.corrupt"


class ToolchainInstallError(ToolchainError):
    """The embedded toolchain could not be fetched or unpacked (offline, registry, disk)."""

    code = "leanhost.toolchain.install"


class UnsupportedToolchain(ToolchainError):
    """No version table fits this toolchain; the message says what failed with each table tried."""

    code = "leanhost.toolchain.unsupported"


# --- engines --------------------------------------------------------------------------------------


class EngineError(LeanHostError):
    """The Lean runtime itself failed."""

    code = "leanhost.engine"


class EngineLost(EngineError):
    """The engine crashed, trapped or was killed; every handle into it is gone."""

    code = "leanhost.engine.lost"


class EngineStuck(EngineLost):
    """Lean did not answer a cancellation within the grace period; the engine was given up."""

    code = "leanhost.engine.stuck"


class OutOfMemory(EngineLost):
    """Lean ran into the engine's memory limit."""

    code = "leanhost.engine.out_of_memory"


class ObjectTooLarge(EngineError):
    """A Lean object was larger than the budget it was to be read with."""

    code = "leanhost.engine.object_too_large"


# --- Lean -----------------------------------------------------------------------------------------


class LeanError(LeanHostError):
    """Lean threw where no verdict was being asked for (an ``IO.Error`` or ``Lean.Exception``)."""

    code = "leanhost.lean"


class ImportFailed(LeanError):
    """An environment could not be imported: unknown module, damaged or foreign ``.olean``."""

    code = "leanhost.lean.import"

    def __init__(self, message: str, *, module: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.module = module
        """Which of the imports leads to an unknown module; ``""`` for another failure."""


class ProjectError(LeanHostError):
    """A Lake project could not be read (no manifest, not built, malformed)."""

    code = "leanhost.project"


class ElaborationError(LeanError):
    """A source that had to elaborate did not; ``result`` holds the diagnostics."""

    code = "leanhost.lean.elaboration"

    def __init__(self, message: str, *, result: object, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.result = result


# --- workers --------------------------------------------------------------------------------------


class WorkerError(LeanHostError):
    """The worker pool could not put the question; the item itself was not judged."""

    code = "leanhost.worker"


class WorkerStartError(WorkerError):
    """No worker process came up: it ended, or did not answer in time, before it was given any work."""

    code = "leanhost.worker.start"


class SandboxUnavailable(WorkerError):
    """``sandbox="required"`` was requested, and this machine cannot provide it."""

    code = "leanhost.worker.sandbox"


class NotReproduced(WorkerError):
    """What one worker had made (a proof state, evidence) could not be rebuilt in another."""

    code = "leanhost.worker.not_reproduced"


class PoolClosed(WorkerError):
    """The pool is closed, or belongs to another process."""

    code = "leanhost.pool.closed"


class ImportRefused(LeanHostError):
    """A session pool's policy forbids a fresh import, and no free environment fits."""

    code = "leanhost.pool.refused"


class FreshImportRefused(ImportRefused):
    """The pool has performed as many fresh imports as it may (``max_fresh_imports``)."""

    code = "leanhost.pool.refused.fresh_imports"


class MemoryRefused(ImportRefused):
    """Lean holds more private memory than the pool may let it grow from (``max_private_bytes``)."""

    code = "leanhost.pool.refused.memory"


class SessionReleased(ClosedError):
    """A pooled session was used, or released again, after it was released."""

    code = "leanhost.pool.session_released"


class SessionBusy(UsageError):
    """A pooled session was used while another thread's call on it ran."""

    code = "leanhost.pool.session_busy"


class PoolTimeout(WorkerError):
    """No worker became free within the time a caller was willing to wait."""

    code = "leanhost.pool.timeout"


class TooManyRequests(WorkerError):
    """The pool's queue is full."""

    code = "leanhost.pool.too_many_requests"


class MetaError(LeanError):
    """A ``MetaM`` step failed inside a Python program; ``limit`` is the limit that was hit, if one was."""

    code = "leanhost.lean.meta"

    def __init__(self, message: str, *, limit: Limit | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.limit = limit
