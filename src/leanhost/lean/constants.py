"""Questions about many constants of an environment: few round trips, whatever their number."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence

from leanhost.engine.base import Data, Ref
from leanhost.engine.expressions import Arg, Build, Field, Index, Size, Tag
from leanhost.lean import names
from leanhost.lean.core import CONSTANT_KINDS, Constant, Lean, chunks
from leanhost.lean.names import NameTuple
from leanhost.lean.tables import Table
from leanhost.lean.tables.kernel import LITERAL_KINDS, LiteralKind

WITH_VALUE = ("definition", "theorem", "opaque")
"""The kinds of constants that have a value."""


def new_constants(lean: Lean, env: Ref, known: frozenset[NameTuple] = frozenset()) -> list[Constant]:
    """Return the constants added to *env* since its import, without those named in *known*."""
    return [constant for constant, _ in described_constants(lean, env, _named, known)]


def described_constants(
    lean: Lean, env: Ref, describe: Build, known: frozenset[NameTuple] = frozenset()
) -> list[tuple[Constant, tuple[Data, ...]]]:
    """Like :func:`new_constants`, each with what *describe* asks about it.

    ``describe(table, env, name, info)`` is prepared once: a function of its module's own (see :meth:`Lean.step`).
    """
    pairs, size = lean.step(_additions)(env)
    rows = lean.step(_row_of(describe))
    result: list[tuple[Constant, tuple[Data, ...]]] = []
    for chunk in chunks(range(lean.small(size))):
        found: list[tuple[int, NameTuple, str, tuple[Data, ...]]] = []
        for i, (name, tag, *answers) in zip(chunk, rows.rows([(pairs, i, env) for i in chunk]), strict=True):
            assert isinstance(tag, int)
            decoded = names.decode(name)
            if decoded not in known:
                found.append((i, decoded, CONSTANT_KINDS[tag], tuple(answers)))
        infos = lean.step(_info_at).each([(pairs, i) for i, *_ in found])
        for (_, decoded, kind, answers_), (info,) in zip(found, infos, strict=True):
            result.append((Constant(decoded, kind, info), answers_))
    return result


def used_constants(lean: Lean, constants: Sequence[Constant]) -> list[frozenset[NameTuple]]:
    """Return for each constant the names its type and its value mention (constructors for an inductive)."""
    result: list[frozenset[NameTuple]] = []
    for chunk in chunks(constants):
        for arrays in by_kind(lean, chunk, _USED, _used_in_type):
            used: set[NameTuple] = set()
            for array in arrays:
                assert isinstance(array, list)
                used.update(map(names.decode, array))
            result.append(frozenset(used))
    return result


def with_code(lean: Lean, env: Ref, constants: Sequence[Constant]) -> frozenset[NameTuple]:
    """Return the names of those definitions that Lean compiled from their own values.

    Types, proofs, noncomputable definitions, and those with foreign code (``extern``, ``implemented_by``) are not.
    """
    asked = [constant.name for constant in constants if constant.kind == "definition"]
    names_ = [lean.name(name) for name in asked]
    table = lean.table
    flags = lean.flags(
        [flag for name in names_ for flag in (Tag(table.compiled(env, name)), table.is_extern(env, name))]
    )
    return frozenset(name for i, name in enumerate(asked) if flags[2 * i] and not flags[2 * i + 1])


def kernel_constants(
    lean: Lean, constants: Sequence[Constant], literals: Sequence[LiteralKind] = LITERAL_KINDS
) -> list[frozenset[NameTuple]]:
    """Return for each constant the names the kernel may look up for it, mentioned or not; the rest follows from these.

    That is :func:`used_constants`, the family of an inductive type, and :func:`implied`. Only the kinds of literals
    in *literals* are looked for.
    """
    kinds = tuple(literals)
    found: list[frozenset[NameTuple]] = []
    for chunk in chunks(constants):
        for constant, row in zip(chunk, by_kind(lean, chunk, *_relied_on(kinds)), strict=True):
            mentioned: set[NameTuple] = set()
            for array in row[len(kinds) :]:
                assert isinstance(array, list)
                mentioned.update(map(names.decode, array))
            present = [kind for kind, there in zip(kinds, row, strict=False) if there]
            found.append(frozenset(mentioned | implied(lean, (constant.name,), present)))
    return found


def implied(
    lean: Lean, declared: Iterable[NameTuple], literals: Iterable[LiteralKind]
) -> frozenset[NameTuple]:
    """Return what the kernel takes from the environment by name for constants called *declared* with *literals*."""
    table = lean.table
    needs = [table.LITERAL_NEEDS[kind] for kind in literals]
    needs.extend(table.EVALUATES_TO[name] for name in declared if name in table.EVALUATES_TO)
    return frozenset().union(*needs)


def by_kind(
    lean: Lean, constants: Sequence[Constant], builds: Mapping[str, Build], otherwise: Build
) -> list[tuple[Data, ...]]:
    """Ask about each constant's ``ConstantInfo`` what the build for its kind asks; answers in order."""
    groups: dict[Build, list[int]] = {}
    for i, constant in enumerate(constants):
        groups.setdefault(builds.get(constant.kind, otherwise), []).append(i)
    answers: list[tuple[Data, ...]] = [()] * len(constants)
    for build, places in groups.items():
        rows = lean.step(build).rows([(constants[i].info,) for i in places])
        for i, row in zip(places, rows, strict=True):
            answers[i] = row
    return answers


# The steps of these questions, each prepared once for a Lean.


def _additions(table: Table, env: Arg) -> tuple[Arg, ...]:
    added = table.new_constants(env)
    return (added, Size(added))


def _info_at(table: Table, pairs: Arg, place: int) -> tuple[Arg, ...]:
    return (Field(Index(pairs, place), 1),)


def _named(table: Table, env: Arg, name: Arg, info: Arg) -> tuple[Arg, ...]:
    return ()


@functools.cache
def _row_of(describe: Build) -> Build:
    """Return the build of one added constant's row: its name, its kind, and what *describe* asks."""

    def row(table: Table, pairs: Arg, place: int, env: Arg) -> Sequence[Arg]:
        name, info = Field(Index(pairs, place), 0), Field(Index(pairs, place), 1)
        return (name, Tag(info), *describe(table, env, name, info))

    return row


def _used_in_type(table: Table, info: Arg) -> tuple[Arg, ...]:
    return (table.used_constants(table.constant_type(info)),)


def _used_in_value(table: Table, info: Arg) -> tuple[Arg, ...]:
    return (*_used_in_type(table, info), table.used_constants(table.constant_value(info)))


def _used_in_inductive(table: Table, info: Arg) -> tuple[Arg, ...]:
    return (*_used_in_type(table, info), table.list_to_array(table.inductive_ctors(info)))


_USED: Mapping[str, Build] = {**dict.fromkeys(WITH_VALUE, _used_in_value), "inductive": _used_in_inductive}


_FINDS: Mapping[LiteralKind, Callable[[Table, Arg], Arg]] = {
    "nat": lambda table, expr: table.find_nat_literal(expr),
    "string": lambda table, expr: table.find_string_literal(expr),
}


@functools.cache
def _relied_on(kinds: tuple[LiteralKind, ...]) -> tuple[Mapping[str, Build], Build]:
    """Return the builds of :func:`kernel_constants`: whether there are literals of *kinds*, then arrays of names."""

    def within(table: Table, expr: Arg) -> tuple[Arg, ...]:
        return (*(Tag(_FINDS[kind](table, expr)) for kind in kinds), table.used_constants(expr))

    def in_type(table: Table, info: Arg) -> tuple[Arg, ...]:
        return within(table, table.constant_type(info))

    def in_value(table: Table, info: Arg) -> tuple[Arg, ...]:
        # One term that holds both: what they share is looked at once.
        return within(table, table.app(table.constant_type(info), table.constant_value(info)))

    def in_inductive(table: Table, info: Arg) -> tuple[Arg, ...]:
        members = (table.inductive_ctors(info), table.inductive_all(info))
        return (*in_type(table, info), *map(table.list_to_array, members))

    return {**dict.fromkeys(WITH_VALUE, in_value), "inductive": in_inductive}, in_type
