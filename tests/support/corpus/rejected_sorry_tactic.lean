-- expect: rejected one branch is a sorry
theorem cheat (p : Prop) (hp : p) : p ∧ 1 = 2 := by
  constructor
  · exact hp
  · sorry
