"""Checking declarations with the kernel once more, on top of an environment no candidate has touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leanhost.engine.expressions import Arg, ArrayOf, ListOf
from leanhost.engine.values import Ref, Thrown
from leanhost.lean import names
from leanhost.lean.constants import WITH_VALUE
from leanhost.lean.core import CONSTANT_KINDS, Constant, Lean
from leanhost.lean.names import NameTuple
from leanhost.services.kernel.builtin_functions import KERNEL_NAMES
from leanhost.services.kernel.builtin_names import BuiltinNames, Spelling, Used, strings_fault
from leanhost.services.values.graphs import components
from leanhost.services.values.results import Limit

_CHUNK = 256
"""How many constants are asked about in one step."""


@dataclass(frozen=True, slots=True)
class KernelRejection:
    """Why the kernel did not accept a declaration; with a ``limit`` it came to no verdict."""

    name: NameTuple
    text: str
    limit: Limit | None = None


class _Odd(Exception):
    """What is listed cannot have come about by declaring it."""

    def __init__(self, name: NameTuple, text: str) -> None:
        super().__init__()
        self.rejection = KernelRejection(name, f"{names.show(names.user_name(name))}: {text}")


def replay_constants(
    lean: Lean,
    kernel_env: Ref,
    added: Sequence[Constant],
    used: Used,
    options: Ref,
    token: Ref,
    spelling: Spelling | None = None,
) -> Ref | KernelRejection:
    """Add *added* one by one to *kernel_env* through the kernel; return the grown kernel environment.

    Every type and every proof is checked from scratch; inductive types are declared anew, so their constructors
    and recursors are the kernel's own. What the grown environment has is then what *added* lists, name by name:
    a candidate can put anything into the environment the list was read from. Unsafe and partial definitions
    are left out: nothing safe can use them. *options* must not come from the candidate
    (``debug.skipKernelTC``). *used* is what the kernel looks up for each constant that is not imported
    (:func:`~leanhost.lean.constants.kernel_constants`); *spelling* is what is known of the import.
    """
    by_name = {constant.name: constant for constant in added}
    skipped = unchecked(lean, added)
    kept = [constant for constant in added if constant.name not in skipped]
    env = kernel_env
    head: NameTuple = ()
    try:
        _plain(lean, kept)
        _closed(lean, kept)
        parts = _Inductives(lean, by_name)
        known = (
            BuiltinNames(lean, options, token, kernel_env, kept) if KERNEL_NAMES & by_name.keys() else None
        )
        if known is not None and known.fault is not None:
            raise _Odd(*known.fault)
        for head in _ordered(by_name, used, parts):
            if head in skipped:
                continue
            if known is not None and (fault := known.before(by_name[head], env)) is not None:
                raise _Odd(*fault)
            declaration = (
                parts.declaration(head) if head in parts.leader else _declaration(lean, by_name[head])
            )
            env = lean.engine.eval(lean.table.add_decl(env, options, declaration, token))
        fault = known.after(env) if known is not None else None
        fault = fault or strings_fault(lean, options, token, env, kept, used, spelling)
        if fault is not None:
            raise _Odd(*fault)
        _confirm(lean, env, [c for c in kept if c.kind in ("inductive", "constructor", "recursor", "quot")])
    except _Odd as odd:
        return odd.rejection
    except Thrown as thrown:
        table = lean.table
        limit = table.KERNEL_LIMITS.get(lean.number_tag(thrown.error))
        text = lean.text(table.kernel_exception_text(thrown.error, options))
        return KernelRejection(head, f"{names.show(names.user_name(head))}: {text}", limit)
    return env


def unchecked(lean: Lean, added: Sequence[Constant]) -> frozenset[NameTuple]:
    """The unsafe and the partial ones, which no kernel looks at."""
    asked = [constant for constant in added if constant.kind != "theorem"]  # these cannot be either
    flags = lean.flags(
        [flag for c in asked for flag in (lean.table.is_unsafe(c.info), lean.table.is_partial(c.info))]
    )
    return frozenset(c.name for i, c in enumerate(asked) if flags[2 * i] or flags[2 * i + 1])


def _declaration(lean: Lean, constant: Constant) -> Arg:
    """``Lean.Declaration`` of a constant that is no part of an inductive type."""
    if constant.kind == "quot":
        return lean.table.quot_declaration()
    tag = lean.table.DECLARATION_TAGS.get(constant.kind)
    if tag is None:
        raise _Odd(constant.name, f"a {constant.kind} of no inductive type that was declared with it")
    return lean.table.declaration_of(constant.info, tag)


def _plain(lean: Lean, added: Sequence[Constant]) -> None:
    """See that every name is listed once, and with the constant of that name."""
    if len({constant.name for constant in added}) != len(added):
        seen: set[NameTuple] = set()
        for constant in added:
            if constant.name in seen:
                raise _Odd(constant.name, "the environment lists it twice")
            seen.add(constant.name)
    for start in range(0, len(added), _CHUNK):
        step = added[start : start + _CHUNK]
        own = lean.array(ArrayOf([lean.table.constant_name(c.info) for c in step]))
        for constant, name in zip(step, own, strict=True):
            if names.decode(name) != constant.name:
                raise _Odd(constant.name, "the environment lists another constant by this name")


def _closed(lean: Lean, added: Sequence[Constant]) -> None:
    """See that no type and no value has a hole or a free variable: not every kernel looks at all of them."""
    table = lean.table
    parts = [(c, table.constant_type(c.info)) for c in added]
    parts += [(c, table.constant_value(c.info)) for c in added if c.kind in WITH_VALUE]
    asked = [has(part) for _, part in parts for has in (table.has_mvar, table.has_fvar)]
    for i, found in enumerate(lean.flags(asked)):
        if found:
            what = ("metavariables", "free variables")[i % 2]
            raise _Odd(parts[i // 2][0].name, f"it has {what}")


def _confirm(lean: Lean, env: Ref, listed: Sequence[Constant]) -> None:
    """See that what the kernel made of the families is what was listed."""
    table = lean.table
    for start in range(0, len(listed), _CHUNK):
        step = listed[start : start + _CHUNK]
        rows: list[list[Arg]] = []
        infos = lean.kernel_find_all(env, [c.name for c in step])
        for constant, ours in zip(step, infos, strict=True):
            if ours is None:
                raise _Odd(constant.name, f"the kernel has no such {constant.kind}")
            levels = [table.list_to_array(table.constant_levels(info)) for info in (ours, constant.info)]
            same = table.expr_eqv(table.constant_type(ours), table.constant_type(constant.info))
            rows.append([table.tag(ours), same, *levels])
        for constant, row in zip(step, lean.rows(rows), strict=True):
            kind, same_type, own, theirs = row
            if kind != CONSTANT_KINDS.index(constant.kind) or not same_type or own != theirs:
                raise _Odd(constant.name, f"the kernel's {constant.kind} is another")


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
                if not family or constant.name not in family:
                    raise _Odd(constant.name, "an inductive type that is no part of its own family")
                self._ctors[constant.name] = lean.name_list(lean.table.inductive_ctors(constant.info))
                self.families.setdefault(family[0], family)
                self.leader[constant.name] = family[0]
        for head, family in list(self.families.items()):
            for name in family:
                for ctor in self._ctors.get(name, ()):
                    self.leader[ctor] = head
        for constant in by_name.values():
            if constant.kind == "recursor":
                all_ = lean.name_list(lean.table.recursor_all(constant.info))
                if not all_ or all_[0] not in self.families:
                    raise _Odd(constant.name, "a recursor of no inductive type that was declared with it")
                self.leader[constant.name] = all_[0]

    def members(self, head: NameTuple) -> list[NameTuple]:
        """The types of a family and their constructors."""
        family = self.families.get(head, [head])
        return [*family, *(ctor for name in family for ctor in self._ctors.get(name, ()))]

    def _part(self, name: NameTuple, kind: str) -> Ref:
        part = self._by_name.get(name)
        if part is None or part.kind != kind:
            raise _Odd(name, f"the {kind} is missing from its family")
        return part.info

    def declaration(self, head: NameTuple) -> Arg:
        """``Declaration.inductDecl`` of a family."""
        lean, table = self._lean, self._lean.table
        first = self._part(head, "inductive")
        types: list[Arg] = []
        for name in self.families[head]:
            type_ = table.constant_type(self._part(name, "inductive"))
            ctors: list[Arg] = [
                table.constructor(lean.name(ctor), table.constant_type(self._part(ctor, "constructor")))
                for ctor in self._ctors[name]
            ]
            types.append(table.inductive_type(lean.name(name), type_, ListOf(ctors)))
        levels, params = table.constant_levels(first), table.inductive_params(first)
        return table.inductive_declaration(levels, params, ListOf(types), is_unsafe=False)


def _ordered(by_name: dict[NameTuple, Constant], used: Used, parts: _Inductives) -> list[NameTuple]:
    """Sort so that everything comes after what it mentions; a family counts as one."""

    def head(name: NameTuple) -> NameTuple:
        return parts.leader.get(name, name)

    def needs(name: NameTuple) -> list[NameTuple]:
        members = parts.members(name) if name in parts.families else [name]
        found = {head(u) for member in members for u in used.get(member, ()) if u in by_name}
        return sorted((n for n in found if n != name), key=str)

    return [name for component in components(map(head, by_name), needs) for name in component]
