-- expect: accepted
theorem and_swap (p q : Prop) (h : p ∧ q) : q ∧ p := ⟨h.2, h.1⟩
theorem or_swap (p q : Prop) : p ∨ q → q ∨ p := fun h => h.elim Or.inr Or.inl
theorem contrapose (p q : Prop) (h : p → q) : ¬q → ¬p := fun nq hp => nq (h hp)
theorem iff_flip (p q : Prop) (h : p ↔ q) : q ↔ p := ⟨h.mpr, h.mp⟩
theorem exists_three : ∃ n : Nat, n = 3 := ⟨3, rfl⟩
theorem apply_all (p : Nat → Prop) (h : ∀ n, p n) : p 7 := h 7
