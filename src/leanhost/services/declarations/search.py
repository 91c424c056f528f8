"""Walking all constants of an environment, and finding some of them by name, kind and type."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any

from leanhost.engine.expressions import Arg, ArrayOf, Index, Size
from leanhost.engine.values import Ref
from leanhost.errors import UsageError
from leanhost.lean import names
from leanhost.lean.constants import new_constants
from leanhost.lean.core import CONSTANT_KINDS
from leanhost.lean.names import NameTuple
from leanhost.services.declarations.decode import name_of
from leanhost.services.declarations.queries import LIMIT, DeclarationQueries, within
from leanhost.services.terms.expr import Name, NameLike
from leanhost.services.values.cancellation import Cancellation, check
from leanhost.services.values.limits import CallContext
from leanhost.services.values.progress import Phase
from leanhost.services.values.validate import many, natural, text

_CHUNK = 2048
"""How many constants are copied in one step: enough to hide a round trip, little enough to stay flat."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One constant of a listing; ``module`` is ``None`` when it was declared since the import."""

    name: Name
    kind: str
    module: Name | None


class Rank(IntEnum):
    """How well a name matches a fragment, best first."""

    EXACT = 0
    PREFIX = 1
    COMPONENT = 2
    SUBSTRING = 3


@dataclass(frozen=True, slots=True)
class SearchMatch:
    """A found declaration and how well its name matches."""

    name: Name
    kind: str
    module: Name | None
    rank: Rank


@dataclass(frozen=True, slots=True)
class Where:
    """Which constants of an environment are wanted; what is ``None`` does not matter.

    Attributes:
        module: imported from this module or one below it (``Init`` takes ``Init.Core`` in); leaves out what was
            declared since the import.
        namespace: in this namespace, itself included; a private name counts by what follows its prefix.
        kinds: of one of these kinds.
        private: private (``Lean.isPrivateName``), or not.
        internal: an internal detail (``Lean.Name.isInternalDetail``, of what follows a private prefix), or not.
        own: declared since the import, or imported.
        mentions: whose types mention all of these constants.
    """

    module: NameTuple | None = None
    namespace: NameTuple | None = None
    kinds: frozenset[str] | None = None
    private: bool | None = None
    internal: bool | None = None
    own: bool | None = None
    mentions: tuple[NameTuple, ...] = ()


def where(
    module: NameLike | None = None,
    namespace: NameLike | None = None,
    kinds: str | Collection[str] | None = None,
    private: bool | None = None,
    internal: bool | None = None,
    own: bool | None = None,
    mentions: Iterable[NameLike] = (),
) -> Where:
    """Check the arguments of a listing and put them together."""
    if isinstance(kinds, str):
        kinds = (kinds,)
    wanted = None if kinds is None else frozenset(kinds)
    if wanted is not None and not wanted <= set(CONSTANT_KINDS):
        unknown = ", ".join(sorted(wanted - set(CONSTANT_KINDS)))
        raise UsageError(f"kinds are {', '.join(CONSTANT_KINDS)}, not {unknown}")
    many("mentions", mentions)
    return Where(
        None if module is None else Name(module).parts,
        None if namespace is None else Name(namespace).parts,
        wanted,
        private,
        internal,
        own,
        tuple(Name(name).parts for name in mentions),
    )


def walk(
    queries: DeclarationQueries,
    wanted: Where,
    call: CallContext,
    phase: str,
) -> Iterator[Listed]:
    """Yield the wanted constants: imports in the order of their modules, then the environment's own by name."""
    for _, found in _chunks(queries, wanted, call, phase, 0):
        yield from found


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a walk, for the same walk later: after *passed* constants, of which *listed* were wanted."""

    passed: int = 0
    listed: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a walk, and the last mark before its end."""

    listed: list[Listed]
    mark: Mark


def page(
    queries: DeclarationQueries,
    wanted: Where,
    start: int,
    limit: int,
    mark: Mark,
    call: CallContext,
) -> Page:
    """Return at most *limit* wanted constants from the one at *start* on; *mark* does not lie behind that one.

    What lies before the mark is not looked at.
    """
    found: list[Listed] = []
    seen = mark.listed
    for passed, chunk in _chunks(queries, wanted, call, "declarations", mark.passed):
        mark = Mark(passed, seen)
        for item in chunk:
            if seen >= start:
                found.append(item)
            seen += 1
            if len(found) == limit:
                return Page(found, mark)
    return Page(found, mark)


def _chunks(
    queries: DeclarationQueries, wanted: Where, call: CallContext, phase: str, begin: int
) -> Iterator[tuple[int, Iterator[Listed]]]:
    """Yield what is wanted of the constants from the one at *begin* on, some at a time, with where these begin."""
    with within(call) as stop:
        check(stop, "the listing")
        listing = Phase(call.progress, phase)
        done = 0
        for module, size, infos_of in _sources(queries, wanted, listing):
            for start in range(0, size, _CHUNK):
                end = min(size, start + _CHUNK)
                if done >= begin:
                    queries.meta.owner.check_open()
                    infos = infos_of(start, end)
                    yield done, _chunk(queries, wanted, module, infos, end - start, stop)
                done += end - start
                listing.at(done)
                check(stop, "the listing")


_Source = tuple[int | None, int, Callable[[int, int], Arg]]
"""A module's index (``None`` for the environment itself), how many constants it has, and its slices of them."""


def _sources(queries: DeclarationQueries, wanted: Where, listing: Phase) -> Iterator[_Source]:
    lean = queries.lean
    engine, table = lean.engine, lean.table
    indices: list[int] = []
    if wanted.own is not True:
        prefix = wanted.module or ()
        indices = [i for i, m in enumerate(queries.modules()) if m.parts[: len(prefix)] == prefix]
    own = [] if wanted.own is False or wanted.module is not None else new_constants(lean, queries.env)
    own.sort(key=lambda constant: names.show(constant.name))
    with engine.eval(table.module_data(queries.env)) as data:
        sizes = lean.array(ArrayOf([Size(table.module_constants(Index(data, i))) for i in indices]))
        listing.total = sum(int(size) for size in sizes if isinstance(size, int)) + len(own)
        listing.at(0)
        for i, size in zip(indices, sizes, strict=True):
            assert isinstance(size, int)
            constants = table.module_constants(Index(data, i))
            yield i, size, partial(table.array_extract, constants)
    yield None, len(own), lambda start, stop: ArrayOf([constant.info for constant in own[start:stop]])


def _chunk(
    queries: DeclarationQueries,
    wanted: Where,
    module: int | None,
    infos: Arg,
    size: int,
    cancellation: Cancellation,
) -> Iterator[Listed]:
    """Ask about one slice of ``ConstantInfo``s, filtered inside Lean as far as that goes."""
    lean, env = queries.lean, queries.env
    table = lean.table
    if wanted.namespace is not None:
        infos = table.array_filter(table.in_namespace_fn(lean.name(wanted.namespace)), infos, size)
    for name in wanted.mentions:
        infos = table.array_filter(table.type_mentions_fn(lean.name(name)), infos, size)
    if wanted.mentions:
        # Types can be deep; the filter goes through them on the thread with the large stack.
        infos = queries.walk(partial(_filtered, queries, infos), cancellation)
    elif wanted.namespace is not None:
        infos = lean.engine.eval(infos)
    listed = table.array_map(table.constant_name_fn(), infos)
    # What is an axiom only for want of its proof is called by the kind it was declared as.
    original = table.compose_fn(queries.original_kind_fn(), table.constant_name_fn())
    columns = [
        listed,
        table.array_map(table.kind_fn(), infos),
        table.array_map(
            original, table.array_filter(table.is_kind_fn(CONSTANT_KINDS.index("axiom")), infos, size)
        ),
    ]
    if module is not None:
        columns.append(table.array_map(table.imported_index_fn(env), listed))
    flags: list[bool] = []
    for flag, function in (
        (wanted.private, table.is_private_fn()),
        (wanted.internal, table.is_internal_detail_fn()),
    ):
        if flag is not None:
            flags.append(flag)
            columns.append(table.array_map(function, listed))
    found, tags, originals, *rest = _columns(queries, columns)
    kinds = queries.original_kinds(tags, originals)
    parts = [names.decode(name) for name in found]
    places = rest.pop(0) if module is not None else None
    home = None if module is None else queries.modules()[module]
    if isinstance(infos, Ref):
        infos.close()
    # A constant that several modules brought along counts once, where Lean says it is from.
    for i, name in enumerate(parts):
        if places is not None and places[i] != module:
            continue
        if wanted.kinds is not None and kinds[i] not in wanted.kinds:
            continue
        if any(bool(column[i]) is not flag for flag, column in zip(flags, rest, strict=True)):
            continue
        yield Listed(name_of(name), kinds[i], home)


def _filtered(queries: DeclarationQueries, infos: Arg, pause: Callable[[], None]) -> Ref:
    pause()
    return queries.lean.engine.eval(infos)


def _columns(queries: DeclarationQueries, columns: list[Arg]) -> list[Any]:
    return queries.lean.array(ArrayOf(columns), LIMIT)


# --- by name --------------------------------------------------------------------------------------


def rank(name: NameTuple, fragment: str) -> Rank | None:
    """Tell how well *name* matches *fragment*; ``None`` when it does not. Neither case nor guillemets matter.

    A private name is matched as its user wrote it.
    """
    return _rank(_plain(names.user_name(name)).casefold(), _bare(fragment).casefold())


def _plain(name: NameTuple) -> str:
    return ".".join(map(str, name))


def _bare(fragment: str) -> str:
    return fragment.replace("«", "").replace("»", "")


def _rank(text: str, wanted: str) -> Rank | None:
    if wanted not in text:
        return None
    if text == wanted:
        return Rank.EXACT
    if text.startswith(wanted):
        return Rank.PREFIX
    return Rank.COMPONENT if f".{wanted}." in f".{text}." else Rank.SUBSTRING


def best(candidates: Iterable[Listed], fragment: str, limit: int) -> list[SearchMatch]:
    """Return the *limit* best matches: by rank, then matching case, then the shorter name, then its text."""
    natural("limit", limit, least=1)
    bare = _bare(text("a fragment of a name", fragment))
    wanted = bare.casefold()

    def matches() -> Iterator[tuple[tuple[int, bool, int, int, str], SearchMatch]]:
        for item in candidates:
            parts = item.name.parts
            name = _plain(names.user_name(parts))
            found = _rank(name.casefold(), wanted)
            if found is not None:
                key = (int(found), bare not in name, len(parts), len(name), str(item.name))
                yield key, SearchMatch(item.name, item.kind, item.module, found)

    return [match for _, match in heapq.nsmallest(limit, matches(), key=lambda pair: pair[0])]
