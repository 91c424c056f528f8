-- expect: rejected the term has another type
theorem wrong : 1 = 2 := rfl
