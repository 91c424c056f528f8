"""What a process that serves several sources carries from one to the next: nothing that the next could tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from leanhost.services.values.results import CheckResult
from leanhost.workers import CheckItem, WorkerPool
from tests.support.pools import ENDLESS, pool_of


@pytest.fixture(scope="module")
def kept(engine: str, request: pytest.FixtureRequest) -> Iterator[WorkerPool]:
    """One process for everything."""
    with pool_of(engine, request, workers=1, spares=0, max_requests=1000, grace=20) as pool:
        yield pool


# Each leaves something behind, if anything does.
FIRST = {
    "nothing": CheckItem(source=""),
    "the same names": CheckItem(
        source="inductive Colour where\n  | red\ndef f : Nat → Nat := fun n => n\n"
        "instance : Inhabited Colour := ⟨.red⟩\n"
        "axiom helper : 1 = 2\ntheorem t : 1 = 2 := helper\n"
    ),
    "options": CheckItem(
        source="set_option pp.all true\nset_option autoImplicit true\nset_option maxRecDepth 40\n"
        "set_option maxHeartbeats 1\nset_option pp.universes true\nset_option warn.sorry false\n"
        "set_option debug.skipKernelTC true\n"
        "theorem t (a : α) : a = a := rfl\n"
    ),
    "scopes left open": CheckItem(
        source="universe u\nnamespace Nat\nsection\nvariable (n : Nat) (h : n = 0)\ninclude h\nopen Nat\n"
        "theorem t : n = 0 := h\nprivate theorem helper : 1 = 1 := rfl\n"
    ),
    "marks": CheckItem(
        source="attribute [local simp] Nat.add\nattribute [irreducible] Nat.add\n"
        "attribute [local instance] Classical.propDecidable\n"
        "@[reducible] def five := 5\n@[default_instance] instance : Inhabited Nat := ⟨7⟩\n"
    ),
    "marks taken away": CheckItem(
        source="attribute [-simp] Nat.add_zero eq_self\ntheorem t : 1 = 1 := by simp\n"
    ),
    "an open comment": CheckItem(source="theorem t : 1 = 1 := rfl\n/- "),
    "no more time": CheckItem(source=ENDLESS, timeout=1.0),
    "no more heartbeats": CheckItem(source="set_option maxHeartbeats 1\n" + ENDLESS.partition("\n")[2]),
    "too deep": CheckItem(source="theorem t : True := " + "(" * 3000 + "True.intro" + ")" * 3000),
    "axioms allowed": CheckItem(
        source="axiom helper : 1 = 2\ntheorem t : 1 = 2 := helper\n",
        allow_axioms=["helper"],
        file="other.lean",
    ),
}

# Each tells something of numbers, names, options and marks that are in force.
SECOND = """
inductive Colour where
  | red
  | green
instance : Inhabited Colour := ⟨.green⟩
def f : Nat → Nat
  | 0 => 1
  | n+1 => n
def g (x : α) := x
theorem t : f 0 = 1 := rfl
theorem u (n : Nat) : n = n := by
  have h : ?_ = n := ?_
  skip
theorem v : f 1 = 3 := rfl
theorem w {α : Type _} (a b : α) : a = b := by
  intro x
theorem s : 1 = 2 := by sorry
example : Inhabited Colour := inferInstance
#check @f
#check (fun x => x)
#check fun (n : Nat) => n + f n
#print f
#print Colour
#print axioms t
theorem helper : 1 = 1 := rfl
private theorem hidden (p q : Prop) [Decidable p] : p → q → p := fun h _ => h
#check @hidden
theorem x (n : Nat) : n + 0 = n := by
  cases n with
  | zero => rfl
#synth Inhabited Nat
#check (inferInstance : Inhabited Nat).default
"""


FIRST["itself"] = CheckItem(source=SECOND)


def timeless(result: CheckResult) -> CheckResult:
    return replace(result, elapsed=0.0)


@pytest.mark.parametrize("name", FIRST)
def test_a_source_is_answered_the_same_after_another(
    kept: WorkerPool, request: pytest.FixtureRequest, name: str
) -> None:
    alone = request.getfixturevalue("answered_by_a_process_of_its_own")
    kept.check("")
    processes = kept.stats.processes_started
    kept.check(FIRST[name])
    assert timeless(kept.check(SECOND)) == alone
    assert kept.stats.processes_started == processes


@pytest.fixture(scope="module")
def answered_by_a_process_of_its_own(engine: str, request: pytest.FixtureRequest) -> CheckResult:
    with pool_of(engine, request, workers=1, spares=0, max_requests=1) as pool:
        result = pool.check(SECOND)
    assert len(result.diagnostics) > 12
    return timeless(result)
