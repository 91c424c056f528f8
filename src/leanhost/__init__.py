"""Host the Lean 4 theorem prover from Python: import once, elaborate, kernel-check, judge.

Names are loaded when they are first used, so that ``import leanhost`` costs milliseconds and starts nothing.
"""

from __future__ import annotations

import importlib

from leanhost.version import VERSION

# Type checkers take it for true; importing `typing` for it would cost more than all the rest of this module.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from leanhost.errors import (
        Cancelled,
        ClosedError,
        ElaborationError,
        EngineError,
        EngineLost,
        EngineStuck,
        ForeignHandleError,
        FreshImportRefused,
        ImportFailed,
        ImportRefused,
        LeanError,
        LeanHostError,
        MemoryRefused,
        MetaError,
        NotReproduced,
        ObjectTooLarge,
        OutOfMemory,
        PoolClosed,
        PoolTimeout,
        ProjectError,
        SandboxUnavailable,
        SessionBusy,
        SessionReleased,
        ToolchainCorrupt,
        ToolchainError,
        ToolchainInstallError,
        ToolchainNotFound,
        TooManyRequests,
        UnsupportedToolchain,
        UsageError,
        WorkerError,
        WorkerStartError,
    )
    from leanhost.lean.core import Import
    from leanhost.services.cancellation import CancellationToken
    from leanhost.services.declarations import (
        BoundedText,
        Declaration,
        DeclarationService,
        Inspection,
        Rank,
        SourceRange,
    )
    from leanhost.services.evidence import (
        Checked,
        ElabFailure,
        Evidence,
        EvidenceStatus,
        KernelOutcome,
        ProofSummary,
        Rejected,
        Theorem,
        Unavailable,
        Unsupported,
    )
    from leanhost.services.exports.outcome import Refused, Replayed, ReplayOpen, ReplayRejected
    from leanhost.services.exports.write import ExportReport
    from leanhost.services.exprs import Expr, Level, Name
    from leanhost.services.host import Host, open
    from leanhost.services.meta import MetaService
    from leanhost.services.meta_answers import (
        Failed,
        MetaOptions,
        MetaResponse,
        MetaUnsupported,
        Ok,
        TimeoutOrHeartbeat,
    )
    from leanhost.services.meta_program import LocalDecl, Meta
    from leanhost.services.options import DEFAULT_AXIOMS, ElabOptions
    from leanhost.services.positions import SourceView
    from leanhost.services.progress import ProgressEvent
    from leanhost.services.proof import ProofState
    from leanhost.services.proof_answers import Goal, Hypothesis, TacticFailure
    from leanhost.services.results import (
        CheckResult,
        CommandResult,
        Declared,
        Diagnostic,
        Limit,
        Position,
        Severity,
        Sorry,
        Status,
    )
    from leanhost.services.session import Session
    from leanhost.services.stats import SessionStats
    from leanhost.toolchain.faults import KnownFault
    from leanhost.toolchain.model import Toolchain
    from leanhost.workers import CheckItem, ComparatorConfig, Reference, WorkerPool, WorkerSession
    from leanhost.workers.free_list import MissReason
    from leanhost.workers.session_pool import PooledSession, PoolStats, SessionPool

__version__ = VERSION

__all__ = [
    "DEFAULT_AXIOMS",
    "BoundedText",
    "CancellationToken",
    "Cancelled",
    "CheckItem",
    "CheckResult",
    "Checked",
    "ClosedError",
    "CommandResult",
    "ComparatorConfig",
    "Declaration",
    "DeclarationService",
    "Declared",
    "Diagnostic",
    "ElabFailure",
    "ElabOptions",
    "ElaborationError",
    "EngineError",
    "EngineLost",
    "EngineStuck",
    "Evidence",
    "EvidenceStatus",
    "ExportReport",
    "Expr",
    "Failed",
    "ForeignHandleError",
    "FreshImportRefused",
    "Goal",
    "Host",
    "Hypothesis",
    "Import",
    "ImportFailed",
    "ImportRefused",
    "Inspection",
    "KernelOutcome",
    "KnownFault",
    "LeanError",
    "LeanHostError",
    "Level",
    "Limit",
    "LocalDecl",
    "MemoryRefused",
    "Meta",
    "MetaError",
    "MetaOptions",
    "MetaResponse",
    "MetaService",
    "MetaUnsupported",
    "MissReason",
    "Name",
    "NotReproduced",
    "ObjectTooLarge",
    "Ok",
    "OutOfMemory",
    "PoolClosed",
    "PoolStats",
    "PoolTimeout",
    "PooledSession",
    "Position",
    "ProgressEvent",
    "ProjectError",
    "ProofState",
    "ProofSummary",
    "Rank",
    "Reference",
    "Refused",
    "Rejected",
    "ReplayOpen",
    "ReplayRejected",
    "Replayed",
    "SandboxUnavailable",
    "Session",
    "SessionBusy",
    "SessionPool",
    "SessionReleased",
    "SessionStats",
    "Severity",
    "Sorry",
    "SourceRange",
    "SourceView",
    "Status",
    "TacticFailure",
    "Theorem",
    "TimeoutOrHeartbeat",
    "TooManyRequests",
    "Toolchain",
    "ToolchainCorrupt",
    "ToolchainError",
    "ToolchainInstallError",
    "ToolchainNotFound",
    "Unavailable",
    "Unsupported",
    "UnsupportedToolchain",
    "UsageError",
    "WorkerError",
    "WorkerPool",
    "WorkerSession",
    "WorkerStartError",
    "__version__",
    "open",
]

_ELSEWHERE = {
    "lean.core": ("Import",),
    "services.cancellation": ("CancellationToken",),
    "services.declarations": (
        "BoundedText", "Declaration", "DeclarationService", "Inspection", "Rank", "SourceRange",
    ),
    "services.evidence": (
        "Checked", "ElabFailure", "Evidence", "EvidenceStatus", "KernelOutcome", "ProofSummary", "Rejected",
        "Theorem", "Unavailable", "Unsupported",
    ),
    "services.exports.outcome": ("Refused", "ReplayOpen", "ReplayRejected", "Replayed"),
    "services.exports.write": ("ExportReport",),
    "services.exprs": ("Expr", "Level", "Name"),
    "services.host": ("Host", "open"),
    "services.meta": ("MetaService",),
    "services.meta_answers": (
        "Failed", "MetaOptions", "MetaResponse", "MetaUnsupported", "Ok", "TimeoutOrHeartbeat",
    ),
    "services.meta_program": ("LocalDecl", "Meta"),
    "services.options": ("DEFAULT_AXIOMS", "ElabOptions"),
    "services.positions": ("SourceView",),
    "services.progress": ("ProgressEvent",),
    "services.proof": ("ProofState",),
    "services.proof_answers": ("Goal", "Hypothesis", "TacticFailure"),
    "services.results": (
        "CheckResult", "CommandResult", "Declared", "Diagnostic", "Limit", "Position", "Severity", "Sorry",
        "Status",
    ),
    "services.session": ("Session",),
    "services.stats": ("SessionStats",),
    "toolchain.faults": ("KnownFault",),
    "toolchain.model": ("Toolchain",),
    "workers": ("CheckItem", "ComparatorConfig", "Reference", "WorkerPool", "WorkerSession"),
    "workers.free_list": ("MissReason",),
    "workers.session_pool": ("PoolStats", "PooledSession", "SessionPool"),
}  # fmt: skip
_HOME = {name: module for module, names in _ELSEWHERE.items() for name in names}


if not TYPE_CHECKING:  # or type checkers would take every misspelt name for an object

    def __getattr__(name: str) -> object:
        """Load a public name from the module that defines it (PEP 562)."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(importlib.import_module(f"{__name__}.{_HOME.get(name, 'errors')}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
