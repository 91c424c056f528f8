"""``verify(disproofs=True)``: a theorem may be answered by its negation, and by nothing that looks like it."""

from __future__ import annotations

import pytest

from leanhost.services.session.host import Host
from leanhost.services.values.results import Status
from leanhost.workers import Reference, WorkerPool
from leanhost.workers.values.items import Asked
from tests.support.judging import judged

WRONG = "theorem t (n : Nat) : n = 0 := sorry\n"
DENIED = "theorem t : ¬ ∀ n : Nat, n = 0 := fun h => Nat.noConfusion (h 1)\n"
OPEN = "def n : Nat := sorry\ntheorem t : n = 1 := sorry\n"
DISPROOFS = Asked(disproofs=True)

# A reference, a candidate that disproves `t`.
# fmt: off
DISPROVED = {
    "a statement with binders": (WRONG, DENIED),
    "by an implication": (WRONG, DENIED.replace("¬ ∀ n : Nat, n = 0", "(∀ n : Nat, n = 0) → False")),
    "by a negation that is spelled otherwise": (WRONG, DENIED.replace("¬ ∀ n : Nat, n = 0", "Not (∀ m : Nat, m = 0)")),
    "a statement without": (
        "theorem t : 1 = 2 := sorry\n",
        "theorem t : ¬ 1 = 2 := fun h => Nat.noConfusion h (fun h => Nat.noConfusion h)\n"),
    "a negation": ("theorem t : ¬ 1 = 1 := sorry\n", "theorem t : ¬ ¬ 1 = 1 := fun h => h rfl\n"),
    "universes": (
        "universe u\ntheorem t (α : Type u) (a b : α) : a = b := sorry\n",
        "universe v\ninductive Two : Type v | a | b\n"
        "theorem t : ¬ ∀ (α : Type v) (a b : α), a = b := fun h => Two.noConfusion (h Two .a .b)\n"),
    "over definitions": (
        "def two : Nat := 2\ntheorem t : two = 0 := sorry\n",
        "def two : Nat := 2\ntheorem t : ¬ two = 0 := fun h => Nat.noConfusion h\n"),
    "beside a proof": (
        WRONG + "theorem u : 1 = 1 := sorry\n", "theorem u : 1 = 1 := rfl\n" + DENIED),
    "over a definition with an open proof": (
        "def f (h : 1 = 1) : Nat := 2\ndef g : Nat := f (by sorry)\ntheorem t : g = 0 := sorry\n",
        "def f (h : 1 = 1) : Nat := 2\ndef g : Nat := f rfl\ntheorem t : ¬ g = 0 := fun h => Nat.noConfusion h\n"),
}
# A reference, a candidate, and what has to be among the refusals (code, name).
REFUSED = {
    "of a weaker statement": (
        WRONG, DENIED.replace("¬ ∀ n : Nat, n = 0", "¬ ∀ n : Nat, n = n → n = 0").replace("h 1", "h 1 rfl"),
        ("statement", "t")),
    "with a binder left open": (
        WRONG, "theorem t (n : Nat) : ¬ n + 1 = 0 := fun h => Nat.noConfusion h\n", ("statement", "t")),
    "of one case": (WRONG, "theorem t : ¬ 1 = 0 := fun h => Nat.noConfusion h\n", ("statement", "t")),
    "under another name": (WRONG, DENIED.replace("theorem t", "theorem not_t"), ("missing", "t")),
    "by a definition": (WRONG, DENIED.replace("theorem t", "def t"), ("kind", "t")),
    "on an axiom": (
        "theorem t : 1 = 1 := sorry\n", "axiom no : False\ntheorem t : ¬ 1 = 1 := no.elim\n", ("axiom", "t")),
    "by sorry": ("theorem t : 1 = 1 := sorry\n", "theorem t : ¬ 1 = 1 := sorry\n", ("sorry", "t")),
    "with the negation in notation": (
        "theorem t : 1 = 1 := sorry\n",
        'local notation (priority := 2000) "¬" p:40 => (p → 1 = 1)\ntheorem t : ¬ 1 = 1 := fun h => h\n',
        ("statement", "t")),
    "by another negation": (
        "theorem t : 1 = 1 := sorry\n",
        "namespace M\ndef Not (p : Prop) : Prop := p\ntheorem _root_.t : Not (Not (1 = 1)) := rfl\nend M\n"
        .replace("Not (Not (1 = 1))", "Not (1 = 1 → 1 = 1)").replace("rfl", "fun h => h"), ("statement", "t")),
    "by another falsehood": (
        "theorem t : 1 = 1 := sorry\n",
        "namespace M\ninductive False : Prop | intro\ntheorem _root_.t : 1 = 1 → False := fun _ => .intro\nend M\n",
        ("statement", "t")),
    "in fewer universes": (
        "universe u\ntheorem t (α : Type u) (a b : α) : a = b := sorry\n",
        "theorem t : ¬ ∀ (α : Type) (a b : α), a = b := fun h => Nat.noConfusion (h Nat 0 1)\n", ("statement", "t")),
    "over another definition": (
        "def two : Nat := 2\ntheorem t : two = 2 := sorry\n",
        "def two : Nat := 1\ntheorem t : ¬ two = 2 := fun h => Nat.noConfusion h (fun h => Nat.noConfusion h)\n",
        ("definition", "two")),
    "of what the candidate may choose": (
        OPEN, "def n : Nat := 0\ntheorem t : ¬ n = 1 := fun h => Nat.noConfusion h\n", ("statement", "t")),
    "of what another definition makes of it": (
        OPEN.replace("theorem t : n", "def m : Nat := n\ntheorem t : m"),
        "def n : Nat := 0\ndef m : Nat := n\ntheorem t : ¬ m = 1 := fun h => Nat.noConfusion h\n",
        ("statement", "t")),
    "of an instance's proof": (
        "class P : Prop where\n  h : 1 = 2\ninstance : P := sorry\ntheorem t : 1 = 1 := sorry\n",
        "class P : Prop where\n  h : 1 = 2\ntheorem t : 1 = 1 := rfl\n"
        "theorem instP : ¬ P := fun p => Nat.noConfusion p.h (fun h => Nat.noConfusion h)\n", ("missing", "instP")),
}
# fmt: on


@pytest.mark.parametrize("name", DISPROVED)
def test_a_theorem_is_disproved(host: Host, name: str) -> None:
    reference, candidate = DISPROVED[name]
    judgement = judged(host, reference, candidate, asked=DISPROOFS)
    assert judgement.refusals == ()
    assert judgement.disproved == ("t",)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_disproof_is_refused(host: Host, name: str) -> None:
    reference, candidate, wanted = REFUSED[name]
    judgement = judged(host, reference, candidate, asked=DISPROOFS)
    assert wanted in {(refusal.code, refusal.name) for refusal in judgement.refusals}
    assert judgement.disproved == ()


def test_a_disproof_has_to_be_asked_for(native_host: Host) -> None:
    judgement = judged(native_host, WRONG, DENIED)
    assert [(r.code, r.name) for r in judgement.refusals] == [("statement", "t")]
    assert "negation" not in judgement.refusals[0].message


def test_the_librarys_negation_is_compared_as_well(native_host: Host) -> None:
    """Where the candidate brings a library of its own, what it calls a negation has to be one."""
    assert judged(native_host, WRONG, DENIED, whole=True, asked=DISPROOFS).disproved == ("t",)
    true = "theorem t (p : Prop) (h : p) : p := sorry\n"
    own = (
        "prelude\ninductive True : Prop | intro\ndef Not (p : Prop) : Prop := True\n"
        "theorem t : Not (∀ (p : Prop) (h : p), p) := True.intro\n"
    )
    found = judged(native_host, true, own, whole=True, asked=DISPROOFS).refusals
    assert ("library", "Not") in {(r.code, r.name) for r in found}


def test_a_reference_without_a_library_has_no_negation(native_host: Host) -> None:
    reference = (
        (
            "prelude\ninductive False : Prop\ndef Not (p : Prop) : Prop := p → False\n"
            "theorem t : False := sorryAx\n"
        )
        .replace("sorryAx", "t'")
        .replace("theorem t", "axiom t' : False\ntheorem t")
    )
    candidate = reference.replace(": False := t'", ": Not False := fun h => h")
    found = judged(native_host, reference, candidate, whole=True, asked=DISPROOFS)
    assert [(r.code, r.name) for r in found.refusals] == [("statement", "t")]


def test_a_disproof_is_told_apart(native_pool: WorkerPool) -> None:
    verification = native_pool.verify(WRONG, DENIED, disproofs=True)
    assert verification.status is Status.ACCEPTED
    assert (verification.disproved, verification.refusals) == (("t",), ())
    assert not verification.verified
    assert native_pool.verify(WRONG, DENIED).status is Status.REJECTED
    proof = "theorem t : 1 = 1 := rfl\n"
    for found in native_pool.verify_many([(proof, proof), (WRONG, DENIED)], disproofs=True):
        assert found.verified == (not found.disproved)
        assert found.status is Status.ACCEPTED
    both = Reference(source=WRONG + OPEN.replace(" t ", " u "), theorems=["t"])
    found = native_pool.verify(both, DENIED, disproofs=True)
    assert (found.disproved, found.holes) == (("t",), ())
