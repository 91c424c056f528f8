"""Sources that several tests want, good on both engines' core libraries."""

from __future__ import annotations

from leanhost.services.session.host import Host


def forget_imports(host: Host) -> None:
    """Let the host's kept environments go, so that the next session imports."""
    with host._lock:
        host._kept.clear()


GOOD = "theorem good (a b : Nat) (h : a = b) : b = a := h.symm\n"

SLOW_FUNCTION = """\
def g : Nat → Nat → Nat
  | 0, m => m
  | n+1, m => g n (2*m) + g n (2*m+1)
"""
"""``g n m`` takes 2^n steps, none of which Lean can find in a cache."""

ENDLESS = SLOW_FUNCTION + "#reduce g 60 1\n"
"""Elaborates for years, and looks at its cancellation while it does (heartbeats must be off)."""

EVEN_ODD = """\
mutual
inductive Even : Nat → Prop where
  | zero : Even 0
  | succ {n} : Odd n → Even (n + 1)
inductive Odd : Nat → Prop where
  | succ {n} : Even n → Odd (n + 1)
end
"""
"""Two types that need each other."""

ROSE = """\
inductive Rose (α : Type u) where
  | mk : α → List (Rose α) → Rose α
"""
"""A type nested in another; to follow ``universe u``."""
