"""Inductive families of a file: declared anew, then compared with what the kernel made of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from leanhost.engine.base import Node, Ref
from leanhost.engine.expressions import Arg, ArrayOf, Ctor, Field, Index, ListOf, Size, With
from leanhost.lean import names
from leanhost.lean.core import Lean
from leanhost.lean.names import NameTuple, show
from leanhost.services.exports.rebuild import Builder
from leanhost.services.exports.records import Tables
from leanhost.services.exports.strict import Malformed

_KINDS = {"types": "inductive", "ctors": "constructor", "recs": "recursor"}
_TAGS = {"types": 5, "ctors": 6, "recs": 7}


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
            with lean.engine.eval(lean.table.kernel_find(kernel_env, builder.names[part["name"]])) as option:
                if option.ptr() & 1:
                    return name, f"the kernel made no {kind} of this name"
                info = lean.engine.eval(Field(option, 0))
            what = _differs(lean, builder, tables, key, part, info)
            if what is not None:
                return name, f"the kernel made another {kind}: {what} differs"
    return None


def _differs(
    lean: Lean, builder: Builder, tables: Tables, key: str, part: dict[str, Any], info: Ref
) -> str | None:
    table = lean.table
    if lean.number_tag(info) != _TAGS[key]:
        return "its kind"
    zeroed: tuple[tuple[int, Arg], ...] = ((0, 0), (6, 0)) if key == "recs" else ((0, 0),)
    row = lean.engine.eval_data(
        Ctor(
            0,
            (
                table.list_to_array(table.constant_levels(info)),
                table.expr_eqv(table.constant_type(info), builder.expr(part["type"])),
                With(Field(info, 0), zeroed),
            ),
        )
    )
    assert isinstance(row, Node)
    levels, same, value = row.fields
    assert isinstance(levels, list)
    assert isinstance(value, Node)
    if [names.decode(level) for level in levels] != [tables.name(n) for n in part["levelParams"]]:
        return "the list of universe parameters"
    if not same:
        return "its type"
    for field, theirs, ours in _facts(tables, key, part, value):
        if theirs != ours:
            return field
    return _rules_differ(lean, builder, tables, part["rules"], info) if key == "recs" else None


def _facts(tables: Tables, key: str, part: dict[str, Any], value: Node) -> Iterator[tuple[str, Any, Any]]:
    """Yield what a part says and what the kernel says: the field, the kernel's value, the file's."""
    f, flags = value.fields, [bool(b) for b in value.scalars[:3]]

    def listed(data: Any) -> list[NameTuple]:
        found: list[NameTuple] = []
        while isinstance(data, Node):
            found.append(names.decode(data.fields[0]))
            data = data.fields[1]
        return found

    def ours(field: str) -> list[NameTuple]:
        return [tables.name(n) for n in part[field]]

    flagged: tuple[str, ...]
    if key == "types":
        numbers = zip(("numParams", "numIndices"), f[1:3], strict=True)
        yield "all", listed(f[3]), ours("all")
        yield "ctors", listed(f[4]), ours("ctors")
        yield "numNested", f[5], part["numNested"]
        flagged = ("isRec", "isUnsafe", "isReflexive")
    elif key == "ctors":
        numbers = zip(("cidx", "numParams", "numFields"), f[2:5], strict=True)
        yield "induct", names.decode(f[1]), tables.name(part["induct"])
        flagged = ("isUnsafe",)
    else:
        numbers = zip(("numParams", "numIndices", "numMotives", "numMinors"), f[2:6], strict=True)
        yield "all", listed(f[1]), ours("all")
        flagged = ("k", "isUnsafe")
    for field, number in numbers:
        yield field, number, part[field]
    for field, flag in zip(flagged, flags, strict=False):
        yield field, flag, part[field]


def _rules_differ(
    lean: Lean, builder: Builder, tables: Tables, rules: list[dict[str, Any]], info: Ref
) -> str | None:
    table = lean.table
    with lean.engine.eval(table.list_to_array(Field(Field(info, 0), 6))) as theirs:
        if lean.number(Size(theirs)) != len(rules):
            return "the number of its rules"
        rows: list[Arg] = []
        for i, rule in enumerate(rules):
            their = Index(theirs, i)
            same = table.expr_eqv(Field(their, 2), builder.expr(rule["rhs"]))
            rows.append(Ctor(0, (Field(their, 0), Field(their, 1), same)))
        for rule, row in zip(rules, lean.array(ArrayOf(rows)), strict=True):
            assert isinstance(row, Node)
            ctor, count, equal = row.fields
            if names.decode(ctor) != tables.name(rule["ctor"]) or count != rule["nfields"] or not equal:
                return f"the rule for {show(tables.name(rule['ctor']))}"
    return None
