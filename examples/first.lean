/-!
A first file: everyday Lean with `simp`, `omega`, `decide` and `induction`.

    leanhost check examples/first.lean
-/

/-- The sum `0 + 1 + ... + n`. -/
def sumTo : Nat → Nat
  | 0 => 0
  | n + 1 => sumTo n + (n + 1)

/-- Gauss: twice the sum is `n * (n + 1)`. -/
theorem two_sumTo (n : Nat) : 2 * sumTo n = n * (n + 1) := by
  induction n with
  | zero => rfl
  | succ n ih =>
    simp only [sumTo, Nat.mul_add, ih]
    have expand : (n + 1) * (n + 1) = n * n + 2 * n + 1 := by
      simp only [Nat.mul_add, Nat.add_mul]; omega
    simp only [Nat.mul_one, Nat.mul_add, Nat.add_mul] at *
    omega

theorem between (a b : Nat) (h : a < b) (h' : b < a + 2) : b = a + 1 := by
  omega

theorem reverse_twice (xs ys : List α) : (xs ++ ys).reverse.reverse = xs ++ ys := by
  simp

theorem small_squares : ∀ n : Fin 10, n.val * n.val < 100 := by
  decide

/-- Binary trees, and mirroring them. -/
inductive Tree (α : Type) where
  | leaf : Tree α
  | node : Tree α → α → Tree α → Tree α

namespace Tree

def mirror : Tree α → Tree α
  | leaf => leaf
  | node l x r => node r.mirror x l.mirror

theorem mirror_mirror (t : Tree α) : t.mirror.mirror = t := by
  induction t with
  | leaf => rfl
  | node l x r ihl ihr => simp [mirror, ihl, ihr]

end Tree
