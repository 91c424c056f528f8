-- expect: accepted
theorem four : 2 + 2 = 4 := by decide
theorem less : 3 < 5 ∧ ¬(5 < 3) := by decide
