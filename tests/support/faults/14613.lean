import Lean
open Lean

/-- Declares a type whose sort is `Sort (imax 1 0)`, which is `Prop` under another spelling. -/
elab "declare_sealed" : term => do
  let sort := mkSort (.imax levelOne levelZero)
  let bit := mkConst ``Bool
  let sealed := mkConst `Sealed
  -- What a field may hold is decided by the first type of the family.
  addDecl <| .inductDecl [] 0 [{ name := `Anchor, type := mkSort levelZero, ctors := [] }, { name := `Sealed, type := sort, ctors := [{ name := `Sealed.close, type := mkForall `bit .default bit sealed }] }] false
  let define (name : Name) (type value : Expr) : Elab.Term.TermElabM Unit :=
    addDecl <| .defnDecl { name, levelParams := [], type, value, hints := .«abbrev», safety := .safe }
  define `Sealed.claim (mkSort levelZero) sealed
  define `Sealed.read (mkForall `s .default sealed bit) (mkLambda `s .default sealed (mkProj `Sealed 0 (mkBVar 0)))
  return mkConst ``True.intro

def made : True := declare_sealed

theorem same (p : Prop) (read : p → Bool) (x y : p) (hx : read x = true) (hy : read y = false) : False := by
  have := proof_irrel x y
  subst this
  rw [hx] at hy
  exact Bool.noConfusion hy

theorem boom : False :=
  same Sealed.claim Sealed.read (Sealed.close true) (Sealed.close false) rfl rfl
