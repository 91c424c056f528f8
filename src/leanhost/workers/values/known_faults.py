"""What a verdict says about published faults of the Lean that gave it, and whether it is given at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from leanhost.services.values.results import CheckResult, Diagnostic, Position, Severity, Status
from leanhost.toolchain.faults import caveat, is_caveat, known_faults, uncovered
from leanhost.workers.values.file_replay import FileReplay
from leanhost.workers.values.verification import Refusal, Verification

Policy: TypeAlias = Literal["tell", "refuse"]
"""What becomes of a verdict that a known fault could have made wrong: it says so, or it is not given."""

POLICIES: tuple[Policy, ...] = ("tell", "refuse")
CODE = "known-faults"
KIND = "leanhost.known_faults"


@dataclass(frozen=True, slots=True)
class FaultNotice:
    """What is said about the verdicts of one Lean, and under which policy.

    ``agreed`` are the versions of other Lean kernels that accepted the same: a fault that one of them does not have
    is covered.
    """

    version: str
    platform: str
    policy: Policy

    def line(self, agreed: Collection[str] = (), *, exported: bool) -> str:
        """Return the caveat, ``""`` for none; *exported* when what the kernel was given came from an export."""
        found = known_faults(self.version, self.platform)
        faults = (fault for fault in found if fault.exported or not exported)
        return caveat(self.version, uncovered(faults, agreed))

    def on_check(self, result: CheckResult, agreed: Collection[str] = ()) -> CheckResult:
        """Return an accepted check with its caveat, or refused; any other as it is."""
        if result.status is not Status.ACCEPTED:
            return result
        line = self.line(agreed, exported=False)
        result = replace(result, caveats=_with(result.caveats, line))
        if not line or self.policy == "tell":
            return result
        fault = Diagnostic(Severity.ERROR, _refused(line), Position(1, 0), None, result.file, KIND)
        return replace(
            result,
            status=Status.REFUSED,
            diagnostics=(*result.diagnostics, fault),
            reasons=(fault.message,),
        )

    def on_verification(self, verification: Verification, agreed: Collection[str] = ()) -> Verification:
        """Return an accepted verification with its caveat, or refused; any other as it is."""
        if verification.status is not Status.ACCEPTED:
            return verification
        line = self.line(agreed, exported=True)
        verification = replace(verification, caveats=_with(verification.caveats, line))
        if not line or self.policy == "tell":
            return verification
        return replace(verification, status=Status.REFUSED, refusals=(Refusal(CODE, "", _refused(line)),))

    def on_replay(self, replay: FileReplay) -> FileReplay:
        """Return an accepted replay with its caveat, or refused; any other as it is."""
        if replay.status is not Status.ACCEPTED:
            return replay
        line = self.line(exported=True)
        replay = replace(replay, caveats=_with(replay.caveats, line))
        if not line or self.policy == "tell":
            return replay
        return replace(replay, status=Status.REFUSED, code=CODE, message=_refused(line))


def _with(caveats: Iterable[str], line: str) -> tuple[str, ...]:
    """Return *caveats* with *line* in the place of what the worker said about itself."""
    return (*(said for said in caveats if not is_caveat(said)), *([line] if line else []))


def _refused(line: str) -> str:
    return f"no verdict: {line}"
