-- expect: rejected no such tactic
theorem odd_tactic : 1 = 1 := by no_such_tactic
