"""What the check of a whole source answers: a verdict from what was judged, or why it came to none."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from leanhost.services.kernel.judge import Judgement
from leanhost.services.values.limits import VERDICTS, WORDS
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.results import (
    CheckResult,
    CommandResult,
    Diagnostic,
    Limit,
    Position,
    Severity,
    Status,
)


@dataclass(frozen=True, slots=True)
class Check:
    """The check of *file* by the Lean that *toolchain* names, from the moment it is made."""

    file: str
    toolchain: str
    caveat: str = ""
    """What an accepting verdict of that Lean has to say in any case."""
    started: float = field(default_factory=time.monotonic)

    def refused(self, diagnostics: tuple[Diagnostic, ...]) -> CheckResult:
        """Answer for a source that could not be read or whose imports are not there."""
        reasons = tuple(d.message for d in diagnostics if d.is_error)
        return CheckResult(self.file, Status.REJECTED, diagnostics, reasons=reasons, toolchain=self.toolchain)

    def cancelled(self, diagnostics: tuple[Diagnostic, ...] = ()) -> CheckResult:
        """Answer for a check that was cancelled before its source was elaborated."""
        return CheckResult(
            self.file,
            Status.CANCELLED,
            diagnostics,
            reasons=(WORDS[Limit.CANCELLED],),
            elapsed=time.monotonic() - self.started,
            toolchain=self.toolchain,
        )

    def judged(
        self,
        header: tuple[Diagnostic, ...],
        result: CommandResult,
        judgement: Judgement,
        options: ElabOptions,
    ) -> CheckResult:
        """Answer with the verdict on what was elaborated under *options*; *header* is what the header gave rise to."""
        reasons = [failure.message for failure in judgement.failures]
        match judgement.open:
            case Limit() as limit if limit in VERDICTS:
                status = VERDICTS[limit]
                reasons.insert(0, WORDS[limit])
            case _ if judgement.unsupported:
                status = Status.UNSUPPORTED
                reasons.insert(0, judgement.unsupported)
            case _:
                status = Status.REJECTED if judgement.failures else Status.ACCEPTED
        accepted = status is Status.ACCEPTED
        return CheckResult(
            file=self.file,
            status=status,
            diagnostics=(*header, *result.diagnostics, *self._left_out(result, options)),
            theorems=tuple(judgement.theorems),
            sorries=result.sorries,
            reasons=tuple(reasons),
            elapsed=time.monotonic() - self.started,
            toolchain=self.toolchain,
            caveats=(*judgement.caveats, *([self.caveat] if accepted and self.caveat else [])),
        )

    def _left_out(self, result: CommandResult, options: ElabOptions) -> tuple[Diagnostic, ...]:
        """Say that there was more to say, if there was."""
        if Limit.DIAGNOSTIC_BYTES not in result.limits:
            return ()
        where = result.diagnostics[-1].position if result.diagnostics else Position(1, 0)
        message = (
            f"there are more than {options.diagnostic_bytes} bytes of messages: some were cut or left out"
        )
        return (Diagnostic(Severity.WARNING, message, where, None, self.file, "leanhost.elab.left_out"),)
