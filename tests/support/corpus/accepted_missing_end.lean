-- expect: accepted
namespace StillOpen
theorem inside : 1 = 1 := rfl
