"""A worker that is reset has nothing left of a source, whatever that did to the process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from leanhost.services.values.results import CheckResult, Status
from leanhost.system.process_limits import family
from leanhost.toolchain import Toolchain
from leanhost.workers import CheckItem, WorkerPool
from tests.support.pools import ENDLESS, pool_of

WRITE = """
@[noinline] unsafe def write (b : ByteArray) (target : USize) : ByteArray :=
  b.uset (target - (ptrAddrUnsafe b + 16)) 90 lcProof
@[noinline] unsafe def fresh : IO ByteArray := do
  return (ByteArray.emptyWithCapacity 64).push (← IO.monoNanosNow).toUInt8
"""
"""Unsafe code writes where it likes."""

LEAVES = {
    "a text of the library": WRITE
    + """
unsafe def poke : IO Unit := do
  let b := write (← fresh) (ptrAddrUnsafe Lean.versionString + 20)
  IO.println s!"{b.size} {Lean.versionString}"
#eval (unsafe poke : IO Unit)
""",
    "many places in memory": WRITE
    + """
unsafe def poke : IO Unit := do
  let here := ptrAddrUnsafe Lean.versionString
  for n in [0:200] do
    let b := write (← fresh) (here + 1000 * (n * n).toUSize)
    if b.size > 1 then IO.println ""
#eval (unsafe poke : IO Unit)
""",
    "attributes": "#eval (Lean.attributeMapRef.modify (·.erase `simp) : IO Unit)\n",
    "random numbers": "#eval (IO.setRandSeed 7 : IO Unit)\n",
    "a task": '#eval (discard <| IO.asTask (IO.println "late") : IO Unit)\n',
    "options": "set_option pp.all true\nset_option maxRecDepth 40\nset_option debug.skipKernelTC true\n",
    "syntax": 'macro "rfl" : term => `(1)\nnotation "True" => False\ninfixl:65 " + " => Nat.sub\n',
    "an instance": "instance : Add Nat := ⟨fun _ _ => 7⟩\n#eval (1 + 1 : Nat)\n",
    "memory": "#eval ((ByteArray.emptyWithCapacity 120000000).push 1).size\n",
    "a deep stack": "def deep : Nat → Nat\n  | 0 => 0\n  | n+1 => deep n + 1\n#eval deep 2000\n",
    "no more time": ENDLESS,
}
ENDS_IT = {"many places in memory"}
"""What may also trap: then the process is replaced."""

PROBE = """
#eval Lean.versionString
#eval (do return [← IO.rand 0 1000000, ← IO.rand 0 1000000] : IO (List Nat))
@[simp] theorem t (n : Nat) : n + 0 = n := rfl
example (a b : Nat) (h : a < b) : a + 1 ≤ b := by omega
example (xs : List Nat) : xs ++ [] = xs := by simp
theorem wrong : 1 + 1 = 3 := rfl
#check fun (n : Nat) => n + 1
#print axioms t
"""


def timeless(result: CheckResult) -> CheckResult:
    return replace(result, elapsed=0.0)


def failed(result: CheckResult) -> bool:
    return any(diagnostic.is_error for diagnostic in result.diagnostics)


@pytest.fixture(scope="module")
def pool(request: pytest.FixtureRequest) -> Iterator[WorkerPool]:
    """One process for everything."""
    with pool_of("wasm", request, workers=1, spares=0, grace=20) as made:
        yield made


@pytest.fixture(scope="module")
def alone(request: pytest.FixtureRequest) -> CheckResult:
    """The answer of a process that has served nobody."""
    with pool_of("wasm", request, workers=1, spares=0) as made:
        result = timeless(made.check(PROBE))
    assert len(result.diagnostics) > 4
    return result


@pytest.mark.parametrize("what", LEAVES)
def test_nothing_is_left_of_a_source(pool: WorkerPool, alone: CheckResult, what: str) -> None:
    pool.check("")
    processes = pool.stats.processes_started
    first = pool.check(CheckItem(source=LEAVES[what], timeout=1.5 if what == "no more time" else 60))
    if what not in ENDS_IT:
        assert first.status in (Status.ACCEPTED, Status.REJECTED, Status.TIMEOUT), first
    assert timeless(pool.check(PROBE)) == alone
    assert pool.stats.processes_started == processes or what in ENDS_IT


def test_what_a_source_prints_and_opens_is_not_the_next_ones(
    pool: WorkerPool, embedded_toolchain: Toolchain
) -> None:
    def descriptors() -> int:
        (worker,) = pool._supervisor._workers
        pids = family(worker.process.pid)
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)  # noqa: PTH208

    pool.check("")
    pool.check("")
    before = descriptors()
    # Lean keeps the file that a thread reads from.
    leak = f"""
def go : IO Unit := do
  let h ← IO.FS.Handle.mk "{embedded_toolchain.core}/Init.olean" .read
  discard <| IO.setStdin (IO.FS.Stream.ofHandle h)
  IO.println "something"
#eval go
"""
    assert not failed(pool.check(leak))
    assert pool.check("").stdout == ""
    assert descriptors() == before


def test_a_held_session_keeps_its_state_until_the_hold_ends(pool: WorkerPool, alone: CheckResult) -> None:
    processes = pool.stats.processes_started
    with pool.session() as session:
        grown = session.extend("def one : Nat := 1\n")
        assert session.run("#eval (IO.setRandSeed 7 : IO Unit)\n").ok
        first = [session.run("#eval IO.rand 0 1000000\n").diagnostics[0].message for _ in range(3)]
        assert len(set(first)) > 1  # each goes on where the last one stopped
        assert grown.run("example : one = 1 := rfl\n").ok
    assert timeless(pool.check(PROBE)) == alone
    assert grown.run("example : one = 1 := rfl\n").ok  # made again
    assert pool.stats.processes_started == processes


def test_a_judge_is_reset_too(pool: WorkerPool, alone: CheckResult) -> None:
    reference = LEAVES["random numbers"] + "theorem t : 1 = 1 := by sorry\n"
    for _ in range(2):
        assert pool.verify(reference, "theorem t : 1 = 1 := rfl\n").verified
    assert timeless(pool.check(PROBE)) == alone


def test_other_imports_are_kept_through_resets(pool: WorkerPool) -> None:
    processes = pool.stats.processes_started
    for _ in range(3):
        assert not failed(pool.check("import Std.Data.HashMap\n#check Std.HashMap\n"))
        assert failed(pool.check("#check Std.HashMap\n"))
    assert pool.stats.processes_started == processes
