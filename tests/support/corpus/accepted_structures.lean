-- expect: accepted
structure Point where
  x : Nat
  y : Nat := 3

structure Point3 extends Point where
  z : Nat

def origin : Point3 := { x := 0, y := 0, z := 0 }

theorem default_y : ({ x := 1 } : Point).y = 3 := rfl
theorem origin_x : origin.x = 0 := rfl
theorem update (p : Point) : { p with x := 5 }.y = p.y := rfl

class Pointed (α : Type) where
  point : α

instance : Pointed Nat := ⟨42⟩

theorem point_nat : (Pointed.point : Nat) = 42 := rfl
