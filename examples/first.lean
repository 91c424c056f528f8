/-!
A first file: everyday Lean with `simp`, `omega`, `decide` and `induction`.

    leanhost check examples/first.lean
-/

/-- The sum `0 + 1 + ... + n`. -/
def sumTo : Nat → Nat
  | 0 => 0
  | n + 1 => sumTo n + (n + 1)

theorem sumTo_succ (n : Nat) : sumTo (n + 1) = sumTo n + (n + 1) := rfl

/-- Gauss: twice the sum is `n * (n + 1)`. -/
theorem two_sumTo (n : Nat) : 2 * sumTo n = n * (n + 1) := by
  induction n with
  | zero => rfl
  | succ n ih =>
    rw [sumTo_succ, Nat.mul_add, ih]
    simp only [Nat.mul_add, Nat.add_mul]
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

@[simp] theorem mirror_leaf : (leaf : Tree α).mirror = leaf := rfl

@[simp] theorem mirror_node (l : Tree α) (x : α) (r : Tree α) :
    (node l x r).mirror = node r.mirror x l.mirror := rfl

theorem mirror_mirror (t : Tree α) : t.mirror.mirror = t := by
  induction t with
  | leaf => simp
  | node l x r ihl ihr => simp [ihl, ihr]

end Tree
