-- expect: accepted
def double (n : Nat) : Nat := n + n

theorem double_three : double 3 = 6 := by simp [double]
