"""Questions about the declarations of an environment (``session.declarations``)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg, ArrayOf, Index
from leanhost.engine.values import Ref, Thrown
from leanhost.errors import UsageError
from leanhost.lean.core import Lean
from leanhost.lean.monads import Contexts
from leanhost.lean.names import NameTuple
from leanhost.services.declarations.declaration import Declaration, Lookup
from leanhost.services.declarations.decode import ATTRIBUTES, Axioms, SourceRange
from leanhost.services.declarations.queries import FIELDS, DeclarationQueries, go_on, within
from leanhost.services.declarations.search import Listed, Rank, SearchMatch, best, walk, where
from leanhost.services.elaboration.environment import Imported
from leanhost.services.terms.expr import Name, NameLike
from leanhost.services.terms.meta_answers import DEFAULT
from leanhost.services.terms.meta_runner import MetaRunner
from leanhost.services.values.cancellation import Cancellation, check
from leanhost.services.values.limits import CallContext
from leanhost.services.values.progress import Phase, ProgressSink
from leanhost.services.values.validate import many, natural

__all__ = [
    "ATTRIBUTES",
    "FIELDS",
    "Axioms",
    "BoundedText",
    "Declaration",
    "DeclarationService",
    "Inspection",
    "Listed",
    "Rank",
    "SearchMatch",
    "SourceRange",
]

R = TypeVar("R")

_CHUNK = 512
"""How many names are asked about in one step."""
_PRINTED = 32
"""How many terms are printed in one step; so that a step stays short."""


@dataclass(frozen=True, slots=True)
class BoundedText:
    """Text cut to a budget of UTF-8 bytes, between two characters; ``truncated`` says whether it was."""

    text: str
    truncated: bool = False

    def __str__(self) -> str:
        return f"{self.text}…" if self.truncated else self.text


@dataclass(frozen=True, slots=True)
class Inspection:
    """A declaration for people to read, in bounded size.

    ``value`` is ``None`` where :attr:`Declaration.value` is. ``truncated`` says whether any field was cut.
    """

    name: Name
    kind: str
    universes: tuple[Name, ...]
    module: Name | None
    range: SourceRange | None
    attributes: frozenset[str]
    type: BoundedText
    value: BoundedText | None
    docstring: BoundedText | None
    truncated: bool


def clip(text: str, budget: int) -> BoundedText:
    """Cut *text* to *budget* bytes of UTF-8."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= budget:
        return BoundedText(text)
    return BoundedText(raw[: max(0, budget)].decode("utf-8", "ignore"), True)


class DeclarationService:
    """What is declared in one environment, asked of Lean.

    Names are given as text, as :class:`~leanhost.services.terms.expr.Name` or as components. Bulk questions give one
    result an item, in the order of the items, ``None`` for what is not declared; *progress* receives them in items, on
    the calling thread. *cancellation* stops a question between two steps with :class:`~leanhost.errors.Cancelled`,
    *timeout* in seconds with a :class:`~leanhost.errors.MetaError` whose ``limit`` says so; each step has a time limit
    of its own in any case. Any question can raise :class:`~leanhost.errors.ClosedError` once the session is closed, and
    :class:`~leanhost.errors.EngineLost`.
    """

    def __init__(self, lean: Lean, env: Ref, imported: Imported, meta: MetaRunner) -> None:
        self._lean = lean
        self._meta = meta
        self._queries = DeclarationQueries(lean, env, imported, meta)

    # --- one or many ---

    def get(
        self,
        name: NameLike,
        *,
        fields: Collection[str] = (),
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> Declaration | None:
        """Look *name* up (``Environment.find?``); ``None`` when nothing has that name."""
        return self.get_many((name,), fields=fields, timeout=timeout, cancellation=cancellation)[0]

    def get_many(
        self,
        wanted: Iterable[NameLike],
        *,
        fields: Collection[str] = (),
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[Declaration | None]:
        """Look many names up at once, and ask for *fields* (some of :data:`FIELDS`) of all of them.

        The number of steps does not grow with the names, up to some hundred at a time. What is not in *fields*
        is asked for when it is first read.
        """
        if isinstance(fields, str) or not set(fields) <= set(FIELDS):
            raise UsageError(f"fields are some of {', '.join(FIELDS)}, not {fields!r}")
        chosen = tuple(dict.fromkeys(fields))

        def ask(chunk: Sequence[NameTuple], stop: Cancellation) -> list[Declaration | None]:
            return self._look_up(chunk, chosen, stop)

        return self._bulk("declarations", wanted, ask, CallContext(timeout, cancellation, progress), "get")

    def _look_up(
        self, chunk: Sequence[NameTuple], fields: Sequence[str], cancellation: Cancellation
    ) -> list[Declaration | None]:
        queries = self._queries
        array = self._lean.engine.eval(queries.array(chunk))
        lookup = Lookup(self._lean, queries.load, array, queries.find(array))
        tags = queries.tags(lookup.found)
        found: list[Declaration | None] = []
        for i, kind in enumerate(queries.kinds(array, tags)):
            tag = tags[i]
            there = kind is not None and tag is not None
            found.append(Declaration(Name(chunk[i]), kind, tag, lookup, i) if there else None)  # type: ignore[arg-type]
        if fields:
            queries.load(fields, lookup, found, cancellation)
        return found

    def exists(
        self, name: NameLike, *, timeout: float | None = None, cancellation: Cancellation = None
    ) -> bool:
        """Tell whether *name* is declared."""
        return self.exists_many((name,), timeout=timeout, cancellation=cancellation)[0]

    def exists_many(
        self,
        wanted: Iterable[NameLike],
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[bool]:
        """:meth:`exists` of many names."""

        def ask(chunk: Sequence[NameTuple], _stop: Cancellation) -> list[bool]:
            return self._queries.exist(chunk)

        return self._bulk("exists", wanted, ask, CallContext(timeout, cancellation, progress))

    def kind(
        self, name: NameLike, *, timeout: float | None = None, cancellation: Cancellation = None
    ) -> str | None:
        """Return the kind of *name*; see :attr:`Declaration.kind`."""
        return self.kind_many((name,), timeout=timeout, cancellation=cancellation)[0]

    def kind_many(
        self,
        wanted: Iterable[NameLike],
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[str | None]:
        """:meth:`kind` of many names."""
        queries = self._queries

        def ask(chunk: Sequence[NameTuple], stop: Cancellation) -> list[str | None]:
            with self._lean.engine.eval(queries.array(chunk)) as array, queries.find(array) as found:
                return queries.kinds(array, queries.tags(found))

        return self._bulk("kind", wanted, ask, CallContext(timeout, cancellation, progress))

    def type(
        self,
        name: NameLike,
        *,
        type_bytes: int = 4096,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> BoundedText | None:
        """Return the type of *name* as Lean prints it (``Lean.Meta.ppExpr``), cut to *type_bytes* bytes.

        A type that cannot be printed within Lean's heartbeats comes back empty and ``truncated``.
        """
        found = self.type_many((name,), type_bytes=type_bytes, timeout=timeout, cancellation=cancellation)
        return found[0]

    def type_many(
        self,
        wanted: Iterable[NameLike],
        *,
        type_bytes: int = 4096,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[BoundedText | None]:
        """:meth:`type` of many names; the budget is for each of them."""
        natural("type_bytes", type_bytes)
        queries, table = self._queries, self._lean.table

        def ask(chunk: Sequence[NameTuple], stop: Cancellation) -> list[BoundedText | None]:
            with queries.find(queries.array(chunk)) as found:
                there = [i for i, tag in enumerate(queries.tags(found)) if tag is not None]
                terms = [table.constant_type(table.option_value(Index(found, i))) for i in there]
                result: list[BoundedText | None] = [None] * len(chunk)
                for i, text in zip(there, self._print(terms, stop), strict=True):
                    result[i] = BoundedText("", True) if text is None else clip(text, type_bytes)
                return result

        return self._bulk("type", wanted, ask, CallContext(timeout, cancellation, progress))

    def inspect(
        self,
        name: NameLike,
        *,
        type_bytes: int = 4096,
        value_bytes: int = 4096,
        doc_bytes: int = 4096,
        total_bytes: int = 16384,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> Inspection | None:
        """Return what is known of *name*, to be read; ``None`` when nothing has that name.

        Each text has a budget in UTF-8 bytes, and all of them *total_bytes* together: the type comes first, then
        the documentation, then the value.
        """
        return self.inspect_many(
            (name,),
            type_bytes=type_bytes,
            value_bytes=value_bytes,
            doc_bytes=doc_bytes,
            total_bytes=total_bytes,
            timeout=timeout,
            cancellation=cancellation,
        )[0]

    def inspect_many(
        self,
        wanted: Iterable[NameLike],
        *,
        type_bytes: int = 4096,
        value_bytes: int = 4096,
        doc_bytes: int = 4096,
        total_bytes: int = 16384,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[Inspection | None]:
        """:meth:`inspect` of many names; the budgets are for each of them."""
        budgets = (type_bytes, doc_bytes, value_bytes)
        for which, budget in zip(("type_bytes", "doc_bytes", "value_bytes"), budgets, strict=True):
            natural(which, budget)
        natural("total_bytes", total_bytes)
        fields = ("type", "value", "universes", "module", "docstring", "range", "attributes")

        def ask(chunk: Sequence[NameTuple], stop: Cancellation) -> list[Inspection | None]:
            found = self._look_up(chunk, fields, stop)
            there = [item for item in found if item is not None]
            terms = [term for item in there for term in (item.type, item.value) if term is not None]
            home = self._meta.home
            printed = iter(self._print([home.expr(term) for term in terms], stop))
            return [
                None
                if item is None
                else _inspection(
                    item,
                    next(printed),
                    next(printed) if item.value is not None else "",
                    budgets,
                    total_bytes,
                )
                for item in found
            ]

        return self._bulk("inspect", wanted, ask, CallContext(timeout, cancellation, progress))

    # --- all of them ---

    def iterate(
        self,
        *,
        module: NameLike | None = None,
        namespace: NameLike | None = None,
        kinds: str | Collection[str] | None = None,
        private: bool | None = None,
        internal: bool | None = None,
        own: bool | None = None,
        mentions: Iterable[NameLike] = (),
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> Iterator[Listed]:
        """Stream the constants of the environment, in an order that stays the same.

        The filters are those of :class:`~leanhost.services.declarations.search.Where`. Imported constants come
        module by module, in each as its file has them, then those declared since, by name. Nothing is kept:
        memory stays flat however many there are. *progress* receives the phase ``declarations``, in constants
        looked at; what it or *cancellation* raises comes out of the iterator.
        """
        wanted = where(module, namespace, kinds, private, internal, own, mentions)
        call = CallContext(timeout, cancellation, progress)
        return self._counted("iterate", walk(self._queries, wanted, call, "declarations"))

    def search(
        self,
        fragment: str = "",
        *,
        module: NameLike | None = None,
        namespace: NameLike | None = None,
        kinds: str | Collection[str] | None = None,
        private: bool | None = None,
        internal: bool | None = False,
        own: bool | None = None,
        mentions: Iterable[NameLike] = (),
        limit: int = 50,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[SearchMatch]:
        """Find declarations whose name contains *fragment*; the best *limit*, best first. Case does not matter.

        A whole name comes before a beginning, that before a component (``add_comm`` of ``Nat.add_comm``), that
        before any other place; among equals the one in the fragment's own case, then the one with fewer
        components, then the shorter, then the first by its text. Filters as for :meth:`iterate`, but internal
        details are left out unless asked for. *progress* receives the phase ``search``.
        """
        wanted = where(module, namespace, kinds, private, internal, own, mentions)
        found = walk(self._queries, wanted, CallContext(timeout, cancellation, progress), "search")
        return best(self._counted("search", found), fragment, limit)

    # --- how ---

    def _counted(self, what: str, listed: Iterator[Listed]) -> Iterator[Listed]:
        """Pass *listed* on while the session is open, and count it when it has ended or was left."""
        owner = self._meta.owner
        owner.check_open()
        begun, count = time.monotonic(), 0
        try:
            for item in listed:
                count += 1
                yield item
        finally:
            owner.meter.count(f"declarations.{what}", count, time.monotonic() - begun)

    def _bulk(
        self,
        what: str,
        wanted: Iterable[NameLike],
        ask: Callable[[Sequence[NameTuple], Cancellation], list[R]],
        call: CallContext,
        called: str = "",
    ) -> list[R]:
        many("wanted", wanted)
        parts = [name.parts if type(name) is Name else Name(name).parts for name in wanted]
        asking = Phase(call.progress, what, len(parts))
        result: list[R] = []
        calling = self._meta.owner.calling(f"declarations.{called or what}", call.cancellation, len(parts))
        with calling, within(call) as stop:
            asking.at(0)
            for start in range(0, len(parts), _CHUNK):
                result.extend(ask(parts[start : start + _CHUNK], stop))
                asking.at(len(result))
                check(stop, what)
        return result

    def _print(self, terms: Sequence[Arg], cancellation: Cancellation) -> list[str | None]:
        """Print terms, each within the heartbeats of one ``MetaM`` call; ``None`` for one that ran out of them."""
        result: list[str | None] = []
        for start in range(0, len(terms), _PRINTED):
            step = partial(self._printed, terms=terms[start : start + _PRINTED])
            result.extend(self._meta.supervised(step, DEFAULT, cancellation))
        return result

    def _printed(self, contexts: Contexts, guard: Guard, terms: Sequence[Arg]) -> list[str | None]:
        table = self._lean.table
        each: list[Arg] = [table.pp_meta(term, contexts.six) for term in terms]
        try:
            with contexts.meta(ArrayOf(each)) as printed:
                rows = self._lean.array(printed)
        except Thrown:
            go_on(guard)
            if len(terms) == 1:
                return [None]
            # They shared the heartbeats of one call; each gets its own.
            return [text for term in terms for text in self._printed(contexts, guard, (term,))]
        return [str(row) for row in rows]


def _inspection(
    found: Declaration, type_: str | None, value: str | None, budgets: tuple[int, int, int], left: int
) -> Inspection:
    """Cut the texts of a declaration to their budgets, and to *left* bytes together; ``None`` is a text too costly."""
    cut: list[BoundedText] = []
    for text, budget in zip((type_, found.docstring or "", value), budgets, strict=True):
        cut.append(BoundedText("", True) if text is None else clip(text, min(budget, left)))
        left -= len(cut[-1].text.encode("utf-8", "replace"))
    return Inspection(
        found.name,
        found.kind,
        found.universes,
        found.module,
        found.range,
        found.attributes,
        cut[0],
        cut[2] if found.value is not None else None,
        cut[1] if found.docstring is not None else None,
        any(text.truncated for text in cut),
    )
