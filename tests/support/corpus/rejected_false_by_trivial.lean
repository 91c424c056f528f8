-- expect: rejected no tactic proves False
theorem nonsense : False := by trivial
