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
    from leanhost.pool.free_list import MissReason
    from leanhost.pool.session_pool import PooledSession, PoolStats, SessionPool
    from leanhost.services.declarations.service import (
        BoundedText,
        Declaration,
        DeclarationService,
        Inspection,
        Rank,
        SourceRange,
    )
    from leanhost.services.elaboration.source_view import SourceView
    from leanhost.services.exports.read.outcome import Refused, Replayed, ReplayOpen, ReplayRejected
    from leanhost.services.exports.write.export import ExportReport
    from leanhost.services.proofs.answers import Goal, Hypothesis, TacticFailure
    from leanhost.services.proofs.proof_state import ProofState
    from leanhost.services.session.host import Host, open
    from leanhost.services.session.session import Session
    from leanhost.services.terms.expr import Expr, Level, Name
    from leanhost.services.terms.meta import MetaService
    from leanhost.services.terms.meta_answers import (
        Failed,
        MetaOptions,
        MetaResponse,
        MetaUnsupported,
        Ok,
        TimeoutOrHeartbeat,
    )
    from leanhost.services.terms.meta_program import LocalDecl, Meta
    from leanhost.services.values.cancellation import CancellationToken
    from leanhost.services.values.options import DEFAULT_AXIOMS, ElabOptions
    from leanhost.services.values.outcomes import (
        Checked,
        ElabFailure,
        Evidence,
        EvidenceStatus,
        KernelOutcome,
        ProofSummary,
        Rejected,
        Unavailable,
        Unsupported,
    )
    from leanhost.services.values.progress import ProgressEvent
    from leanhost.services.values.results import (
        CheckResult,
        CommandResult,
        Declared,
        Diagnostic,
        Limit,
        Position,
        Severity,
        Sorry,
        Status,
        Theorem,
    )
    from leanhost.services.values.stats import SessionStats
    from leanhost.toolchain.faults import KnownFault
    from leanhost.toolchain.model import Toolchain
    from leanhost.workers import CheckItem, ComparatorConfig, Reference, WorkerPool, WorkerSession

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
    "services.values.cancellation": ("CancellationToken",),
    "services.declarations.service": (
        "BoundedText", "Declaration", "DeclarationService", "Inspection", "Rank", "SourceRange",
    ),
    "services.values.outcomes": (
        "Checked", "ElabFailure", "Evidence", "EvidenceStatus", "KernelOutcome", "ProofSummary", "Rejected",
        "Unavailable", "Unsupported",
    ),
    "services.exports.read.outcome": ("Refused", "ReplayOpen", "ReplayRejected", "Replayed"),
    "services.exports.write.export": ("ExportReport",),
    "services.terms.expr": ("Expr", "Level", "Name"),
    "services.session.host": ("Host", "open"),
    "services.terms.meta": ("MetaService",),
    "services.terms.meta_answers": (
        "Failed", "MetaOptions", "MetaResponse", "MetaUnsupported", "Ok", "TimeoutOrHeartbeat",
    ),
    "services.terms.meta_program": ("LocalDecl", "Meta"),
    "services.values.options": ("DEFAULT_AXIOMS", "ElabOptions"),
    "services.elaboration.source_view": ("SourceView",),
    "services.values.progress": ("ProgressEvent",),
    "services.proofs.proof_state": ("ProofState",),
    "services.proofs.answers": ("Goal", "Hypothesis", "TacticFailure"),
    "services.values.results": (
        "CheckResult", "CommandResult", "Declared", "Diagnostic", "Limit", "Position", "Severity", "Sorry",
        "Status", "Theorem",
    ),
    "services.session.session": ("Session",),
    "services.values.stats": ("SessionStats",),
    "toolchain.faults": ("KnownFault",),
    "toolchain.model": ("Toolchain",),
    "workers": ("CheckItem", "ComparatorConfig", "Reference", "WorkerPool", "WorkerSession"),
    "pool.free_list": ("MissReason",),
    "pool.session_pool": ("PoolStats", "PooledSession", "SessionPool"),
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
