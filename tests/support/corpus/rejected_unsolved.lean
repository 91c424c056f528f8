-- expect: rejected goals are left over
theorem half (p q : Prop) (hp : p) : p ∧ q := by
  constructor
  · exact hp
