-- expect: accepted
theorem extensional (p q : Prop) (h : p ↔ q) : p = q := propext h
theorem excluded (p : Prop) : p ∨ ¬p := Classical.em p
noncomputable def pick (h : Nonempty Nat) : Nat := Classical.choice h
theorem sound (r : Nat → Nat → Prop) (h : r 1 2) : Quot.mk r 1 = Quot.mk r 2 := Quot.sound h
