-- expect: rejected an import after the first command
theorem before : 1 = 1 := rfl
import Init
