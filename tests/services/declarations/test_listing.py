"""All constants: streamed, filtered, told of, stopped."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from leanhost.errors import Cancelled, UsageError
from leanhost.lean import names
from leanhost.lean.constants import new_constants
from leanhost.services.declarations import search
from leanhost.services.declarations.service import DeclarationService, Listed
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.terms.expr import Name
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.limits import NO_CONTEXT
from leanhost.services.values.progress import ProgressEvent
from leanhost.toolchain import Toolchain
from tests.support.declared import service
from tests.support.fixture_core import compile_big


def home(declarations: DeclarationService, name: str) -> Name:
    """The module that *name* comes from: each core library has its own."""
    found = declarations.get(name)
    assert found is not None
    assert found.module is not None
    return found.module


def test_every_constant_once(declarations: DeclarationService, session: Session) -> None:
    listed = list(declarations.iterate())
    assert len({item.name for item in listed}) == len(listed) > 1000
    assert [item.name for item in declarations.iterate()] == [item.name for item in listed]
    own = [item for item in listed if item.module is None]
    assert {item.name.parts for item in own} == {c.name for c in new_constants(session._lean, session._env)}
    assert listed[-len(own) :] == own == list(declarations.iterate(own=True))


def test_listed_is_what_can_be_got(declarations: DeclarationService) -> None:
    module = home(declarations, "Nat.add_comm")
    listed = list(declarations.iterate(module=module))
    found = declarations.get_many([item.name for item in listed], fields=("module",))
    assert [(d.name, d.kind, d.module) for d in found if d is not None] == [
        (i.name, i.kind, i.module) for i in listed
    ]


def test_modules(declarations: DeclarationService) -> None:
    module = home(declarations, "Nat.add_comm")
    assert {item.module for item in declarations.iterate(module=module)} == {module}
    top = Name(module.parts[:1])
    below = {item.module for item in declarations.iterate(module=top)}
    assert below == {
        item.module for item in declarations.iterate() if item.module and item.module.parts[0] == str(top)
    }
    assert module in below
    assert list(declarations.iterate(module=str(top)[:-1])) == []


def test_a_page_looks_at_nothing_before_its_mark(
    declarations: DeclarationService, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    ask = search._chunk

    def counted(*arguments: Any) -> Iterator[Listed]:
        sizes.append(arguments[4])
        return ask(*arguments)

    monkeypatch.setattr(search, "_chunk", counted)
    monkeypatch.setattr(search, "_CHUNK", 64)
    wanted = search.where(None, None, "theorem", None, None, None, ())
    expected = list(islice(declarations.iterate(kinds="theorem"), 300))
    looked_at, most = sum(sizes), max(sizes)
    sizes.clear()
    mark, found = search.Mark(), []
    for start in range(0, 300, 50):
        page = search.page(declarations._queries, wanted, start, 50, mark, NO_CONTEXT)
        mark = page.mark
        found += page.listed
    assert found == expected
    # Each page looks again at the few among which the last one ended.
    assert sum(sizes) <= looked_at + 6 * most


def test_namespaces(declarations: DeclarationService) -> None:
    found = {item.name for item in declarations.iterate(namespace="Probe")}
    assert Name("Probe.twice") in found
    assert found == {
        item.name for item in declarations.iterate() if names.user_name(item.name.parts)[:1] == ("Probe",)
    }
    assert any(item.name.parts[0] == "_private" for item in declarations.iterate(namespace="Probe"))


def test_kinds(declarations: DeclarationService) -> None:
    axioms = {item.name for item in declarations.iterate(kinds="axiom")}
    assert {Name("propext"), Name("Probe.wrong")} <= axioms
    assert Name("Nat.add_comm") not in axioms
    both = {item.kind for item in declarations.iterate(kinds=("theorem", "opaque"))}
    assert both == {"theorem", "opaque"}
    with pytest.raises(UsageError, match="kinds are"):
        declarations.iterate(kinds="lemma")


def test_flags_split_the_whole(declarations: DeclarationService) -> None:
    everything = [item.name for item in declarations.iterate()]
    flags: dict[str, Callable[[bool], Iterator[Listed]]] = {
        "private": lambda value: declarations.iterate(private=value),
        "internal": lambda value: declarations.iterate(internal=value),
        "own": lambda value: declarations.iterate(own=value),
    }
    for listing in flags.values():
        yes, no = ([item.name for item in listing(value)] for value in (True, False))
        assert set(yes) | set(no) == set(everything)
        assert len(yes) + len(no) == len(everything)
        assert yes
    assert all(name.parts[0] == "_private" for name in (i.name for i in declarations.iterate(private=True)))


def test_constants_in_the_type(declarations: DeclarationService) -> None:
    found = {item.name for item in declarations.iterate(mentions=["Probe.twice", "Eq"])}
    assert {Name("Probe.twice_eq"), Name("Probe.twice_simp")} <= found
    assert Name("Probe.twice") not in found
    assert Name("Nat.add_comm") in {
        i.name for i in declarations.iterate(namespace="Nat", mentions=["HAdd.hAdd"])
    }
    assert list(declarations.iterate(mentions=["Probe.nowhere"])) == []
    with pytest.raises(UsageError, match="sequence of names"):
        declarations.iterate(mentions="Nat")


def test_progress_goes_up_to_the_total(declarations: DeclarationService) -> None:
    events: list[ProgressEvent] = []
    count = sum(1 for _ in declarations.iterate(progress=events.append))
    current = [event.current for event in events]
    assert current == sorted(current)
    assert current[0] == 0
    assert current[-1] == events[-1].total
    # Of what several modules brought along, one is listed.
    assert count <= current[-1]
    assert {event.phase for event in events} == {"declarations"}


def test_cancellation_ends_the_stream(declarations: DeclarationService) -> None:
    token = CancellationToken()
    stream = declarations.iterate(cancellation=token)
    next(stream)
    token.cancel()
    with pytest.raises(Cancelled):
        list(stream)
    with pytest.raises(Cancelled):
        next(declarations.iterate(cancellation=token))
    with pytest.raises(Cancelled):
        declarations.search("add", cancellation=token)
    assert next(declarations.iterate()) is not None


def test_a_listing_left_half_way_keeps_nothing(declarations: DeclarationService, session: Session) -> None:
    engine = session._lean.engine
    declarations.kind_many(["Nat"])
    gc.collect()
    before = engine.live
    stream = declarations.iterate(mentions=["Nat"])
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    del stream
    gc.collect()
    assert engine.live == before


def test_an_empty_environment(host: Host) -> None:
    with host.session([]) as session:
        declarations = service(session)
        assert list(declarations.iterate()) == []
        assert declarations.search("a") == []
        assert declarations.exists_many(["Nat"]) == [False]


def test_thousands_of_theorems(native_toolchain: Toolchain, fixture_core: Path, tmp_path: Path) -> None:
    compile_big(fixture_core, 2400, "Big", tmp_path, part=1200)
    with Host(native_toolchain, [tmp_path, fixture_core]) as host, host.session(["Big"]) as session:
        declarations = service(session)
        engine = session._lean.engine
        before, most = engine.live, 0
        seen: set[Name] = set()
        for item in declarations.iterate(module="Big", kinds="theorem"):
            seen.add(item.name)
            most = max(most, engine.live)
        assert seen == {Name(f"big_{i}") for i in range(2400)}
        assert most - before < 10
        assert [str(match.name) for match in declarations.search("big_2399")] == ["big_2399"]
