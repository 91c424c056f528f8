-- expect: accepted
theorem or_swap (p q : Prop) (h : p ∨ q) : q ∨ p := by
  cases h with
  | inl hp => exact Or.inr hp
  | inr hq => exact Or.inl hq

theorem zero_or_succ (n : Nat) : n = 0 ∨ ∃ m, n = m + 1 := by
  cases n with
  | zero => exact Or.inl rfl
  | succ m => exact Or.inr ⟨m, rfl⟩

theorem unpack (p : Nat → Prop) (h : ∃ n, p n ∧ n = 2) : p 2 := by
  cases h with
  | intro n hn =>
    cases hn with
    | intro hp e => exact e ▸ hp
