"""Axioms that are allowed only if they say what they are allowed to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leanhost.engine.expressions import ListOf
from leanhost.engine.values import Ref
from leanhost.errors import UsageError
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple, parse
from leanhost.services.kernel.equivalence import Statement
from leanhost.services.terms.elaborate import elaborate_terms, term_context
from leanhost.services.terms.meta_runner import MetaRunner
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.limits import CallContext
from leanhost.services.values.options import TypedAxiom
from leanhost.services.values.outcomes import ElabFailure


@dataclass(frozen=True, slots=True)
class Allowance:
    """An axiom that is allowed, with its type as a term."""

    name: NameTuple
    universes: tuple[NameTuple, ...]
    type: Ref

    @property
    def statement(self) -> Statement:
        """What it says."""
        return Statement(self.universes, self.type)

    def constant(self, lean: Lean) -> Constant:
        """The axiom as a constant of its own."""
        table = lean.table
        levels = ListOf([lean.name(universe) for universe in self.universes])
        header = table.constant_header(lean.name(self.name), levels, self.type)
        return Constant(self.name, "axiom", lean.engine.eval(table.axiom_info(header)))


def elaborated(
    meta: MetaRunner, axioms: Sequence[TypedAxiom], cancellation: CancellationToken | None = None
) -> list[Allowance]:
    """Elaborate the types of *axioms* in an environment that no candidate has touched.

    Raises :class:`~leanhost.errors.UsageError` for one that does not elaborate.
    """
    found: list[Allowance] = []
    for axiom in axioms:
        context = term_context((), (), axiom.universes, {})
        term = elaborate_terms(
            meta, [axiom.type], None, context, None, CallContext(cancellation=cancellation)
        )[0]
        if isinstance(term, ElabFailure):
            raise UsageError(f"the type of the allowed axiom {axiom.name} does not elaborate: {term.message}")
        universes = tuple(map(parse, axiom.universes))
        found.append(Allowance(parse(axiom.name), universes, meta.home.expr(term)))
    return found
