-- expect: rejected recursion that does not end
def circle (n : Nat) : False := circle (n + 1)
