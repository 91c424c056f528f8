"""Holes: what a reference leaves open by ``sorry`` in a definition, and what a candidate has in its place.

A hole is the whole value of a definition, below its binders, or a field of a structure that the value is written as.
What fills it is read off the candidate's definition: that definition itself, applied to the binders, and projected to
the field. The value of the reference with its holes filled so is a term in which nothing is left open, and what
else it says is said about the candidate's.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TypeAlias

from leanhost.engine.expressions import Arg
from leanhost.engine.values import Ref
from leanhost.lean import names
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple
from leanhost.services.exports.read.builder import Builder
from leanhost.services.exports.read.records import ExprLine, Tables

SORRY: NameTuple = ("sorryAx",)

_MAX_DEPTH = 200
"""Binders and fields below which no hole is looked for."""

_Step: TypeAlias = "int | tuple[Arg, int]"
"""On the way to a hole: the level of a binder, or a structure's name and the number of a field."""


class Holes:
    """Keeps the expressions of a reference's export, and fills the holes in them.

    *find* looks a constant of the candidate's up; *proofs* are the reference's theorems.
    """

    def __init__(
        self,
        lean: Lean,
        builder: Builder,
        tables: Tables,
        find: Callable[[NameTuple], Constant | None],
        proofs: Container[NameTuple] = (),
    ) -> None:
        self._lean = lean
        self._builder = builder
        self._tables = tables
        self._find = find
        self._proofs = proofs
        self._lines: list[ExprLine] = []

    def add(self, record: ExprLine) -> None:
        """Keep the next expression."""
        self._lines.append(record)

    def is_whole(self, value: int) -> bool:
        """Whether nothing but a hole stands below the binders of the expression numbered *value*."""
        line = self._lines[value]
        while line.kind in ("lam", "letE", "mdata"):
            value = line.exprs[-1]
            line = self._lines[value]
        return self._is_hole(*self._spine(value))

    def has_any(self, value: int) -> bool:
        """Whether there is a hole in the expression numbered *value*."""
        return self._fill(value, 0, 0, ()) is not None

    def is_mentioned(self, value: int) -> bool:
        """Whether ``sorry`` occurs anywhere in the expression numbered *value*."""
        used = self._lean.name_array(self._lean.table.used_constants(self._builder.expr(value)))
        return SORRY in used

    def filled(self, value: int, filling: Arg) -> Ref | None:
        """Return the expression numbered *value* with what *filling* has in its holes; ``None`` if there are none."""
        made = self._fill(value, filling, 0, ())
        return None if made is None else self._lean.engine.eval(made)

    def _fill(self, number: int, filling: Arg, depth: int, path: tuple[_Step, ...]) -> Arg | None:
        if len(path) > _MAX_DEPTH:
            return None
        table, builder, line = self._lean.table, self._builder, self._lines[number]
        match line.kind:
            case "mdata":
                return self._fill(line.exprs[0], filling, depth, path)
            case "lam":
                type_, body = line.exprs
                made = self._fill(body, filling, depth + 1, (*path, depth))
                binder = builder.names[line.rest[0]]
                return None if made is None else table.lam(binder, builder.expr(type_), made, line.rest[1])
            case "letE":
                type_, value, body = line.exprs
                made = self._fill(body, filling, depth + 1, path)
                named = (builder.names[line.rest[0]], builder.expr(type_), builder.expr(value))
                return None if made is None else table.let_flagged(*named, made, int(line.rest[1]))
        head, arguments = self._spine(number)
        if self._is_hole(head, arguments):
            return self._at(filling, depth, path)
        found = self._structure(head, len(arguments))
        if found is None:
            return None
        structure, params = found
        fields = [
            self._fill(argument, filling, depth, (*path, (structure, i)))
            for i, argument in enumerate(arguments[params:])
        ]
        if all(field is None for field in fields):
            return None
        made = builder.expr(head)
        for argument in arguments[:params]:
            made = table.app(made, builder.expr(argument))
        for i, (argument, field) in enumerate(zip(arguments[params:], fields, strict=True)):
            if field is None and self._is_proof(argument):
                # It may be about what is left open beside it; one proof is as good as another.
                field = self._at(filling, depth, (*path, (structure, i)))
            made = table.app(made, builder.expr(argument) if field is None else field)
        return made

    def _at(self, filling: Arg, depth: int, path: tuple[_Step, ...]) -> Arg:
        """What *filling* has at the end of *path*, under *depth* binders."""
        table = self._lean.table
        for step in path:
            if isinstance(step, int):
                filling = table.app(filling, table.bvar(depth - 1 - step))
            else:
                filling = table.proj(*step, filling)
        return filling

    def _spine(self, number: int) -> tuple[int, list[int]]:
        """The head of an application, and its arguments."""
        arguments: list[int] = []
        while (line := self._lines[number]).kind == "app":
            number, argument = line.exprs
            arguments.append(argument)
        return number, arguments[::-1]

    def _is_proof(self, number: int) -> bool:
        line = self._lines[self._spine(number)[0]]
        return line.kind == "const" and self._tables.name(line.rest[0]) in self._proofs

    def _is_hole(self, head: int, arguments: list[int]) -> bool:
        line = self._lines[head]
        return line.kind == "const" and len(arguments) > 1 and self._tables.name(line.rest[0]) == SORRY

    def _structure(self, head: int, arguments: int) -> tuple[Arg, int] | None:
        """The structure that *head* makes of so many arguments, and how many of them are its parameters."""
        lean, table, line = self._lean, self._lean.table, self._lines[head]
        if line.kind != "const":
            return None
        constructor = self._find(self._tables.name(line.rest[0]))
        if constructor is None or constructor.kind != "constructor":
            return None
        info = constructor.info
        params, fields = (
            lean.number(table.constructor_params(info)),
            lean.number(table.constructor_fields(info)),
        )
        family = names.decode(lean.engine.eval_data(table.constructor_inductive(info)))
        inductive = self._find(family)
        if inductive is None or arguments != params + fields:
            return None
        if len(lean.name_list(table.inductive_ctors(inductive.info))) != 1:
            return None
        return lean.name(family), params
