-- expect: accepted
theorem before : 1 = 1 := rfl
#exit
theorem after : 1 = 2 := rfl
