"""Terms built from parts."""

from __future__ import annotations

from collections.abc import Sequence

from leanhost.engine.expressions import Arg, ArrayOf, ListOf
from leanhost.lean.tables.exprs import BINDER_KINDS
from leanhost.services.terms.expr import Expr, Home, Level, Name, NameLike
from leanhost.services.values.validate import natural, one_of


class ExprBuilder:
    """Builds terms; Lean's own constructors compute their hashes and flags. Nothing is type-checked here."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def _expr(self, arg: Arg) -> Expr:
        self._home.life.check("this session")
        return Expr(self._home, self._home.lean.engine.eval(arg))

    def _level(self, arg: Arg) -> Level:
        self._home.life.check("this session")
        return Level(self._home, self._home.lean.engine.eval(arg))

    def _name(self, name: NameLike) -> Arg:
        return self._home.lean.name(Name(name).parts)

    def _binder(self, binder: str) -> int:
        one_of("binder", binder, BINDER_KINDS)
        return BINDER_KINDS.index(binder)

    def level(self, value: int | NameLike) -> Level:
        """A numeral level (``int``) or a universe parameter (its name)."""
        table = self._home.lean.table
        if isinstance(value, int):
            return self._level(table.level_of_nat(natural("a universe level", value, most=1000)))
        return self._level(table.level_param(self._name(value)))

    def succ(self, level: Level) -> Level:
        """``Level.succ``."""
        return self._level(self._home.lean.table.level_succ(self._home.level(level)))

    def max(self, left: Level, right: Level) -> Level:
        """``Level.max``."""
        return self._level(self._home.lean.table.level_max(self._home.level(left), self._home.level(right)))

    def imax(self, left: Level, right: Level) -> Level:
        """``Level.imax``."""
        return self._level(self._home.lean.table.level_imax(self._home.level(left), self._home.level(right)))

    def bvar(self, index: int) -> Expr:
        """A bound variable."""
        return self._expr(self._home.lean.table.bvar(natural("index", index)))

    def fvar(self, name: NameLike) -> Expr:
        """A free variable."""
        return self._expr(self._home.lean.table.fvar(self._name(name)))

    def sort(self, level: Level | int) -> Expr:
        """A universe: ``sort(0)`` is ``Prop``, ``sort(1)`` is ``Type``."""
        at = self.level(level) if isinstance(level, int) else level
        return self._expr(self._home.lean.table.sort(self._home.level(at)))

    def const(self, name: NameLike, levels: Sequence[Level] = ()) -> Expr:
        """A constant."""
        refs: list[Arg] = [self._home.level(level) for level in levels]
        return self._expr(self._home.lean.table.const(self._name(name), ListOf(refs)))

    def app(self, function: Expr, *arguments: Expr) -> Expr:
        """An application to any number of arguments."""
        refs: list[Arg] = [self._home.expr(argument) for argument in arguments]
        return self._expr(self._home.lean.table.apps(self._home.expr(function), ArrayOf(refs)))

    def lam(self, name: NameLike, type_: Expr, body: Expr, binder: str = "default") -> Expr:
        """A function; the binder is ``bvar(0)`` in *body*."""
        refs = (self._home.expr(type_), self._home.expr(body))
        return self._expr(self._home.lean.table.lam(self._name(name), *refs, self._binder(binder)))

    def forall(self, name: NameLike, type_: Expr, body: Expr, binder: str = "default") -> Expr:
        """A dependent function type; the binder is ``bvar(0)`` in *body*."""
        refs = (self._home.expr(type_), self._home.expr(body))
        return self._expr(self._home.lean.table.forall(self._name(name), *refs, self._binder(binder)))

    def let(self, name: NameLike, type_: Expr, value: Expr, body: Expr) -> Expr:
        """A ``let``; the binder is ``bvar(0)`` in *body*."""
        refs = (self._home.expr(type_), self._home.expr(value), self._home.expr(body))
        return self._expr(self._home.lean.table.let_(self._name(name), *refs))

    def lit(self, value: int | str) -> Expr:
        """A natural number or string literal."""
        table = self._home.lean.table
        if isinstance(value, str):
            return self._expr(table.str_lit(value))
        return self._expr(table.nat_lit(natural("value", value)))

    def proj(self, structure: NameLike, index: int, expr: Expr) -> Expr:
        """A structure projection."""
        arguments = (self._name(structure), natural("index", index), self._home.expr(expr))
        return self._expr(self._home.lean.table.proj(*arguments))
