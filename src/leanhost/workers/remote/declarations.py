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
from leanhost.services.declarations.search import Listed, Mark, Page, SearchMatch, Where, page, where
from leanhost.services.declarations.service import BoundedText, DeclarationService, Inspection
from leanhost.services.terms.expr import Name, NameLike
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.limits import CallContext
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
    a, queries = task.arguments, task.session.declarations._queries
    call = CallContext(None, task.cancellation, task.progress)
    return page(queries, a.wanted, a.start, a.limit, a.mark, call)


def _search(task: Task[Search]) -> list[SearchMatch]:
    a = task.arguments
    return task.session.declarations.search(
        a.fragment,
        limit=a.limit,
        **dataclasses.asdict(a.wanted),
        progress=task.progress,
        cancellation=task.cancellation,
    )


EXISTS: Operation[Names, list[bool]] = _many("exists", Names, bool, lambda service: service.exists_many)
KIND: Operation[Names, list[str | None]] = _many("kind", Names, str | None, lambda service: service.kind_many)
TYPE: Operation[TypeBudget, list[BoundedText | None]] = _many(
    "type", TypeBudget, BoundedText | None, lambda service: service.type_many
)
INSPECT: Operation[InspectionBudget, list[Inspection | None]] = _many(
    "inspect", InspectionBudget, Inspection | None, lambda service: service.inspect_many
)
AXIOMS: Operation[Names, list[Axioms | None]] = _field("axioms", Axioms)
USED: Operation[Names, list[frozenset[Name] | None]] = _field("used_constants", frozenset[Name])
LISTING: Operation[Listing, Page] = Operation("declarations.listing", Listing, Page, _listing)
SEARCH: Operation[Search, list[SearchMatch]] = Operation(
    "declarations.search", Search, list[SearchMatch], _search
)
OPERATIONS: tuple[Operation[Any, Any], ...] = (EXISTS, KIND, TYPE, INSPECT, AXIOMS, USED, LISTING, SEARCH)


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
        name: NameLike,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> bool:
        """Tell whether *name* is declared."""
        return first(self._ask(EXISTS, Names(_given((name,))), timeout, None, cancellation))

    @blocking
    def exists_many(
        self,
        wanted: Iterable[NameLike],
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[bool]:
        """:meth:`exists` of many."""
        return self._ask(EXISTS, Names(_given(wanted)), timeout, progress, cancellation)

    @blocking
    def kind(
        self, name: NameLike, *, timeout: float | None = None, cancellation: Cancellation = None
    ) -> str | None:
        """Return the kind of *name* (``theorem``, ``definition``...); ``None`` when nothing has that name."""
        return first(self._ask(KIND, Names(_given((name,))), timeout, None, cancellation))

    @blocking
    def kind_many(
        self,
        wanted: Iterable[NameLike],
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[str | None]:
        """:meth:`kind` of many."""
        return self._ask(KIND, Names(_given(wanted)), timeout, progress, cancellation)

    @blocking
    def type(
        self,
        name: NameLike,
        *,
        type_bytes: int = 4096,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> BoundedText | None:
        """Return the type of *name* as Lean prints it, cut to *type_bytes* bytes."""
        asked = TypeBudget(_given((name,)), type_bytes)
        return first(self._ask(TYPE, asked, timeout, None, cancellation))

    @blocking
    def type_many(
        self,
        wanted: Iterable[NameLike],
        *,
        type_bytes: int = 4096,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[BoundedText | None]:
        """:meth:`type` of many; the budget is for each."""
        return self._ask(TYPE, TypeBudget(_given(wanted), type_bytes), timeout, progress, cancellation)

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
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[Inspection | None]:
        """:meth:`inspect` of many names; the budgets are for each of them."""
        asked = InspectionBudget(_given(wanted), type_bytes, value_bytes, doc_bytes, total_bytes)
        return self._ask(INSPECT, asked, timeout, progress, cancellation)

    @blocking
    def axioms(
        self,
        name: NameLike,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> Axioms | None:
        """Return what *name* rests on in the end, as :attr:`leanhost.Declaration.axioms`."""
        return first(self._ask(AXIOMS, Names(_given((name,))), timeout, None, cancellation))

    @blocking
    def axioms_many(
        self,
        wanted: Iterable[NameLike],
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[Axioms | None]:
        """:meth:`axioms` of many."""
        return self._ask(AXIOMS, Names(_given(wanted)), timeout, progress, cancellation)

    @blocking
    def used_constants(
        self,
        name: NameLike,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> frozenset[Name] | None:
        """Return the constants in its type and value, as :attr:`leanhost.Declaration.used_constants`."""
        return first(self._ask(USED, Names(_given((name,))), timeout, None, cancellation))

    @blocking
    def used_constants_many(
        self,
        wanted: Iterable[NameLike],
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[frozenset[Name] | None]:
        """:meth:`used_constants` of many."""
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
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
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
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> list[SearchMatch]:
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
    aexists_many = async_twin(exists_many)
    akind = async_twin(kind)
    akind_many = async_twin(kind_many)
    atype = async_twin(type)
    atype_many = async_twin(type_many)
    ainspect = async_twin(inspect)
    ainspect_many = async_twin(inspect_many)
    aaxioms = async_twin(axioms)
    aaxioms_many = async_twin(axioms_many)
    aused_constants = async_twin(used_constants)
    aused_constants_many = async_twin(used_constants_many)
    alisting = async_twin(listing)
    asearch = async_twin(search)
