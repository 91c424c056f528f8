"""What the states of one proof share: the limits they run under, and how their tactics are read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg
from leanhost.engine.values import Ref, Thrown
from leanhost.errors import MetaError
from leanhost.lean.core import Constant
from leanhost.lean.monads import Contexts
from leanhost.lean.names import NameTuple
from leanhost.lean.tables import Table
from leanhost.services.elaboration.commands import parser_diagnostic
from leanhost.services.proofs.answers import TacticFailure
from leanhost.services.terms.elaborate import is_short
from leanhost.services.terms.meta_answers import Failed, MetaOptions, MetaUnsupported, within
from leanhost.services.terms.meta_runner import MetaRunner
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.results import Diagnostic, Position
from leanhost.services.values.text import position

if TYPE_CHECKING:
    from leanhost.services.values.outcomes import KernelOutcome

T = TypeVar("T")

FILE = "<tactic>"
"""The label of a tactic's text in what Lean says about it."""

_BLOCK = "(\n"
"""What stands before the tactics of a block."""
_END = "expected end of input"


@dataclass(frozen=True, slots=True)
class Parsed:
    """The syntax of a tactic's text, and how many bytes were put before that text."""

    syntax: Ref
    before: int


class Prover:
    """What the states of one proof share: the contexts they run in and the statement."""

    def __init__(
        self,
        meta: MetaRunner,
        options: MetaOptions,
        finish: Callable[[list[Constant], Ref, Guard, Collection[str]], KernelOutcome],
        known: frozenset[NameTuple],
    ) -> None:
        self.meta = meta
        self.lean = meta.lean
        self.options = options
        self.judge = finish
        self.known = known
        self.statement: Arg = 0
        """The type to be proved, from before any tactic ran."""

    def guarded(
        self,
        what: str,
        work: Callable[[Contexts, Guard], T],
        cancellation: CancellationToken | None = None,
        texts: Sequence[str] = (),
        *,
        timeout: float | None = None,
    ) -> T:
        """Run *work* under the proof's limits, with another *timeout* if one is given; *texts* are what it parses.

        Raises :class:`~leanhost.services.values.lifecycle.NotStarted` when *cancellation* came first, and
        :class:`~leanhost.errors.MetaError` for what Lean throws and *work* does not expect.
        """

        def inside(contexts: Contexts, guard: Guard) -> T:
            try:
                return work(contexts, guard)
            except Thrown as thrown:
                failure = self.failed(thrown, guard)
                raise MetaError(failure.message, limit=failure.limit) from None

        with self.meta.owner.calling(what, cancellation):
            brief = all(map(is_short, texts))
            options = within(self.options, timeout) or self.options
            return self.meta.supervised(inside, options, cancellation, brief=brief)

    def failed(self, thrown: Thrown, guard: Guard) -> TacticFailure:
        """Return what *thrown* means for the tactic or the statement that was run under *guard*."""
        match self.meta.failure(thrown, guard, self.options.diagnostic_bytes):
            case Failed(message) | MetaUnsupported(message):
                return TacticFailure(message)
            case stopped:
                return TacticFailure(f"a limit was hit: {stopped.limit}", stopped.limit)

    def parse(self, env: Ref, text: str) -> Parsed | TacticFailure:
        """Parse a tactic, or several on lines or with ``;``; or return Lean's objection."""
        lean = self.lean
        category = lean.name(("tactic",))
        # Lines end tactics only inside a block, and a single tactic is cheaper without one.
        tries = [_BLOCK] if "\n" in text.strip() else ["", _BLOCK]
        objections: list[Diagnostic] = []
        for before in tries:
            whole = f"{before}{text}\n)" if before else text
            try:
                return Parsed(lean.step(_parse)(env, category, whole)[0], len(before))
            except Thrown as thrown:
                said = str(lean.engine.dump(thrown.error))
                objections.append(_objection(said, text, before.count("\n")))
        # On its own a tactic ends where the second one of a block begins; a `)` too many ends the block itself.
        first, last = objections[0], objections[-1]
        further = _place(last) > _place(first) and last.message != _END
        return unparsed(last if further else first)


def _objection(said: str, text: str, lines: int) -> Diagnostic:
    """Return an objection to *text* behind so many lines; no further than its end."""
    found, end = parser_diagnostic(said, FILE), position(text, len(text))
    line = max(1, found.position.line - lines)
    line, column = min((line, found.position.column), (end.line, end.column))
    return replace(found, position=Position(line, column))


def _place(found: Diagnostic) -> tuple[int, int]:
    return found.position.line, found.position.column


def unparsed(fault: Diagnostic) -> TacticFailure:
    """Return what becomes of a text that does not parse."""
    return TacticFailure(f"{fault.file}:{fault.position}: {fault.message}", None, (fault,))


def _parse(table: Table, env: Arg, category: Arg, text: Arg) -> tuple[Arg, ...]:
    return (table.parse_category(env, category, text, FILE),)
