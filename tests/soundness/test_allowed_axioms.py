"""An axiom is allowed as what it says: by its name alone only where the library or the reference says that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from leanhost.errors import UsageError
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.options import AllowedAxioms, TypedAxiom
from leanhost.services.values.outcomes import Checked, KernelOutcome, Rejected
from leanhost.workers import CheckItem
from tests.support.pools import pool_of
from tests.support.surfaces import verified

NATIVE = "t._native.native_decide.ax_1_1"
STATED = "theorem t : 1 = 2 := by sorry\n"
PROVED = f"axiom {NATIVE} : 1 = 2\ntheorem t : 1 = 2 := {NATIVE}\n"
TRUE = "theorem t : Nat.ble 2 3 = true := by sorry\n"
FALSE = "theorem t : Nat.ble 3 2 = true := by sorry\n"
EXT = "theorem t (p q : Prop) (h : p ↔ q) : p = q := "


def by_axiom(statement: str, axiom: str = NATIVE) -> str:
    """A proof of *statement* by an axiom that says it."""
    said = statement.partition(":=")[0].replace("theorem t", f"axiom {axiom}")
    return f"{said}\n{statement.replace('by sorry', axiom)}"


@pytest.fixture(scope="module")
def session(host: Host) -> Iterator[Session]:
    with host.session(["Init"]) as opened:
        yield opened


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("reference", "candidate", "allowed", "codes"),
    [
        (STATED, PROVED, [], {"axiom"}),
        (STATED, PROVED, [NATIVE], {"axiom"}),
        (STATED, PROVED, ["native_decide"], {"axiom"}),
        (STATED, PROVED, [f"{NATIVE} : 1 = 1"], {"axiom"}),
        (STATED, PROVED, [f"{NATIVE} : 1 = 2"], set()),
        (STATED, PROVED, [f"{NATIVE} : 1 + 0 = 2"], set()),
        (STATED, PROVED, [f"{NATIVE} : 1 = (2"], {"reference"}),
        (STATED, PROVED, [f"{NATIVE} : 1"], {"axiom"}),
        ("def two := 2\n" + STATED, "def two := 2\n" + PROVED, [f"{NATIVE} : 1 = two"], set()),
        (EXT + "by sorry\n", EXT + "propext h\n", ["propext : False"], {"reference"}),
        (EXT + "by sorry\n", EXT + "propext h\n", ["propext : ∀ {a b : Prop}, (a ↔ b) → a = b"], set()),
        (
            "theorem t.{u} (α : Type u) : α = α := by sorry\n",
            "axiom e.{v} (α : Type v) : α = α\ntheorem t.{u} (α : Type u) : α = α := e α\n",
            ["e.{w} : ∀ α : Type w, α = α"],
            set(),
        ),
    ],
)
def test_what_a_reference_allows(
    host: Host, reference: str, candidate: str, allowed: list[str], codes: set[str], whole: bool
) -> None:
    found = verified(host, reference, candidate, allowed, whole=whole)
    assert {refusal.code for refusal in found} == codes, found


def test_a_name_alone_is_told_how_to_be_allowed(host: Host) -> None:
    (refusal,) = verified(host, STATED, PROVED, [NATIVE])
    assert "allow it with its type" in refusal.message
    (refusal,) = verified(host, STATED, PROVED, [f"{NATIVE} : 1 = (2"])
    assert "does not elaborate" in refusal.message
    (refusal,) = verified(host, EXT + "by sorry\n", EXT + "propext h\n", ["propext : False"])
    assert "another type" in refusal.message


def test_what_an_axiom_of_native_decide_says_is_evaluated(native_host: Host) -> None:
    for whole in (False, True):
        for stated, holds in ((TRUE, True), (FALSE, False), (STATED, False)):
            found = verified(native_host, stated, by_axiom(stated), ["native_decide"], whole=whole)
            assert (not found) == holds, found
        other = by_axiom(TRUE, "t.mine.ax_1")
        assert [r.code for r in verified(native_host, TRUE, other, ["native_decide"], whole=whole)] == [
            "axiom"
        ]


def test_a_whole_export_has_no_other_axiom(host: Host) -> None:
    """Whether or not what is wanted is seen to rest on it."""
    stated, proof = "theorem t : True := by sorry\n", "theorem t : True := trivial\n"
    unused = "axiom unused : 1 = 2\n"
    (refusal,) = verified(host, stated, unused + proof, whole=True)
    assert (refusal.code, refusal.name) == ("axiom", "")
    assert "unused" in refusal.message
    assert verified(host, stated, unused + proof, ["unused : 1 = 2"], whole=True) == []
    assert verified(host, unused + stated, unused + proof, whole=True) == []
    (refusal,) = verified(host, stated, "theorem left : 1 = 2 := sorry\n" + proof, whole=True)
    assert refusal.code == "sorry"
    assert verified(host, stated, unused + proof) == []


@pytest.mark.parametrize(
    ("source", "allowed", "accepted"),
    [
        (PROVED, [], False),
        (PROVED, [NATIVE], True),
        (PROVED, [f"{NATIVE} : 1 = 2"], True),
        (PROVED, [f"{NATIVE} : 1 = 1"], False),
        (PROVED, ["native_decide"], False),
        (EXT + "propext h", ["propext : False"], True),
        ("theorem t : True := trivial", ["nobody : False"], True),
        ("def Mine := False\naxiom m : Mine\n", ["m : False"], False),
    ],
)
def test_what_a_check_allows(session: Session, source: str, allowed: list[str], accepted: bool) -> None:
    outcome: KernelOutcome = session.kernel_check(source, allow_axioms=allowed)
    assert isinstance(outcome, Checked if accepted else Rejected), outcome
    if not accepted:
        assert isinstance(outcome, Rejected)
        assert outcome.failure.code == "axiom"


def test_native_decide_in_a_check(native_host: Host) -> None:
    with native_host.session(["Init"]) as session:
        for stated, holds in ((TRUE, True), (FALSE, False)):
            outcome = session.kernel_check(by_axiom(stated), allow_axioms=["native_decide"])
            assert isinstance(outcome, Checked) == holds, outcome


def test_a_type_is_read_where_the_source_has_no_say(session: Session) -> None:
    fooled = 'macro "True" : term => `(False)\naxiom cheat : False\ntheorem t : False := cheat\n'
    assert isinstance(session.kernel_check(fooled, allow_axioms=["cheat : True"]), Rejected)
    with pytest.raises(UsageError, match="does not elaborate"):
        session.kernel_check("axiom x : True", allow_axioms=["x : nonsense"])


def test_an_extended_session_and_a_proof(session: Session) -> None:
    with session.extend("def two := 2\naxiom x : 1 = two\n") as grown:
        for says, accepted in (("x : 1 = two", True), ("x : 1 = 3", False), ("x", True)):
            outcome = grown.kernel_check("theorem t : 1 = two := x", allow_axioms=[says])
            assert isinstance(outcome, Checked) == accepted
            state = grown.prove("1 = two")
            done = state.apply("exact x")  # type: ignore[union-attr]
            finished = done.finish(allow_axioms=[says])  # type: ignore[union-attr]
            assert isinstance(finished, Checked) == accepted, finished


def test_a_pool_passes_on_what_is_allowed(request: pytest.FixtureRequest) -> None:
    with pool_of("native", request, workers=1) as pool:
        item = CheckItem(source=STATED, allow_axioms=[f"{NATIVE} : 1 = 2"])
        assert pool.verify(item, PROVED).verified
        assert pool.check(CheckItem(source=PROVED, allow_axioms=[f"{NATIVE} : 1 = 2"])).accepted
        assert not pool.check(CheckItem(source=PROVED, allow_axioms=[f"{NATIVE} : 1 = 1"])).accepted
        with pool.session(["Init"]) as session:
            allowed = [f"{NATIVE} : 1 = 2"]
            assert isinstance(session.kernel_check(PROVED, allow_axioms=allowed), Checked)


def test_what_can_be_written() -> None:
    assert TypedAxiom.read("a.b") is None
    assert TypedAxiom.read("«a : b».c") is None
    assert TypedAxiom.read("«a : b».c.{u, v} : d : e") == TypedAxiom("«a : b».c", ("u", "v"), "d : e")
    allowed = AllowedAxioms.of(["n", "m:1 = 2", "native_decide", "k.{u} : Sort u"])
    assert (allowed.named, allowed.native) == (frozenset({"n"}), True)
    assert allowed.entries == ["k.{u} : Sort u", "m : 1 = 2", "n", "native_decide"]
    assert AllowedAxioms.of(allowed.entries) == AllowedAxioms.of(["native_decide", *allowed.entries])
