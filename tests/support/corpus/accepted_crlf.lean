-- expect: accepted
theorem crlf : 1 = 1 := by
  rfl
