"""One declaration and all that can be asked of it."""

from __future__ import annotations

import gc

import pytest

from leanhost.errors import ClosedError, UsageError
from leanhost.services.declarations.service import FIELDS, Declaration, DeclarationService
from leanhost.services.session.host import Host
from leanhost.services.terms.expr import Name
from leanhost.services.values.results import Position
from tests.support.declared import service


def get(declarations: DeclarationService, name: str) -> Declaration:
    found = declarations.get(name)
    assert found is not None, name
    return found


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Nat", "inductive"),
        ("Nat.succ", "constructor"),
        ("Nat.rec", "recursor"),
        ("Nat.add", "definition"),
        ("Nat.add_comm", "theorem"),
        ("propext", "axiom"),
        ("Quot.lift", "quot"),
        ("Probe.sealed", "opaque"),
        ("Probe.wrong", "axiom"),
        ("Probe.uses_wrong", "theorem"),
    ],
)
def test_every_kind(declarations: DeclarationService, name: str, kind: str) -> None:
    found = get(declarations, name)
    assert (found.name, found.kind) == (Name(name), kind)
    assert declarations.kind(name) == kind


def test_what_is_not_there_is_none(declarations: DeclarationService) -> None:
    assert declarations.get("Probe.nowhere") is None
    assert declarations.kind("Probe.nowhere") is None
    assert declarations.inspect("Probe.nowhere") is None
    assert declarations.get(()) is None


def test_type_value_universes(declarations: DeclarationService) -> None:
    assert str(get(declarations, "Nat.add_comm").type) == "∀ (n m : Nat), n + m = m + n"
    assert str(get(declarations, "Probe.twice").value) == "fun n => n + n"
    assert get(declarations, "Nat").value is None
    assert get(declarations, "Probe.twice").universes == ()
    assert get(declarations, "Probe.Shape").universes == (Name("u"),)
    assert len(get(declarations, "Nat.rec").universes) == 1


def test_modules(declarations: DeclarationService) -> None:
    assert get(declarations, "Nat").module in {Name(m) for m in ("Init.Prelude", "Fixture.Numbers")}
    assert get(declarations, "Probe.twice").module is None


def test_docstrings(declarations: DeclarationService, engine: str) -> None:
    assert get(declarations, "Probe.twice").docstring == "Twice a number. "
    assert get(declarations, "Probe.short").docstring is None
    if engine == "native":  # the embedded toolchain's library comes without documentation
        assert any(
            item is not None and item.docstring
            for item in declarations.get_many(
                [i.name for i in declarations.iterate(own=False)], fields=("docstring",)
            )
        )


def test_ranges(declarations: DeclarationService, engine: str) -> None:
    found = get(declarations, "Probe.twice").range
    assert found is not None
    # The documentation belongs to the declaration; OWN begins with an empty line.
    assert (found.start, found.end) == (Position(4, 0), Position(5, 34))
    assert found.name == (Position(5, 4), Position(5, 9))
    colour, recursor = get(declarations, "Probe.Colour"), get(declarations, "Probe.Colour.rec")
    assert recursor.range == colour.range is not None
    assert get(declarations, "Probe.Colour.casesOn").range == colour.range
    imported = get(declarations, "Nat.add_comm").range
    assert (imported is not None) is (engine == "native")


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("Probe.short", "reducible"),
        ("Ne", "reducible"),
        ("Probe.twice_simp", "simp"),
        ("not_true_eq_false", "simp"),
        ("Probe.natShape", "instance"),
        ("Probe.Shape", "class"),
        ("Decidable", "class"),
        ("Probe.guarded", "protected"),
        ("Nat.add_comm", "protected"),
    ],
)
def test_attributes(declarations: DeclarationService, name: str, attribute: str) -> None:
    assert attribute in get(declarations, name).attributes


def test_attributes_that_are_not_there(declarations: DeclarationService) -> None:
    for name in ("Probe.twice", "Probe.twice_eq", "Probe.Colour", "Probe.wrong"):
        assert get(declarations, name).attributes == frozenset()


def test_private_names(declarations: DeclarationService) -> None:
    (found,) = [
        item.name for item in declarations.iterate(own=True, private=True) if "hidden" in item.name.parts
    ]
    assert get(declarations, str(found)).attributes == {"private"}


def test_deprecated(host: Host, engine: str) -> None:
    if engine == "native":
        pytest.skip("the fixture library declares no syntax for @[deprecated]")
    source = "theorem newer : True := trivial\n"
    source += '@[deprecated newer (since := "2025-01-01")] theorem older : True := newer'
    with host.session(["Init"]) as session, session.extend(source) as extended:
        declarations = service(extended)
        assert get(declarations, "older").attributes == {"deprecated"}
        assert get(declarations, "newer").attributes == frozenset()


def test_used_constants(declarations: DeclarationService) -> None:
    assert Name("Probe.wrong") in get(declarations, "Probe.uses_wrong").used_constants
    assert {Name("Probe.Colour.red"), Name("Probe.Colour.green")} <= get(
        declarations, "Probe.Colour"
    ).used_constants
    assert Name("Nat") in get(declarations, "Nat.add_comm").used_constants


def test_axioms(declarations: DeclarationService, engine: str) -> None:
    own = get(declarations, "Probe.uses_wrong").axioms
    assert (own.names, own.complete) == (frozenset({Name("Probe.wrong")}), True)
    assert get(declarations, "Probe.twice").axioms.names == frozenset()
    em = get(declarations, "Classical.em").axioms
    if engine == "native":
        assert em.complete
        assert em.names == {Name("propext"), Name("Classical.choice"), Name("Quot.sound")}
    else:  # its proof was not shipped
        assert not em.complete


def test_names_of_every_form(declarations: DeclarationService) -> None:
    odd = get(declarations, "Probe.«odd name!?é»")
    assert odd.name.parts == ("Probe", "odd name!?é")
    assert declarations.get(odd.name) == declarations.get(("Probe", "odd name!?é")) == odd
    assert declarations.get(("Probe.twice",)) is None
    with pytest.raises(UsageError):
        declarations.get("Probe..twice")


def test_equality_hash_and_repr(declarations: DeclarationService) -> None:
    one, again, other = (get(declarations, name) for name in ("Nat.add", "Nat.add", "Nat.mul"))
    assert one == again
    assert hash(one) == hash(again)
    assert one != other
    assert {one: 1}[again] == 1
    assert repr(one) == "<Declaration Nat.add: definition>"
    with pytest.raises(AttributeError):
        one.kind = "axiom"  # type: ignore[misc]


def test_equal_across_sessions_of_one_host(host: Host, declarations: DeclarationService) -> None:
    with host.session(["Init"]) as session:
        assert get(service(session), "Nat.add") == get(declarations, "Nat.add")


def test_fields_asked_before_and_after_are_the_same(declarations: DeclarationService) -> None:
    for name in ("Nat.add_comm", "Probe.Shape", "Nat.rec", "Probe.uses_wrong"):
        before = declarations.get(name, fields=FIELDS)
        after = declarations.get(name)
        for field in FIELDS:
            assert getattr(before, field) == getattr(after, field), field


def test_wrong_fields_are_refused(declarations: DeclarationService) -> None:
    for fields in ("type", ("type", "colour")):
        with pytest.raises(UsageError, match="fields are some of"):
            declarations.get("Nat", fields=fields)


# --- inspection ---


def test_inspection_in_full(declarations: DeclarationService) -> None:
    found = declarations.inspect("Probe.twice")
    assert found is not None
    assert (str(found.type), str(found.value), str(found.docstring)) == (
        "Nat → Nat",
        "fun n => n + n",
        "Twice a number. ",
    )
    assert not found.truncated
    assert found.range is not None
    axiom = declarations.inspect("Probe.wrong")
    assert axiom is not None
    assert (axiom.value, axiom.docstring) == (None, None)


def test_each_field_has_its_budget(declarations: DeclarationService) -> None:
    # "Nat → Nat": the arrow takes bytes 4 to 6.
    for budget, text in ((4, "Nat "), (5, "Nat "), (6, "Nat "), (7, "Nat →"), (0, "")):
        found = declarations.inspect("Probe.twice", type_bytes=budget)
        assert found is not None
        assert (found.type.text, found.type.truncated, found.truncated) == (text, True, True)
        assert found.value is not None
        assert not found.value.truncated


def test_all_fields_share_a_budget(declarations: DeclarationService) -> None:
    full = len("Nat → Nat".encode())
    found = declarations.inspect("Probe.twice", total_bytes=full + 5)
    assert found is not None
    assert found.docstring is not None
    assert found.value is not None
    assert (found.type.text, found.docstring.text, found.value.text) == ("Nat → Nat", "Twice", "")
    assert (found.type.truncated, found.docstring.truncated, found.value.truncated) == (False, True, True)
    for budget in (-1, True, 1.5):
        with pytest.raises(UsageError):
            declarations.inspect("Nat", total_bytes=budget)  # type: ignore[arg-type]


def test_many_are_inspected_at_once(declarations: DeclarationService) -> None:
    names = ["Probe.twice", "no.such.name", "Probe.wrong", "Nat"]
    many = declarations.inspect_many(names, type_bytes=6)
    assert many == [declarations.inspect(name, type_bytes=6) for name in names]
    assert many[1] is None
    with pytest.raises(UsageError):
        declarations.inspect_many("Nat")


# --- handles ---


def test_no_handle_is_left(host: Host) -> None:
    with host.session(["Init"]) as session:
        engine = session._lean.engine
        declarations = service(session)
        declarations.inspect("Nat.add")  # captures the session's contexts
        gc.collect()
        before = engine.live
        kept = declarations.get_many(["Nat", "Nat.add", "nowhere"], fields=FIELDS)
        kept[0].axioms  # type: ignore[union-attr] # noqa: B018
        declarations.type_many(["Nat", "Nat.add"])
        declarations.search("add_comm", mentions=["Nat"], module="Init.Core")
        next(declarations.iterate())
        del kept
        gc.collect()
        assert engine.live == before


def test_after_the_session_is_closed(host: Host) -> None:
    session = host.session(["Init"])
    declarations = service(session)
    found = get(declarations, "Nat.add")
    with session.extend("theorem one : True := True.intro") as extended:
        late = service(extended)
        own = get(late, "one")
    session.close()
    with pytest.raises(ClosedError):
        late.get("one")
    with pytest.raises(ClosedError):
        own.docstring  # noqa: B018
    assert found.name == Name("Nat.add")
