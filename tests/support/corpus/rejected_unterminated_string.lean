-- expect: rejected a string that does not end
theorem before : 1 = 1 := rfl
def text : String := "from here on
theorem inside : 2 = 2 := rfl
