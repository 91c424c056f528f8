-- expect: rejected a comment that does not end
theorem before : 1 = 1 := rfl
/- from here on
theorem inside : 2 = 2 := rfl
