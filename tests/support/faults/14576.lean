import Lean
/-! A parameter that is ill-typed, of a type that occurs nested: `Session.export(["Tree"])` of this is 14576.ndjson. -/
open Lean Elab Term Meta
inductive Bit where | o | i
inductive Leaf (a : Type) (b : Bit) : Type where | mk
def bad : Expr := mkApp (mkConst `Bit.o) (mkConst `Bit.o)
def treeCtor : Constructor := Constructor.mk (Name.mkSimple "Tree" |>.str "mk") (mkForall `x .default (mkApp2 (mkConst `Leaf) (mkConst `Tree) bad) (mkConst `Tree))
def treeType : InductiveType := InductiveType.mk `Tree (mkSort levelOne) [treeCtor]
elab "declare!" : term => do
  addDecl (Declaration.inductDecl [] 0 [treeType] false)
  return mkConst `Bit.o
def go : Bit := declare!
