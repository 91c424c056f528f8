"""The limits a call can run into: one enumeration for every result, error and floor."""

from __future__ import annotations

from enum import StrEnum


class Limit(StrEnum):
    """A limit that was hit."""

    TIMEOUT = "timeout"
    """The wall clock ran out; the call was stopped, and what follows was not looked at."""
    CANCELLED = "cancelled"
    """The caller cancelled."""
    HEARTBEATS = "heartbeats"
    """Lean's deterministic time-out (``maxHeartbeats``) ended at least one declaration."""
    REC_DEPTH = "rec_depth"
    """``maxRecDepth``, or the kernel's stack, ended at least one declaration."""
    MEMORY = "memory"
    """The kernel ran into its memory limit (``Lean.Kernel.Exception.excessiveMemory``)."""
    DIAGNOSTIC_BYTES = "diagnostic_bytes"
    """More diagnostics were produced than were asked for; the rest was dropped."""
