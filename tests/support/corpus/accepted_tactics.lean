-- expect: accepted
theorem and_swap (p q : Prop) : p ∧ q → q ∧ p := by
  intro h
  constructor
  · exact h.right
  · exact h.left

theorem compose (p q r : Prop) (f : p → q) (g : q → r) : p → r := by
  intro hp
  apply g
  apply f
  assumption

theorem split_goal (p q : Prop) (hp : p) (hq : q) : p ∧ q := by
  refine ⟨?_, ?_⟩
  all_goals assumption
