"""Inductive families of a file: declared anew, then compared with what the kernel made of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from leanhost.engine.expressions import Arg, ArrayOf, Index, ListOf, Size
from leanhost.engine.values import Data, Ref
from leanhost.lean import names, reading
from leanhost.lean.core import Lean
from leanhost.lean.names import NameTuple, show
from leanhost.services.exports.read.builder import Builder
from leanhost.services.exports.read.records import Tables
from leanhost.services.exports.read.strict import Malformed

_KINDS = {"types": "inductive", "ctors": "constructor", "recs": "recursor"}


_FACTS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "types": (
        ("all", "ctors"),
        ("numNested", "numParams", "numIndices"),
        ("isRec", "isUnsafe", "isReflexive"),
    ),
    "ctors": ((), ("cidx", "numParams", "numFields"), ("isUnsafe",)),
    "recs": (("all",), ("numParams", "numIndices", "numMotives", "numMinors"), ("k", "isUnsafe")),
}
"""What is compared of each part: lists of names, numbers, flags. The format has Lean's own names for them."""


def family_declaration(lean: Lean, builder: Builder, tables: Tables, body: dict[str, Any]) -> Arg:
    """Return ``Declaration.inductDecl`` of a family; :class:`Malformed` when its parts do not fit together."""
    types, ctors, table = body["types"], body["ctors"], lean.table
    if not types:
        raise Malformed("an inductive family has no types")
    named = {tables.name(ctor["name"]): ctor for ctor in ctors}
    own = [tables.name(type_["name"]) for type_ in types]
    first = types[0]
    listed: list[Arg] = []
    for type_ in types:
        if [tables.name(n) for n in type_["all"]] != own:
            raise Malformed("`all` is not the list of the family's types")
        same = ("numParams", "isUnsafe", "numNested")
        if any(type_[key] != first[key] for key in same):
            raise Malformed(f"the types of a family differ in one of {', '.join(same)}")
        if [tables.name(n) for n in type_["levelParams"]] != [tables.name(n) for n in first["levelParams"]]:
            raise Malformed("the types of a family differ in their universe parameters")
        made: list[Arg] = []
        for number in type_["ctors"]:
            ctor = named.pop(tables.name(number), None)
            if ctor is None:
                raise Malformed(f"the constructor {show(tables.name(number))} is missing")
            made.append(table.constructor(builder.names[ctor["name"]], builder.expr(ctor["type"])))
        listed.append(
            table.inductive_type(builder.names[type_["name"]], builder.expr(type_["type"]), ListOf(made))
        )
    if named:
        raise Malformed("a constructor belongs to no type of its family")
    if len(body["recs"]) != len(types) + first["numNested"]:
        raise Malformed("the family has another number of recursors than its types need")
    levels = builder.name_list(first["levelParams"])
    return table.inductive_declaration(levels, first["numParams"], ListOf(listed), first["isUnsafe"])


def mismatch(
    lean: Lean, builder: Builder, tables: Tables, body: dict[str, Any], kernel_env: Ref
) -> tuple[NameTuple, str] | None:
    """Compare a family with the kernel's own; return the first name that differs and in what."""
    for key, kind in _KINDS.items():
        for part in body[key]:
            name = tables.name(part["name"])
            info = lean.kernel_find(kernel_env, builder.names[part["name"]])
            if info is None:
                return name, f"the kernel made no {kind} of this name"
            what = _differs(lean, builder, tables, key, part, info)
            if what is not None:
                return name, f"the kernel made another {kind}: {what} differs"
    return None


def _differs(
    lean: Lean, builder: Builder, tables: Tables, key: str, part: dict[str, Any], info: Ref
) -> str | None:
    table = lean.table
    if lean.constant_kind(info) != _KINDS[key]:
        return "its kind"
    layout = table.VALUES[_KINDS[key]]
    apart = ("constant", "rules") if key == "recs" else ("constant",)
    levels, same, value = lean.array(
        ArrayOf(
            [
                table.list_to_array(table.constant_levels(info)),
                table.expr_eqv(table.constant_type(info), builder.expr(part["type"])),
                layout.without(table.constant_of(info), apart),
            ]
        )
    )
    assert isinstance(levels, list)
    if [names.decode(level) for level in levels] != [tables.name(n) for n in part["levelParams"]]:
        return "the list of universe parameters"
    if not same:
        return "its type"
    for field, theirs, ours in _facts(tables, key, part, layout.read(value)):
        if theirs != ours:
            return field
    return _rules_differ(lean, builder, tables, part["rules"], info) if key == "recs" else None


def _facts(
    tables: Tables, key: str, part: dict[str, Any], value: dict[str, Data]
) -> Iterator[tuple[str, Any, Any]]:
    """Yield what a part says and what the kernel says: the field, the kernel's value, the file's."""
    lists, numbers, flags = _FACTS[key]
    for field in lists:
        theirs = [names.decode(name) for name in reading.items(value[field])]
        yield field, theirs, [tables.name(n) for n in part[field]]
    if key == "ctors":
        yield "induct", names.decode(value["induct"]), tables.name(part["induct"])
    for field in numbers:
        yield field, value[field], part[field]
    for field in flags:
        yield field, bool(value[field]), part[field]


def _rules_differ(
    lean: Lean, builder: Builder, tables: Tables, rules: list[dict[str, Any]], info: Ref
) -> str | None:
    table = lean.table
    with lean.engine.eval(table.list_to_array(table.recursor_rules(info))) as theirs:
        if lean.number(Size(theirs)) != len(rules):
            return "the number of its rules"
        rows: list[list[Arg]] = []
        for i, rule in enumerate(rules):
            ctor, count, rhs = (
                table.RECURSOR_RULE.get(Index(theirs, i), field) for field in ("ctor", "nfields", "rhs")
            )
            rows.append([ctor, count, table.expr_eqv(rhs, builder.expr(rule["rhs"]))])
        for rule, (name, fields, equal) in zip(rules, lean.rows(rows), strict=True):
            if names.decode(name) != tables.name(rule["ctor"]) or fields != rule["nfields"] or not equal:
                return f"the rule for {show(tables.name(rule['ctor']))}"
    return None
