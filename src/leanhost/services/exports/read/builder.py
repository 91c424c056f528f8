"""Rebuilding numbered names, levels and expressions with Lean's own constructors, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from leanhost.engine.expressions import Arg, ListOf
from leanhost.engine.values import Ref
from leanhost.lean.core import Lean
from leanhost.services.exports.read.records import ExprLine, LevelLine, NameLine

_NO_ROUND = -1
_SMALL_DIGITS = 9
"""A number of so many digits is a boxed scalar on every platform."""


class Builder:
    """Keeps what is asked for until :meth:`build` makes it: all that does not wait for each other in one step.

    *constant* returns the name a constant shall have in the kernel, by the number of its name in the file.
    """

    def __init__(self, lean: Lean, constant: Callable[[int], Arg]) -> None:
        self._lean = lean
        self._constant = constant
        self.names: list[Arg] = [0]
        self.levels: list[Arg] = [lean.engine.eval(lean.table.level_zero())]
        self.exprs: list[Arg] = []
        self._rounds: list[list[tuple[list[Arg], int, NameLine | LevelLine | ExprLine, Arg]]] = []
        self._name_round: dict[int, int] = {}
        self._level_round: dict[int, int] = {}
        self._expr_round: dict[int, int] = {}
        self.waiting = 0

    def add(self, record: NameLine | LevelLine | ExprLine) -> None:
        """Ask for the next name, level or expression."""
        names, levels, exprs = self._name_round, self._level_round, self._expr_round
        special: Arg = 0
        if record.__class__ is ExprLine and record[0] == "app":
            target, rounds = self.exprs, exprs
            function, argument = record[1]
            after = max(exprs.get(function, _NO_ROUND), exprs.get(argument, _NO_ROUND))
        elif isinstance(record, NameLine):
            target, rounds = self.names, names
            after = names.get(record.prefix, _NO_ROUND)
        elif isinstance(record, LevelLine):
            target, rounds = self.levels, levels
            after = _latest(names if record.kind == "param" else levels, record.parts)
        else:
            target, rounds = self.exprs, exprs
            after = _latest(exprs, record.exprs)
            match record.kind:
                case "sort":
                    after = _latest(levels, record.rest)
                case "const":
                    after = max(names.get(record.rest[0], _NO_ROUND), _latest(levels, record.rest[1]))
                    special = self._constant(record.rest[0])
                case "lam" | "forallE" | "letE" | "proj":
                    after = max(after, names.get(record.rest[0], _NO_ROUND))
        number = len(target)
        target.append(0)
        rounds[number] = after + 1
        if len(self._rounds) == after + 1:
            self._rounds.append([])
        self._rounds[after + 1].append((target, number, record, special))
        self.waiting += 1

    def build(self) -> None:
        """Make everything that was asked for."""
        engine = self._lean.engine
        for step in self._rounds:
            made = engine.eval_all([self._make(record, special) for _, _, record, special in step])
            for (target, number, _, _), ref in zip(step, made, strict=True):
                target[number] = ref
        self._rounds.clear()
        for rounds in (self._name_round, self._level_round, self._expr_round):
            rounds.clear()
        self.waiting = 0

    def close(self) -> None:
        """Release everything that was built."""
        for made in (self.names, self.levels, self.exprs):
            for item in made:
                if isinstance(item, Ref):
                    item.close()

    def expr(self, number: int) -> Ref:
        """Return an expression that was made."""
        found = self.exprs[number]
        assert isinstance(found, Ref)
        return found

    def name_list(self, numbers: Iterable[int]) -> Arg:
        """Return a ``List Name``."""
        return ListOf([self.names[number] for number in numbers])

    def _make(self, record: NameLine | LevelLine | ExprLine, special: Arg) -> Arg:
        table = self._lean.table
        if isinstance(record, NameLine):
            prefix = self.names[record.prefix]
            if isinstance(record.part, str):
                return table.name_str(prefix, record.part)
            return table.name_num(prefix, record.part)
        if isinstance(record, LevelLine):
            if record.kind == "param":
                return table.level_param(self.names[record.parts[0]])
            parts = [self.levels[i] for i in record.parts]
            if record.kind == "succ":
                return table.level_succ(parts[0])
            return (table.level_max if record.kind == "max" else table.level_imax)(*parts)
        return self._expr(record, special)

    def _expr(self, record: ExprLine, special: Arg) -> Arg:
        table, rest = self._lean.table, record.rest
        parts = [self.exprs[i] for i in record.exprs]
        match record.kind:
            case "app":
                return table.app(*parts)
            case "bvar":
                return table.bvar(rest[0])
            case "sort":
                return table.sort(self.levels[rest[0]])
            case "const":
                name = special if special != 0 else self.names[rest[0]]
                return table.const(name, ListOf([self.levels[i] for i in rest[1]]))
            case "lam":
                return table.lam(self.names[rest[0]], parts[0], parts[1], rest[1])
            case "forallE":
                return table.forall(self.names[rest[0]], parts[0], parts[1], rest[1])
            case "letE":
                type_, value, body = parts
                return table.let_flagged(self.names[rest[0]], type_, value, body, int(rest[1]))
            case "proj":
                return table.proj(self.names[rest[0]], rest[1], parts[0])
            case "natVal":
                return table.nat_lit(self._nat(rest[0]))
            case "strVal":
                return table.str_lit(rest[0])
            case _:
                return parts[0]

    def _nat(self, digits: str) -> Arg:
        if len(digits) <= _SMALL_DIGITS:
            return int(digits)
        return self._lean.table.nat_of_text(digits)


def _latest(rounds: dict[int, int], numbers: Iterable[int]) -> int:
    return max((rounds.get(number, _NO_ROUND) for number in numbers), default=_NO_ROUND)
