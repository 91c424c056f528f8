"""Whether a declaration of a file is the library's own, term for term.

The kernel computes ``Nat.div`` or ``Nat.land`` itself wherever these names are declared. That is sound for the
functions of Lean's library; for what a file declares under such a name it is sound if the file's function is the same
term, and so is everything that its type and its value mention.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from leanhost.engine.expressions import Arg, ArrayOf
from leanhost.engine.values import Ref
from leanhost.lean import names
from leanhost.lean.core import Lean
from leanhost.lean.names import NameTuple
from leanhost.services.exports.read.builder import Builder
from leanhost.services.exports.read.lines import LineReader, ReplayLimits
from leanhost.services.exports.read.records import DeclarationLine, Tables
from leanhost.services.exports.write.export import export
from leanhost.services.values.graphs import reachable

_KINDS = {"axiom": "axiom", "def": "definition", "opaque": "opaque", "quot": "quot"}


@dataclass(frozen=True, slots=True)
class _Known:
    """A constant of the library: its terms without metadata, as a file has them."""

    kind: str
    universes: tuple[NameTuple, ...]
    type: Ref
    value: Ref | None = None
    family: tuple[int, tuple[NameTuple, ...], tuple[NameTuple, ...]] | None = None
    """Of an inductive type: how many parameters, the types declared with it, and its constructors."""


class Library:
    """A trusted library's definitions of *wanted*, to compare a file's with."""

    def __init__(self, lean: Lean, env: Ref, wanted: Collection[NameTuple]) -> None:
        """Read those of *wanted* that *env*, an ``Environment``, has, and all they rest on but proofs."""
        self._lean = lean
        self._known: dict[NameTuple, _Known] = {}
        self._same: set[NameTuple] = set()
        """What was found to be the same. A constant that a kernel environment has never changes."""
        asked = sorted(wanted)
        there = [name for name, info in zip(asked, lean.find(env, asked), strict=True) if info is not None]
        written = io.BytesIO()
        export(lean, env, there, written, proofs=False)
        written.seek(0)
        self._read(LineReader(written, ReplayLimits()))

    def defines(self, name: NameTuple, kernel_env: Ref, called: NameTuple) -> bool:
        """Whether *kernel_env* has under *called* what the library has under *name*, and the same below it.

        Proofs are not compared, only what they prove: two proofs of a proposition are equal to the kernel. The function
        itself may be an axiom in the file, which says nothing that the library's would not fulfil.
        """
        found: set[NameTuple] = set()
        for each in reachable([name], lambda found: self._mentioned(self._known[found]) - self._same):
            known = self._known.get(each)
            own = each == name
            if known is None or not self._equal(known, kernel_env, called if own else each, own):
                return False
            found.add(each)
        self._same |= found - {name}
        return True

    def _read(self, reader: LineReader) -> None:
        builder = Builder(self._lean, lambda _: 0)
        declared: list[DeclarationLine] = []
        for record in reader:
            if isinstance(record, DeclarationLine):
                declared.append(record)
            else:
                builder.add(record)
        builder.build()
        for record in declared:
            self._known.update(_constants(record, reader.tables, builder))

    def _mentioned(self, known: _Known) -> set[NameTuple]:
        table = self._lean.table
        rows: list[Arg] = [table.used_constants(e) for e in (known.type, known.value) if e is not None]
        mentioned: set[NameTuple] = set()
        for row in self._lean.array(ArrayOf(rows)):
            assert isinstance(row, list)
            mentioned.update(map(names.decode, row))
        if known.family is not None:
            mentioned.update(*known.family[1:])
        return mentioned

    def _equal(self, known: _Known, kernel_env: Ref, name: NameTuple, own: bool) -> bool:
        lean, table = self._lean, self._lean.table
        info = lean.kernel_find(kernel_env, name)
        if info is None:
            return False
        kind = lean.constant_kind(info)
        unshown = kind in ("axiom", "theorem") and (known.kind == "axiom" or (own and kind == "axiom"))
        if kind != known.kind and not unshown:
            return False
        if tuple(lean.name_list(table.constant_levels(info))) != known.universes:
            return False
        flags = [table.expr_eqv(table.constant_type(info), known.type)]
        if known.value is not None and not unshown:
            flags.append(table.expr_eqv(table.constant_value(info), known.value))
        if known.family is not None:
            parameters, all_, ctors = known.family
            if (
                lean.number(table.inductive_params(info)) != parameters
                or tuple(lean.name_list(table.inductive_all(info))) != all_
                or tuple(lean.name_list(table.inductive_ctors(info))) != ctors
            ):
                return False
        return all(lean.flags(flags))


def _constants(
    record: DeclarationLine, tables: Tables, builder: Builder
) -> Iterator[tuple[NameTuple, _Known]]:
    """What a line of the library declares; recursors are what the kernel makes of their types."""

    def listed(numbers: list[int]) -> tuple[NameTuple, ...]:
        return tuple(map(tables.name, numbers))

    def known(kind: str, part: dict[str, Any], **more: Any) -> tuple[NameTuple, _Known]:
        universes, type_ = listed(part["levelParams"]), builder.expr(part["type"])
        return tables.name(part["name"]), _Known(kind, universes, type_, **more)

    body = record.body
    if record.word != "inductive":
        value = builder.expr(body["value"]) if "value" in body else None
        yield known(_KINDS[record.word], body, value=value)
        return
    for part in body["types"]:
        family = (part["numParams"], listed(part["all"]), listed(part["ctors"]))
        yield known("inductive", part, family=family)
    for part in body["ctors"]:
        yield known("constructor", part)
    for part in body["recs"]:
        yield known("recursor", part)
