-- expect: rejected the proof is a sorry, which Lean only warns of
theorem cheat : 1 = 2 := sorry
