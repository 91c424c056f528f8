import Lean
open Lean

/-- Evaluates by recursion over a proof of accessibility, and then is one of its arguments. -/
noncomputable def slow (bit : Bool) (n : Nat) (h : Acc (· < ·) n) : Bool :=
  Acc.rec (motive := fun _ _ => Bool)
    (fun m _ earlier => Nat.rec (motive := fun m => ((y : Nat) → y < m → Bool) → Bool)
      (fun _ => bit) (fun k _ earlier => earlier k (Nat.lt_succ_self k)) m earlier) h

theorem slow_eq (bit : Bool) (n : Nat) (h : Acc (· < ·) n) : slow bit n h = bit := by
  induction h with
  | intro m _ ih =>
    cases m with
    | zero => rfl
    | succ k => exact ih k (Nat.lt_succ_self k)

opaque start : Acc (· < ·) 1 := Nat.lt_wfRel.wf.apply 1

noncomputable def before : Bool := slow true 1 start
noncomputable def after : Bool := slow true 0 (Acc.inv start (Nat.lt_succ_self 0))

abbrev Near : Prop := before = slow true 1 (Acc.intro 1 fun _ => Acc.inv start)
abbrev Far : Prop := before = after

opaque far : Far := (slow_eq true 1 _).trans (slow_eq true 0 _).symm

noncomputable def sortOf (h : Near) : Type :=
  Eq.rec (motive := fun _ _ => Type) Prop h

elab "declare_stuck" : term => do
  let bit := mkConst ``Bool
  let domain := (← getConstInfo ``sortOf).type.bindingDomain!
  let define (name : Name) (type value : Expr) : Elab.Term.TermElabM Unit :=
    addDecl <| .defnDecl { name, levelParams := [], type, value, hints := .«abbrev», safety := .safe }
  addDecl <| .inductDecl [] 1 [{ name := `Cell, type := mkForall `h .default domain (mkApp (mkConst ``sortOf) (mkBVar 0)), ctors := [
    { name := `Cell.put, type := mkForall `h .default domain (mkForall `bit .default bit (mkApp (mkConst `Cell) (mkBVar 1))) }] }] false
  define `asProp (mkForall `h .default domain (mkSort levelZero)) (mkLambda `h .default domain (mkApp (mkConst `Cell) (mkBVar 0)))
  let far := mkConst ``far
  define `Claim (mkSort levelZero) (mkApp (mkConst `asProp) far)
  define `observe (mkForall `c .default (mkConst `Claim) bit) (mkLambda `c .default (mkConst `Claim) (mkProj `Cell 0 (mkBVar 0)))
  define `first (mkConst `Claim) (mkApp2 (mkConst `Cell.put) far (mkConst ``true))
  define `second (mkConst `Claim) (mkApp2 (mkConst `Cell.put) far (mkConst ``false))
  return mkConst ``True.intro

def made : True := declare_stuck

theorem same (p : Prop) (read : p → Bool) (x y : p) (hx : read x = true) (hy : read y = false) : False := by
  have := proof_irrel x y
  subst this
  rw [hx] at hy
  exact Bool.noConfusion hy

theorem boom : False := same Claim observe first second rfl rfl
