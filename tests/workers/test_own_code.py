"""A process that may have run code of a source is not used for another one."""

from __future__ import annotations

import pytest

from leanhost.workers import own_code
from tests.workers.conftest import pool_of


def test_a_process_that_ran_a_sources_code_serves_nobody_else(request: pytest.FixtureRequest) -> None:
    """Unsafe code writes where it likes; here into a text that Lean's library shares with every check."""
    show = "#eval Lean.versionString\ntheorem t : True := trivial\n"
    poke = """
@[noinline] unsafe def write (b : ByteArray) (target : USize) : ByteArray :=
  b.uset (target + 20 - (ptrAddrUnsafe b + 16)) 90 lcProof
unsafe def poke : IO Unit := do
  let b := write ((ByteArray.emptyWithCapacity 64).push (← IO.monoNanosNow).toUInt8) (ptrAddrUnsafe Lean.versionString)
  IO.println s!"{b.size} {Lean.versionString}"
#eval (unsafe poke : IO Unit)
"""
    with pool_of("wasm", request, workers=1, spares=0) as pool:
        assert "1 Z.28.0" in pool.check(poke).diagnostics[0].message
        assert '"4.28.0' in pool.check(show).diagnostics[0].message
        assert pool.stats().ended["own code"] >= 1


@pytest.mark.parametrize(
    ("source", "runs"),
    [
        ("theorem t (a b : Nat) : a + b = b + a := by omega", False),
        ("open Nat in\n@[simp, ext] theorem t : 1 = 1 := by simp (config := { decide := true })", False),
        (
            "structure S where\n  n : Nat\n  deriving DecidableEq, Repr\ninstance : Inhabited S := ⟨⟨1⟩⟩",
            False,
        ),
        ("set_option linter.all false\nnamespace A\nvariable (n : Nat)\n#check n\n#print axioms id", False),
        ("#eval 1", True),
        ("theorem t : 1 = 1 := by native_decide", True),
        ("theorem t : 1 = 1 := by decide +native", True),
        ('notation "x" => 1', True),
        ("@[simp, tactic foo] def t := 1", True),
        ("attribute [local init] x", True),
        ("theorem t : True := by run_tac pure ()", True),
    ],
)
def test_what_may_run_code_is_told_by_its_words(source: str, runs: bool) -> None:
    assert own_code.may_run(source) == runs
