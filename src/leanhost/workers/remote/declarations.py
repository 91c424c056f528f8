"""Questions about declarations in workers: every answer that is a plain value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from leanhost.errors import UsageError
from leanhost.services.declarations.decode import Axioms
from leanhost.services.declarations.search import Listed, Mark, Page, SearchMatch, page, where
from leanhost.services.declarations.service import BoundedText, DeclarationService, Inspection
from leanhost.services.terms.expr import Name, NameLike
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.limits import CallContext
from leanhost.services.values.progress import ProgressSink
from leanhost.workers.protocol import encoding
from leanhost.workers.remote.operation import Operation, Task
from leanhost.workers.remote.rpc import RemoteContext, async_twin, blocking, first

T = TypeVar("T")

PAGE = 10_000
"""Constants in one answer of a listing, unless asked for otherwise."""
MARKS = 64
"""Listings whose last page's end a session remembers."""
MAX_PAGE = 20_000
"""Most constants in one answer: a frame has a bound."""


def _names(task: Task) -> list[Name]:
    return [Name(tuple(parts)) for parts in task.arguments["names"]]


def _many(
    name: str, answer: Any, ask: Callable[[DeclarationService], Callable[..., object]]
) -> Operation[Any]:
    """Describe a bulk question: one answer for each name."""

    def perform(task: Task) -> object:
        return ask(task.session.declarations)(
            _names(task),
            **task.arguments["more"],
            progress=task.progress,
            cancellation=task.cancellation,
        )

    return Operation(f"declarations.{name}", list[answer], perform, each=True)


def _field(name: str, answer: Any) -> Operation[Any]:
    """Describe a question about one field of declarations."""

    def perform(task: Task) -> object:
        found = task.session.declarations.get_many(
            _names(task), fields=(name,), progress=task.progress, cancellation=task.cancellation
        )
        return [None if item is None else getattr(item, name) for item in found]

    return Operation(f"declarations.{name}", list[answer | None], perform, each=True)


def _filters(task: Task) -> dict[str, Any]:
    """Decode the filters of a listing."""
    a = task.arguments["filters"]
    return {
        **a,
        "module": None if a["module"] is None else Name(tuple(a["module"])),
        "namespace": None if a["namespace"] is None else Name(tuple(a["namespace"])),
        "mentions": [Name(tuple(parts)) for parts in a["mentions"]],
        "progress": task.progress,
        "cancellation": task.cancellation,
    }


def _listing(task: Task) -> Page:
    a = task.arguments
    filters = _filters(task)
    progress, cancellation = filters.pop("progress"), filters.pop("cancellation")
    queries, mark = task.session.declarations._queries, encoding.into(Mark, a["mark"])
    call = CallContext(None, cancellation, progress)
    return page(queries, where(**filters), a["start"], a["limit"], mark, call)


def _search(task: Task) -> list[SearchMatch]:
    a = task.arguments
    return task.session.declarations.search(a["fragment"], limit=a["limit"], **_filters(task))


EXISTS: Operation[list[bool]] = _many("exists", bool, lambda service: service.exists_many)
KIND: Operation[list[str | None]] = _many("kind", str | None, lambda service: service.kind_many)
TYPE: Operation[list[BoundedText | None]] = _many(
    "type", BoundedText | None, lambda service: service.type_many
)
INSPECT: Operation[list[Inspection | None]] = _many(
    "inspect", Inspection | None, lambda service: service.inspect_many
)
AXIOMS: Operation[list[Axioms | None]] = _field("axioms", Axioms)
USED: Operation[list[frozenset[Name] | None]] = _field("used_constants", frozenset[Name])
LISTING: Operation[Page] = Operation("declarations.listing", Page, _listing)
SEARCH: Operation[list[SearchMatch]] = Operation("declarations.search", list[SearchMatch], _search)
OPERATIONS: tuple[Operation[Any], ...] = (EXISTS, KIND, TYPE, INSPECT, AXIOMS, USED, LISTING, SEARCH)


def _given(wanted: Iterable[NameLike]) -> list[Name]:
    if isinstance(wanted, str | Name):
        raise UsageError(f"a sequence of names is wanted, not one name; write [{str(wanted)!r}]")
    return [Name(name) for name in wanted]


def _chosen(
    module: NameLike | None,
    namespace: NameLike | None,
    kinds: str | Collection[str] | None,
    private: bool | None,
    internal: bool | None,
    own: bool | None,
    mentions: Iterable[NameLike],
) -> dict[str, object]:
    """Encode the filters of a listing; raises as in this process."""
    wanted = where(module, namespace, kinds, private, internal, own, mentions)
    return {
        "module": wanted.module,
        "namespace": wanted.namespace,
        "kinds": None if wanted.kinds is None else sorted(wanted.kinds),
        "private": wanted.private,
        "internal": wanted.internal,
        "own": wanted.own,
        "mentions": wanted.mentions,
    }


def _natural(which: str, value: object, *, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(f"{which} must be a whole number from {least} to {most}, not {value!r}")


@dataclass(frozen=True, slots=True)
class WorkerDeclarations:
    """What is declared in a worker's environment (``session.declarations``), as :class:`~leanhost.DeclarationService`.

    Terms come as text: :meth:`inspect` describes a declaration, :meth:`axioms` and :meth:`used_constants` are
    what :class:`~leanhost.Declaration` has as fields. *timeout* is in seconds, the session's if left out.
    """

    _context: RemoteContext
    _marks: dict[str, Mark] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Where the last page of each listing ended: the next begins there, in whatever worker."""

    def _ask(
        self,
        operation: Operation[list[T]],
        wanted: Iterable[NameLike],
        timeout: float | None,
        progress: ProgressSink | None,
        cancellation: Cancellation,
        more: Mapping[str, object] | None = None,
    ) -> list[T]:
        names = _given(wanted)
        return self._context.ask(
            operation,
            {"names": names, "more": more or {}},
            seconds=timeout,
            items=len(names),
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
        return first(self._ask(EXISTS, (name,), timeout, None, cancellation))

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
        return self._ask(EXISTS, wanted, timeout, progress, cancellation)

    @blocking
    def kind(
        self, name: NameLike, *, timeout: float | None = None, cancellation: Cancellation = None
    ) -> str | None:
        """Return the kind of *name* (``theorem``, ``definition``...); ``None`` when nothing has that name."""
        return first(self._ask(KIND, (name,), timeout, None, cancellation))

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
        return self._ask(KIND, wanted, timeout, progress, cancellation)

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
        return first(self._ask(TYPE, (name,), timeout, None, cancellation, {"type_bytes": type_bytes}))

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
        return self._ask(TYPE, wanted, timeout, progress, cancellation, {"type_bytes": type_bytes})

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
        budgets = _budgets(type_bytes, value_bytes, doc_bytes, total_bytes)
        return first(self._ask(INSPECT, (name,), timeout, None, cancellation, budgets))

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
        budgets = _budgets(type_bytes, value_bytes, doc_bytes, total_bytes)
        return self._ask(INSPECT, wanted, timeout, progress, cancellation, budgets)

    @blocking
    def axioms(
        self,
        name: NameLike,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> Axioms | None:
        """Return what *name* rests on in the end, as :attr:`leanhost.Declaration.axioms`."""
        return first(self._ask(AXIOMS, (name,), timeout, None, cancellation))

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
        return self._ask(AXIOMS, wanted, timeout, progress, cancellation)

    @blocking
    def used_constants(
        self,
        name: NameLike,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> frozenset[Name] | None:
        """Return the constants in its type and value, as :attr:`leanhost.Declaration.used_constants`."""
        return first(self._ask(USED, (name,), timeout, None, cancellation))

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
        return self._ask(USED, wanted, timeout, progress, cancellation)

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
        _natural("start", start, least=0, most=1 << 53)
        _natural("limit", limit, least=1, most=MAX_PAGE)
        filters = _chosen(module, namespace, kinds, private, internal, own, mentions)
        key = repr(filters)
        mark = self._marks.get(key, Mark())
        if mark.listed > start:
            mark = Mark()

        def remember(found: Page) -> list[Listed]:
            if len(self._marks) >= MARKS:
                self._marks.clear()
            self._marks[key] = found.mark
            return found.listed

        return self._context.ask_then(
            remember,
            LISTING,
            {"filters": filters, "start": start, "limit": limit, "mark": mark},
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
        if not isinstance(fragment, str):
            raise UsageError(f"a fragment of a name is a str, not {type(fragment).__name__}")
        _natural("limit", limit, least=1, most=MAX_PAGE)
        filters = _chosen(module, namespace, kinds, private, internal, own, mentions)
        return self._context.ask(
            SEARCH,
            {"filters": filters, "fragment": fragment, "limit": limit},
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


def _budgets(type_bytes: int, value_bytes: int, doc_bytes: int, total_bytes: int) -> dict[str, object]:
    return {
        "type_bytes": type_bytes,
        "value_bytes": value_bytes,
        "doc_bytes": doc_bytes,
        "total_bytes": total_bytes,
    }
