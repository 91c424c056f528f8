"""Axioms that are allowed only if they say what they are allowed to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leanhost.engine.base import Ref
from leanhost.engine.expressions import ListOf
from leanhost.errors import UsageError
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple, parse
from leanhost.services.cancellation import CancellationToken
from leanhost.services.evidence import ElabFailure
from leanhost.services.matching import Statement
from leanhost.services.meta import MetaService
from leanhost.services.options import TypedAxiom
from leanhost.services.terms import elaborate_terms, term_context


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
    meta: MetaService, axioms: Sequence[TypedAxiom], cancellation: CancellationToken | None = None
) -> list[Allowance]:
    """Elaborate the types of *axioms* in an environment that no candidate has touched.

    Raises :class:`~leanhost.errors.UsageError` for one that does not elaborate.
    """
    found: list[Allowance] = []
    for axiom in axioms:
        context = term_context((), (), axiom.universes, {})
        term = elaborate_terms(meta, [axiom.type], None, context, None, cancellation)[0]
        if isinstance(term, ElabFailure):
            raise UsageError(f"the type of the allowed axiom {axiom.name} does not elaborate: {term.message}")
        universes = tuple(map(parse, axiom.universes))
        found.append(Allowance(parse(axiom.name), universes, meta.home.expr(term)))
    return found
