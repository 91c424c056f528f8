"""Answers of a proof state: its goals as text, and the failure of a tactic."""

from __future__ import annotations

from dataclasses import dataclass

from leanhost.errors import UsageError
from leanhost.services.values.results import Diagnostic, Limit


@dataclass(frozen=True, slots=True)
class TacticFailure:
    """A tactic did not apply; the state it was applied to is as good as before.

    ``limit`` is set when a limit stopped it. ``diagnostics`` are what the tactic logged, or where it does not parse.
    """

    message: str
    limit: Limit | None = None
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal: its hypotheses (oldest first), its target, its case tag, and all of it as Lean prints it.

    ``coupled`` lists the positions of other goals that share metavariables with this one.
    """

    target: str
    hypotheses: tuple[Hypothesis, ...]
    case: str | None
    pretty: str
    coupled: tuple[int, ...] = ()

    def __str__(self) -> str:
        return self.pretty


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A hypothesis, as text: its name, its type, its value for a ``let``, and its binder."""

    name: str
    type: str
    value: str | None
    binder: str


def check_goal(goal: int, goals: int) -> None:
    """Refuse a number that is not that of one of *goals* goals."""
    if isinstance(goal, bool) or not isinstance(goal, int) or not 0 <= goal < goals:
        raise UsageError(f"there is no goal {goal!r:.80}; {goals} remain, counted from 0")


def counted(goals: int) -> str:
    """Return a number of goals in words."""
    return "1 goal" if goals == 1 else f"{goals} goals"


def left_open(goals: int) -> str:
    """Say that a proof is not done."""
    return f"{counted(goals)} {'remains' if goals == 1 else 'remain'}"
