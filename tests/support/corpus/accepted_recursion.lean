-- expect: accepted
def triangle : Nat → Nat
  | 0 => 0
  | n + 1 => triangle n + (n + 1)

theorem triangle_four : triangle 4 = 10 := rfl

inductive Tree where
  | leaf : Tree
  | node : Tree → Tree → Tree

def Tree.mirror : Tree → Tree
  | leaf => leaf
  | node l r => node r.mirror l.mirror

theorem Tree.mirror_mirror (t : Tree) : t.mirror.mirror = t := by
  induction t with
  | leaf => rfl
  | node l r ihl ihr =>
    show node l.mirror.mirror r.mirror.mirror = node l r
    rw [ihl, ihr]
