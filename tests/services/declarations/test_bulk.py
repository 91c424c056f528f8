"""Many at once: one result an item, in order; progress and cancellation."""

from __future__ import annotations

import pytest

from leanhost.errors import Cancelled, MetaError, UsageError
from leanhost.services.declarations.service import FIELDS, BoundedText, DeclarationService
from leanhost.services.terms.expr import Name
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.progress import ProgressEvent
from leanhost.services.values.results import Limit

WANTED = ["Nat", "nowhere", "Nat.add_comm", "Nat", "Probe.wrong", "Probe.«odd name!?é»"]
KINDS = ["inductive", None, "theorem", "inductive", "axiom", "definition"]


def test_order_and_gaps(declarations: DeclarationService) -> None:
    assert declarations.kind_many(WANTED) == KINDS
    assert declarations.exists_many(WANTED) == [kind is not None for kind in KINDS]
    found = declarations.get_many(WANTED)
    assert [item and item.kind for item in found] == KINDS
    assert [item and str(item.name) for item in found] == [
        n if k else None for n, k in zip(WANTED, KINDS, strict=True)
    ]
    assert declarations.type_many(["Nat", "nowhere"]) == [BoundedText("Type"), None]


def test_nothing_asked_nothing_answered(declarations: DeclarationService) -> None:
    assert declarations.get_many([], fields=FIELDS) == []
    assert declarations.kind_many([]) == []
    assert declarations.exists_many([]) == []
    assert declarations.type_many([]) == []
    assert declarations.get_many(["nowhere"], fields=FIELDS) == [None]


def test_more_than_one_step(declarations: DeclarationService) -> None:
    listed = [item for item, _ in zip(declarations.iterate(), range(1200), strict=False)]
    names = [item.name for item in listed]
    assert declarations.kind_many(names) == [item.kind for item in listed]
    assert all(declarations.exists_many(names))
    found = declarations.get_many(names, fields=("module", "universes", "attributes"))
    assert [item and item.module for item in found] == [item.module for item in listed]


def test_bulk_fields_are_those_of_single_questions(declarations: DeclarationService) -> None:
    names = [item.name for item in declarations.iterate(namespace="Nat", kinds="theorem")][:40]
    for bulk in declarations.get_many(names, fields=FIELDS):
        assert bulk is not None
        single = declarations.get(bulk.name)
        for field in FIELDS:
            assert getattr(bulk, field) == getattr(single, field), (bulk, field)


def test_types_have_a_budget(declarations: DeclarationService) -> None:
    (text,) = declarations.type_many(["Nat.add_comm"], type_bytes=2)
    assert text == BoundedText("", truncated=True)  # ∀ takes three bytes
    (text,) = declarations.type_many(["Nat.add_comm"], type_bytes=3)
    assert text == BoundedText("∀", truncated=True)
    assert str(text) == "∀…"


def test_progress_in_items(declarations: DeclarationService) -> None:
    events: list[ProgressEvent] = []
    declarations.kind_many(["Nat"] * 1100, progress=events.append)
    assert [event.current for event in events] == [0, 512, 1024, 1100]
    assert {(event.phase, event.total) for event in events} == {("kind", 1100)}


def test_what_the_sink_raises_travels_out(declarations: DeclarationService) -> None:
    def sink(event: ProgressEvent) -> None:
        raise KeyError(event.phase)

    with pytest.raises(KeyError, match="exists"):
        declarations.exists_many(["Nat"], progress=sink)
    assert declarations.exists_many(["Nat"]) == [True]


def test_a_timeout_is_for_the_whole_call(declarations: DeclarationService) -> None:
    assert declarations.kind("Nat", timeout=600) == "inductive"
    for question in (
        lambda: declarations.kind_many(["Nat"] * 1100, timeout=1e-9),
        lambda: declarations.get_many(["Nat"], fields=["axioms"], timeout=1e-9),
        lambda: list(declarations.iterate(timeout=1e-9)),
        lambda: declarations.search("add", timeout=1e-9),
    ):
        with pytest.raises(MetaError) as caught:
            question()
        assert caught.value.limit is Limit.TIMEOUT
    token = CancellationToken()
    token.cancel()
    with pytest.raises(Cancelled):
        declarations.kind_many(["Nat"], timeout=600, cancellation=token)
    with pytest.raises(UsageError, match="timeout"):
        declarations.kind("Nat", timeout=0)


def test_cancelled_before_and_during(declarations: DeclarationService) -> None:
    token = CancellationToken()

    def sink(event: ProgressEvent) -> None:
        if event.current:
            token.cancel()

    with pytest.raises(Cancelled):
        declarations.get_many(["Nat"] * 2000, progress=sink, cancellation=token)
    for question in (
        declarations.exists_many,
        declarations.kind_many,
        declarations.type_many,
        declarations.get_many,
    ):
        with pytest.raises(Cancelled):
            question(["Nat"], cancellation=token)
    for fields in (("axioms",), ("used_constants",)):
        with pytest.raises(Cancelled):
            declarations.get_many(["Nat"], fields=fields, cancellation=token)
    assert declarations.kind_many(["Nat"]) == ["inductive"]
    assert declarations.type_many(["Nat"]) == [BoundedText("Type")]


def test_one_name_is_not_a_sequence(declarations: DeclarationService) -> None:
    for wanted in ("Nat", Name("Nat")):
        with pytest.raises(UsageError, match="a sequence of names"):
            declarations.kind_many(wanted)  # type: ignore[arg-type]
