-- expect: rejected a name that nothing declares
theorem ghost : 1 = 1 := no_such_theorem
