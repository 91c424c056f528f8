"""Names of limits, and the context that keeps a call within them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg
from leanhost.lean.core import Lean
from leanhost.lean.tables import Table
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.progress import ProgressSink
from leanhost.services.values.results import Limit, Status
from leanhost.services.values.validate import seconds

WORDS: Mapping[Limit, str] = {
    Limit.TIMEOUT: "the wall-clock limit ran out",
    Limit.CANCELLED: "the caller cancelled",
    Limit.HEARTBEATS: "Lean's heartbeat limit ended the elaboration",
    Limit.REC_DEPTH: "Lean's recursion limit ended the elaboration",
    Limit.MEMORY: "the kernel ran into its memory limit",
}
"""What a limit that ended a call is called in messages."""


VERDICTS: Mapping[Limit, Status] = {
    Limit.TIMEOUT: Status.TIMEOUT,
    Limit.CANCELLED: Status.CANCELLED,
    Limit.MEMORY: Status.OUT_OF_MEMORY,
}
"""The verdict on a file where a limit left it open; ``rejected`` for the limits that the file itself can keep."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a caller gives along with one call: made once where the call begins, and passed on whole.

    Attributes:
        timeout: wall clock in seconds; ``None`` stands for the limit of the options the call runs under.
        cancellation: stops the call.
        progress: receives how far the call has come.
        file: what the source is called in diagnostics.
    """

    timeout: float | None = None
    cancellation: Cancellation = None
    progress: ProgressSink | None = None
    file: str = "<input>"

    def __post_init__(self) -> None:
        if self.timeout is not None:
            seconds("timeout", self.timeout)

    def guard(self, lean: Lean, options: ElabOptions) -> Guard:
        """Return a guard for the call, its clock started."""
        limit = options.timeout if self.timeout is None else self.timeout
        (token,) = lean.step(_new_token)()
        deadline = time.monotonic() + limit
        return Guard(token, deadline, options.grace, self.cancellation, sink=self.progress)


NO_CONTEXT: Final = CallContext()


def _new_token(table: Table) -> tuple[Arg, ...]:
    return (table.new_cancel_token(),)
