-- expect: accepted
theorem shift (a b c : Nat) (h : a = b) : a + c = b + c := by
  rw [h]

theorem back (a b : Nat) (h : a = b) : b = a := by
  rw [← h]

theorem at_hypothesis (p : Nat → Prop) (a b : Nat) (h : a = b) (ha : p a) : p b := by
  rw [h] at ha
  exact ha

theorem three (a b c : Nat) : a + b + c = c + (b + a) := by
  rw [Nat.add_comm, Nat.add_comm a b]
