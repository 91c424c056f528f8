-- expect: rejected an end that closes nothing
namespace Open
theorem inside : 1 = 1 := rfl
end Other
