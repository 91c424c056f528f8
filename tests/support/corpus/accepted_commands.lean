-- expect: accepted
/-- A documented theorem. -/
theorem documented : 1 + 1 = 2 := rfl
/- a comment /- inside -/ another -/
#check documented
#print axioms documented
universe u
theorem poly {α : Sort u} (a : α) : a = a := rfl
private theorem hidden : True := trivial
partial def forever (n : Nat) : Nat := forever (n + 1)
example : True := hidden
set_option maxRecDepth 1000 in
theorem with_option : 0 = 0 := rfl
