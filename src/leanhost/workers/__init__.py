"""Isolated workers: sources checked in processes that can be killed, crash or run wild at nobody else's cost.

Names are loaded when they are first used: a worker process needs little of what its pool does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leanhost.workers.comparator import ComparatorConfig
    from leanhost.workers.compare import Refusal
    from leanhost.workers.items import CheckItem, Reference
    from leanhost.workers.kernels.answers import KernelAnswer
    from leanhost.workers.pool import WorkerPool
    from leanhost.workers.remote_declarations import WorkerDeclarations
    from leanhost.workers.remote_meta import WorkerMeta
    from leanhost.workers.remote_proofs import Step, WorkerProofState
    from leanhost.workers.remote_sources import WorkerSourceView
    from leanhost.workers.remote_terms import MetaAnswer, TermText
    from leanhost.workers.replay_file import FileReplay
    from leanhost.workers.sessions import WorkerSession
    from leanhost.workers.stats import WorkerStats
    from leanhost.workers.stream import CheckProgress
    from leanhost.workers.verification import Verification

__all__ = [
    "CheckItem",
    "CheckProgress",
    "ComparatorConfig",
    "FileReplay",
    "KernelAnswer",
    "MetaAnswer",
    "Reference",
    "Refusal",
    "Step",
    "TermText",
    "Verification",
    "WorkerDeclarations",
    "WorkerMeta",
    "WorkerPool",
    "WorkerProofState",
    "WorkerSession",
    "WorkerSourceView",
    "WorkerStats",
]

_HOME = {
    "CheckItem": "items",
    "CheckProgress": "stream",
    "ComparatorConfig": "comparator",
    "FileReplay": "replay_file",
    "KernelAnswer": "kernels.answers",
    "MetaAnswer": "remote_terms",
    "Reference": "items",
    "Refusal": "compare",
    "Step": "remote_proofs",
    "TermText": "remote_terms",
    "Verification": "verification",
    "WorkerDeclarations": "remote_declarations",
    "WorkerMeta": "remote_meta",
    "WorkerPool": "pool",
    "WorkerProofState": "remote_proofs",
    "WorkerSession": "sessions",
    "WorkerSourceView": "remote_sources",
    "WorkerStats": "stats",
}


def __getattr__(name: str) -> object:
    """Load a public name from the module that defines it (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
