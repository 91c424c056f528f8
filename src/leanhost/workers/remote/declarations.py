"""Questions about declarations in workers: every answer that is a plain value."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import asdict

from leanhost.lean.names import NameTuple
from leanhost.services.declarations.decode import Axioms
from leanhost.services.declarations.search import Listed, Mark, Match, Page, Where, page, where
from leanhost.services.declarations.service import BoundedText, DeclarationService, Inspection
from leanhost.services.terms.expr import Name, NameLike
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.progress import ProgressSink
from leanhost.services.values.validate import many, natural, text
from leanhost.workers.remote.operation import Operation, Task
from leanhost.workers.remote.rpc import RemoteContext, async_twin, blocking, first

T = TypeVar("T")

PAGE = 10_000
"""Constants in one answer of a listing, unless asked for otherwise."""
MARKS = 64
"""Listings whose last page's end a session remembers."""
MAX_PAGE = 20_000
"""Most constants in one answer: a frame has a bound."""


class Names(Struct, frozen=True):
    """The declarations that are asked about."""

    names: tuple[NameTuple, ...]


class TypeBudget(Names, frozen=True):
    """How much of each type is wanted."""

    type_bytes: int


class InspectionBudget(Names, frozen=True):
    """How much of each declaration is wanted."""

    type_bytes: int
    value_bytes: int
    doc_bytes: int
    total_bytes: int


class Listing(Struct, frozen=True):
    """A page of a listing, and a place to begin from."""

    wanted: Where
    start: int
    limit: int
    mark: Mark


class Search(Struct, frozen=True):
    """A fragment of a name."""

    wanted: Where
    fragment: str
    limit: int


N = TypeVar("N", bound=Names)


def _many(
    name: str,
    arguments: type[N],
    answer: Any,
    ask: Callable[[DeclarationService], Callable[..., object]],
) -> Operation[N, Any]:
    """Describe a bulk question: one answer for each name."""

    def perform(task: Task[N]) -> object:
        more = asdict(task.arguments)
        names = more.pop("names")
        return ask(task.session.declarations)(
            names, **more, progress=task.progress, cancellation=task.cancellation
        )

    return Operation(f"declarations.{name}", arguments, list[answer], perform, each=True)


def _field(name: str, answer: Any) -> Operation[Names, Any]:
    """Describe a question about one field of declarations."""

    def perform(task: Task[Names]) -> object:
        found = task.session.declarations.get_many(
            task.arguments.names, fields=(name,), progress=task.progress, cancellation=task.cancellation
        )
        return [None if item is None else getattr(item, name) for item in found]

    return Operation(f"declarations.{name}", Names, list[answer | None], perform, each=True)


def _listing(task: Task[Listing]) -> Page:
    a, queries = task.arguments, task.session.declarations.queries
    return page(queries, a.wanted, a.start, a.limit, a.mark, task.progress, task.cancellation)


def _search(task: Task[Search]) -> list[Match]:
    a = task.arguments
    return task.session.declarations.search(
        a.fragment,
        limit=a.limit,
        **dataclasses.asdict(a.wanted),
        progress=task.progress,
        cancellation=task.cancellation,
    )


EXISTS: Operation[Names, list[bool]] = _many("exists", Names, bool, lambda service: service.exists)
KINDS: Operation[Names, list[str | None]] = _many("kinds", Names, str | None, lambda service: service.kinds)
TYPES: Operation[TypeBudget, list[BoundedText | None]] = _many(
    "types", TypeBudget, BoundedText | None, lambda service: service.types
)
INSPECT: Operation[InspectionBudget, list[Inspection | None]] = _many(
    "inspect", InspectionBudget, Inspection | None, lambda service: service.inspect_many
)
AXIOMS: Operation[Names, list[Axioms | None]] = _field("axioms", Axioms)
USED: Operation[Names, list[frozenset[Name] | None]] = _field("used_constants", frozenset[Name])
LISTING: Operation[Listing, Page] = Operation("declarations.listing", Listing, Page, _listing)
SEARCH: Operation[Search, list[Match]] = Operation("declarations.search", Search, list[Match], _search)
OPERATIONS: tuple[Operation[Any, Any], ...] = (EXISTS, KINDS, TYPES, INSPECT, AXIOMS, USED, LISTING, SEARCH)


def _given(wanted: Iterable[NameLike]) -> tuple[NameTuple, ...]:
    many("wanted", wanted)
    return tuple(Name(name).parts for name in wanted)


@dataclass(frozen=True, slots=True)
class WorkerDeclarations:
    """What is declared in a worker's environment (``session.declarations``), as :class:`~leanhost.DeclarationService`.

    Terms come as text: :meth:`inspect` describes a declaration, :meth:`axioms` and :meth:`used_constants` are
    what :class:`~leanhost.Declaration` has as fields. *timeout* is in seconds, the session's if left out.
    """

    _context: RemoteContext
    _marks: dict[Where, Mark] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Where the last page of each listing ended: the next begins there, in whatever worker."""

    def _ask(
        self,
        operation: Operation[N, list[T]],
        asked: N,
        timeout: float | None,
        progress: ProgressSink | None,
        cancellation: Cancellation,
    ) -> list[T]:
        return self._context.ask(
            operation,
            asked,
            seconds=timeout,
            items=len(asked.names),
            cancellation=cancellation,
            progress=progress,
        )

    @blocking
    def exists(
        self,
        wanted: Iterable[NameLike],
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        cancellation: Cancellation = None,
    ) -> list[bool]:
        """Tell for each name whether it is declared."""
        return self._ask(EXISTS, Names(_given(wanted)), timeout, progress, cancellation)

    @blocking
    def kind(
        self, name: NameLike, *, timeout: float | None = None, cancellation: Cancellation = None
    ) -> str | None:
        """Return the kind of *name* (``theorem``, ``definition``...); ``None`` when nothing has that name."""
        return first(self._ask(KINDS, Names(_given((name,))), timeout, None, cancellation))

    @blocking
    def kinds(
        self,
        wanted: Iterable[NameLike],
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        cancellation: Cancellation = None,
    ) -> list[str | None]:
        """:meth:`kind` of many."""
        return self._ask(KINDS, Names(_given(wanted)), timeout, progress, cancellation)

    @blocking
    def types(
        self,
        wanted: Iterable[NameLike],
        *,
        type_bytes: int = 4096,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        cancellation: Cancellation = None,
    ) -> list[BoundedText | None]:
        """Return the type of each name as Lean prints it, cut to *type_bytes* bytes."""
        asked = TypeBudget(_given(wanted), type_bytes)
        return self._ask(TYPES, asked, timeout, progress, cancellation)

    @blocking
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
        """Return what is known of *name*, within budgets of bytes, as :meth:`leanhost.DeclarationService.inspect`."""
        asked = InspectionBudget(_given((name,)), type_bytes, value_bytes, doc_bytes, total_bytes)
        return first(self._ask(INSPECT, asked, timeout, None, cancellation))

    @blocking
    def inspect_many(
        self,
        wanted: Iterable[NameLike],
        *,
        type_bytes: int = 4096,
        value_bytes: int = 4096,
        doc_bytes: int = 4096,
        total_bytes: int = 16384,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        cancellation: Cancellation = None,
    ) -> list[Inspection | None]:
        """:meth:`inspect` of many names; the budgets are for each of them."""
        asked = InspectionBudget(_given(wanted), type_bytes, value_bytes, doc_bytes, total_bytes)
        return self._ask(INSPECT, asked, timeout, progress, cancellation)

    @blocking
    def axioms(
        self,
        wanted: Iterable[NameLike],
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        cancellation: Cancellation = None,
    ) -> list[Axioms | None]:
        """Return what each name rests on in the end, as :attr:`leanhost.Declaration.axioms`."""
        return self._ask(AXIOMS, Names(_given(wanted)), timeout, progress, cancellation)

    @blocking
    def used_constants(
        self,
        wanted: Iterable[NameLike],
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        cancellation: Cancellation = None,
    ) -> list[frozenset[Name] | None]:
        """Return the constants in the type and value of each name, as :attr:`leanhost.Declaration.used_constants`."""
        return self._ask(USED, Names(_given(wanted)), timeout, progress, cancellation)

    @blocking
    def listing(
        self,
        *,
        module: NameLike | None = None,
        namespace: NameLike | None = None,
        kinds: str | Collection[str] | None = None,
        private: bool | None = None,
        internal: bool | None = None,
        own: bool | None = None,
        mentions: Iterable[NameLike] = (),
        start: int = 0,
        limit: int = PAGE,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        cancellation: Cancellation = None,
    ) -> list[Listed]:
        """Return at most *limit* constants from the one at *start* on, as :meth:`leanhost.DeclarationService.iterate`.

        The order stays the same, so that pages fit together. Pages that follow each other cost what one listing of
        everything costs; any other begins with a walk from the beginning.
        """
        natural("start", start, least=0, most=1 << 53)
        natural("limit", limit, least=1, most=MAX_PAGE)
        wanted = where(module, namespace, kinds, private, internal, own, mentions)
        mark = self._marks.get(wanted, Mark())
        if mark.listed > start:
            mark = Mark()

        def remember(found: Page) -> list[Listed]:
            if len(self._marks) >= MARKS:
                self._marks.clear()
            self._marks[wanted] = found.mark
            return found.listed

        return self._context.ask_then(
            remember,
            LISTING,
            Listing(wanted, start, limit, mark),
            seconds=timeout,
            cancellation=cancellation,
            progress=progress,
        )

    @blocking
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
        progress: ProgressSink | None = None,
        cancellation: Cancellation = None,
    ) -> list[Match]:
        """Find declarations whose name contains *fragment*, as :meth:`leanhost.DeclarationService.search`."""
        text("a fragment of a name", fragment)
        natural("limit", limit, least=1, most=MAX_PAGE)
        wanted = where(module, namespace, kinds, private, internal, own, mentions)
        return self._context.ask(
            SEARCH,
            Search(wanted, fragment, limit),
            seconds=timeout,
            cancellation=cancellation,
            progress=progress,
        )

    aexists = async_twin(exists)
    akind = async_twin(kind)
    akinds = async_twin(kinds)
    atypes = async_twin(types)
    ainspect = async_twin(inspect)
    ainspect_many = async_twin(inspect_many)
    aaxioms = async_twin(axioms)
    aused_constants = async_twin(used_constants)
    alisting = async_twin(listing)
    asearch = async_twin(search)
