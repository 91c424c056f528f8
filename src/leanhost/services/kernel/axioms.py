"""Which axioms a constant rests on, found by walking the environment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from leanhost.engine.values import Ref
from leanhost.lean.constants import kernel_constants
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple
from leanhost.lean.tables.kernel import LITERAL_KINDS, LiteralKind
from leanhost.services.kernel.builtin_names import Spelling
from leanhost.services.values.graphs import components

TRUST_COMPILER: NameTuple = ("Lean", "trustCompiler")
"""The axiom that stands for compiled code which the kernel runs."""

_COMPILED = {("Lean", "reduceBool"), ("Lean", "reduceNat")}
"""What makes the kernel run compiled code. Lean has their bodies mention the axiom, where bodies are shipped."""

_STEP = 1024
"""How many constants are read between two pauses."""


@dataclass(frozen=True, slots=True)
class AxiomSet:
    """What a constant rests on: axioms, and library constants whose bodies this toolchain does not ship.

    ``absent`` are names that the kernel would look up and that nothing had: whoever declares one later decides what
    it stands for.
    """

    axioms: frozenset[NameTuple] = frozenset()
    incomplete: bool = False
    absent: frozenset[NameTuple] = frozenset()

    def __or__(self, other: AxiomSet) -> AxiomSet:
        return AxiomSet(
            self.axioms | other.axioms, self.incomplete or other.incomplete, self.absent | other.absent
        )


_NOTHING = AxiomSet()


@dataclass(slots=True)
class ImportedAxioms:
    """The axioms under the constants of one imported environment; each constant is walked once.

    The walk goes over ``Environment.find?`` and what the kernel looks up for a constant
    (:func:`~leanhost.lean.constants.kernel_constants`): more than ``Lean.collectAxioms``, which takes no notice of
    literals. It reads no environment extension: what an elaborator can write is not trusted.
    """

    lean: Lean
    env: Ref
    _known: dict[NameTuple, AxiomSet] = field(default_factory=dict)
    _literals: tuple[LiteralKind, ...] | None = None
    spelling: Spelling = field(default_factory=Spelling)

    def copy(self) -> ImportedAxioms:
        """Return another one that knows as much now, and learns on its own."""
        return replace(self, _known=dict(self._known), spelling=replace(self.spelling))

    def under(self, wanted: Collection[NameTuple], pause: Callable[[], None]) -> AxiomSet:
        """Return what the constants in *wanted* rest on together.

        The first walk through a large library takes seconds: *pause* is called now and then and may raise.
        """
        if self._literals is None:
            # Numbers are in most declarations and rest on nothing: where that is so, they are not looked for.
            needs = self.lean.table.LITERAL_NEEDS["nat"]
            self._walk(needs, LITERAL_KINDS, pause)
            counts = any(self._known[name] != _NOTHING for name in needs)
            self._literals = tuple(kind for kind in LITERAL_KINDS if kind != "nat" or counts)
        self._walk(wanted, self._literals, pause)
        result = AxiomSet()
        for name in wanted:
            result |= self._known[name]
        return result

    def _walk(
        self, wanted: Collection[NameTuple], literals: Sequence[LiteralKind], pause: Callable[[], None]
    ) -> None:
        roots = [name for name in set(wanted) if name not in self._known]
        if roots:
            edges, own = self._fetch(roots, literals, pause)
            self._known.update(_close(edges, own, self._known))

    def _fetch(
        self, roots: list[NameTuple], literals: Sequence[LiteralKind], pause: Callable[[], None]
    ) -> tuple[dict[NameTuple, frozenset[NameTuple]], dict[NameTuple, AxiomSet]]:
        """Read the constants reachable from *roots* that are not known yet."""
        lean = self.lean
        edges: dict[NameTuple, frozenset[NameTuple]] = {}
        own: dict[NameTuple, AxiomSet] = {}
        front = roots
        while front:
            # A slice at a time, so that neither a pause nor the handles held at once grow with the library.
            step, front = front[:_STEP], front[_STEP:]
            step = [name for name in dict.fromkeys(step) if name not in edges]
            pause()
            constants = []
            for name, info in zip(step, lean.find(self.env, step), strict=True):
                if info is None:
                    edges[name], own[name] = frozenset(), AxiomSet(absent=frozenset({name}))
                else:
                    constants.append(Constant(name, lean.constant_kind(info), info))
            following: set[NameTuple] = set()
            relied_on = kernel_constants(lean, constants, literals)
            for constant, used in zip(constants, relied_on, strict=True):
                axiom_set = AxiomSet()
                if constant.kind == "axiom":
                    # A theorem whose proof was not shipped is an axiom to this environment only.
                    real = lean.is_original_axiom(self.env, constant.name)
                    axiom_set = AxiomSet(frozenset({constant.name})) if real else AxiomSet(incomplete=True)
                if constant.name in _COMPILED:
                    axiom_set |= AxiomSet(frozenset({TRUST_COMPILER}))
                edges[constant.name], own[constant.name] = used, axiom_set
                following |= used
            front.extend(name for name in following if name not in edges and name not in self._known)
        return edges, own


def _close(
    edges: Mapping[NameTuple, frozenset[NameTuple]],
    own: Mapping[NameTuple, AxiomSet],
    known: Mapping[NameTuple, AxiomSet],
) -> dict[NameTuple, AxiomSet]:
    """Add to the *own* of every node what it leads to by *edges*."""
    result: dict[NameTuple, AxiomSet] = {}

    def open_edges(name: NameTuple) -> Iterator[NameTuple]:
        return (target for target in edges[name] if target not in known)

    for component in components(edges, open_edges):
        total = AxiomSet()
        for member in component:
            total |= own[member]
            for target in edges[member].difference(component):
                total |= known[target] if target in known else result[target]
        result.update(dict.fromkeys(component, total))
    return result


def axiom_sets_of(
    imported: ImportedAxioms,
    added: list[Constant],
    used: Mapping[NameTuple, frozenset[NameTuple]],
    pause: Callable[[], None],
) -> dict[NameTuple, AxiomSet]:
    """Return for each added constant what it rests on, imports included.

    *used* is what the kernel looks up for each (:func:`~leanhost.lean.constants.kernel_constants`).
    *pause* is called now and then; what it raises ends the walk.
    """
    names = {constant.name for constant in added}
    own: dict[NameTuple, AxiomSet] = {}
    inner: dict[NameTuple, frozenset[NameTuple]] = {}
    for constant in added:
        axiom_set = imported.under(used[constant.name] - names, pause)
        if constant.kind == "axiom":
            axiom_set |= AxiomSet(frozenset({constant.name}))
        if constant.name in _COMPILED:
            axiom_set |= AxiomSet(frozenset({TRUST_COMPILER}))
        own[constant.name] = axiom_set
        inner[constant.name] = (used[constant.name] | axiom_set.absent) & names
    return _close(inner, own, {})
