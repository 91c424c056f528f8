-- expect: rejected an error stands before #exit
theorem before : 1 = 2 := rfl
#exit
theorem after : 2 = 2 := rfl
