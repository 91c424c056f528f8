"""``verify``: what a reference leaves open in a definition is the candidate's to fill, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from leanhost.services.session.host import Host
from tests.support.judging import codes, judged

NUMBER = "def n : Nat := sorry\ntheorem t : n + 17 = 34 := sorry\n"
PAIR = "structure Two where\n  a : Nat\n  b : Nat\n"
BOX = "structure Box where\n  n : Nat\n"
SHOWN = "class Shown (α : Type) where\n  num : α → Nat\n"
LAWFUL = "class M (n : Nat) where\n  op : Nat → Nat\n  law : ∀ x, op x = n\n"

# A reference, a candidate, the holes that it fills.
# fmt: off
FILLED = {
    "a number": (NUMBER, "def n : Nat := 17\ntheorem t : n + 17 = 34 := rfl\n", ["n"]),
    "by sorry": (
        NUMBER.replace(":= sorry", ":= by sorry"), "def n : Nat := 17\ntheorem t : n + 17 = 34 := rfl\n", ["n"]),
    "a function, by recursion": (
        "def f (n : Nat) : Nat := sorry\ntheorem t : f 2 = 4 := sorry\n",
        "def f : Nat → Nat\n  | .zero => 0\n  | .succ n => f n + 2\ntheorem t : f 2 = 4 := rfl\n", ["f"]),
    "a function by cases": (
        "def f : Nat → Nat\n  | n => sorry\ntheorem t : f 2 = 4 := sorry\n",
        "def f (n : Nat) : Nat := n + 2\ntheorem t : f 2 = 4 := rfl\n", ["f"]),
    "a proposition": (
        "def P : Prop := sorry\ntheorem t : P ↔ 1 = 1 := sorry\n",
        "def P : Prop := True\ntheorem t : P ↔ 1 = 1 := ⟨fun _ => rfl, fun _ => trivial⟩\n", ["P"]),
    "a type": (
        "def T : Type := sorry\ntheorem t : T = Nat := sorry\n", "def T : Type := Nat\ntheorem t : T = Nat := rfl\n",
        ["T"]),
    "a type that another hole has": (
        "def T : Type := sorry\ndef x : T := sorry\ntheorem t : x = x := sorry\n",
        "def T : Type := Nat\ndef x : T := Nat.zero\ntheorem t : x = x := rfl\n", ["T", "x"]),
    "universes, by other names": (
        "universe u\ndef f {α : Type u} (a : α) : α := sorry\ntheorem t {α : Type u} (a : α) : f a = a := sorry\n",
        "def f {β : Type w} (b : β) : β := b\ntheorem t {β : Type w} (b : β) : f b = b := rfl\n", ["f"]),
    "a type that is the same by definition": (
        NUMBER, "def N := Nat\ndef n : N := (17 : Nat)\ntheorem t : Nat.add n 17 = 34 := rfl\n", ["n"]),
    "unfolded by another definition": (
        "def n : Nat := sorry\ndef m : Nat := n + 1\ntheorem t : m = 3 := sorry\n",
        "def n : Nat := 2\ndef m : Nat := n + 1\ntheorem t : m = 3 := rfl\n", ["n"]),
    "an instance with a name": (
        SHOWN + "instance s : Shown Nat := sorry\ntheorem t : Shown.num (3 : Nat) = 4 := sorry\n",
        SHOWN + "instance s : Shown Nat := ⟨fun n => n + 1⟩\ntheorem t : Shown.num (3 : Nat) = 4 := rfl\n", ["s"]),
    "an instance without one": (
        SHOWN + "instance : Shown Nat := sorry\ntheorem t : Shown.num (3 : Nat) = 4 := sorry\n",
        SHOWN + "instance : Shown Nat := ⟨fun n => n + 1⟩\ntheorem t : Shown.num (3 : Nat) = 4 := rfl\n",
        ["instShownNat"]),
    "an instance without one, by one with a name": (
        SHOWN + "instance : Shown Nat := sorry\ndef f : Nat := Shown.num (3 : Nat)\ntheorem t : f = 4 := sorry\n",
        SHOWN + "instance mine : Shown Nat := ⟨fun n => n + 1⟩\ndef f : Nat := Shown.num (3 : Nat)\n"
        "theorem t : f = 4 := rfl\n",
        ["instShownNat"]),
    "a field": (
        PAIR + "def p : Two where\n  a := 1\n  b := sorry\ntheorem t : p.b = 2 := sorry\n",
        PAIR + "def p : Two := ⟨1, 2⟩\ntheorem t : p.b = 2 := rfl\n", ["p"]),
    "a field of a field, below a binder": (
        PAIR + "structure Three extends Two where\n  c : Nat\n"
        "def p (n : Nat) : Three where\n  a := n\n  b := sorry\n  c := 3\ntheorem t : (p 1).b = 2 := sorry\n",
        PAIR + "structure Three extends Two where\n  c : Nat\n"
        "def two (n : Nat) : Two := ⟨n, n + 1⟩\n"
        "def p (n : Nat) : Three := ⟨two n, 3⟩\ntheorem t : (p 1).b = 2 := rfl\n", ["p"]),
    "a field that is a function": (
        SHOWN + "instance s : Shown Nat where\n  num n := sorry\ntheorem t : Shown.num (3 : Nat) = 4 := sorry\n",
        SHOWN + "instance s : Shown Nat where\n  num n := n + 1\ntheorem t : Shown.num (3 : Nat) = 4 := rfl\n",
        ["s"]),
    "a field, and the proof about it": (
        LAWFUL + "instance m : M 2 := ⟨sorry, sorry⟩\ntheorem t : M.op 2 0 = 2 := sorry\n",
        LAWFUL + "instance m : M 2 := ⟨fun _ => 2, fun _ => rfl⟩\ntheorem t : M.op 2 0 = 2 := rfl\n", ["m"]),
    "nothing but a proof": (
        LAWFUL + "instance m : M 2 := ⟨fun _ => 2, sorry⟩\ntheorem t : M.op 2 0 = 2 := sorry\n",
        LAWFUL + "noncomputable instance m : M 2 := ⟨fun _ => 2, fun _ => rfl⟩\ntheorem t : M.op 2 0 = 2 := rfl\n", []),
    "by a noncomputable value, as the reference has it": (
        "noncomputable def n : Nat := sorry\ntheorem t : n = n := sorry\n",
        "noncomputable def n : Nat := Classical.choice ⟨3⟩\ntheorem t : n = n := rfl\n", ["n"]),
    "by an abbreviation": (NUMBER, "abbrev n : Nat := 17\ntheorem t : n + 17 = 34 := rfl\n", ["n"]),
    "a private definition": (
        "private def n : Nat := sorry\ntheorem t : n = 2 := sorry\n",
        "private def n : Nat := 2\ntheorem t : n = 2 := rfl\n", ["_private.Main.0.n"]),
}
# A reference, a candidate, and what has to be among the refusals (code, name).
REFUSED = {
    "nothing": (NUMBER, "theorem t : 17 + 17 = 34 := rfl\n", ("missing", "n")),
    "an axiom": (NUMBER, "axiom n : Nat\ntheorem t : n + 17 = 34 := sorry\n", ("kind", "n")),
    "an opaque constant": (NUMBER, "opaque n : Nat := 17\ntheorem t : n + 17 = 34 := sorry\n", ("kind", "n")),
    "a constructor": (
        "def n : Nat := sorry\ntheorem t : n = n := sorry\n",
        "theorem t : n = n := rfl\n".replace("n = n", "(17 : Nat) = 17"), ("missing", "n")),
    "sorry": (NUMBER, NUMBER, ("sorry", "n")),
    "sorry elsewhere": (
        NUMBER, "def m : Nat := sorry\ndef n : Nat := m\ntheorem t : n + 17 = 34 := sorry\n", ("sorry", "n")),
    "an axiom inside": (
        "def n : Nat := sorry\ntheorem t : n = n := sorry\n",
        "axiom no : False\nnoncomputable def n : Nat := no.elim\ntheorem t : n = n := rfl\n", ("axiom", "n")),
    "another type": (
        NUMBER, "def n : Bool := true\ntheorem t : 17 + 17 = 34 := rfl\n", ("definition", "n")),
    "a type that only looks the same": (
        NUMBER, "namespace A\ninductive Nat where | z\ndef _root_.n : Nat := .z\nend A\n"
        "theorem t : 17 + 17 = 34 := rfl\n", ("definition", "n")),
    "fewer universes": (
        "def T.{u} (α : Type u) : Type u := sorry\ntheorem t : 1 = 1 := sorry\n",
        "def T (α : Type) : Type := α\ntheorem t : 1 = 1 := rfl\n", ("definition", "T")),
    "universes the other way round": (
        "def T.{u, v} (α : Type u) (β : Type v) : Type u := sorry\ntheorem t : 1 = 1 := sorry\n",
        "def T.{v, u} (α : Type u) (β : Type v) : Type u := α\ntheorem t : 1 = 1 := rfl\n", ("definition", "T")),
    "a noncomputable value": (
        "def n : Nat := sorry\ntheorem t : n = n := sorry\n",
        "noncomputable def n : Nat := Classical.choice ⟨3⟩\ntheorem t : n = n := rfl\n", ("noncomputable", "n")),
    "a noncomputable value in a section of such": (
        "def n : Nat := sorry\ntheorem t : n = n := sorry\n",
        "noncomputable section\ndef n : Nat := Classical.choice ⟨3⟩\ntheorem t : n = n := rfl\nend\n",
        ("noncomputable", "n")),
    "somebody else's code": (
        "def n : Nat := sorry\ntheorem t : n = n := sorry\n",
        "def three : Nat := 3\n@[implemented_by three] def n : Nat := Classical.choice ⟨3⟩\ntheorem t : n = n := rfl\n",
        ("noncomputable", "n")),
    "foreign code": (
        "def n : Nat := sorry\ntheorem t : n = n := sorry\n",
        '@[extern "three"] def n : Nat := Classical.choice ⟨3⟩\ntheorem t : n = n := rfl\n', ("noncomputable", "n")),
    "another definition over the hole": (
        "def n : Nat := sorry\ndef m : Nat := n + 1\ntheorem t : m = 3 := sorry\n",
        "def n : Nat := 7\ndef m : Nat := 3\ntheorem t : m = 3 := rfl\n", ("definition", "m")),
    "a definition that is no hole": (
        "def n : Nat := sorry\ndef k : Nat := 2\ntheorem t : n = k := sorry\n",
        "def n : Nat := 3\ndef k : Nat := 3\ntheorem t : n = k := rfl\n", ("definition", "k")),
    "the statement over the hole": (
        NUMBER, "def n : Nat := 18\ntheorem t : n + 17 = 35 := rfl\n", ("statement", "t")),
    "the statement over another definition": (
        NUMBER, "def n : Nat := 18\nnamespace A\ndef n : Nat := 17\ntheorem _root_.t : n + 17 = 34 := rfl\nend A\n",
        ("statement", "t")),
    "a field that is given": (
        PAIR + "def p : Two where\n  a := 1\n  b := sorry\ntheorem t : p.b = p.a := sorry\n",
        PAIR + "def p : Two := ⟨2, 2⟩\ntheorem t : p.b = p.a := rfl\n", ("definition", "p")),
    "a part that is no field": (
        "def n : Nat := (sorry : Nat) + 1\ntheorem t : n = 2 := sorry\n",
        "def n : Nat := 1 + 1\ntheorem t : n = 2 := rfl\n", ("definition", "n")),
    "an argument of a constructor of many": (
        "inductive E | a (n : Nat) | b\ndef e : E := .a sorry\ntheorem t : e = .a 2 := sorry\n",
        "inductive E | a (n : Nat) | b\ndef e : E := .a 2\ntheorem t : e = .a 2 := rfl\n", ("definition", "e")),
    "an abbreviation": (
        "abbrev n : Nat := sorry\ntheorem t : n = 2 := sorry\n", "abbrev n : Nat := 2\ntheorem t : n = 2 := rfl\n",
        ("definition", "n")),
    "an opaque constant that is open": (
        "opaque n : Nat := sorry\ntheorem t : n = n := sorry\n", "opaque n : Nat := 2\ntheorem t : n = n := rfl\n",
        ("definition", "n")),
    "an instance without a name left out": (
        SHOWN + "instance : Shown Nat := sorry\ntheorem t : 1 = 1 := sorry\n", SHOWN + "theorem t : 1 = 1 := rfl\n",
        ("missing", "instShownNat")),
    "an instance without a name, of another type": (
        SHOWN + "instance : Shown Nat := sorry\ntheorem t : 1 = 1 := sorry\n",
        SHOWN + "instance : Shown Bool := ⟨fun _ => 1⟩\ntheorem t : 1 = 1 := rfl\n",
        ("missing", "instShownNat")),
    "an instance without a name, on an axiom": (
        SHOWN + "instance : Shown Nat := sorry\ntheorem t : 1 = 1 := sorry\n",
        SHOWN + "axiom no : False\nnoncomputable instance : Shown Nat := no.elim\ntheorem t : 1 = 1 := rfl\n",
        ("axiom", "instShownNat")),
    "another instance of the same type": (
        SHOWN + "instance s : Shown Nat := sorry\ntheorem t : Shown.num (3 : Nat) = 4 := sorry\n",
        SHOWN + "instance s : Shown Nat := ⟨fun n => n⟩\ninstance other : Shown Nat := ⟨fun n => n + 1⟩\n"
        "theorem t : Shown.num (3 : Nat) = 4 := rfl\n", ("statement", "t")),
    "another instance of the same type, without a name": (
        SHOWN + "instance : Shown Nat := sorry\ndef f : Nat := Shown.num (3 : Nat)\ntheorem t : f = 4 := sorry\n",
        SHOWN + "instance : Shown Nat := ⟨fun n => n⟩\ninstance other : Shown Nat := ⟨fun n => n + 1⟩\n"
        "def f : Nat := Shown.num (3 : Nat)\ntheorem t : f = 4 := rfl\n", ("definition", "f")),
    "a structure with another field": (
        BOX + "def b : Box := ⟨sorry⟩\ntheorem t : b.n = 2 := sorry\n",
        BOX.replace("n : Nat", "n : Nat\n  m : Nat := 3") + "def b : Box := ⟨2, 3⟩\ntheorem t : b.n = 2 := rfl\n",
        ("definition", "Box.mk")),
    "the hole's name for something unsafe": (
        NUMBER, "unsafe def n : Nat := 17\ntheorem t : 17 + 17 = 34 := rfl\n", ("missing", "n")),
    "a partial function": (
        "def f (n : Nat) : Nat := sorry\ntheorem t : f 1 = f 1 := sorry\n",
        "partial def f (n : Nat) : Nat := f (n + 1)\ntheorem t : f 1 = f 1 := rfl\n", ("kind", "f")),
}
# fmt: on


@pytest.mark.parametrize("name", FILLED)
def test_a_hole_is_filled(host: Host, name: str) -> None:
    reference, candidate, holes = FILLED[name]
    judgement = judged(host, reference, candidate)
    assert judgement.refusals == ()
    assert list(judgement.holes) == holes


@pytest.mark.parametrize("name", REFUSED)
def test_what_fills_no_hole_is_refused(host: Host, name: str) -> None:
    reference, candidate, wanted = REFUSED[name]
    assert wanted in codes(host, reference, candidate)


@pytest.mark.parametrize("name", ["a number", "a field that is a function", "an instance without one"])
def test_a_hole_is_filled_from_the_first_axiom_on_as_well(native_host: Host, name: str) -> None:
    reference, candidate, holes = FILLED[name]
    judgement = judged(native_host, reference, candidate, whole=True)
    assert (judgement.refusals, list(judgement.holes)) == ((), holes)


@pytest.mark.parametrize("name", ["another definition over the hole", "an axiom inside", "foreign code"])
def test_what_fills_no_hole_is_refused_from_the_first_axiom_on_as_well(native_host: Host, name: str) -> None:
    reference, candidate, wanted = REFUSED[name]
    assert wanted in codes(native_host, reference, candidate, whole=True)


def test_a_refusal_says_what_a_hole_is(native_host: Host) -> None:
    for name, why in {
        "nothing": "n is not declared by the candidate: it is a hole of the reference, which has to be filled",
        "another type": "n has another type than the hole in the reference",
        "a field that is given": "p is not what it is in the reference besides what is left open there",
        "an abbreviation": "where something is left open that is no hole (a hole is the whole value",
        "a noncomputable value": "the definition in the reference is not marked `noncomputable`",
    }.items():
        reference, candidate, _ = REFUSED[name]
        found = judged(native_host, reference, candidate).refusals
        assert any(why in refusal.message for refusal in found), found


def _claiming(names: str) -> Callable[[str], str]:
    return lambda exported: exported.replace('"compiled":[]', f'"compiled":{names}', 1)


def test_a_claim_that_something_is_compiled_proves_nothing(native_host: Host) -> None:
    """It is the only thing that is believed of what the candidate's process says; junk is no claim."""
    reference, candidate, _ = REFUSED["a noncomputable value"]
    for said, refused in {'["n"]': [], '"n"': ["noncomputable"], '[["n"]]': ["noncomputable"]}.items():
        found = judged(native_host, reference, candidate, change=_claiming(said))
        assert [refusal.code for refusal in found.refusals] == refused
    reference, candidate, _ = REFUSED["sorry"]
    assert {r.code for r in judged(native_host, reference, candidate).refusals} == {"sorry"}
