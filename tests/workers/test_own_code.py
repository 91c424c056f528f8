"""A process that may have run code of a source is not used for another one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from leanhost.lean.core import Import
from leanhost.services.values.results import Status
from leanhost.workers import CheckItem, WorkerPool
from leanhost.workers.jobs import own_code
from leanhost.workers.jobs.import_profiles import ImportProfile
from leanhost.workers.jobs.job import Job
from leanhost.workers.values.items import Request
from tests.workers.conftest import pool_of


@pytest.fixture(scope="module")
def embedded_pool(request: pytest.FixtureRequest) -> Iterator[WorkerPool]:
    with pool_of("wasm", request, workers=1, spares=0) as made:
        yield made


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
        assert pool.stats.ended["own code"] >= 1


RUN = """partial def spin (n : Nat) : Nat := spin (n + 1)
def go (_ : Unit) : Bool := spin 0 == 0
"""
# Ways to have code run without a command that says so.
QUIET = {
    "an option": "example : 1 = 1 := by simp (config := { decide := go () })",
    "a literal": "namespace N\ndef true : Bool := go ()\nexample : 1 = 1 := by simp (decide := true)\nend N",
    "a number": "instance : OfNat Nat 7 := ⟨spin 0⟩\nexample : 1 = 1 := by simp (maxSteps := 7)",
    "the kernel": "def b : Bool := go ()\ntheorem t : Lean.reduceBool b = true := rfl",
    "a default that a tactic finds": 'def tac : Lean.Syntax := if go () then .missing else .atom .none "x"\n'
    "def f (h : autoParam True tac) : Nat := 0\n#check f",
    "the path of a file": 'example : String := include_str (if go () then "a" else "b" : System.FilePath)',
    "a binder": 'binder_predicate x " ≻ " y:term => `(x = $(if go () then y else y))\n'
    "example : ∃ n ≻ 3, True := ⟨3, rfl, trivial⟩",
}


@pytest.mark.parametrize("way", QUIET)
def test_quiet_ways_to_run_code_are_known(embedded_pool: WorkerPool, way: str) -> None:
    """The code never ends: that it ran out of time says that it ran."""
    source = RUN + QUIET[way] + "\n"
    assert embedded_pool.check(CheckItem(source=source, timeout=1.5)).status is Status.TIMEOUT
    assert own_code.may_run(source)


@pytest.mark.parametrize(
    ("source", "runs"),
    [
        ("theorem t (a b : Nat) : a + b = b + a := by omega", False),
        ("open Nat in\n@[simp, ext] theorem t : 1 = 1 := by simp (decide := true)", False),
        (
            "structure S where\n  n : Nat\n  deriving DecidableEq, Repr\ninstance : Inhabited S := ⟨⟨1⟩⟩",
            False,
        ),
        ("set_option linter.all false\nnamespace A\nvariable (n : Nat)\n#check n\n#print axioms id", False),
        ("#eval 1", True),
        ("#html 1", True),
        ("def n : Array Nat := #[1]\n#check_failure n + n\n#reduce n", False),
        ("def f (h : autoParam True tac) := h", True),
        ("example := include_str f ()", True),
        ("variable (h : 1 = 1)\ninclude h\ntheorem t : 1 = 1 := h", False),
        ("prelude\ndef f := f", True),
        ("def b : Bool := idbg go ()", True),
        ("example : True := by aesop (add safe tactic f)", True),
        ("theorem t : 1 = 1 := by simp (a.«decide» := c)", True),
        ("theorem t : 1 = 1 := by native_decide", True),
        ("theorem t : 1 = 1 := by decide +native", True),
        ('notation "x" => 1', True),
        ("@[simp, tactic foo] def t := 1", True),
        ("attribute [local init] x", True),
        ("theorem t : True := by run_tac pure ()", True),
        ("def e := true\ntheorem t : Lean.reduceBool e = true := rfl", True),
        ('binder_predicate x " > " y:term => `($(f y))', True),
        ('@[deprecated "]" (since := ""), tactic foo] def t := 1', True),
        ("attribute /- -/ [tactic foo] t", True),
        ("@[simp, missing_docs_handler foo] def t := 1", True),
        ("@[local simp, elab_as_elim] theorem t : 1 = 1 := rfl\nattribute [-simp] t", False),
        ("theorem t : 1 = 1 := by simp (decide := true)", False),
        ("theorem t : 1 = 1 := by simp +decide (maxSteps := 10)", False),
        ("theorem t : 1 = 1 := by simp (decide := (f (by sorry)))", True),
        ("theorem t : 1 = 1 := by simp (config := c)", True),
        ("theorem t : 1 = 1 := by simp ( /- -/ decide := c)", True),
        ("theorem t : 1 = 1 := by simp (decide -- \n := c)", True),
        ("theorem t : 1 = 1 := by simp («decide» := c)", True),
        ("def true := f ()\ntheorem t : 1 = 1 := by simp (decide := true)", True),
        ("def N.true := f ()\nopen N\ntheorem t : 1 = 1 := by simp +decide", True),
        ("instance : OfNat Nat 7 := f ()\ntheorem t : 1 = 1 := by simp (maxSteps := 7)", True),
        (
            "def f (n : Nat := 2) := n + 1\ntheorem t (a b : Nat) : a - b + f a = f a + (a - b) := by omega",
            False,
        ),
    ],
)
def test_what_may_run_code_is_told_by_its_words(source: str, runs: bool) -> None:
    assert own_code.may_run(source) == runs


RUNS = [
    "theorem t : True := by eval_suggest_tactic",
    'macro "it" : term => `(1)',
    'elab "it" : term => go',
    'infixl:65 " ⊹ " => f',
    'prefix:max "√" => f',
    'postfix:max "‼" => f',
    'syntax "it" : term',
    "simproc s (1 + 1) := go",
    "grind_propagator s ↑Eq := go",
    "initialize n : Nat ← go",
    'declare_simp_like_tactic go "it" go',
    "register_option a.b : Bool := { defValue := go () }",
    "add_aesop_rules safe tactic go",
    "show_panel_widgets [go]",
    "set_library_suggestions go",
    "set_premise_selector go",
    "example : 1 = 1 := by plausible",
    "example : 1 = 1 := by slim_check",
    "unsafe def f := go",
    "def f := ptrAddrUnsafe 1",
    "def f := String.Internal.append",
    "def f : False := lcProof",
    "def f : False := lcUnreachable",
    "theorem t : Lean.reduceNat n = 1 := rfl",
    "theorem t : 1 = 1 := Lean.trustCompiler",
    "theorem t (a : BitVec 8) : a = a := by bv_decide",
]


@pytest.mark.parametrize("source", RUNS)
def test_each_word_that_runs_code_is_known_without_the_others(source: str) -> None:
    assert own_code.may_run(source)


@pytest.mark.parametrize(
    "made",
    [
        "def true := go ()",
        "abbrev true := go ()",
        "instance : OfNat Nat 7 := go ()",
        "opaque true : Bool",
        "structure true",
        "class true",
        "inductive Bit | true",
        "namespace N\n  deriving Decidable\nend N",
        "axiom true : Bool",
        "constant true : Bool",
        "alias true := go",
        "theorem u : 1 = 1 := v where\n  true := go ()",
        "theorem u : 1 = 1 := let rec true := go (); rfl",
        "export N (true)",
        "mk_iff N true",
    ],
)
def test_a_literal_is_trusted_only_where_nothing_was_made(made: str) -> None:
    option = "theorem t : 1 = 1 := by simp (decide := true)\n"
    assert not own_code.may_run(option)
    assert not own_code.may_run(f"{made}\n")
    assert own_code.may_run(f"{made}\n{option}")
    assert own_code.may_run(option, made)  # of a session that was extended


def test_a_long_source_is_not_read() -> None:
    """Reading it would keep everybody else waiting; what is read is read in no time that grows with its square."""
    assert own_code.may_run("x" * (own_code.MAX_READ + 1))
    assert not own_code.may_run("theorem t (a b : Nat) (h : a = b) : b = a := h.symm\n" * 10_000)
    for part in ("(", "( ", "(a", "«", "@[simp]", "+ ", "-", "# "):
        assert not own_code.may_run(part * (own_code.MAX_READ // len(part)))


def test_without_a_library_a_source_may_give_every_word_a_meaning() -> None:
    def job(imports: tuple[Import, ...] | None, kind: str = "check") -> Job:
        return Job(
            Request("theorem t : 1 = 1 := rfl", "<input>", imports, (), 1.0), ImportProfile(), None, kind=kind
        )

    assert not job(None).brings_code
    assert not job((Import(("Init",)),)).brings_code
    assert job(()).brings_code
    assert job((), "verify").brings_code


def test_of_what_is_verified_only_the_reference_can_run_code() -> None:
    def job(kind: str, source: str, /, **more: str) -> Job:
        return Job(Request(source, "<input>", None, (), 1.0), ImportProfile(), None, kind=kind, more=more)

    assert not job("verify", "theorem t : 1 = 1 := by sorry", text="macro").brings_code
    assert job("verify", "#eval 1").brings_code
    assert job("ask", "", source="#eval 1").brings_code
