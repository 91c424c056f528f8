"""Sources that declare for themselves what the kernel knows by name, with an axiom somewhere in it."""

from __future__ import annotations

from collections.abc import Iterable

PLACES = ("List", "List.nil", "List.cons", "Char", "Char.ofNat", "String", "String.ofList")
"""What a string literal stands for, declared by :func:`prelude`; an axiom can be in each."""

_LOGIC = """prelude
set_option genCtorIdx false
universe u v
inductive False : Prop
inductive Empty : Type
inductive lcErased : Type
inductive lcAny : Type
inductive Nat : Type where
  | zero : Nat
  | succ (n : Nat) : Nat
inductive Unit : Type u where
  | unit : Unit
axiom bad : Empty
noncomputable def keep (α : Sort v) (a : α) (_ : Empty) : α := a
"""


def chain(steps: int) -> str:
    """Definitions that end at the axiom: ``step1`` is *steps* away from it, ``step`` *steps* is one away."""
    ends = [*(f"step{i + 1}" for i in range(1, steps)), "bad"]
    lines = [f"noncomputable def step{i + 1} : Empty := {ends[i]}\n" for i in range(steps)]
    return "".join(reversed(lines))


def tainted(type_: str, value: str, steps: int) -> str:
    """*value*, mentioning the axiom *steps* definitions away."""
    return f"keep {type_} {value} {'step1' if steps else 'bad'}"


def prelude(places: Iterable[str] = (), steps: int = 0) -> str:
    """Lists, characters and strings as the kernel spells literals, with the axiom under each of *places*."""
    where = frozenset(places)

    def at(place: str, type_: str, value: str) -> str:
        return tainted(type_, value, steps) if place in where else value

    return (
        _LOGIC
        + chain(steps)
        + f"""
noncomputable def List (α : Type u) : Type u := {at("List", "(Type u)", "Unit.{u}")}
noncomputable def List.nil (α : Type u) : List α := {at("List.nil", "(List α)", "Unit.unit")}
noncomputable def List.cons (α : Type u) (_ : α) (_ : List α) : List α := {at("List.cons", "(List α)", "Unit.unit")}
structure Char : Type where
  n : {at("Char", "Type", "Nat")}
noncomputable def Char.ofNat (n : Nat) : Char := {at("Char.ofNat", "Char", "(Char.mk n)")}
structure String : Type where
  data : {at("String", "Type", "(List Char)")}
noncomputable def String.ofList (l : List Char) : String := {at("String.ofList", "String", "(String.mk l)")}
def Is.{{w}} (α : Sort w) (_ : α) : Prop := ∀ p : Prop, p → p
def IsNat (_ : Nat) : Prop := ∀ p : Prop, p → p
def Same (_ : String) : Type := Nat
def OfText (_ : String) : Prop := ∀ p : Prop, p → p
"""
    )


FALSE = (
    prelude(("String.ofList",)).split("structure String")[0]
    + """structure String : Type where
  data : List Char
  h : Empty
noncomputable def String.ofList (l : List Char) : String := String.mk l bad
theorem boom : False := Empty.rec (fun _ => False) (String.h "a")
"""
)
"""``False``, proved by a literal: nothing it mentions has an axiom under it."""

USES = {
    "in a type": 'theorem boom : OfText "a" := fun _ h => h\n',
    "in a value": 'theorem boom : Is Nat Nat.zero := (fun (_ : String) (p : Prop) (h : p) => h) "a"\n',
    "in a let": 'theorem boom : Is Nat Nat.zero := let _s := "a"; fun _ h => h\n',
    "in a projection": 'theorem boom : Is (List Char) (String.data "a") := fun _ h => h\n',
    "in a motive": """theorem boom : OfText "b" :=
  Nat.rec (motive := fun _ => OfText "b") (fun _ h => h) (fun _ _ _ h => h) Nat.zero
""",
    "under a recursor": """theorem boom : Is Nat Nat.zero :=
  String.rec (motive := fun _ => Is Nat Nat.zero) (fun _ _ h => h) "a"
""",
    "nested in types": 'theorem boom (_ : OfText "a" → IsNat Nat.zero) : IsNat Nat.zero := fun _ h => h\n',
    "in a definition behind it": 'noncomputable def text : String := "a"\n'
    "theorem boom : OfText text := fun _ h => h\n",
    "in a constructor": 'inductive Box : Type where\n  | mk : Same "a" → Box\n'
    "theorem boom (b : Box) : Is Box b := fun _ h => h\n",
}
"""Where a string literal can stand; ``boom`` rests on what it stands for."""
