-- expect: accepted
theorem αβγ («the name» : Nat) (h₁ : «the name» = 0) : 0 = «the name» := h₁.symm
theorem arrow : ∀ x : Nat, x = x → True := fun _ _ => trivial
theorem emoji : "😀" = "😀" := rfl
