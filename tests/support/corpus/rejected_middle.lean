-- expect: rejected the second of three theorems
theorem first_good : 1 = 1 := rfl
theorem middle_bad : 1 = 2 := by rfl
theorem last_good : 2 = 2 := rfl
