"""The constants of an export in dependency order: everything after what it mentions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from leanhost.engine.expressions import Arg, ArrayOf
from leanhost.engine.values import Ref
from leanhost.errors import UsageError
from leanhost.lean import names, reading
from leanhost.lean.constants import kernel_constants
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple, show
from leanhost.services.kernel.builtin_functions import QUOT_NAMES
from leanhost.services.values.graphs import components

_STEP = 256
"""How many constants are asked about in one step."""
_MAX_NESTED = 10_000
"""More recursors than any inductive family has."""


Without: TypeAlias = "Callable[[Sequence[NameTuple]], Collection[NameTuple]]"
"""Tells which of some constants are to be left out, with what only they rest on."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What has to be declared at once: a single constant, an inductive family, or the quotient package.

    ``constants`` of a family are its types, their constructors, and the recursors, in this order.
    """

    kind: str
    constants: tuple[Constant, ...]


@dataclass(slots=True)
class Closure:
    """The units of an export in order.

    ``missing_bodies`` are theorems (and others) that this environment has as axioms only, because the
    toolchain does not ship their bodies; ``skipped`` are wanted constants that are unsafe or partial.
    """

    units: list[Unit] = field(default_factory=list)
    missing_bodies: list[NameTuple] = field(default_factory=list)
    skipped: list[NameTuple] = field(default_factory=list)


def closure_of(
    lean: Lean,
    env: Ref,
    wanted: Sequence[NameTuple],
    added: Sequence[Constant],
    pause: Callable[[int], None],
    *,
    without: Without | None = None,
    proofs: bool = True,
    known: Collection[NameTuple] = (),
) -> Closure:
    """Find everything *wanted* rests on: in *added*, then in *env*, where *without* does not leave it out.

    Without *proofs* theorems count as axioms: only what statements and definitions rest on is found. What is
    *known*, with all that it rests on, is left out. *pause* hears now and then how many constants were found; what
    it raises ends the search. Raises
    :class:`~leanhost.errors.UsageError` for a wanted name that is not there.
    """
    by_name = {constant.name: constant for constant in added}
    return _Search(lean, env, by_name, pause, without, proofs, known).run(wanted)


class _Search:
    def __init__(
        self,
        lean: Lean,
        env: Ref,
        added: dict[NameTuple, Constant],
        pause: Callable[[int], None],
        without: Without | None,
        proofs: bool,
        known: Collection[NameTuple],
    ) -> None:
        self._known = known
        self._lean = lean
        self._env = env
        self._added = added
        self._pause = pause
        self._without = without
        self._proofs = proofs
        self._found: dict[NameTuple, Constant | None] = {}
        self._left_out: set[NameTuple] = set()
        self._mentions: dict[NameTuple, frozenset[NameTuple]] = {}
        self._head: dict[NameTuple, NameTuple] = {}
        self._families: dict[NameTuple, list[NameTuple]] = {}
        self._parts: dict[NameTuple, tuple[list[NameTuple], list[NameTuple]]] = {}

    def run(self, wanted: Sequence[NameTuple]) -> Closure:
        result = Closure()
        roots = [name for name in dict.fromkeys(wanted) if name not in self._known]
        front = roots
        while front:
            step = [
                name
                for name in dict.fromkeys(front[:_STEP])
                if name not in self._found and name not in self._known
            ]
            front = front[_STEP:]
            if step:
                front.extend(self._read(step, result))
                self._pause(len(self._found))
        for name in roots:
            if self._found[name] is None:
                raise UsageError(f"the environment has no constant named {show(name)}")
        cut = self._cut()
        skipped = set(result.skipped)
        self._order([name for name in roots if name not in skipped and self._found[name] is not None], result)
        result.missing_bodies = list(dict.fromkeys([*self._missing_bodies(result.units), *cut]))
        result.skipped = [name for name in roots if name in skipped]
        return result

    # --- reading ---

    def _read(self, step: list[NameTuple], result: Closure) -> list[NameTuple]:
        """Look up *step* and return what it makes worth looking at."""
        lean = self._lean
        constants = self._look_up(step)
        flags = lean.flags(
            [
                flag
                for c in constants
                for flag in (lean.table.is_unsafe(c.info), lean.table.is_partial(c.info))
            ]
        )
        safe: list[Constant] = []
        for i, constant in enumerate(constants):
            if flags[2 * i] or flags[2 * i + 1]:
                # Nothing safe mentions these, so they were asked for by name.
                result.skipped.append(constant.name)
            else:
                safe.append(constant)
        following: list[NameTuple] = []
        for constant, used in zip(safe, kernel_constants(lean, safe), strict=True):
            self._mentions[constant.name] = used
            following.extend(sorted(used, key=str))
        following.extend(self._groups(safe))
        return following

    def _look_up(self, step: list[NameTuple]) -> list[Constant]:
        lean = self._lean
        there = [self._added[name] for name in step if name in self._added]
        absent = [name for name in step if name not in self._added]
        if self._without is not None:
            self._left_out.update(self._without(absent))
            absent = [name for name in absent if name not in self._left_out]
        infos = [(n, i) for n, i in zip(absent, lean.find(self._env, absent), strict=True) if i is not None]
        if infos:
            kinds = reading.constant_kinds(lean, [info for _, info in infos])
            for (name, info), kind in zip(infos, kinds, strict=True):
                there.append(Constant(name, kind, info))
        if not self._proofs:
            there = self._unproved(there)
        self._found.update(dict.fromkeys(step))
        self._found.update((constant.name, constant) for constant in there)
        return there

    def _unproved(self, constants: list[Constant]) -> list[Constant]:
        """Put axioms with the same statements in the place of theorems."""
        table = self._lean.table
        theorems = [constant for constant in constants if constant.kind == "theorem"]
        infos = self._lean.engine.eval_all([table.axiom_info(table.constant_val(c.info)) for c in theorems])
        others = [constant for constant in constants if constant.kind != "theorem"]
        return others + [Constant(c.name, "axiom", info) for c, info in zip(theorems, infos, strict=True)]

    def _cut(self) -> list[NameTuple]:
        """Put axioms in the place of what the library has and cannot show, and return their names.

        A library that does not ship all of its parts has values, and constructors, that mention what is not there.
        Without its value a constant is what any of its type is; so is a type without its constructors. What has no
        type left is not there either.
        """
        cut: dict[NameTuple, None] = {}
        while torn := self._torn():
            axioms: list[Constant] = []
            for constant in torn:
                family = self._families.pop(self._head.get(constant.name, constant.name), [constant.name])
                for name in family:
                    own, recursors = self._parts.pop(name, ([], []))
                    self._found.update(dict.fromkeys((*own, *recursors)))
                    self._head[name] = name
                    found = self._found[name]
                    if found is not None and found.kind != "axiom":
                        axioms.append(found)
                    self._found[name] = None
            lean, table = self._lean, self._lean.table
            infos = lean.engine.eval_all([table.axiom_info(table.constant_val(c.info)) for c in axioms])
            axioms = [Constant(c.name, "axiom", info) for c, info in zip(axioms, infos, strict=True)]
            for axiom, used in zip(axioms, kernel_constants(lean, axioms), strict=True):
                self._found[axiom.name], self._mentions[axiom.name] = axiom, used
                cut[axiom.name] = None
        return [name for name in cut if self._found[name] is not None]

    def _torn(self) -> list[Constant]:
        """The constants of the library that mention what is not there."""
        absent = {name for name, constant in self._found.items() if constant is None} - self._left_out
        if not absent:
            return []
        return [
            constant
            for name, constant in self._found.items()
            if constant is not None
            and name not in self._added
            and not absent.isdisjoint(self._mentions.get(name, ()))
        ]

    def _groups(self, constants: list[Constant]) -> list[NameTuple]:
        """Note which constants belong together and return the members."""
        table = self._lean.table
        following: list[NameTuple] = []
        rows: list[list[Arg]] = []
        asked: list[Constant] = []
        for constant in constants:
            match constant.kind:
                case "inductive":
                    all_ = table.list_to_array(table.inductive_all(constant.info))
                    ctors = table.list_to_array(table.inductive_ctors(constant.info))
                    rows.append([all_, ctors, table.inductive_nested(constant.info)])
                case "constructor":
                    rows.append([ArrayOf([table.constructor_inductive(constant.info)]), 0, 0])
                case "recursor":
                    rows.append([table.list_to_array(table.recursor_all(constant.info)), 0, 0])
                case "quot":
                    for name in QUOT_NAMES:
                        self._head[name] = QUOT_NAMES[0]
                    self._families[QUOT_NAMES[0]] = list(QUOT_NAMES)
                    following.extend((*QUOT_NAMES, ("Eq",)))
                    continue
                case _:
                    continue
            asked.append(constant)
        for constant, (family, ctors_, nested) in zip(asked, self._lean.rows(rows), strict=True):
            assert isinstance(family, list)
            members = list(map(names.decode, family))
            following.extend(members)
            if constant.kind == "inductive":
                assert isinstance(ctors_, list)
                assert isinstance(nested, int)
                own = list(map(names.decode, ctors_))
                recursors: list[NameTuple] = [(*constant.name, "rec")]
                if constant.name == members[0]:
                    self._families[members[0]] = members
                    count = min(nested, _MAX_NESTED)
                    recursors += [(*constant.name, f"rec_{i + 1}") for i in range(count)]
                self._parts[constant.name] = (own, recursors)
                for name in (constant.name, *own, *recursors):
                    self._head[name] = members[0]
                following.extend((*own, *recursors))
        return following

    def _missing_bodies(self, units: list[Unit]) -> list[NameTuple]:
        lean = self._lean
        axioms = [u.constants[0].name for u in units if u.kind == "axiom"]
        axioms = [name for name in axioms if name not in self._added]
        missing: list[NameTuple] = []
        for start in range(0, len(axioms), _STEP):
            step = axioms[start : start + _STEP]
            kinds = lean.array(
                ArrayOf([lean.table.original_kind(self._env, lean.name(name)) for name in step])
            )
            for name, kind in zip(step, kinds, strict=True):
                if reading.option(kind) not in (None, lean.table.AXIOM_KIND):
                    missing.append(name)
        return missing

    # --- ordering ---

    def _order(self, roots: list[NameTuple], result: Closure) -> None:
        heads = [self._head.get(root, root) for root in roots]
        for component in components(heads, self._needs):
            result.units.extend(map(self._unit, component))

    def _needs(self, head: NameTuple) -> list[NameTuple]:
        found: set[NameTuple] = set()
        for member in self._members(head):
            found.update(self._head.get(name, name) for name in self._mentions.get(member, ()))
        if head == QUOT_NAMES[0]:
            found.add(("Eq",))
        found.discard(head)
        return sorted((name for name in found if self._found.get(name) is not None), key=str)

    def _members(self, head: NameTuple) -> list[NameTuple]:
        """The members of a family that are there: its types, the constructors, the recursors."""
        family = self._families.get(head)
        if family is None:
            return [head]
        if head == QUOT_NAMES[0]:
            return family
        parts = [self._parts[name] for name in family]
        members = [*family, *(n for own, _ in parts for n in own), *(n for _, rec in parts for n in rec)]
        return [name for name in members if self._found.get(name) is not None]

    def _unit(self, head: NameTuple) -> Unit:
        constants = [found for name in self._members(head) if (found := self._found[name]) is not None]
        return Unit(constants[0].kind, tuple(constants))
