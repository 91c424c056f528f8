"""Where evidence that came from a worker is from: what another worker makes it again from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from msgspec import Struct

from leanhost.lean.core import Import
from leanhost.services.values.outcomes import Checked, KernelOutcome


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a worker makes evidence again from."""

    imports: tuple[Import, ...]
    grown: tuple[tuple[str, str], ...]
    made: Struct
    """A source, or a proof, and the axioms that were allowed."""
    index: int
    """Which of the evidence it was."""


def with_provenance(
    imports: tuple[Import, ...],
    grown: tuple[tuple[str, str], ...],
    made: Struct,
    outcome: KernelOutcome,
) -> KernelOutcome:
    """Return *outcome* with evidence that says what it was made from."""
    if not isinstance(outcome, Checked) or not outcome.all:
        return outcome
    every = tuple(
        replace(evidence, _provenance=Provenance(imports, grown, made, index))
        for index, evidence in enumerate(outcome.all)
    )
    return Checked(replace(outcome.evidence, _provenance=every[-1]._provenance), every)
