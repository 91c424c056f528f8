"""Lean's terms as Python handles: immutable, compared by Lean's own equality, taken apart with ``match``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Self, TypeAlias

from leanhost.engine.expressions import Arg
from leanhost.engine.values import Ref
from leanhost.errors import ClosedError, ForeignHandleError, LeanHostError, UsageError
from leanhost.lean import names, reading
from leanhost.lean.core import Lean
from leanhost.lean.names import NameTuple
from leanhost.lean.tables.exprs import BINDER_KINDS, EXPRS, LEVELS
from leanhost.services.values.lifecycle import Life

_REPR_CHARS = 80


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """A ``Lean.Name``: a tuple of components, read and shown as Lean does.

    ``Name("Nat.add_comm")`` reads text; ``Name(("Nat", "add_comm"))`` takes components.
    """

    parts: NameTuple

    def __init__(self, name: str | NameTuple | Name = ()) -> None:
        if isinstance(name, Name):
            parts = name.parts
        elif isinstance(name, str):
            parts = names.parse(name)
        else:
            if not isinstance(name, tuple | list):
                raise UsageError(f"a name is text or a tuple of components, not {name!r:.80}")
            parts = tuple(name)
            for part in parts:
                if (
                    isinstance(part, bool)
                    or not isinstance(part, str | int)
                    or (isinstance(part, int) and part < 0)
                ):
                    raise UsageError(f"a name is made of strings and natural numbers, not {part!r}")
        object.__setattr__(self, "parts", parts)

    @property
    def is_anonymous(self) -> bool:
        """Whether this is the anonymous name."""
        return not self.parts

    def __truediv__(self, part: str | int) -> Name:
        """Append a component: ``Name("Nat") / "add"``."""
        return Name((*self.parts, part))

    def __str__(self) -> str:
        return names.show(self.parts)

    def __repr__(self) -> str:
        return f"Name({str(self)!r})"


NameLike: TypeAlias = "Name | str | NameTuple"
"""Whatever a name may be given as."""


class Home:
    """Where handles live: a Lean, how its terms are printed, and how long all that lasts."""

    __slots__ = ("lean", "life", "pp")

    def __init__(self, lean: Lean, pp: Callable[[Ref], str], life: Life) -> None:
        self.lean = lean
        self.pp = pp
        self.life = life

    def expr(self, value: Expr) -> Ref:
        """Return the reference of a term for use here; refuse anything else and stale terms."""
        if type(value) is Expr and value._home is self and not value._ref.closed and not self.life.over:
            return value._ref
        return self._visiting(
            value, Expr, "a term (Expr)", "session.elaborate(text) and session.build make terms"
        )

    def level(self, value: Level) -> Ref:
        """The same for a universe level."""
        return self._visiting(value, Level, "a universe level (Level)", "session.build.level(...) makes one")

    def _visiting(self, value: object, wanted: type[_Handle], what: str, hint: str) -> Ref:
        if not isinstance(value, wanted):
            raise UsageError(f"{what} is wanted, not {value!r:.80}", hint=hint)
        if value._home.life is not self.life or value._home.lean.engine is not self.lean.engine:
            value._home.life.check(f"this {wanted.__name__}")
            raise ForeignHandleError(
                f"this {wanted.__name__} belongs to another host (or to an engine that was lost)",
                hint="build the term again with this session",
            )
        return value._own()


class _Handle:
    """What expressions and levels share: one owned reference and a home."""

    __slots__ = ("__weakref__", "_hash", "_home", "_ref")

    def __init__(self, home: Home, ref: Ref) -> None:
        self._home = home
        self._ref = ref
        self._hash: int | None = None

    def _own(self) -> Ref:
        """Return the reference, if it is still good."""
        self._home.life.check(f"this {type(self).__name__}")
        if self._ref.closed:
            raise ClosedError(f"this {type(self).__name__} is closed")
        return self._ref

    def _is_good(self) -> bool:
        return not self._ref.closed and not self._home.life.over and not self._home.lean.engine.lost

    def close(self) -> None:
        """Release the handle early; the collector does it otherwise."""
        self._ref.close()

    def _shares(self, other: _Handle) -> bool:
        """Tell whether both live in the same Lean of the same host."""
        mine, theirs = self._home, other._home
        return mine is theirs or (mine.life is theirs.life and mine.lean.engine is theirs.lean.engine)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            f"a handle ({type(self).__name__}) lives in its Lean and cannot be pickled",
            hint="send its text, or session.export() what it names",
        )

    def _bool(self, arg: Arg) -> bool:
        return bool(self._home.lean.number(arg))

    def _sub(self, arg: Arg) -> Ref:
        return self._home.lean.engine.eval(arg)

    def _lean_hash(self, arg: Arg) -> int:
        if self._hash is None:
            self._hash = reading.uint64(self._home.lean, arg)
        return self._hash


class Level(_Handle):
    """A ``Lean.Level``."""

    __slots__ = ()

    @property
    def kind(self) -> str:
        """One of ``zero``, ``succ``, ``max``, ``imax``, ``param``, ``mvar``."""
        return reading.level_kind(self._home.lean, self._own())

    @property
    def args(self) -> tuple[Level | Name, ...]:
        """The constructor's arguments."""
        kind, ref = self.kind, self._own()
        parts = [LEVELS[kind].get(ref, field) for field in LEVELS[kind].fields]
        if kind in ("param", "mvar"):
            return tuple(Name(names.decode(self._home.lean.engine.eval_data(part))) for part in parts)
        return tuple(Level(self._home, self._sub(part)) for part in parts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Level) or not self._shares(other):
            return NotImplemented
        return self._bool(self._home.lean.table.level_eq(self._own(), other._own()))

    def __hash__(self) -> int:
        return self._lean_hash(self._home.lean.table.level_hash(self._own()))

    def __str__(self) -> str:
        return self._home.lean.text(self._home.lean.table.level_text(self._own()))

    def __repr__(self) -> str:
        return _repr(self)


class Expr(_Handle):
    """A ``Lean.Expr``. ``match expr.view`` takes it apart; ``==`` is Lean's (alpha equivalence)."""

    __slots__ = ()

    @property
    def kind(self) -> str:
        """One of ``bvar fvar mvar sort const app lam forall let lit mdata proj``."""
        return reading.expr_kind(self._home.lean, self._own())

    @property
    def view(self) -> ExprView:
        """The constructor and its arguments, one level deep."""
        home, ref = self._home, self._own()
        kind = self.kind

        def part(field: str) -> Arg:
            return EXPRS[kind].get(ref, field)

        def sub(field: str) -> Expr:
            return Expr(home, self._sub(part(field)))

        def name(field: str = "name") -> Name:
            return Name(names.decode(home.lean.engine.eval_data(part(field))))

        match kind:
            case "bvar":
                return BVar(home.lean.number(part("index")))
            case "fvar":
                return FVar(name())
            case "mvar":
                return MVar(name())
            case "sort":
                return Sort(Level(home, self._sub(part("level"))))
            case "const":
                levels = home.lean.items(self._sub(part("levels")))
                return Const(name(), tuple(Level(home, level) for level in levels))
            case "app":
                return App(sub("function"), sub("argument"))
            case "lam" | "forall":
                binder = BINDER_KINDS[home.lean.number(home.lean.table.binder_info(ref))]
                return (Lam if kind == "lam" else Forall)(name(), sub("type"), sub("body"), binder)
            case "let":
                return Let(name(), sub("type"), sub("value"), sub("body"))
            case "lit":
                return Lit(reading.literal(home.lean, part("literal")))
            case "mdata":
                return MData(sub("expr"))
            case _:
                return Proj(name("structure"), home.lean.number(part("index")), sub("expr"))

    @property
    def has_mvar(self) -> bool:
        """Whether a metavariable occurs (``Expr.hasMVar``)."""
        return self._bool(self._home.lean.table.has_mvar(self._own()))

    @property
    def has_fvar(self) -> bool:
        """Whether a free variable occurs (``Expr.hasFVar``)."""
        return self._bool(self._home.lean.table.has_fvar(self._own()))

    def same(self, other: Expr) -> bool:
        """Whether both terms are identical, binder names and annotations included (``Expr.equal``)."""
        return self._bool(self._home.lean.table.expr_equal(self._own(), self._home.expr(other)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Expr) or not self._shares(other):
            return NotImplemented
        return self._bool(self._home.lean.table.expr_eqv(self._own(), other._own()))

    def __hash__(self) -> int:
        return self._lean_hash(self._home.lean.table.expr_hash(self._own()))

    def __str__(self) -> str:
        return self._home.pp(self._own())

    def __repr__(self) -> str:
        return _repr(self)


def _repr(handle: _Handle) -> str:
    """Describe a handle in one line, whatever has become of it."""
    what = type(handle).__name__
    if not handle._is_good():
        return f"<{what} closed>" if handle._ref.closed else f"<{what} of a Lean that is gone>"
    try:
        text = " ".join(str(handle).split())
    except LeanHostError:
        return f"<{what} of a closed session>"
    return f"<{what} {text[:_REPR_CHARS]}{'…' if len(text) > _REPR_CHARS else ''}>"


@dataclass(frozen=True, slots=True)
class BVar:
    """A bound variable: how many binders out."""

    index: int


@dataclass(frozen=True, slots=True)
class FVar:
    """A free variable, by its unique name."""

    id: Name


@dataclass(frozen=True, slots=True)
class MVar:
    """A metavariable, by its unique name."""

    id: Name


@dataclass(frozen=True, slots=True)
class Sort:
    """A universe."""

    level: Level


@dataclass(frozen=True, slots=True)
class Const:
    """A constant at universe levels."""

    name: Name
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class App:
    """An application."""

    fn: Expr
    arg: Expr


@dataclass(frozen=True, slots=True)
class Lam:
    """A function; ``body`` has a loose bound variable for the binder."""

    name: Name
    type: Expr
    body: Expr
    binder: str


@dataclass(frozen=True, slots=True)
class Forall:
    """A dependent function type; ``body`` has a loose bound variable for the binder."""

    name: Name
    type: Expr
    body: Expr
    binder: str


@dataclass(frozen=True, slots=True)
class Let:
    """A ``let``; ``body`` has a loose bound variable for the binder."""

    name: Name
    type: Expr
    value: Expr
    body: Expr


@dataclass(frozen=True, slots=True)
class Lit:
    """A literal: a natural number or a string."""

    value: int | str


@dataclass(frozen=True, slots=True)
class MData:
    """A term with metadata around it, which is left out here."""

    expr: Expr


@dataclass(frozen=True, slots=True)
class Proj:
    """A structure projection."""

    structure: Name
    index: int
    expr: Expr


ExprView: TypeAlias = BVar | FVar | MVar | Sort | Const | App | Lam | Forall | Let | Lit | MData | Proj
"""What :attr:`Expr.view` returns."""
