-- expect: accepted
theorem plus_zero (n : Nat) : n + 0 = n := by simp
theorem both (p : Prop) (h : p) : p ∧ True := by simp [h]

def double (n : Nat) : Nat := n + n

@[simp] theorem double_zero : double 0 = 0 := rfl

theorem use_attribute : double 0 = 0 ∧ True := by simp
