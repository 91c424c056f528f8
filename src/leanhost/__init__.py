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
    from leanhost.lean.monads import Saved
    from leanhost.limit import Limit
    from leanhost.pool.free_list import MissReason
    from leanhost.pool.session_pool import PooledSession, PoolStats, SessionPool
    from leanhost.services.declarations.declaration import Declaration
    from leanhost.services.declarations.decode import Axioms, SourceRange
    from leanhost.services.declarations.search import Listed, Rank, SearchMatch
    from leanhost.services.declarations.service import BoundedText, DeclarationService, Inspection
    from leanhost.services.elaboration.source_view import SourceView, TypeAt
    from leanhost.services.exports.read.lines import MAX_EXPORT_BYTES
    from leanhost.services.exports.read.outcome import (
        Refused,
        Replayed,
        ReplayedTheorem,
        ReplayOpen,
        ReplayOutcome,
        ReplayRejected,
    )
    from leanhost.services.exports.write.export import ExportReport
    from leanhost.services.kernel.equivalence import Match
    from leanhost.services.opening.selftest import SelfTestReport, SelfTestStep, self_test
    from leanhost.services.opening.selftest_cache import self_test_passed
    from leanhost.services.proofs.answers import Goal, Hypothesis, TacticFailure
    from leanhost.services.proofs.proof_state import ProofState
    from leanhost.services.session.host import Host
    from leanhost.services.session.host import open as open
    from leanhost.services.session.session import Session
    from leanhost.services.terms.builder import ExprBuilder
    from leanhost.services.terms.expr import (
        App,
        BVar,
        Const,
        Expr,
        ExprView,
        Forall,
        FVar,
        Lam,
        Let,
        Level,
        Lit,
        MData,
        MVar,
        Name,
        NameLike,
        Proj,
        Sort,
    )
    from leanhost.services.terms.meta import MetaService
    from leanhost.services.terms.meta_answers import (
        Failed,
        MetaOptions,
        MetaResponse,
        MetaUnsupported,
        Ok,
        TimeoutOrHeartbeat,
    )
    from leanhost.services.terms.meta_program import Attempt, LocalDecl, Meta
    from leanhost.services.values.cancellation import Cancellation, CancellationToken
    from leanhost.services.values.options import DEFAULT_AXIOMS, ElabOptions
    from leanhost.services.values.outcomes import (
        Checked,
        ElabFailure,
        Evidence,
        EvidenceStatus,
        FailureCode,
        KernelOutcome,
        ProofSummary,
        Rejected,
        Unavailable,
        Unsupported,
    )
    from leanhost.services.values.progress import ProgressEvent, ProgressSink
    from leanhost.services.values.results import (
        CheckResult,
        CommandResult,
        Declared,
        Diagnostic,
        Position,
        Severity,
        Sorry,
        Status,
        Theorem,
    )
    from leanhost.services.values.stats import OperationStats, SessionStats
    from leanhost.services.values.text import MAX_SOURCE_BYTES, decode_source
    from leanhost.toolchain.faults import KNOWN_FAULTS, KNOWN_FAULTS_AS_OF, KnownFault
    from leanhost.toolchain.model import Finding, Toolchain
    from leanhost.workers import (
        LATENCY_BOUNDS_S,
        CheckItem,
        CheckProgress,
        ComparatorConfig,
        FileReplay,
        KernelAnswer,
        MetaAnswer,
        ProofStep,
        Reference,
        Refusal,
        TermText,
        Verification,
        WorkerDeclarations,
        WorkerMeta,
        WorkerPool,
        WorkerProofState,
        WorkerSession,
        WorkerSourceView,
        WorkerStats,
    )
    from leanhost.workers.metrics import PoolCollector as PoolCollector

__version__ = VERSION

__all__ = [
    "DEFAULT_AXIOMS",
    "KNOWN_FAULTS",
    "KNOWN_FAULTS_AS_OF",
    "LATENCY_BOUNDS_S",
    "MAX_EXPORT_BYTES",
    "MAX_SOURCE_BYTES",
    "App",
    "Attempt",
    "Axioms",
    "BVar",
    "BoundedText",
    "Cancellation",
    "CancellationToken",
    "Cancelled",
    "CheckItem",
    "CheckProgress",
    "CheckResult",
    "Checked",
    "ClosedError",
    "CommandResult",
    "ComparatorConfig",
    "Const",
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
    "ExprBuilder",
    "ExprView",
    "FVar",
    "Failed",
    "FailureCode",
    "FileReplay",
    "Finding",
    "Forall",
    "ForeignHandleError",
    "FreshImportRefused",
    "Goal",
    "Host",
    "Hypothesis",
    "Import",
    "ImportFailed",
    "ImportRefused",
    "Inspection",
    "KernelAnswer",
    "KernelOutcome",
    "KnownFault",
    "Lam",
    "LeanError",
    "LeanHostError",
    "Let",
    "Level",
    "Limit",
    "Listed",
    "Lit",
    "LocalDecl",
    "MData",
    "MVar",
    "Match",
    "MemoryRefused",
    "Meta",
    "MetaAnswer",
    "MetaError",
    "MetaOptions",
    "MetaResponse",
    "MetaService",
    "MetaUnsupported",
    "MissReason",
    "Name",
    "NameLike",
    "NotReproduced",
    "ObjectTooLarge",
    "Ok",
    "OperationStats",
    "OutOfMemory",
    "PoolClosed",
    "PoolStats",
    "PoolTimeout",
    "PooledSession",
    "Position",
    "ProgressEvent",
    "ProgressSink",
    "Proj",
    "ProjectError",
    "ProofState",
    "ProofStep",
    "ProofSummary",
    "Rank",
    "Reference",
    "Refusal",
    "Refused",
    "Rejected",
    "ReplayOpen",
    "ReplayOutcome",
    "ReplayRejected",
    "Replayed",
    "ReplayedTheorem",
    "SandboxUnavailable",
    "Saved",
    "SearchMatch",
    "SelfTestReport",
    "SelfTestStep",
    "Session",
    "SessionBusy",
    "SessionPool",
    "SessionReleased",
    "SessionStats",
    "Severity",
    "Sorry",
    "Sort",
    "SourceRange",
    "SourceView",
    "Status",
    "TacticFailure",
    "TermText",
    "Theorem",
    "TimeoutOrHeartbeat",
    "TooManyRequests",
    "Toolchain",
    "ToolchainCorrupt",
    "ToolchainError",
    "ToolchainInstallError",
    "ToolchainNotFound",
    "TypeAt",
    "Unavailable",
    "Unsupported",
    "UnsupportedToolchain",
    "UsageError",
    "Verification",
    "WorkerDeclarations",
    "WorkerError",
    "WorkerMeta",
    "WorkerPool",
    "WorkerProofState",
    "WorkerSession",
    "WorkerSourceView",
    "WorkerStartError",
    "WorkerStats",
    "__version__",
    "decode_source",
    "self_test",
    "self_test_passed",
]

# Public as well, but not for `from leanhost import *`: the first would hide the builtin, the second needs an extra.
_UNSTARRED = {"open": "services.session.host", "PoolCollector": "workers.metrics"}

_ELSEWHERE = {
    "lean.core": ("Import",),
    "lean.monads": ("Saved",),
    "limit": ("Limit",),
    "pool.free_list": ("MissReason",),
    "pool.session_pool": ("PoolStats", "PooledSession", "SessionPool"),
    "services.declarations.declaration": ("Declaration",),
    "services.declarations.decode": ("Axioms", "SourceRange"),
    "services.declarations.search": ("Listed", "Rank", "SearchMatch"),
    "services.declarations.service": ("BoundedText", "DeclarationService", "Inspection"),
    "services.elaboration.source_view": ("SourceView", "TypeAt"),
    "services.exports.read.lines": ("MAX_EXPORT_BYTES",),
    "services.exports.read.outcome": (
        "Refused", "ReplayOpen", "ReplayOutcome", "ReplayRejected", "Replayed", "ReplayedTheorem",
    ),
    "services.exports.write.export": ("ExportReport",),
    "services.kernel.equivalence": ("Match",),
    "services.opening.selftest": ("SelfTestReport", "SelfTestStep", "self_test"),
    "services.opening.selftest_cache": ("self_test_passed",),
    "services.proofs.answers": ("Goal", "Hypothesis", "TacticFailure"),
    "services.proofs.proof_state": ("ProofState",),
    "services.session.host": ("Host", "open"),
    "services.session.session": ("Session",),
    "services.terms.builder": ("ExprBuilder",),
    "services.terms.expr": (
        "App", "BVar", "Const", "Expr", "ExprView", "FVar", "Forall", "Lam", "Let", "Level", "Lit", "MData",
        "MVar", "Name", "NameLike", "Proj", "Sort",
    ),
    "services.terms.meta": ("MetaService",),
    "services.terms.meta_answers": (
        "Failed", "MetaOptions", "MetaResponse", "MetaUnsupported", "Ok", "TimeoutOrHeartbeat",
    ),
    "services.terms.meta_program": ("Attempt", "LocalDecl", "Meta"),
    "services.values.cancellation": ("Cancellation", "CancellationToken"),
    "services.values.options": ("DEFAULT_AXIOMS", "ElabOptions"),
    "services.values.outcomes": (
        "Checked", "ElabFailure", "Evidence", "EvidenceStatus", "FailureCode", "KernelOutcome",
        "ProofSummary", "Rejected", "Unavailable", "Unsupported",
    ),
    "services.values.progress": ("ProgressEvent", "ProgressSink"),
    "services.values.results": (
        "CheckResult", "CommandResult", "Declared", "Diagnostic", "Position", "Severity", "Sorry", "Status",
        "Theorem",
    ),
    "services.values.stats": ("OperationStats", "SessionStats"),
    "services.values.text": ("MAX_SOURCE_BYTES", "decode_source"),
    "toolchain.faults": ("KNOWN_FAULTS", "KNOWN_FAULTS_AS_OF", "KnownFault"),
    "toolchain.model": ("Finding", "Toolchain"),
    "workers": (
        "CheckItem", "CheckProgress", "ComparatorConfig", "FileReplay", "KernelAnswer", "LATENCY_BOUNDS_S",
        "MetaAnswer",
        "ProofStep", "Reference", "Refusal", "TermText", "Verification", "WorkerDeclarations", "WorkerMeta",
        "WorkerPool", "WorkerProofState", "WorkerSession", "WorkerSourceView", "WorkerStats",
    ),
}  # fmt: skip
_HOME = {name: module for module, names in _ELSEWHERE.items() for name in names} | _UNSTARRED


if not TYPE_CHECKING:  # or type checkers would take every misspelt name for an object

    def __getattr__(name: str) -> object:
        """Load a public name from the module that defines it (PEP 562)."""
        if name not in __all__ and name not in _UNSTARRED:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(importlib.import_module(f"{__name__}.{_HOME.get(name, 'errors')}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__, *_UNSTARRED})
