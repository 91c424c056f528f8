"""Sources of our own that a Lean elaborates before it is needed: what is made on first use is there then."""

from __future__ import annotations

from collections.abc import Callable

STATED = "theorem rehearsed (p q : Prop) (h : p) (k : p → q) : q := sorry\n"
COMMON = "theorem rehearsed (p q : Prop) (h : p) (k : p → q) : q := k h\n"
REHEARSAL = (
    COMMON,
    "def rehearsed (n : Nat) : Nat := n\nexample (p : Prop) (h : p) : p := by exact h\nexample : Prop := unknown\n",
    "example (a b : Nat) (h : a = b) : b = a := by simp [h]\n",
    "example : 1 + 1 = 2 := by decide\n",
    "example (a b : Nat) (h : a < b) : a + 1 ≤ b := by omega\n",
)
"""What sources commonly ask of Lean, an error among it."""
LIBRARY = """theorem rehearsed_eq (a b : Nat) (h : a = b) : b = a := h.symm
theorem rehearsed_and (p q : Prop) (h : p ∧ q) : q ∧ p := ⟨h.2, h.1⟩
"""
"""What most sources mention of the library, whose axioms are looked for once."""


def rehearse(check: Callable[[str], object]) -> None:
    """Have *check* check the sources; whatever the verdicts are, errors have been rehearsed as well."""
    for source in (*REHEARSAL, LIBRARY):
        check(source)
