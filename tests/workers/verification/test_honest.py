"""``verify`` accepts honest candidates: what they add, reorder, rename and prove in other ways is theirs."""

from __future__ import annotations

import pytest

from leanhost.services.session.host import Host
from tests.support.judging import refusals
from tests.support.sources import EVEN_ODD, ROSE

# fmt: off
HONEST = {
"matcher first used by a helper": ("""
def f : Nat → Nat
  | 0 => 1
  | n+1 => n
theorem t : f 0 = 1 := by sorry
""","""
def helper : Nat → Nat
  | 0 => 5
  | n+1 => n + 2
def f : Nat → Nat
  | 0 => 1
  | n+1 => n
theorem t : f 0 = 1 := rfl
"""),
"reference proved another way": ("""
theorem t (n : Nat) (h : n = 0 ∨ n = 1) : n = n := by
  cases h with
  | inl h => exact rfl
  | inr h => exact rfl
theorem u (n : Nat) : n + 0 = n := by
  have : ∀ m : Nat, m + 0 = m := fun m => rfl
  exact this n
theorem v : 2 + 2 = 4 := by decide
theorem w (o : Option Nat) : (match o with | none => 0 | some _ => 0) = 0 := by
  match o with
  | none => rfl
  | some _ => rfl
""","""
theorem t (n : Nat) (h : n = 0 ∨ n = 1) : n = n := rfl
theorem u (n : Nat) : n + 0 = n := rfl
theorem v : 2 + 2 = 4 := rfl
theorem w (o : Option Nat) : (match o with | none => 0 | some _ => 0) = 0 := by
  cases o <;> rfl
"""),
"simp with equations": ("""
def g : Nat → Nat
  | 0 => 0
  | n+1 => g n
theorem t (n : Nat) : g (n+1) = g n := by simp [g]
""","""
def g : Nat → Nat
  | 0 => 0
  | n+1 => g n
theorem t (n : Nat) : g (n+1) = g n := rfl
"""),
"universe names": ("""
universe u
def idd {α : Type u} (a : α) : α := a
theorem t {α : Type u} (a : α) : idd a = a := by sorry
""","""
universe w
def idd {α : Type w} (a : α) : α := a
theorem t {α : Type w} (a : α) : idd a = a := rfl
"""),
"mutual, nested": ("universe u\n" + EVEN_ODD + ROSE + """
theorem t : Even 2 := by sorry
theorem r (a : Rose Nat) : a = a := by sorry
""", "universe u\n" + ROSE + EVEN_ODD + """
theorem Even.one : Odd 1 := .succ .zero
theorem r (a : Rose Nat) : a = a := rfl
theorem t : Even 2 := .succ Even.one
"""),
"structures, classes, instances": ("""
class Point (α : Type) where
  origin : α
structure P where
  x : Nat
  y : Nat
instance : Point P := ⟨⟨0, 0⟩⟩
theorem t : (Point.origin : P).x = 0 := by sorry
""","""
class Point (α : Type) where
  origin : α
structure P where
  x : Nat
  y : Nat
instance : Point P := ⟨⟨0, 0⟩⟩
private theorem aux : (Point.origin : P).x = 0 := rfl
theorem t : (Point.origin : P).x = 0 := aux
"""),
"instances without a name, others before them": ("""
class A (n : Nat) where
  x : Nat
instance : A 0 := ⟨1⟩
def f : Nat := A.x 0 + 1
theorem t : A.x 0 = 1 := by sorry
theorem u : f = 2 := by sorry
""","""
class A (n : Nat) where
  x : Nat
instance : A 1 := ⟨7⟩
instance : A 0 := ⟨1⟩
def f : Nat := A.x 0 + 1
theorem t : A.x 0 = 1 := rfl
theorem u : f = 2 := rfl
"""),
"an instance that has a name here": ("""
class A (n : Nat) where
  x : Nat
instance : A 0 := ⟨1⟩
theorem t : A.x 0 = 1 := by sorry
""","""
class A (n : Nat) where
  x : Nat
instance mine : A 0 := ⟨1⟩
theorem t : A.x 0 = 1 := rfl
"""),
"a proof without a name, which Lean gives another here": ("""
class P (n : Nat) : Prop where
  h : 0 < n
instance : P 1 := by sorry
def f (n : Nat) [P n] : Nat := n
theorem t : f 1 = 1 := by sorry
""","""
class P (n : Nat) : Prop where
  h : 0 < n
instance : P 2 := ⟨.step .refl⟩
instance : P 1 := ⟨.refl⟩
def f (n : Nat) [P n] : Nat := n
theorem t : f 1 = 1 := rfl
"""),
"nothing but a proof without a name": ("""
class P : Prop where
  h : 0 < 1
instance : P := by sorry
""","""
class P : Prop where
  h : 0 < 1
theorem p : P := ⟨.refl⟩
"""),
"laws of instances without a name": ("""
class M (n : Nat) where
  op : Nat → Nat
  law : ∀ x, op x = n
instance : M 2 := ⟨fun _ => 2, by sorry⟩
def f : Nat := M.op 2 0
theorem t : f = 2 := by sorry
""","""
class M (n : Nat) where
  op : Nat → Nat
  law : ∀ x, op x = n
instance : M 3 := ⟨fun _ => 3, fun _ => rfl⟩
instance : M 2 := ⟨fun _ => 2, fun _ => rfl⟩
def f : Nat := M.op 2 0
theorem t : f = 2 := rfl
"""),
"theorems of a macro's own": ("""
macro "state " n:ident : command => `(
  def three : Nat := 3
  theorem about : three = 3 := by sorry
  theorem $n : 1 = 1 := by sorry)
state t
""","""
theorem three : Nat.succ 2 = 3 := rfl
theorem t : 1 = 1 := rfl
"""),
"variables, included and left out": ("""
section
variable (n : Nat) (h : n = 0)
include h
theorem t : n = 0 := by sorry
end
section
variable (n : Nat) [Inhabited Nat]
omit [Inhabited Nat] in
theorem u : n = n := by sorry
end
""","""
theorem t (n : Nat) (h : n = 0) : n = 0 := h
theorem u (n : Nat) : n = n := rfl
"""),
"where, namespaces, sections": ("""
namespace A
section
variable (n : Nat)
def k : Nat := go n
where go (m : Nat) : Nat := m
theorem t : k n = n := by sorry
end
end A
""","""
theorem before : True := trivial
def A.k (n : Nat) : Nat := go n
where go (m : Nat) : Nat := m
namespace A
theorem t (n : Nat) : k n = n := h n
where h (m : Nat) : k m = m := rfl
end A
"""),
"own notation": ("""
def op (a b : Nat) := a + b
theorem t (a b : Nat) : op a b = a + b := by sorry
""","""
def op (a b : Nat) := a + b
notation:65 a " ⊞ " b => op a b
macro "close" : tactic => `(tactic| rfl)
theorem t (a b : Nat) : (a ⊞ b) = a + b := by close
"""),
"notation of the reference's, written out": ("""
def op (a b : Nat) : Nat := a + b
local notation "NN" => Nat
infixl:65 " ⊞ " => op
macro "state " n:ident : command => `(theorem $n (a b : NN) : a ⊞ b = op a b := by sorry)
state t
theorem u (a : NN) : (a ⊞ a) = op a a := by sorry
""","""
def op (a b : Nat) : Nat := a + b
theorem t (a b : Nat) : op a b = op a b := rfl
theorem u (a : Nat) : op a a = op a a := rfl
"""),
"what no kernel looks at": ("""
theorem t : 1 = 1 := by sorry
""","""
partial def loop (n : Nat) : Nat := loop (n + 1)
unsafe def quick (n : Nat) : Nat := n
@[implemented_by quick] def same (n : Nat) : Nat := n
axiom unused : 1 = 2
theorem t : 1 = 1 := rfl
"""),
"partial, other universe names": ("""
universe u
partial def spin {α : Type u} [Inhabited α] (a : α) : α := spin a
theorem t {α : Type u} [Inhabited α] (a : α) : spin a = spin a := by sorry
""","""
partial def spin {β : Type w} [Inhabited β] (b : β) : β := spin b
theorem t {β : Type w} [Inhabited β] (b : β) : spin b = spin b := rfl
"""),
"names bound by themselves": ("""
set_option autoImplicit true
theorem t (a : α) : a = a := by sorry
""","""
theorem t {β : Sort v} (b : β) : b = b := rfl
"""),
"matchers, other universe names": ("""
universe u
def f {α : Type u} : List α → Nat
  | [] => 0
  | _ :: _ => 1
theorem t {α : Type u} : f ([] : List α) = 0 := by sorry
""","""
def before {β : Type w} : List β → Nat
  | [] => 2
  | _ :: _ => 3
def f {β : Type w} : List β → Nat
  | [] => 0
  | _ :: _ => 1
theorem t {β : Type w} : f ([] : List β) = 0 := rfl
"""),
"noncomputable": ("""
noncomputable def c {α : Type} [h : Nonempty α] : α := Classical.choice h
theorem t {α : Type} [Nonempty α] : (c : α) = c := by sorry
""","""
noncomputable def c {α : Type} [h : Nonempty α] : α := Classical.choice h
theorem t {α : Type} [Nonempty α] : (c : α) = c := rfl
"""),
}
FULL = {
"a module, its bodies hidden": ("""
def f (n : Nat) : Nat := n + 1
theorem t : f 1 = 2 := by sorry
""","""module
public def f (n : Nat) : Nat := n + 1
public theorem t : f 1 = 2 := by rfl
"""),
"what tactics make of the library": ("""
theorem t (xs : List Nat) : xs.map id = xs := by fun_induction List.map <;> simp_all
theorem u (xs : List Nat) : xs.zipWith (fun a b => a + b) [] = [] := by
  unfold List.zipWith; split <;> simp_all
""","""
theorem t (xs : List Nat) : xs.map id = xs := by simp
theorem u (xs : List Nat) : xs.zipWith (fun a b => a + b) [] = [] := by cases xs <;> rfl
"""),
"deriving": ("""
inductive Colour where | red | green
  deriving DecidableEq, Repr
theorem t : Colour.red ≠ .green := by sorry
""","""
inductive Colour where | red | green
  deriving DecidableEq, Repr
theorem t : Colour.red ≠ .green := by decide
"""),
"deriving later": ("""
inductive Colour where | red | green
  deriving DecidableEq
theorem t : (if Colour.red = .green then 1 else 2) = 2 := by sorry
""","""
inductive Other where | a | b | c
  deriving DecidableEq
theorem before (x : Other) : x = x := rfl
inductive Colour where | red | green
  deriving DecidableEq
theorem t : (if Colour.red = .green then 1 else 2) = 2 := by simp
"""),
"well founded": ("""
def ack : Nat → Nat → Nat
  | 0, n => n + 1
  | m+1, 0 => ack m 1
  | m+1, n+1 => ack m (ack (m+1) n)
termination_by m n => (m, n)
def log (n : Nat) : Nat := if h : n ≤ 1 then 0 else 1 + log (n / 2)
theorem t : ack 0 3 = 4 := by sorry
theorem l : log 1 = 0 := by sorry
""","""
theorem helper (n : Nat) (h : ¬ n ≤ 1) : n / 2 < n := by omega
def log (n : Nat) : Nat := if h : n ≤ 1 then 0 else 1 + log (n / 2)
def ack : Nat → Nat → Nat
  | 0, n => n + 1
  | m+1, 0 => ack m 1
  | m+1, n+1 => ack m (ack (m+1) n)
termination_by m n => (m, n)
theorem t : ack 0 3 = 4 := by simp [ack]
theorem l : log 1 = 0 := by unfold log; simp
"""),
"termination left open": ("""
mutual
def even (n : Nat) : Bool := if h : n = 0 then true else odd (n - 1)
termination_by n
decreasing_by sorry
def odd (n : Nat) : Bool := if h : n = 0 then false else even (n - 1)
termination_by n
decreasing_by sorry
end
theorem t : even 0 = true := by sorry
""","""
theorem before (n : Nat) (h : ¬n = 0) : n - 1 < n := by omega
mutual
def even (n : Nat) : Bool := if h : n = 0 then true else odd (n - 1)
termination_by n
decreasing_by exact before n h
def odd (n : Nat) : Bool := if h : n = 0 then false else even (n - 1)
termination_by n
end
theorem t : even 0 = true := by unfold even; simp
"""),
"fixpoints, loops": ("""
def find (n : Nat) : Option Nat := if n = 0 then some 0 else find (n + 1)
partial_fixpoint
def sum (l : List Nat) : Nat := Id.run do
  let mut a := 0
  for x in l do a := a + x
  return a
theorem t : find 0 = some 0 := by sorry
theorem s : sum [] = 0 := by sorry
""","""
def sum (l : List Nat) : Nat := Id.run do
  let mut a := 0
  for x in l do a := a + x
  return a
def find (n : Nat) : Option Nat := if n = 0 then some 0 else find (n + 1)
partial_fixpoint
theorem s : sum [] = 0 := rfl
theorem t : find 0 = some 0 := by unfold find; simp
"""),
"omega, simp, grind, decide": ("""
theorem a (x y : Nat) (h : x < y) : x + 1 ≤ y := by sorry
theorem b (xs : List Nat) : (xs ++ []).length = xs.length := by sorry
theorem c (p q : Prop) (hp : p) (hq : q) : q ∧ p := by sorry
theorem d : ∀ x : Fin 5, x.val < 5 := by sorry
""","""
theorem d : ∀ x : Fin 5, x.val < 5 := by decide
theorem c (p q : Prop) (hp : p) (hq : q) : q ∧ p := by grind
theorem b (xs : List Nat) : (xs ++ []).length = xs.length := by simp
theorem a (x y : Nat) (h : x < y) : x + 1 ≤ y := by omega
"""),
"reference proved by other tactics": ("""
theorem a (x y : Nat) (h : x < y) : x + 1 ≤ y := by omega
def s : List Nat → Nat | [] => 0 | x :: xs => x + s xs
theorem b : s [1, 2] = 3 := by simp [s]
theorem c (n : Nat) : s (List.replicate n 0) = 0 := by
  induction n with
  | zero => rfl
  | succ n ih => simp [List.replicate, s, ih]
theorem d : 2 ^ 10 = 1024 := by native_decide
""","""
theorem a (x y : Nat) (h : x < y) : x + 1 ≤ y := h
def s : List Nat → Nat | [] => 0 | x :: xs => x + s xs
theorem b : s [1, 2] = 3 := rfl
theorem c (n : Nat) : s (List.replicate n 0) = 0 := by
  induction n <;> simp_all [List.replicate, s]
theorem d : 2 ^ 10 = 1024 := rfl
"""),
"two matches, one shared": ("""
def f (o : Option Nat) (l : List Nat) : Nat :=
  match o with
  | none => match l with | [] => 0 | x :: _ => x
  | some n => n
theorem t : f none [] = 0 := by sorry
""","""
def helper (l : List Nat) : Nat := match l with | [] => 3 | x :: _ => x
def f (o : Option Nat) (l : List Nat) : Nat :=
  match o with
  | none => match l with | [] => 0 | x :: _ => x
  | some n => n
theorem t : f none [] = 0 := rfl
"""),
"proofs in definitions": ("""
def first (a : Array Nat) (h : 0 < a.size) : Nat := a[0]
def third (a : Array Nat) (h : 3 < a.size) : Nat := a[2]'(by omega)
theorem t (a : Array Nat) (h : 3 < a.size) : third a h = a[2]'(by omega) := by sorry
""","""
theorem before (a : Array Nat) (h : 3 < a.size) : 2 < a.size := by omega
def first (a : Array Nat) (h : 0 < a.size) : Nat := a[0]
def third (a : Array Nat) (h : 3 < a.size) : Nat := a[2]'(before a h)
theorem t (a : Array Nat) (h : 3 < a.size) : third a h = a[2]'(before a h) := rfl
"""),
}
# fmt: on

FULL_LIBRARY = "the fixture library has no such tactics"


@pytest.mark.parametrize("name", [*HONEST, *FULL])
def test_an_honest_candidate_is_accepted(host: Host, name: str) -> None:
    if name in FULL and host.toolchain.engine == "native":
        pytest.skip(FULL_LIBRARY)
    reference, candidate = (HONEST | FULL)[name]
    assert refusals(host, reference, candidate) == []


@pytest.mark.parametrize("name", [*HONEST, *FULL])
def test_a_reference_proves_itself(host: Host, name: str) -> None:
    """The other way round: whatever was written to prove the one is a reference as good as any."""
    if name in FULL and host.toolchain.engine == "native":
        pytest.skip(FULL_LIBRARY)
    _, candidate = (HONEST | FULL)[name]
    assert refusals(host, candidate, candidate) == []


def test_a_proof_that_is_left_open_in_a_definition_needs_nothing_of_the_candidates(native_host: Host) -> None:
    """Where the library is compared as well: ``sorry`` rests on names and strings, a proof does not."""
    two = "structure Two where\n  n : Nat\n  h : n = 2\n"
    reference = two + "def f : Two := ⟨2, by sorry⟩\ntheorem t : f.n = 2 := by sorry\n"
    candidate = two + "def f : Two := ⟨2, rfl⟩\ntheorem t : f.n = 2 := rfl\n"
    assert refusals(native_host, reference, candidate, whole=True) == []


def test_what_the_candidate_does_not_import_is_not_lent_to_it(native_host: Host) -> None:
    """The library's constants that only the reference has make no statement another."""
    reference = "theorem t : Nonempty Nat := by sorry\n"
    candidate = "prelude\nimport Fixture.Logic\ntheorem t : True := True.intro\n"
    assert [r.code for r in refusals(native_host, reference, candidate, whole=True)] == ["statement"]


def test_what_is_left_open_beside_the_theorems_is_no_matter(host: Host) -> None:
    statement = "theorem t : 1 = 1 := by sorry\n"
    candidate = "theorem other : 1 = 2 := sorry\nexample : 1 = 2 := sorry\ntheorem t : 1 = 1 := rfl\n"
    assert refusals(host, statement, candidate) == []
