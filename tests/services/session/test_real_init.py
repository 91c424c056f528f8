"""Lean's own library: what people write every day, and what is one step wrong with it.

Only the embedded toolchain has the real ``Init``; the native engine's fixture library is small.
"""

from __future__ import annotations

import pytest

from leanhost.services.session.host import Host
from leanhost.services.values.results import Status
from tests.support.hosts import ENGINES

pytestmark = [
    pytest.mark.skipif("wasm" not in ENGINES, reason="LEANHOST_TEST_ENGINES leaves wasm out"),
    pytest.mark.parametrize("engine", ["wasm"], indirect=True, scope="session"),
]

GOOD = {
    "simp": """
theorem reversed (xs ys : List Nat) : (xs ++ ys).reverse = ys.reverse ++ xs.reverse := by simp
theorem mapped (f : Nat → Nat) (xs : List Nat) : (xs.map f).length = xs.length := by simp
theorem arithmetic (a b : Nat) (h : a = b) : a + 0 = b * 1 := by simp [h]
""",
    "omega": """
theorem between (a b : Nat) (h : a < b) (h' : b < a + 2) : b = a + 1 := by omega
theorem whole (x y : Int) (h : 2 * x + 1 = 2 * y) : False := by omega
theorem halves (n : Nat) : n / 2 + n / 2 + n % 2 = n := by omega
""",
    "decide": """
theorem squares : ∀ n : Fin 10, n.val * n.val < 100 := by decide
theorem listed : [3, 1, 2].contains 1 = true := by decide
""",
    "grind": """
theorem chained (a b c : Nat) (f : Nat → Nat) (h : a = b) (h' : b = c) : f a = f c := by grind
theorem split (p q r : Prop) (h : p ∨ q) (hp : p → r) (hq : q → r) : r := by grind
""",
    "induction": """
def sumTo : Nat → Nat
  | 0 => 0
  | n + 1 => sumTo n + (n + 1)
theorem sum_two (n : Nat) : 2 * sumTo n = n * (n + 1) := by
  induction n with
  | zero => rfl
  | succ n ih =>
    simp only [sumTo, Nat.mul_add, Nat.add_mul, ih]
    omega
theorem strong (P : Nat → Prop) (h : ∀ n, (∀ m, m < n → P m) → P n) (n : Nat) : P n := by
  induction n using Nat.strongRecOn with
  | ind n ih => exact h n ih
""",
    "structures": """
structure Point where
  x : Int
  y : Int := 0
  deriving DecidableEq, Repr
structure Point3 extends Point where
  z : Int
class Shape (α : Type) where
  area : α → Nat
instance : Shape Nat := ⟨fun n => n * n⟩
theorem default_y : ({ x := 1 } : Point).y = 0 := rfl
theorem update (p : Point3) : { p with z := 5 }.x = p.x := rfl
theorem different : ({ x := 1 } : Point) ≠ { x := 2 } := by decide
theorem area_three : Shape.area (3 : Nat) = 9 := rfl
""",
    "mutual recursion": """
mutual
def isEven : Nat → Bool
  | 0 => true
  | n + 1 => isOdd n
def isOdd : Nat → Bool
  | 0 => false
  | n + 1 => isEven n
end
theorem even_next (n : Nat) : isEven (n + 1) = isOdd n := by rw [isEven]
theorem even_four : isEven 4 = true := by decide
""",
    "well-founded recursion": """
def digits (n : Nat) : Nat := if n < 10 then 1 else digits (n / 10) + 1
termination_by n
decreasing_by omega
theorem one_digit (n : Nat) (h : n < 10) : digits n = 1 := by rw [digits]; simp [h]
def gcd' (a b : Nat) : Nat := if h : b = 0 then a else gcd' b (a % b)
termination_by b
decreasing_by exact Nat.mod_lt _ (Nat.pos_of_ne_zero h)
theorem gcd_zero (a : Nat) : gcd' a 0 = a := by rw [gcd']; simp
""",
    "notation": """
def join (a b : Nat) := a * 10 + b
infixl:65 " ⋈ " => join
notation "‖" x "‖" => Int.natAbs x
macro "triv" : tactic => `(tactic| first | rfl | omega)
syntax "sum! " term,* : term
macro_rules
  | `(sum! $x) => `($x)
  | `(sum! $x, $y) => `($x + $y)
theorem joined : 1 ⋈ 2 ⋈ 3 = 123 := by triv
theorem absolute : ‖-3‖ = 3 := by triv
theorem summed : (sum! 1, 2) = 3 := rfl
""",
    "namespaces": """
namespace Outer
variable {α : Type} (xs : List α)
section
private theorem secret : xs ++ [] = xs := List.append_nil xs
protected theorem known : xs ++ [] = xs := secret xs
end
namespace Inner
theorem here : 1 + 1 = 2 := rfl
end Inner
end Outer
open Outer Inner in
theorem there : 1 + 1 = 2 := here
export Outer.Inner (here)
theorem again : 1 + 1 = 2 := here
theorem qualified (xs : List Nat) : xs ++ [] = xs := Outer.known xs
""",
}

WRONG = {
    "simp": "theorem wrong (xs ys : List Nat) : (xs ++ ys).reverse = xs.reverse ++ ys.reverse := by simp",
    "omega": "theorem wrong (a b : Nat) (h : a < b) : b = a + 1 := by omega",
    "decide": "theorem wrong : ∀ n : Fin 10, n.val * n.val < 80 := by decide",
    "grind": "theorem wrong (a b c : Nat) (f : Nat → Nat) (h : f a = f b) (h' : b = c) : a = c := by grind",
    "induction": "theorem wrong (n : Nat) : n < 5 := by\n  induction n with\n  | zero => omega\n  | succ n ih => omega",
    "structures": "structure P where\n  x : Nat\ntheorem wrong (p : P) : { p with x := 5 }.x = p.x := rfl",
    "mutual recursion": "mutual\ndef a (n : Nat) : Nat := b (n + 1)\ndef b (n : Nat) : Nat := a n\nend",
    "well-founded recursion": "def up (n : Nat) : Nat := up (n + 1)\ntermination_by n",
    "notation": 'infixl:65 " ⋈ " => HAdd.hAdd\ntheorem wrong : (1 : Nat) ⋈ 2 = 4 := rfl',
    "namespaces": "namespace A\ntheorem here : True := trivial\nend A\ntheorem wrong : True := here",
}


@pytest.mark.parametrize("what", GOOD)
def test_accepted(host: Host, what: str) -> None:
    checked = host.check_source(GOOD[what])
    assert checked.accepted, (checked.reasons, checked.diagnostics)
    assert len(checked.theorems) == GOOD[what].count("theorem ")
    assert {axiom for t in checked.theorems for axiom in t.axioms} <= {
        "propext",
        "Quot.sound",
        "Classical.choice",
    }


@pytest.mark.parametrize("what", WRONG)
def test_rejected(host: Host, what: str) -> None:
    checked = host.check_source(WRONG[what])
    assert checked.status is Status.REJECTED
    assert any(d.is_error for d in checked.diagnostics)


def test_what_tactics_make_of_the_library_is_no_theorem_of_the_source(host: Host) -> None:
    source = "theorem t (xs : List Nat) : xs.map id = xs := by fun_induction List.map <;> simp_all\n"
    result = host.check_source(source)
    assert result.status is Status.ACCEPTED
    assert [theorem.name for theorem in result.theorems] == ["t"]
