"""Sources that break the process that checks them."""

from __future__ import annotations

from tests.workers.conftest import ENDLESS, GOOD, fake_pool, make_pool, pool_of

__all__ = ["ENDLESS", "FAULTS", "GOOD", "fake_pool", "make_pool", "pool_of"]

_UNBOUND = "set_option exponentiation.threshold 1000000000\n"

FAULTS = {
    # GMP gives up on a number that no machine holds.
    "signal": _UNBOUND + "theorem t : Nat.pow (Nat.pow 2 16777216) 16777216 = 0 := rfl\n",
    # Long stretches in which nobody looks at the cancel token.
    "number": _UNBOUND + "theorem t : Nat.pow (Nat.pow 3 16777215) 300 = 0 := rfl\n",
    "elaborator": ENDLESS,
    "memory": _UNBOUND + "theorem t : Nat.pow (Nat.pow 2 16777216) 400 = 0 := rfl\n",
    "stack": "set_option maxRecDepth 100000000\ntheorem t : True := "
    + "(" * 200_000
    + "True.intro"
    + ")" * 200_000,
}
"""Native Lean over the fixture library: what each does needs no IO."""
