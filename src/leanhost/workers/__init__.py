"""Isolated workers: sources checked in processes that can be killed, crash or run away without harm to others.

Names are loaded when they are first used: a worker process needs little of what its pool does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leanhost.workers.batch.batch import CheckProgress
    from leanhost.workers.pool import WorkerPool
    from leanhost.workers.remote.declarations import WorkerDeclarations
    from leanhost.workers.remote.meta import WorkerMeta
    from leanhost.workers.remote.proofs import ProofStep, WorkerProofState
    from leanhost.workers.remote.session import WorkerSession
    from leanhost.workers.remote.sources import WorkerSourceView
    from leanhost.workers.remote.terms import MetaAnswer, TermText
    from leanhost.workers.values.comparator import ComparatorConfig
    from leanhost.workers.values.file_replay import FileReplay
    from leanhost.workers.values.items import CheckItem, Reference
    from leanhost.workers.values.kernel_answers import KernelAnswer
    from leanhost.workers.values.stats import LATENCY_BOUNDS_S, WorkerStats
    from leanhost.workers.values.verification import Refusal, Verification

__all__ = [
    "LATENCY_BOUNDS_S",
    "CheckItem",
    "CheckProgress",
    "ComparatorConfig",
    "FileReplay",
    "KernelAnswer",
    "MetaAnswer",
    "ProofStep",
    "Reference",
    "Refusal",
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
    "LATENCY_BOUNDS_S": "values.stats",
    "CheckItem": "values.items",
    "CheckProgress": "batch.batch",
    "ComparatorConfig": "values.comparator",
    "FileReplay": "values.file_replay",
    "KernelAnswer": "values.kernel_answers",
    "MetaAnswer": "remote.terms",
    "Reference": "values.items",
    "Refusal": "values.verification",
    "ProofStep": "remote.proofs",
    "TermText": "remote.terms",
    "Verification": "values.verification",
    "WorkerDeclarations": "remote.declarations",
    "WorkerMeta": "remote.meta",
    "WorkerPool": "pool",
    "WorkerProofState": "remote.proofs",
    "WorkerSession": "remote.session",
    "WorkerSourceView": "remote.sources",
    "WorkerStats": "values.stats",
}


def __getattr__(name: str) -> object:
    """Load a public name from the module that defines it (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
