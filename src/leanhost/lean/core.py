"""Lean's own values and functions, typed: the floor everything above speaks to."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from leanhost.engine.base import Engine, Step
from leanhost.engine.expressions import Arg, ArrayOf, Build, Ctor, Field, Index, ListOf, Size, Tag
from leanhost.engine.values import Data, Node, Ref, Thrown
from leanhost.errors import LeanError, UsageError
from leanhost.lean import names
from leanhost.lean.names import NameTuple
from leanhost.lean.tables import Table
from leanhost.lean.tables.common import OLEAN_LEVELS

OptionValue: TypeAlias = bool | int | str
"""A ``set_option`` value: ``Bool``, ``Nat`` or ``String``."""

CONSTANT_KINDS = ("axiom", "definition", "theorem", "opaque", "quot", "inductive", "constructor", "recursor")
"""Names of ``Lean.ConstantInfo``'s constructors, by tag."""

_OPTION_TYPES: dict[int, type] = {0: str, 1: bool, 2: str, 3: int}

_NESTED = 64
"""How many components of a name go into one expression."""

CHUNK = 256
"""How many things are asked for in one step: enough to hide a round trip, small enough to stay responsive."""

T = TypeVar("T")


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield *items* in pieces of :data:`CHUNK`, in order."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


@dataclass(frozen=True, slots=True)
class Import:
    """One ``import`` line: ``public`` is *exported*, ``all`` is *all_*, ``meta`` is *meta* (``Lean.Import``)."""

    module: NameTuple
    all_: bool = False
    exported: bool = True
    meta: bool = False

    @property
    def text(self) -> str:
        """The module's name as text."""
        return names.show(self.module)


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant of an environment: its name, its kind (see :data:`CONSTANT_KINDS`) and its ``ConstantInfo``."""

    name: NameTuple
    kind: str
    info: Ref


class Lean:
    """Lean functions called through an engine by a version table."""

    def __init__(self, engine: Engine, table: Table) -> None:
        self.engine = engine
        self.table = table
        self.option_types: dict[str, int] = {}
        """The tag of the default value of each registered option, once one was asked for."""
        self._counter = itertools.count()
        self._capture: Ref | None = None
        self._capturing: Callable[..., Arg] | None = None
        self._steps: dict[Build, Step] = {}
        self.commit = ""
        """The commit of the Lean that runs, once :meth:`version` was asked."""

    def step(self, build: Build) -> Step:
        """Return the prepared step that *build*, a function of the module's own, makes of this table and values.

        ``lean.step(_parse)(context, state)`` evaluates ``_parse(table, context, state)`` in one step.
        """
        found = self._steps.get(build)
        if found is None:
            found = self._steps[build] = self.engine.prepare(functools.partial(build, self.table))
        return found

    def capture_closure(self, function: Callable[..., Arg]) -> Ref:
        """Return a closure of seven parameters that calls *function* the next time it runs.

        There is one closure for the engine, because an engine keeps its callbacks for ever.
        """
        self._capturing = function
        if self._capture is None:

            def capture(*refs: Ref) -> Arg:
                assert self._capturing is not None
                return self._capturing(*refs)

            self._capture = self.engine.callback(7, capture)
        return self._capture

    def drop_capture(self) -> None:
        """Let go of the closure itself, which went with a reset of the engine."""
        self._capture = self._capturing = None

    def forget_capture(self) -> None:
        """Release what the closure last called, and what that holds."""
        self._capturing = None

    # --- values in ---

    def name(self, name: NameTuple | str) -> Arg:
        """Return the expression that builds a ``Lean.Name``."""
        parts = names.parse(name) if isinstance(name, str) else name
        result: Arg = 0
        for at, part in enumerate(parts, 1):
            if at % _NESTED == 0:
                # An expression is evaluated recursively; a long name is built a piece at a time.
                result = self.engine.eval(result)
            if isinstance(part, str):
                result = self.table.name_str(result, part)
            else:
                result = self.table.name_num(result, part)
        return result

    def options(self, values: Mapping[str, OptionValue]) -> Ref:
        """Build ``Lean.Options``; an unknown option or a value of the wrong type is a :class:`UsageError`."""
        table = self.table
        result = table.options_empty()
        for name, value in values.items():
            kind = self._option_type(name)
            wanted = _OPTION_TYPES.get(kind)
            if wanted is None or type(value) is not wanted or (wanted is int and value < 0):  # type: ignore[operator]
                what = (
                    "a natural number" if wanted is int else wanted.__name__ if wanted else "no Python value"
                )
                raise UsageError(f"option {name} takes {what}, not {value!r}")
            encoded: Arg
            if isinstance(value, bool):
                encoded = table.data_bool(value)
            elif isinstance(value, int):
                encoded = table.data_nat(value)
            elif kind == 2:
                encoded = table.data_name(self.name(value))
            else:
                encoded = table.data_string(value)
            result = table.options_insert(result, self.name(name), encoded)
        return self.engine.eval(result)

    def _option_type(self, name: str) -> int:
        """Return the tag of the default ``DataValue`` of a registered option."""
        if name not in self.option_types:
            self._load_options()
        try:
            return self.option_types[name]
        except KeyError:
            raise UsageError(f"Lean knows no option named {name}", hint="see Lean's `#help option`") from None

    def _load_options(self) -> None:
        # OptionDecl holds its default value among text fields; only names and that value's tag are copied.
        with self.engine.eval(self.table.option_decls()) as decls:
            count = self.number(Size(decls))
            for wanted in chunks(range(count)):
                rows: list[Arg] = [
                    Ctor(
                        0,
                        (Field(Index(decls, i), 0), self.table.option_default_tag(Field(Index(decls, i), 1))),
                    )
                    for i in wanted
                ]
                for row in self.array(ArrayOf(rows)):
                    assert isinstance(row, Node)
                    tag = row.fields[1]
                    assert isinstance(tag, int)
                    self.option_types[names.show(names.decode(row.fields[0]))] = tag

    # --- values out ---

    def text(self, arg: Arg) -> str:
        """Evaluate a ``String``."""
        value = self.engine.eval_data(arg)
        if not isinstance(value, str):
            raise TypeError(f"Lean returned no string: {value!r}")
        return value

    def number(self, arg: Arg) -> int:
        """Evaluate a small ``Nat``."""
        value = self.engine.eval_data(arg)
        if not isinstance(value, int):
            raise TypeError(f"Lean returned no small number: {value!r}")
        return value

    def small(self, ref: Ref) -> int:
        """Return a ``Nat`` that is at hand; no round trip while it fits a scalar."""
        return ref.unbox() if ref.is_scalar else self.number(ref)

    def array(self, arg: Arg, limit: int = 1_000_000) -> list[Data]:
        """Evaluate an ``Array`` of copyable things."""
        value = self.engine.eval_data(arg, limit)
        if not isinstance(value, list):
            raise TypeError(f"Lean returned no array: {value!r}")
        return value

    def rows(self, rows: Sequence[Sequence[Arg]]) -> list[list[Data]]:
        """Evaluate rows of copyable things in one step."""
        if not rows:
            return []
        return self.array(ArrayOf([ArrayOf(row) for row in rows]))  # type: ignore[return-value]

    def io(self, arg: Arg) -> Ref:
        """Evaluate something of type ``IO``; an ``IO.Error`` becomes :class:`~leanhost.errors.LeanError`."""
        try:
            return self.engine.eval(arg)
        except Thrown as thrown:
            raise LeanError(self.text(self.table.io_error_text(thrown.error))) from None

    def present(self, options: Ref) -> list[Ref]:
        """Return what is there in an ``Array (Option α)``."""
        count = self.number(Size(options))
        values = self._values(self.engine.eval_all([Index(options, i) for i in range(count)]))
        return [value for value in values if value is not None]

    def _values(self, options: Sequence[Ref]) -> list[Ref | None]:
        """Return what is in each ``Option``, and close these."""
        there = [option for option in options if not option.is_none]
        found = iter(self.engine.eval_all([self.table.option_value(option) for option in there]))
        values = [None if option.is_none else next(found) for option in options]
        for option in options:
            option.close()
        return values

    def fresh_name(self) -> NameTuple:
        """Return a name that nothing in this Lean has yet, for a free variable."""
        return ("_leanhost", next(self._counter))

    # --- environments ---

    def import_modules(
        self,
        imports: Sequence[Import],
        search_path: Sequence[str],
        options: Arg,
        *,
        level: int = OLEAN_LEVELS.index("private"),
        leak: bool = False,
        trust: int = 0,
    ) -> Ref:
        """Import an environment (``Lean.importModules``, with its extensions loaded).

        Raises :class:`~leanhost.errors.LeanError` with Lean's words.
        """
        table = self.table
        items: list[Arg] = [
            table.import_decl(self.name(i.module), all_=i.all_, exported=i.exported, meta=i.meta)
            for i in imports
        ]
        with self.engine.lock:
            self.engine.eval(table.set_search_path(ListOf(list(search_path)))).close()
            # Lean takes the permission back at the end of every import.
            self.engine.eval(table.enable_initializers()).close()
            env = table.import_modules(
                ArrayOf(items), options, trust=trust, leak=leak, load_exts=True, level=level
            )
            return self.io(env)

    def empty_environment(self) -> Ref:
        """Return an environment without any import (``Lean.mkEmptyEnvironment``)."""
        return self.io(self.table.empty_environment())

    def same_imports(self, kernel_env: Ref, env: Ref) -> bool:
        """Tell whether *env* still has the imported constants of *kernel_env*, the very same map.

        Additions are listed from the other map (``new_constants`` of :mod:`leanhost.lean.constants`), so code that
        replaces this one could hide declarations among the imports.
        """
        table = self.table
        with self.engine.lock:
            ours, theirs = self.engine.eval_all(
                (table.imported_constants(kernel_env), table.imported_constants(table.kernel_env(env)))
            )
            with ours, theirs:
                return ours.ptr() == theirs.ptr()

    def find(self, env: Ref, wanted: Sequence[NameTuple]) -> list[Ref | None]:
        """Look constants up (``Environment.find?``): a ``ConstantInfo`` or ``None`` for each name."""
        found: list[Ref | None] = []
        for chunk in chunks(wanted):
            found += self._values(self.engine.eval_all([self.table.find(env, self.name(n)) for n in chunk]))
        return found

    def kernel_find(self, kernel_env: Ref, name: NameTuple | Arg) -> Ref | None:
        """Look a constant up in a kernel environment (``Kernel.Environment.find?``): its ``ConstantInfo``."""
        return self.kernel_find_all(kernel_env, [name])[0]

    def kernel_find_all(self, kernel_env: Ref, wanted: Sequence[NameTuple | Arg]) -> list[Ref | None]:
        """Look many constants up like :meth:`kernel_find`."""
        found: list[Ref | None] = []
        for chunk in chunks(wanted):
            named = [self.name(name) if isinstance(name, tuple) else name for name in chunk]
            found += self._values(
                self.engine.eval_all([self.table.kernel_find(kernel_env, name) for name in named])
            )
        return found

    def constant_kind(self, info: Ref) -> str:
        """Return the kind of a ``ConstantInfo``."""
        return CONSTANT_KINDS[self.number(Tag(info))]

    def is_original_axiom(self, env: Ref, name: NameTuple) -> bool:
        """Tell whether a constant was declared as an axiom, even where theorems lost their bodies."""
        kind = self.engine.eval_data(self.table.original_kind(env, self.name(name)))
        # Unknown to the extension: the constant is what the environment says, an axiom.
        return not isinstance(kind, Node) or kind.fields[0] == self.table.AXIOM_KIND

    def name_list(self, arg: Arg) -> list[NameTuple]:
        """Evaluate a ``List Name``."""
        return [names.decode(item) for item in self.array(self.table.list_to_array(arg))]

    def items(self, items: Ref) -> list[Ref]:
        """Return the elements of a ``List``."""
        found: list[Ref] = []
        table = self.table
        while not items.is_scalar:
            head, items = self.engine.eval_all([table.list_head(items), table.list_tail(items)])
            found.append(head)
        return found

    def name_array(self, arg: Arg) -> list[NameTuple]:
        """Evaluate an ``Array Name``."""
        return [names.decode(item) for item in self.array(arg)]

    def flags(self, args: Sequence[Arg]) -> list[bool]:
        """Evaluate many boxed ``Bool`` values."""
        result: list[bool] = []
        for chunk in chunks(args):
            result.extend(bool(flag) for flag in self.array(ArrayOf(chunk)))
        return result

    def number_tag(self, ref: Ref) -> int:
        """Return a value's constructor tag."""
        return self.number(Tag(ref))

    def is_name(self, ref: Ref, name: NameTuple) -> bool:
        """Tell whether a ``Lean.Name`` is *name*."""
        return names.decode(self.engine.dump(ref, 64)) == name

    def beyond(self, message: str) -> str:
        """Return why this Lean cannot do what failed with *message*, or ``""`` where that is not the reason."""
        for pattern, why in self.table.BEYOND:
            if re.search(pattern, message):
                return f"{why}: {message[:300]}"
        return ""

    def version(self) -> tuple[str, str]:
        """Return ``Lean.versionString`` and ``Lean.githash``."""
        # A development build says "4.28.0, commit ...".
        version = self.text(self.table.version_string()).partition(", ")[0]
        self.commit = self.text(self.table.githash())
        return version, self.commit
