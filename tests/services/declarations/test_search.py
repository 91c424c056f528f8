"""Search by a fragment of a name: what is found, and in what order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanhost.errors import UsageError
from leanhost.lean import names
from leanhost.lean.names import NameTuple
from leanhost.services.declarations.search import Listed, Rank, best, rank
from leanhost.services.declarations.service import DeclarationService
from leanhost.services.terms.expr import Name

# Few letters, so that fragments meet names.
component = st.text("abA_", min_size=1, max_size=3)
name = st.lists(component, min_size=1, max_size=4).map(tuple)
fragment = st.lists(component, min_size=1, max_size=2).map(".".join)


def found(declarations: DeclarationService, text: str = "", **options: object) -> list[str]:
    return [str(match.name) for match in declarations.search(text, **options)]  # type: ignore[arg-type]


def test_ranks() -> None:
    for text, expected in (
        ("Nat.add_comm", Rank.EXACT),
        ("nat.ADD_comm", Rank.EXACT),
        ("Nat.add", Rank.PREFIX),
        ("na", Rank.PREFIX),
        ("add_comm", Rank.COMPONENT),
        ("comm", Rank.SUBSTRING),
        ("t.add", Rank.SUBSTRING),
        ("mul", None),
    ):
        assert rank(("Nat", "add_comm"), text) is expected, text
    assert rank(("A", "B", "C"), "b.c") is Rank.COMPONENT
    assert rank(("_private", "Init", "Core", 0, "Nat", "x"), "nat.x") is Rank.EXACT
    assert rank(("_private", "Init", "Core", 0, "x"), "core") is None


def test_search_in_the_library(declarations: DeclarationService) -> None:
    assert found(declarations, "Nat.add_comm")[0] == "Nat.add_comm"
    assert "Nat.add_comm" in found(declarations, "add_comm")
    assert found(declarations, "probe.TWICE", limit=1, own=True) == ["Probe.twice"]
    assert found(declarations, "no such name", own=True) == []
    assert (
        found(declarations, "probe.ODD name", own=True)
        == found(declarations, "Probe.«odd name!?é»", own=True)
        == ["Probe.«odd name!?é»"]
    )
    ranks = [match.rank for match in declarations.search("add", limit=500, namespace="Nat")]
    assert ranks == sorted(ranks)


def test_scopes_and_filters(declarations: DeclarationService) -> None:
    assert found(declarations, "twice", namespace="Probe") == [
        "Probe.twice",
        "Probe.twice_eq",
        "Probe.twice_simp",
    ]
    assert found(declarations, "twice", kinds="definition", own=True) == ["Probe.twice"]
    assert found(declarations, mentions=["Probe.twice"], own=True) == ["Probe.twice_eq", "Probe.twice_simp"]
    assert found(declarations, "simp", mentions=["Probe.twice"], own=True) == ["Probe.twice_simp"]
    assert found(declarations, "twice", module="Init") == []
    assert found(declarations, "hidden", private=False, own=True) == []
    assert len(found(declarations, "hidden", own=True)) == 1
    matches = declarations.search("Nat.add_comm", limit=1, namespace="Nat")
    assert (matches[0].kind, matches[0].rank) == ("theorem", Rank.EXACT)


def test_internal_details_are_left_out(declarations: DeclarationService) -> None:
    internal = next(declarations.iterate(internal=True, private=False))
    text, module = str(internal.name), internal.module
    assert text not in found(declarations, text, limit=1000, module=module)
    assert found(declarations, text, internal=None, module=module)[0] == text


def test_limits(declarations: DeclarationService) -> None:
    many = found(declarations, "a", limit=40, namespace="Nat")
    assert len(many) == 40
    assert found(declarations, "a", limit=7, namespace="Nat") == many[:7]
    for limit in (0, -1, True, 1.5):
        with pytest.raises(UsageError, match="limit"):
            declarations.search("a", limit=limit)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="fragment"):
        declarations.search(7)  # type: ignore[arg-type]


# --- the ranking, for any names ---


def listed(candidates: list[NameTuple]) -> list[Listed]:
    return [Listed(Name(parts), "theorem", None) for parts in candidates]


@given(st.lists(name, unique=True, max_size=30), fragment, st.integers(1, 40), st.randoms())
def test_ranking(candidates: list[NameTuple], text: str, limit: int, shuffle: random.Random) -> None:
    everything = best(listed(candidates), text, 1000)
    # All that contain the fragment, and nothing else.
    assert {match.name.parts for match in everything} == {
        parts for parts in candidates if text.casefold() in names.show(parts).casefold()
    }
    # Best first; a limit takes from the front; the order of the candidates does not matter.
    assert [match.rank for match in everything] == sorted(match.rank for match in everything)
    shuffled = list(candidates)
    shuffle.shuffle(shuffled)
    assert best(listed(shuffled), text, limit) == everything[:limit]


@given(name, fragment)
def test_ranks_mean_what_they_say(parts: NameTuple, text: str) -> None:
    shown, wanted = names.show(parts).casefold(), text.casefold()
    match rank(parts, text):
        case Rank.EXACT:
            assert shown == wanted
        case Rank.PREFIX:
            assert shown.startswith(wanted)
            assert shown != wanted
        case Rank.COMPONENT:
            pieces, sought = shown.split("."), wanted.split(".")
            runs = [pieces[i : i + len(sought)] for i in range(len(pieces))]
            assert sought in runs
            assert runs[0] != sought
        case Rank.SUBSTRING:
            assert wanted in shown
            assert not shown.startswith(wanted)
        case None:
            assert wanted not in shown
