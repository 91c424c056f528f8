"""``verify`` refuses candidates that would like their own statements to be taken for the reference's."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leanhost.services.session.host import Host
from tests.support.judging import codes, refusals

WRONG = "theorem t : 1 = 2 := by sorry\n"

LAZY = """class A where
  x : Nat
def f (h : True ∧ True) : Nat := And.rec (motive := fun _ => Nat) (fun _ _ => 2) h
def h : True ∧ True := ⟨trivial, trivial⟩
"""
IS = """inductive Is : Nat → Type
  | mk (n : Nat) : Is n
def Is.get (_ : Is N) (n : Nat) : Nat := n
"""

TWO = "structure Two where\n  n : Nat\n  h : n = 2\n"
LAW = "class M (n : Nat) where\n  op : Nat → Nat\n  law : ∀ x, op x = n\n"

# A reference, a candidate, and what has to be among the refusals (code, name).
# fmt: off
ATTACKS = {
    "a term macro in the statement": (
        WRONG, 'macro "two" : term => `(1)\ntheorem t : 1 = two := rfl\n',
        ("statement", "t")),
    "notation in the statement": (
        WRONG, 'notation "holds" => 1 = 1\ntheorem t : holds := rfl\n',
        ("statement", "t")),
    "other numerals": (
        WRONG, "instance (priority := 100000) : OfNat Nat 2 := ⟨1⟩\ntheorem t : 1 = 2 := rfl\n",
        ("statement", "t")),
    "another instance": (
        "theorem t (a b : Nat) : a + b = 6 := by sorry\n",
        "instance (priority := 100000) : HAdd Nat Nat Nat := ⟨fun _ _ => 6⟩\n"
        "theorem t (a b : Nat) : a + b = 6 := rfl\n",
        ("statement", "t")),
    "a variable": (
        WRONG, "variable (h : 1 = 2)\ninclude h\ntheorem t : 1 = 2 := h\n",
        ("statement", "t")),
    "an implicit variable": (
        WRONG, "set_option autoImplicit true\ntheorem t {h : False} : 1 = 2 := h.elim\n",
        ("statement", "t")),
    "a type of its own": (
        "theorem t (n : Nat) : n = n + 1 := by sorry\n",
        "namespace A\ninductive Nat where | z\ndef plus (n : Nat) (_ : _root_.Nat) : Nat := n\n"
        "instance : HAdd Nat _root_.Nat Nat := ⟨plus⟩\n"
        "theorem _root_.t (n : Nat) : n = n + 1 := rfl\nend A\n",
        ("statement", "t")),
    "the name elsewhere": (
        WRONG, "namespace A\ntheorem t : 1 = 1 := rfl\nend A\nopen A\n",
        ("missing", "t")),
    "a name that looks the same": (
        WRONG, "theorem «t\u200b» : 1 = 1 := rfl\n",
        ("missing", "t")),
    "a private one": (
        WRONG, "private theorem t : 1 = 1 := rfl\n",
        ("missing", "t")),
    "a definition in its place": (
        "theorem t : True := by sorry\n", "def t : True := trivial\n",
        ("kind", "t")),
    "an instance in its place": (
        "theorem t : Nonempty Nat := by sorry\n", "instance t : Inhabited Nat := ⟨0⟩\n",
        ("kind", "t")),
    "a definition unfolded to True": (
        "def P (n : Nat) : Prop := n = n + 1\ntheorem t : P 0 := by sorry\n",
        "def P (n : Nat) : Prop := n = n\ntheorem t : P 0 := rfl\n",
        ("definition", "P")),
    "a definition behind a definition": (
        "def zero : Nat := 0\ndef P (n : Nat) : Prop := n = zero\ntheorem t : P 1 := by sorry\n",
        "def zero : Nat := 1\ndef P (n : Nat) : Prop := n = zero\ntheorem t : P 1 := rfl\n",
        ("definition", "zero")),
    "an opaque definition": (
        "def n : Nat := 3\ntheorem t : n = n := by sorry\n",
        "opaque n : Nat\ntheorem t : n = n := rfl\n",
        ("kind", "n")),
    "an axiom in place of a definition": (
        "def n : Nat := 3\ntheorem t : n = n := by sorry\n",
        "axiom n : Nat\ntheorem t : n = n := rfl\n",
        ("kind", "n")),
    "an abbreviation of another type": (
        "def N : Type := Nat\ntheorem t (n : N) : n = n := by sorry\n",
        "def N : Type := Bool\ntheorem t (n : N) : n = n := rfl\n",
        ("definition", "N")),
    "a matcher of its own": (
        "def f : Nat → Nat\n  | 0 => 1\n  | _+1 => 2\ntheorem t : f 0 = 2 := by sorry\n",
        "def f : Nat → Nat\n  | 0 => 2\n  | _+1 => 1\ntheorem t : f 0 = 2 := rfl\n",
        ("definition", "f")),
    "a helper of a definition": (
        "def f (n : Nat) : Nat := go n\nwhere go (m : Nat) : Nat := m + 1\ntheorem t : f 0 = 0 := by sorry\n",
        "def f (n : Nat) : Nat := go n\nwhere go (m : Nat) : Nat := m\ntheorem t : f 0 = 0 := rfl\n",
        ("definition", "f.go")),
    "a type with one constructor more": (
        "inductive T | a | b\ntheorem t (x y : T) : x = y := by sorry\n",
        "inductive T | a\ntheorem t (x y : T) : x = y := by cases x; cases y; rfl\n",
        ("definition", "T")),
    "a constructor of another type": (
        "inductive E : Nat → Prop\n  | zero : E 0\ntheorem t : E 1 := by sorry\n",
        "inductive E : Nat → Prop\n  | zero : E 1\ntheorem t : E 1 := .zero\n",
        ("definition", "E.zero")),
    "fields in another order": (
        "structure S where\n  a : Nat\n  b : Nat\ntheorem t (x : S) (h : x = ⟨1, 2⟩) : x.a = 2 := by sorry\n",
        "structure S where\n  b : Nat\n  a : Nat\ntheorem t (x : S) (h : x = ⟨1, 2⟩) : x.a = 2 := by rw [h]\n",
        ("definition", "S.a")),
    "a parameter that is an index": (
        "inductive V (α : Type) : Type\n  | nil : V α\ntheorem t (x : V Nat) : x = .nil := by sorry\n",
        "inductive V : Type → Type 1\n  | nil : {α : Type} → V α\ntheorem t (x : V Nat) : x = .nil := sorry\n",
        ("definition", "V")),
    "mutual types apart": (
        "mutual\ninductive A | mk : B → A | none\ninductive B | mk : A → B\nend\n"
        "theorem t (x : A) : x = x := by sorry\n",
        "inductive A | mk : Nat → A | none\ninductive B | mk : A → B\ntheorem t (x : A) : x = x := rfl\n",
        ("definition", "A")),
    "fewer universes": (
        "universe u\ntheorem t {α : Type u} (a : α) : a = a := by sorry\n",
        "theorem t {α : Type} (a : α) : a = a := rfl\n",
        ("statement", "t")),
    "universes the other way round": (
        "theorem t.{u, v} (α : Type u) (β : Type v) : α = α ∧ β = β := by sorry\n",
        "theorem t.{v, u} (α : Type u) (β : Type v) : α = α ∧ β = β := ⟨rfl, rfl⟩\n",
        ("statement", "t")),
    "one universe for two": (
        "theorem t.{u, v} (α : Type u) (β : Type v) : α = α ∧ β = β := by sorry\n",
        "theorem t.{u} (α : Type u) (β : Type u) : α = α ∧ β = β := ⟨rfl, rfl⟩\n",
        ("statement", "t")),
    "a hidden axiom": (
        "def n : Nat := 1\ntheorem t : n = 2 := by sorry\n",
        "axiom no : False\ndef n : Nat := 1\ndef lemma : n = 2 := no.elim\ntheorem t : n = 2 := lemma\n",
        ("axiom", "t")),
    "an axiom inside a definition that is the same": (
        "def p : 1 = 1 := rfl\ndef n : Nat := (fun _ => 1) p\ntheorem t : n = 1 := by sorry\n",
        "axiom no : False\ndef p : 1 = 1 := no.elim\ndef n : Nat := (fun _ => 1) p\ntheorem t : n = 1 := rfl\n",
        ("axiom", "t")),
    "the reference's axiom, stronger": (
        "axiom ax : 1 = 1\ntheorem t : 1 = 2 := by sorry\n",
        "axiom ax : 1 = 2\ntheorem t : 1 = 2 := ax\n",
        ("definition", "ax")),
    "implemented by something else": (
        "def n : Nat := 1\ntheorem t : n = 2 := by sorry\n",
        "def other : Nat := 2\n@[implemented_by other] def n : Nat := 1\ntheorem t : n = 2 := by sorry\n",
        ("sorry", "t")),
    "the value of an instance without a name": (
        "class A (n : Nat) where\n  x : Nat\ninstance : A 0 := ⟨1⟩\ntheorem t : A.x 0 = 2 := by sorry\n",
        "class A (n : Nat) where\n  x : Nat\ninstance : A 0 := ⟨2⟩\ntheorem t : A.x 0 = 2 := rfl\n",
        ("statement", "t")),
    "the value of an instance without a name, behind a definition": (
        "class A (n : Nat) where\n  x : Nat\ninstance : A 0 := ⟨1⟩\n"
        "def f : Nat := A.x 0\ntheorem t : f = 2 := by sorry\n",
        "class A (n : Nat) where\n  x : Nat\ninstance : A 0 := ⟨2⟩\n"
        "def f : Nat := A.x 0\ntheorem t : f = 2 := rfl\n",
        ("definition", "f")),
    "a proof without a name left out": (
        "class P : Prop where\n  h : 1 = 2\ninstance : P := by sorry\ntheorem t : 1 = 1 := by sorry\n",
        "class P : Prop where\n  h : 1 = 2\ntheorem t : 1 = 1 := rfl\n",
        ("missing", "instP")),
    "a proof without a name, left open": (
        "class P (n : Nat) : Prop where\n  h : n = 2\ninstance : P 1 := by sorry\ntheorem t : 1 = 1 := by sorry\n",
        "class P (n : Nat) : Prop where\n  h : n = 2\ninstance : P 2 := ⟨rfl⟩\n"
        "instance other : P 1 := by sorry\ntheorem t : 1 = 1 := rfl\n",
        ("missing", "instPOfNatNat")),
    "a proof in a definition, left open": (
        TWO + "def f : Two := ⟨2, by sorry⟩\ntheorem t : 1 = 1 := by sorry\n",
        TWO + "def f : Two := ⟨2, sorry⟩\ntheorem t : 1 = 1 := rfl\n",
        ("sorry", "f")),
    "an axiom in a definition": (
        TWO + "def f : Two := ⟨2, by sorry⟩\ntheorem t : 1 = 1 := by sorry\n",
        TWO + "axiom no : False\ndef f : Two := ⟨2, no.elim⟩\ntheorem t : 1 = 1 := rfl\n",
        ("axiom", "f")),
    "the law of an instance without a name, left open": (
        LAW + "instance : M 2 := ⟨fun _ => 2, by sorry⟩\ntheorem t : 1 = 1 := by sorry\n",
        LAW + "instance : M 2 := ⟨fun _ => 2, by sorry⟩\ntheorem t : 1 = 1 := rfl\n",
        ("sorry", "instMOfNatNat")),
    "the law of another instance": (
        LAW + "instance : M 2 := ⟨fun _ => 2, by sorry⟩\ntheorem t : 1 = 1 := by sorry\n",
        LAW + "instance : M 3 := ⟨fun _ => 3, fun _ => rfl⟩\ntheorem t : 1 = 1 := rfl\n",
        ("missing", "instMOfNatNat")),
    "a law of another value": (
        LAW + "instance : M 2 := ⟨fun x => x, by sorry⟩\ntheorem t : 1 = 1 := by sorry\n",
        LAW + "instance : M 2 := ⟨fun _ => 2, fun _ => rfl⟩\ntheorem t : 1 = 1 := rfl\n",
        ("missing", "instMOfNatNat")),
    "a theorem whose name is like one of Lean's own details": (
        "theorem t : 1 = 1 := by sorry\ntheorem eq_1 : 1 = 2 := by sorry\n", "theorem t : 1 = 1 := rfl\n",
        ("missing", "eq_1")),
    "a theorem whose name begins with an underscore": (
        "theorem t : 1 = 1 := by sorry\nnamespace _n\ntheorem u : 1 = 2 := by sorry\nend _n\n",
        "theorem t : 1 = 1 := rfl\n",
        ("missing", "_n.u")),
    "a value that computes no more, so that the reference's instance has no type": (
        LAZY + "def N : Nat := f h\n" + IS + "instance : A := ⟨Is.get (Is.mk 2 : Is N) 1⟩\n"
        "theorem t : A.x = 5 := by sorry\n",
        LAZY + "opaque stuck : True ∧ True := h\ndef N : Nat := f stuck\n" + IS + "instance : A := ⟨5⟩\n"
        "theorem t : A.x = 5 := rfl\n",
        ("statement", "t")),
    "a command that is another": (
        WRONG,
        'local macro "theorem " n:ident " : " t:term " := " p:term : command => `(def $n : True := trivial)\n'
        "theorem t : 1 = 2 := rfl\n",
        ("kind", "t")),
    "a command that is expanded away": (
        WRONG,
        "macro_rules | `(command| theorem t : 1 = 2 := rfl) => `(theorem t : True := trivial)\n"
        "theorem t : 1 = 2 := rfl\n",
        ("missing", "t")),
    "another negation": (
        "theorem t : Not (1 = 1) := by sorry\n",
        "namespace M\ndef Not (p : Prop) : Prop := p\ntheorem _root_.t : Not (1 = 1) := rfl\nend M\n",
        ("statement", "t")),
    "a constructor that is shadowed": (
        "theorem t : Nat.succ 0 = 0 := by sorry\n",
        "namespace M\ndef Nat.succ (n : Nat) : Nat := n\ntheorem _root_.t : Nat.succ 0 = 0 := rfl\nend M\n",
        ("statement", "t")),
    "a field that proves more": (
        "structure B where\n  n : Nat\nstructure S extends B where\n  h : n = 1\n"
        "theorem t (s : S) : s.n = 2 := by sorry\n",
        "structure B where\n  n : Nat\nstructure S extends B where\n  h : n = 2\n"
        "theorem t (s : S) : s.n = 2 := s.h\n",
        ("definition", "S.mk")),
    "a structure that is written out": (
        "structure B where\n  n : Nat\nstructure S extends B where\n  h : n = 1\n"
        "theorem t (s : S) : s.n = 2 := by sorry\n",
        "structure B where\n  n : Nat\nstructure S where\n  n : Nat\n  h : n = 2\n"
        "theorem t (s : S) : s.n = 2 := s.h\n",
        ("missing", "S.toB")),
    "a private definition of the same name": (
        "private def f (n : Nat) : Nat := n + 1\ntheorem t : f 1 = 3 := by sorry\n",
        "private def f (n : Nat) : Nat := n + 2\ntheorem t : f 1 = 3 := rfl\n",
        ("definition", "_private.Main.0.f")),
    "a definition for an opaque value": (
        "opaque c : Nat := 3\ntheorem t : c = 3 := by sorry\n",
        "def c : Nat := 3\ntheorem t : c = 3 := rfl\n",
        ("kind", "c")),
    "the instances of a statement swapped": (
        "class A (n : Nat) where\n  x : Nat\ninstance a : A 0 := ⟨1⟩\ninstance b : A 0 := ⟨2⟩\n"
        "theorem t : A.x 0 = 1 := by sorry\n",
        "class A (n : Nat) where\n  x : Nat\ninstance b : A 0 := ⟨2⟩\ninstance a : A 0 := ⟨1⟩\n"
        "theorem t : A.x 0 = 1 := rfl\n",
        ("statement", "t")),
    "notation of the reference's that means something else": (
        'def op (a b : Nat) := a\ninfixl:65 " ⊞ " => op\ntheorem t (a b : Nat) : (a ⊞ b) = b := by sorry\n',
        'def op (a b : Nat) := a\ndef other (a b : Nat) := b\ninfixl:65 " ⊞ " => other\n'
        "theorem t (a b : Nat) : (a ⊞ b) = b := rfl\n",
        ("statement", "t")),
    "a decision of its own": (
        "theorem t : (if 1 = 2 then 1 else 2) = 1 := by sorry\n",
        "axiom cheat : 1 = 2\ninstance (priority := 100000) d : Decidable (1 = 2) := .isTrue cheat\n"
        "theorem t : (if 1 = 2 then 1 else 2) = 1 := rfl\n",
        ("axiom", "t")),
    "a quotient by another relation": (
        "def S : Type := Quot (fun (a b : Nat) => a = b)\ndef S.mk (n : Nat) : S := Quot.mk _ n\n"
        "theorem t : S.mk 1 = S.mk 2 := by sorry\n",
        "def S : Type := Quot (fun (_ _ : Nat) => True)\ndef S.mk (n : Nat) : S := Quot.mk _ n\n"
        "theorem t : S.mk 1 = S.mk 2 := Quot.sound trivial\n",
        ("definition", "S")),
    "a nested type, nested in another": (
        "inductive R | mk : List R → R\ntheorem t (r : R) : r = .mk [] := by sorry\n",
        "inductive L (α : Type) | nil\ninductive R | mk : L R → R\n"
        "theorem t (r : R) : r = .mk .nil := by cases r with | mk l => cases l; rfl\n",
        ("definition", "R.mk")),
    "higher universes only": (
        "theorem t.{u} (α : Type u) : α = α := by sorry\n", "theorem t.{u} (α : Type (u + 30)) : α = α := rfl\n",
        ("statement", "t")),
    "an opaque value of another kind": (
        "opaque f : Nat := 3\ntheorem t : f = f := by sorry\n", "opaque f : Nat := 4\ntheorem t : f = f := rfl\n",
        ("definition", "f")),
    "a definition in place of the reference's axiom": (
        "axiom P : Prop\ntheorem t : P := by sorry\n", "def P : Prop := True\ntheorem t : P := trivial\n",
        ("kind", "P")),
    "a theorem in place of the reference's axiom": (
        "axiom P : Prop\naxiom p : P\ntheorem t : P := by sorry\n",
        "axiom P : Prop\naxiom q : P\ntheorem p : P := q\ntheorem t : P := p\n",
        ("axiom", "t")),
    "a private name written out": (
        "private def f : Nat := 1\ntheorem t : f = 2 := by sorry\n",
        "def «_private».Main.«0».f : Nat := 2\ntheorem t : «_private».Main.«0».f = 2 := rfl\n",
        ("statement", "t")),
    "a name of one part that looks like two": (
        "theorem A.t : 1 = 2 := by sorry\n", "theorem «A.t» : 1 = 1 := rfl\n",
        ("missing", "A.t")),
    "a name that a macro made": (
        WRONG, 'macro "mk" : command => `(theorem t : 1 = 1 := rfl)\nmk\n',
        ("missing", "t")),
    "the name Lean gives an instance, taken": (
        "class K where\n  n : Nat\ninstance : K := ⟨1⟩\ntheorem t : K.n = 2 := by sorry\n",
        "class K where\n  n : Nat\ndef instK : K := ⟨2⟩\ntheorem t : @K.n instK = 2 := rfl\n",
        ("statement", "t")),
    "another default": (
        "def f (n : Nat := 1) : Nat := n\ntheorem t : f = 2 := by sorry\n",
        "def f (n : Nat := 2) : Nat := n\ntheorem t : f = 2 := rfl\n",
        ("statement", "t")),
    "other projections": (
        "structure P where\n  x : Nat\n  y : Nat\ntheorem t (p : P) : p.x = p.y := by sorry\n",
        "inductive P where\n  | mk (x y : Nat)\ndef P.x : P → Nat | .mk x _ => x\n"
        "def P.y : P → Nat | .mk x _ => x\ntheorem t (p : P) : p.x = p.y := rfl\n",
        ("definition", "P.y")),
    "a partial function for a total one": (
        "partial def f (n : Nat) : Nat := f (n + 1)\ntheorem t : f 0 = 1 := by sorry\n",
        "def f (_ : Nat) : Nat := 1\ntheorem t : f 0 = 1 := rfl\n",
        ("kind", "f")),
    "an index that would be a parameter": (
        "inductive E (n : Nat) : Prop\n  | mk : E n\ntheorem t : E 1 := by sorry\n",
        "set_option inductive.autoPromoteIndices false\ninductive E : Nat → Prop\n  | mk : (n : Nat) → E n\n"
        "theorem t : E 1 := .mk 1\n",
        ("definition", "E")),
    "a theorem that needs itself": (
        WRONG, "axiom self : 1 = 2\ntheorem t : 1 = 2 := self\n",
        ("axiom", "t")),
}
# Candidates and references whose header is `module`: what they do not expose is compared all the same.
MODULES = {
    "an unexposed body": (
        "def f (n : Nat) : Nat := n + 1\ntheorem t : f 1 = 3 := by sorry\n",
        "module\npublic section\ndef f (n : Nat) : Nat := n + 2\ntheorem t : f 1 = 3 := by rfl\nend\n",
        ("definition", "f")),
    "an unexposed body of the reference": (
        "module\npublic def f (n : Nat) : Nat := n + 1\npublic theorem t : f 1 = 3 := by sorry\n",
        "def f (n : Nat) : Nat := n + 2\ntheorem t : f 1 = 3 := rfl\n",
        ("definition", "f")),
    "another statement": (WRONG, "module\npublic theorem t : 1 = 1 := rfl\n", ("statement", "t")),
    "a theorem nobody sees": (
        "theorem t : 1 = 1 := by sorry\n", "module\ntheorem t : 1 = 1 := rfl\n",
        ("missing", "t")),
}
# fmt: on


@pytest.mark.parametrize("name", MODULES)
def test_a_module_hides_nothing(embedded_host: Host, name: str) -> None:
    reference, candidate, wanted = MODULES[name]
    assert wanted in codes(embedded_host, reference, candidate)


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_another_statement_is_refused(host: Host, name: str) -> None:
    reference, candidate, wanted = ATTACKS[name]
    found = codes(host, reference, candidate)
    if (
        name == "an instance"
    ):  # whether Lean declares a proof by `instance` as a theorem is its version's to say
        assert found in (set(), {("kind", "t")})
    else:
        assert wanted in found


@pytest.mark.parametrize("name", ["a definition behind a definition", "a constructor of another type"])
def test_it_is_refused_from_the_first_axiom_on_as_well(native_host: Host, name: str) -> None:
    reference, candidate, wanted = ATTACKS[name]
    assert wanted in codes(native_host, reference, candidate, whole=True)


def test_what_a_macro_of_the_reference_states_is_wanted(host: Host) -> None:
    """By whatever name: its own nobody can write."""
    macro = 'macro "state" : command => `(theorem about : 1 = 2 := by sorry)\nstate\n'
    theorem = "theorem t : 1 = 1 := rfl\n"
    [(code, name)] = codes(host, macro + theorem, "theorem about : 2 = 2 := rfl\n" + theorem)
    assert code == "missing"
    assert name.startswith("about.")


def test_what_is_equal_by_definition_is_the_same(host: Host) -> None:
    reference = "def two : Nat := 2\ntheorem t : two = 2 := by sorry\n"
    candidate = "def two : Nat := Nat.succ 1\ntheorem t : Nat.succ 1 = two := rfl\n"
    assert refusals(host, reference, candidate) == []


def test_the_same_axiom_is_the_references_to_use(host: Host) -> None:
    source = "axiom ax : 1 = 2\ntheorem t : 1 = 2 := ax\n"
    assert refusals(host, source, source) == []


def test_names_below_leanhosts_own_are_not_taken(native_host: Host) -> None:
    """Whatever a candidate puts there, nothing of the reference is looked up there."""
    candidate = (
        "namespace _leanhost\nnamespace reference\ndef f.match_1 : Nat := 1\nend reference\nend _leanhost\n"
    )
    found = codes(native_host, WRONG, candidate + "theorem t : 1 = 1 := rfl\n")
    assert {code for code, _ in found} <= {"export", "statement"}
    assert found


# --- exports that no candidate's Lean has written ---

HELPED = "theorem a : 1 = 1 := rfl\ntheorem b : 2 = 2 := rfl\ntheorem t : 1 = 1 := a\n"
FALSE = "theorem t : 1 = 2 := by sorry\n"


def test_a_universe_named_twice(native_host: Host) -> None:
    reference = "theorem t.{u, v} (α : Type u) (β : Type v) : α = α ∧ β = β := by sorry\n"
    candidate = reference.replace("by sorry", "⟨rfl, rfl⟩")

    def twice(exported: str) -> str:
        lines = [json.loads(line) for line in exported.splitlines()]
        for line in lines:
            if "thm" in line:
                line["thm"]["levelParams"] = line["thm"]["levelParams"][:1] * 2
        return "".join(json.dumps(line) + "\n" for line in lines)

    assert refusals(native_host, reference, candidate) == []
    assert [r.code for r in refusals(native_host, reference, candidate, change=twice)] == ["kernel"]


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 4))
def test_no_change_of_an_export_proves_what_is_false(native_host: Host, seed: int, count: int) -> None:
    """Numbers and words are changed at random; the statement cannot be proved, so that every answer is no."""
    chance = random.Random(seed)

    def changed(exported: str) -> str:
        lines = exported.splitlines()
        for _ in range(count):
            at = chance.randrange(1, len(lines))
            kind = chance.randrange(4)
            if kind == 0:
                digits = [i for i, c in enumerate(lines[at]) if c.isdigit()]
                if digits:
                    i = chance.choice(digits)
                    lines[at] = lines[at][:i] + str(chance.randrange(10)) + lines[at][i + 1 :]
            elif kind == 1:
                lines.insert(at, chance.choice(lines[1:]))
            elif kind == 2:
                del lines[at]
            else:
                i = chance.randrange(len(lines[at]))
                lines[at] = lines[at][:i] + chr(chance.randrange(32, 127)) + lines[at][i + 1 :]
            if len(lines) < 3:
                break
        return "\n".join(lines) + "\n"

    assert refusals(native_host, FALSE, HELPED, change=changed)
