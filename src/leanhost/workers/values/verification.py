"""``verify``: does a candidate prove exactly what a reference states?"""

from __future__ import annotations

from dataclasses import dataclass

from leanhost.services.values.results import CheckResult, Status
from leanhost.workers.values.kernel_answers import KernelAnswer, Said


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a candidate does not prove its reference.

    ``code`` is ``reference``, ``elaboration``, ``missing``, ``kind``, ``statement``, ``definition``,
    ``noncomputable``, ``library``, ``axiom``, ``sorry``, ``kernel``, ``export``, ``kernels-disagree`` or ``limit``;
    ``name`` the declaration it is about, or ``""``.
    """

    code: str
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge found: why the candidate is refused, or the holes it filled and the theorems it disproves."""

    refusals: tuple[Refusal, ...]
    holes: tuple[str, ...] = ()
    disproved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judge answers: its judgement, and what it says of what it accepted, where other kernels are asked."""

    judgement: Judgement
    said: Said | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of a candidate.

    ``verified`` only if a process that ran none of its code accepted its exported declarations with the kernel,
    and found every theorem of the reference among them under the same name, saying the same, over the same
    definitions, and resting on allowed axioms only. ``from_scratch`` says what the kernel began with: nothing,
    so that the library went through it too, or an import of the library of its own. ``status`` is ``accepted``
    then, ``rejected`` when ``refusals`` say why not, and otherwise what became of the process that was working.
    ``candidate`` says how the candidate's elaboration ended: its status, and diagnostics where it was refused; its
    theorems, axioms and time are not told.

    ``holes`` are the definitions that the reference left open and the candidate filled, by their names in the
    reference; whether a filling is what was meant is for you to read. ``disproved`` are the theorems that were asked
    for with ``disproofs`` and answered by their negations: ``status`` is ``accepted`` then, and ``verified`` false.

    ``kernels`` are the answers of all kernels to what the judge accepted, its own first: in a proof, all of them
    accepted it. ``caveats`` say what a verdict does not cover.
    """

    status: Status
    refusals: tuple[Refusal, ...]
    candidate: CheckResult
    from_scratch: bool = False
    kernels: tuple[KernelAnswer, ...] = ()
    caveats: tuple[str, ...] = ()
    """What the verdict could not see: published faults of the Lean that gave it, of which no other kernel is free."""
    holes: tuple[str, ...] = ()
    disproved: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """Whether the candidate proves every theorem of the reference."""
        return self.status is Status.ACCEPTED and not self.disproved
