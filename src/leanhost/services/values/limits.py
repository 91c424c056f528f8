"""What a limit is called, and the guard that keeps a call within its limits."""

from __future__ import annotations

import time
from collections.abc import Mapping

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg
from leanhost.lean.core import Lean
from leanhost.lean.tables import Table
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.progress import ProgressSink
from leanhost.services.values.results import Limit

WHY_LIMITS = {"deadline": Limit.TIMEOUT, "cancelled": Limit.CANCELLED, "interrupt": Limit.CANCELLED}
"""The limit behind each reason of :attr:`~leanhost.engine.base.Guard.why`."""


WORDS: Mapping[Limit, str] = {
    Limit.TIMEOUT: "the wall-clock limit ran out",
    Limit.CANCELLED: "the caller cancelled",
    Limit.HEARTBEATS: "Lean's heartbeat limit ended the elaboration",
    Limit.REC_DEPTH: "Lean's recursion limit ended the elaboration",
}
"""What a limit that ended a call is called in messages."""


def new_guard(
    lean: Lean,
    options: ElabOptions,
    timeout: float | None,
    cancellation: Cancellation,
    progress: ProgressSink | None = None,
) -> Guard:
    """Return a guard for one call, its clock started."""
    seconds = options.timeout if timeout is None else timeout
    (token,) = lean.step(_new_token)()
    return Guard(token, time.monotonic() + seconds, options.grace, cancellation, sink=progress)


def _new_token(table: Table) -> tuple[Arg, ...]:
    return (table.new_cancel_token(),)
