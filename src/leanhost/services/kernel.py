"""Checking declarations with the kernel once more, on top of an environment no candidate has touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leanhost.engine.base import Arg, Ctor, Field, ListOf, Ref, Thrown
from leanhost.lean import names
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple

Used = Mapping[NameTuple, frozenset[NameTuple]]


@dataclass(frozen=True, slots=True)
class Objection:
    """Why the kernel did not accept a declaration.

    ``reason`` is ``"rejected"``, ``"heartbeats"``, ``"memory"``, ``"recursion"`` or ``"interrupted"``.
    """

    name: NameTuple
    reason: str
    text: str


def replay(
    lean: Lean, kernel_env: Ref, added: list[Constant], used: Used, options: Ref, token: Ref
) -> Ref | Objection:
    """Add *added* one by one to *kernel_env* through the kernel; return the grown kernel environment.

    Every type and every proof is checked from scratch; inductive types are declared anew, so their constructors
    and recursors are the kernel's own. Unsafe and partial definitions are left out: nothing safe can use them.
    *options* must not come from the candidate (``debug.skipKernelTC``).
    """
    engine, table = lean.engine, lean.table
    by_name = {constant.name: constant for constant in added}
    skipped = _unchecked(lean, added)
    parts = _Inductives(lean, by_name)
    for head in _ordered(by_name, used, parts):
        if head in skipped:
            continue
        declaration = parts.declaration(head) if head in parts.leader else _declaration(lean, by_name[head])
        try:
            kernel_env = engine.eval(table.add_decl(kernel_env, options, declaration, token))
        except Thrown as thrown:
            reason = table.KERNEL_REASONS.get(lean.number_tag(thrown.error), "rejected")
            text = lean.text(table.kernel_exception_text(thrown.error, options))
            return Objection(head, reason, f"{names.show(names.user_name(head))}: {text}")
    return kernel_env


def _unchecked(lean: Lean, added: list[Constant]) -> frozenset[NameTuple]:
    flags = lean.flags(
        [flag for c in added for flag in (lean.table.is_unsafe(c.info), lean.table.is_partial(c.info))]
    )
    return frozenset(c.name for i, c in enumerate(added) if flags[2 * i] or flags[2 * i + 1])


_DECLARATION_TAGS = {"axiom": 0, "definition": 1, "theorem": 2, "opaque": 3}
_QUOT_DECLARATION = 4
_INDUCTIVE_DECLARATION = 6


def _declaration(lean: Lean, constant: Constant) -> Arg:
    """``Lean.Declaration`` of a constant that is no part of an inductive type."""
    if constant.kind == "quot":
        return _QUOT_DECLARATION
    return Ctor(_DECLARATION_TAGS[constant.kind], (Field(constant.info, 0),))


class _Inductives:
    """The inductive families among the added constants, each known by its first type."""

    def __init__(self, lean: Lean, by_name: dict[NameTuple, Constant]) -> None:
        self._lean = lean
        self._by_name = by_name
        self.leader: dict[NameTuple, NameTuple] = {}
        self.families: dict[NameTuple, list[NameTuple]] = {}
        self._ctors: dict[NameTuple, list[NameTuple]] = {}
        for constant in by_name.values():
            if constant.kind == "inductive":
                family = lean.name_list(lean.table.inductive_all(constant.info))
                self._ctors[constant.name] = lean.name_list(lean.table.inductive_ctors(constant.info))
                self.families.setdefault(family[0], family)
                self.leader[constant.name] = family[0]
        for head, family in list(self.families.items()):
            for name in family:
                for ctor in self._ctors.get(name, ()):
                    self.leader[ctor] = head
        for constant in by_name.values():
            if constant.kind == "recursor":
                family = lean.name_list(lean.table.recursor_all(constant.info))
                self.leader[constant.name] = family[0]

    def members(self, head: NameTuple) -> list[NameTuple]:
        """The types of a family and their constructors."""
        family = self.families.get(head, [head])
        return [*family, *(ctor for name in family for ctor in self._ctors.get(name, ()))]

    def declaration(self, head: NameTuple) -> Arg:
        """``Declaration.inductDecl`` of a family."""
        lean, table = self._lean, self._lean.table
        first = self._by_name[head].info
        types: list[Arg] = []
        for name in self.families[head]:
            ctors: list[Arg] = [
                Ctor(0, (lean.name(ctor), table.constant_type(self._by_name[ctor].info)))
                for ctor in self._ctors[name]
            ]
            types.append(
                Ctor(0, (lean.name(name), table.constant_type(self._by_name[name].info), ListOf(ctors)))
            )
        fields = (table.constant_levels(first), table.inductive_params(first), ListOf(types))
        return Ctor(_INDUCTIVE_DECLARATION, fields, b"\0")


def _ordered(by_name: dict[NameTuple, Constant], used: Used, parts: _Inductives) -> list[NameTuple]:
    """Sort so that everything comes after what it mentions; a family counts as one."""
    done: set[NameTuple] = set()
    order: list[NameTuple] = []

    def head(name: NameTuple) -> NameTuple:
        return parts.leader.get(name, name)

    def needs(name: NameTuple) -> list[NameTuple]:
        members = parts.members(name) if name in parts.families else [name]
        found = {head(u) for member in members for u in used.get(member, ()) if u in by_name}
        return sorted((n for n in found if n != name), key=str)

    for root in by_name:
        start = head(root)
        if start in done:
            continue
        entered = {start}
        work = [(start, iter(needs(start)))]
        while work:
            node, following = work[-1]
            for target in following:
                if target not in done and target not in entered:
                    entered.add(target)
                    work.append((target, iter(needs(target))))
                    break
            else:
                work.pop()
                if node not in done:
                    done.add(node)
                    order.append(node)
    return order
