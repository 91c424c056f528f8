"""A declaration: its name and kind, and fields that are asked of Lean when they are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from leanhost.engine.expressions import Arg, ArrayOf, Index
from leanhost.engine.values import Ref
from leanhost.lean.core import Lean
from leanhost.services.declarations.decode import Axioms, SourceRange
from leanhost.services.terms.expr import Expr, Name
from leanhost.services.values.cancellation import Cancellation

Load: TypeAlias = "Callable[[Sequence[str], Lookup, Sequence[Declaration | None], Cancellation], None]"
"""Asks Lean for fields of the declarations that a lookup found, and puts the answers into their caches."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Names that were looked up together, and what was found for each."""

    lean: Lean
    load: Load
    names: Ref
    found: Ref

    def one(self, index: int) -> Lookup:
        """Return the lookup of one item."""
        parts: list[Arg] = [ArrayOf((Index(self.names, index),)), ArrayOf((Index(self.found, index),))]
        return Lookup(self.lean, self.load, *self.lean.engine.eval_all(parts))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Declaration:
    """A declaration of an environment.

    Its name and kind are at hand; every other field is asked of Lean when it is first read, or before that and
    for many at once by ``get_many(names, fields=...)``. Two declarations are equal when their names, kinds,
    universe names, types and values are.
    """

    name: Name
    kind: str
    """``axiom``, ``definition``, ``theorem``, ``opaque``, ``quot``, ``inductive``, ``constructor`` or
    ``recursor``, as it was declared (``Lean.getOriginalConstKind?``)."""
    _tag: int
    # What the environment has it as (an index into CONSTANT_KINDS): a theorem without its proof is an axiom there.
    _lookup: Lookup
    _index: int
    _cache: dict[str, Any] = field(default_factory=dict)

    @property
    def _info(self) -> Arg:
        # The expression for its ConstantInfo.
        return self._lookup.lean.table.option_value(Index(self._lookup.found, self._index))

    def _get(self, name: str) -> Any:
        if name not in self._cache:
            self._lookup.load((name,), self._lookup.one(self._index), (self,), None)
        return self._cache[name]

    @property
    def type(self) -> Expr:
        """Its type (``ConstantInfo.type``)."""
        return self._get("type")  # type: ignore[no-any-return]

    @property
    def value(self) -> Expr | None:
        """The body of a definition, theorem or opaque constant; ``None`` for others and for proofs not shipped.

        The embedded toolchain ships no proofs of its library.
        """
        return self._get("value")  # type: ignore[no-any-return]

    @property
    def universes(self) -> tuple[Name, ...]:
        """Its universe parameters, in order (``ConstantInfo.levelParams``)."""
        return self._get("universes")  # type: ignore[no-any-return]

    @property
    def module(self) -> Name | None:
        """The module it was imported from; ``None`` when it was declared since (``getModuleIdxFor?``)."""
        return self._get("module")  # type: ignore[no-any-return]

    @property
    def docstring(self) -> str | None:
        """Its documentation as Lean shows it (``Lean.findDocString?``), or ``None``.

        The embedded toolchain ships none for its library.
        """
        return self._get("docstring")  # type: ignore[no-any-return]

    @property
    def range(self) -> SourceRange | None:
        """Where it stands in its file (``Lean.findDeclarationRanges?``); ``None`` where that was not recorded.

        The embedded toolchain ships no ranges for its library.
        """
        return self._get("range")  # type: ignore[no-any-return]

    @property
    def attributes(self) -> frozenset[str]:
        """Which of :data:`ATTRIBUTES` it has, each asked of Lean; ``simp`` is the default simp set."""
        return self._get("attributes")  # type: ignore[no-any-return]

    @property
    def used_constants(self) -> frozenset[Name]:
        """The constants in its type and value, and an inductive's constructors (``Expr.getUsedConstants``)."""
        return self._get("used_constants")  # type: ignore[no-any-return]

    @property
    def axioms(self) -> Axioms:
        """What it rests on in the end; the first walk through a large library takes seconds."""
        return self._get("axioms")  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Declaration):
            return NotImplemented
        return (self.name, self.kind) == (other.name, other.kind) and (
            (self.universes, self.type, self.value) == (other.universes, other.type, other.value)
        )

    def __hash__(self) -> int:
        return hash((self.name, self.kind))

    def __repr__(self) -> str:
        return f"<Declaration {self.name}: {self.kind}>"
