/-!
Four ways not to prove something, with one good theorem in between.

    leanhost check examples/rejected.lean
-/

theorem too_hopeful (a b : Nat) : a - b + b = a := by
  omega

theorem fine (a b : Nat) (h : b ≤ a) : a - b + b = a := by
  omega

theorem left_out : 2 + 2 = 5 := by
  sorry

axiom wish (p : Prop) : p

theorem granted : 0 = 1 := wish _

theorem no_such_lemma (a b : Nat) : a + b = b + a := Nat.add_commutes a b
