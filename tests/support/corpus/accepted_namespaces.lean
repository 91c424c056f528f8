-- expect: accepted
namespace Outer
namespace Inner
theorem here : True := True.intro
end Inner
section
variable (p : Prop) (hp : p)
include hp in
theorem keep : p := hp
end
end Outer

open Outer.Inner in
theorem there : True := here

theorem kept : True := Outer.keep True Outer.Inner.here
