-- expect: rejected a parse error between good theorems
theorem first_good : 1 = 1 := rfl
theorem middle_bad : 1 = := rfl
theorem last_good : 2 = 2 := rfl
