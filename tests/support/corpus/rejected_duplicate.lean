-- expect: rejected the name is taken
theorem twice : 1 = 1 := rfl
theorem twice : 2 = 2 := rfl
