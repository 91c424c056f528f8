"""What can be asked of a declaration, for one or for many at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg, ArrayOf, Index
from leanhost.engine.values import Data, Ref, Thrown
from leanhost.errors import Cancelled, MetaError
from leanhost.lean import names
from leanhost.lean.constants import WITH_VALUE, kernel_constants, new_constants, used_constants
from leanhost.lean.core import CONSTANT_KINDS, Constant, Lean
from leanhost.lean.monads import Contexts
from leanhost.lean.names import NameTuple
from leanhost.services.declarations.declaration import Declaration, Lookup
from leanhost.services.declarations.decode import (
    Axioms,
    name_of,
    number,
    read_attributes,
    read_docstring,
    read_range,
    read_universes,
)
from leanhost.services.elaboration.environment import Imported
from leanhost.services.kernel.axioms import AxiomSet, axiom_sets_of
from leanhost.services.terms.expr import Expr, Name
from leanhost.services.terms.meta_answers import DEFAULT
from leanhost.services.terms.meta_runner import MetaRunner
from leanhost.services.values.cancellation import Cancellation, Within
from leanhost.services.values.limits import WORDS, CallContext
from leanhost.services.values.results import Limit

FIELDS = (
    "type",
    "value",
    "universes",
    "module",
    "docstring",
    "range",
    "attributes",
    "used_constants",
    "axioms",
)
"""What :meth:`DeclarationService.get_many` can ask for in bulk."""

LIMIT = 10_000_000
"""Objects in one copied answer: a bound against mistakes, not against large libraries."""

_AXIOM = CONSTANT_KINDS.index("axiom")
_AXIOMS_TIMEOUT = 600.0
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_'!?]*(?:\.[A-Za-z_][A-Za-z0-9_'!?]*)*").fullmatch


class _Question(NamedTuple):
    """A question about an array of names, and how its answer is read."""

    ask: Callable[[Ref, Ref, int], Arg]
    read: Callable[[Any, int], list[Any]]


class DeclarationQueries:
    """Puts questions about declarations to one environment, an array of names at a time."""

    def __init__(self, lean: Lean, env: Ref, imported: Imported, meta: MetaRunner) -> None:
        self.lean = lean
        self.env = env
        self.imported = imported
        self.meta = meta
        self._modules: tuple[Name, ...] | None = None
        self._own: dict[NameTuple, AxiomSet] | None = None
        self._simp_set: Ref | None = None
        self._questions = {
            "universes": _Question(self._ask_universes, read_universes),
            "module": _Question(self._ask_module, self._read_module),
            "docstring": _Question(self._ask_docstring, read_docstring),
            "range": _Question(self._ask_range, partial(read_range, lean.table)),
            "attributes": _Question(self._ask_attributes, read_attributes),
        }

    # --- names in ---

    def name(self, name: NameTuple) -> Arg:
        """Return the expression for one name: one call where its text needs no parsing, else one a component."""
        if name and all(type(part) is str for part in name):
            text = ".".join(name)  # type: ignore[arg-type]
            if _PLAIN(text) and text.count(".") == len(name) - 1:
                return self.lean.table.text_name(text)
        return self.lean.name(name)

    def array(self, wanted: Sequence[NameTuple]) -> Arg:
        """Return the expression for an ``Array Name``."""
        return ArrayOf([self.name(name) for name in wanted])

    def find(self, array: Arg) -> Ref:
        """Look an ``Array Name`` up: ``Array (Option ConstantInfo)``."""
        table = self.lean.table
        return self.lean.engine.eval(table.array_map(table.find_fn(self.env), array))

    def exist(self, wanted: Sequence[NameTuple]) -> list[bool]:
        """Tell for each name whether it is declared."""
        table = self.lean.table
        known = table.compose_fn(table.is_some_fn(), table.find_fn(self.env))
        return [bool(flag) for flag in self.lean.array(table.array_map(known, self.array(wanted)))]

    def tags(self, found: Ref) -> list[int | None]:
        """Return the constructor tags of an ``Array (Option ConstantInfo)``."""
        table = self.lean.table
        data = self.lean.array(table.array_map(table.in_option_fn(table.kind_fn()), found), LIMIT)
        return [number(item) for item in data]

    def kinds(self, array: Ref, tags: Sequence[int | None]) -> list[str | None]:
        """Turn tags into kinds; what is an axiom only for want of its proof is called what it was declared as."""
        table = self.lean.table
        doubtful = ArrayOf([Index(array, i) for i, tag in enumerate(tags) if tag == _AXIOM])
        originals = (
            self.lean.array(table.array_map(self.original_kind_fn(), doubtful), LIMIT)
            if _AXIOM in tags
            else []
        )
        there = iter(self.original_kinds([tag for tag in tags if tag is not None], originals))
        return [None if tag is None else next(there) for tag in tags]

    def original_kind_fn(self) -> Arg:
        """``getOriginalConstKind?`` as the imports know it: no elaborator has written to that extension since."""
        return self.lean.table.original_kind_fn(self.imported.env)

    def original_kinds(self, tags: Sequence[int], originals: Sequence[Data]) -> list[str]:
        """Name the kinds with these tags; *originals* are the ``Option ConstantKind`` of those that are axioms."""
        kinds = [CONSTANT_KINDS[tag] for tag in tags]
        doubtful = [i for i, tag in enumerate(tags) if tag == _AXIOM]
        for i, original in zip(doubtful, originals, strict=True):
            tag = number(original)
            if tag is not None:
                kinds[i] = self.lean.table.ORIGINAL_KINDS[tag]
        return kinds

    # --- whole fields ---

    def load(
        self,
        wanted: Sequence[str],
        lookup: Lookup,
        items: Sequence[Declaration | None],
        cancellation: Cancellation,
    ) -> None:
        """Ask for the fields *wanted* of every declaration of *lookup*, and put them into its cache."""
        plain = [name for name in wanted if name in self._questions]
        if plain:
            for name, values in zip(plain, self._answer(plain, lookup, len(items)), strict=True):
                _keep(name, items, values)
        present = [item for item in items if item is not None]
        for name in wanted:
            if name in ("type", "value"):
                _keep(name, present, self._terms(name, present))
            elif name == "used_constants":
                _keep(name, present, self._used(present, cancellation))
            elif name == "axioms":
                _keep(name, present, self._axioms([item.name.parts for item in present], cancellation))

    def _answer(self, wanted: Sequence[str], lookup: Lookup, count: int) -> list[list[Any]]:
        """Put several questions in one step."""
        questions = [self._questions[name] for name in wanted]
        asked = ArrayOf([question.ask(lookup.names, lookup.found, count) for question in questions])
        try:
            answers = self.lean.array(asked, LIMIT)
        except Thrown:
            # A docstring that Lean cannot render spoils the lot; it has to go without one.
            if count > 1:
                ones = [self._answer(wanted, lookup.one(i), 1) for i in range(count)]
                return [[one[k][0] for one in ones] for k in range(len(wanted))]
            return [[None] if name == "docstring" else self._answer([name], lookup, 1)[0] for name in wanted]
        return [question.read(answer, count) for question, answer in zip(questions, answers, strict=True)]

    def _terms(self, which: str, items: Sequence[Declaration]) -> list[Expr | None]:
        table, home = self.lean.table, self.meta.home
        part = table.constant_type if which == "type" else table.constant_value
        has = [which == "type" or CONSTANT_KINDS[item._tag] in WITH_VALUE for item in items]
        refs = iter(
            self.lean.engine.eval_all([part(i._info) for i, yes in zip(items, has, strict=True) if yes])
        )
        return [Expr(home, next(refs)) if yes else None for yes in has]

    def _used(self, items: Sequence[Declaration], cancellation: Cancellation) -> list[frozenset[Name]]:
        def work(pause: Callable[[], None]) -> list[frozenset[NameTuple]]:
            pause()
            infos = self.lean.engine.eval_all([item._info for item in items])
            constants = [
                Constant(item.name.parts, CONSTANT_KINDS[item._tag], info)
                for item, info in zip(items, infos, strict=True)
            ]
            return used_constants(self.lean, constants)

        return [frozenset(map(name_of, used)) for used in self.walk(work, cancellation)]

    def _axioms(self, wanted: Sequence[NameTuple], cancellation: Cancellation) -> list[Axioms]:
        """Walk what *wanted* rests on, literals included; remembered with the imported environment."""

        def work(pause: Callable[[], None]) -> list[AxiomSet]:
            own = self._own_axiom_sets(pause)
            found: list[AxiomSet] = []
            for name in wanted:
                axiom_set = own[name] if name in own else self.imported.axioms.under((name,), pause)
                for absent in axiom_set.absent & own.keys():
                    axiom_set |= own[absent]
                found.append(axiom_set)
            return found

        found = self.walk(work, cancellation, timeout=_AXIOMS_TIMEOUT)
        return [
            Axioms(frozenset(map(name_of, axiom_set.axioms)), not axiom_set.incomplete) for axiom_set in found
        ]

    def _own_axiom_sets(self, pause: Callable[[], None]) -> dict[NameTuple, AxiomSet]:
        if self._own is None:
            added = new_constants(self.lean, self.env)
            used = dict(zip((c.name for c in added), kernel_constants(self.lean, added), strict=True))
            self._own = axiom_sets_of(self.imported.axioms, added, used, pause)
        return self._own

    def walk(
        self, work: Callable[[Callable[[], None]], Any], cancellation: Cancellation, *, timeout: float = 0.0
    ) -> Any:
        """Run *work*, which goes through terms, where deep ones have the stack they need.

        It calls its argument now and then, which raises once the work shall stop.
        """
        options = replace(DEFAULT, timeout=timeout) if timeout else DEFAULT

        def inside(_contexts: object, guard: Guard) -> Any:
            return work(lambda: go_on(guard))

        return self.meta.supervised(inside, options, cancellation)

    # --- the questions ---

    def _ask_universes(self, _array: Ref, found: Ref, _count: int) -> Arg:
        table = self.lean.table
        return table.array_map(table.in_option_fn(table.level_texts_fn()), found)

    def _ask_module(self, array: Ref, _found: Ref, _count: int) -> Arg:
        table = self.lean.table
        return table.array_map(table.module_index_fn(self.env), array)

    def modules(self) -> tuple[Name, ...]:
        """The imported modules, by ``ModuleIdx``."""
        if self._modules is None:
            listed = self.lean.array(self.lean.table.module_names(self.env), LIMIT)
            self._modules = tuple(name_of(names.decode(item)) for item in listed)
        return self._modules

    def _read_module(self, answer: Any, _count: int) -> list[Name | None]:
        modules = self.modules()
        return [None if index is None else modules[index] for index in map(number, answer)]

    def _ask_docstring(self, array: Ref, _found: Ref, count: int) -> Arg:
        return ArrayOf([self.lean.table.docstring(self.env, Index(array, i)) for i in range(count)])

    def _ask_range(self, array: Ref, _found: Ref, _count: int) -> Arg:
        # As Lean.findDeclarationRanges? does: recursors and their like have the range of their type.
        table, env = self.lean.table, self.env
        ranges = table.ranges_fn(env)
        mapped = (
            table.is_aux_recursor_fn(env),
            table.is_no_confusion_fn(env),
            table.is_recursor_fn(env),
            ranges,
            table.compose_fn(ranges, table.prefix_fn()),
            table.builtin_ranges_fn(),
        )
        return ArrayOf([table.array_map(function, array) for function in mapped])

    def _ask_attributes(self, array: Ref, _found: Ref, count: int) -> Arg:
        table, env = self.lean.table, self.env
        simp = self._simp()
        flags = [
            table.array_map(table.is_instance_fn(env), array),
            table.array_map(table.is_class_fn(env), array),
            table.array_map(table.is_protected_fn(env), array),
            table.array_map(table.is_private_fn(), array),
            table.array_map(table.is_deprecated_fn(env), array),
            table.array_map(table.is_simp_unfolded_fn(simp), array),
        ]
        for inverse in (False, True):
            origins = [table.simp_origin(Index(array, i), post=True, inverse=inverse) for i in range(count)]
            flags.append(table.array_map(table.is_simp_lemma_fn(simp), ArrayOf(origins)))
        return ArrayOf([table.array_map(table.reducibility_fn(env), array), *flags])

    def _simp(self) -> Ref:
        """Return the default simp set of the environment, read once."""
        if self._simp_set is None:
            table = self.lean.table

            def read(contexts: Contexts, _guard: Guard) -> Ref:
                return self.lean.engine.eval(table.simp_theorems(contexts.six.core_state))

            self._simp_set = self.meta.supervised(read, DEFAULT, brief=True)
        return self._simp_set


def _keep(name: str, items: Sequence[Declaration | None], values: Sequence[Any]) -> None:
    for item, value in zip(items, values, strict=True):
        if item is not None:
            item._cache[name] = value


@contextmanager
def within(call: CallContext) -> Iterator[Cancellation]:
    """Give the steps of *call* a token that stops them; when that was for the time, say so."""
    if call.timeout is None:
        yield call.cancellation
        return
    stop = Within(call.cancellation, call.timeout)
    try:
        yield stop
    except Cancelled:
        if not stop.timed_out:
            raise
        raise _too_long() from None


def _too_long() -> MetaError:
    return MetaError("a question about declarations took too long", limit=Limit.TIMEOUT)


def go_on(guard: Guard) -> None:
    """Raise when the work under *guard* shall stop."""
    limit = guard.asked_to_stop
    if limit is Limit.TIMEOUT:
        raise _too_long()
    if limit is not None:
        raise Cancelled(f"the question was stopped: {WORDS[limit]}")
