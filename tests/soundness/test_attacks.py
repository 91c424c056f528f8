"""Sources that would like to be taken for something else than what they prove."""

from __future__ import annotations

import pytest

from leanhost.services.proofs.proof_state import ProofState
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.outcomes import Checked, Rejected
from leanhost.services.values.results import Status

# What a type is printed with is the library's: a reader of ``evidence.type`` is not to be fooled.
MASKS = {
    "notation": ('notation "Fermat" => True\ntheorem t : Fermat := trivial', "True"),
    "an unexpander": (
        "def P (n : Nat) : Prop := True\n"
        "@[app_unexpander P] def mask : Lean.PrettyPrinter.Unexpander := fun _ => `(1 = 2)\n"
        "theorem t : P 3 := trivial",
        "P 3",
    ),
    "a macro": ('macro "Fermat" : term => `(True)\ntheorem t : Fermat := trivial', "True"),
    "printer options": (
        "set_option pp.maxSteps 1\nset_option pp.all true\ntheorem t : 1 = 1 ∧ 2 = 2 := ⟨rfl, rfl⟩",
        "1 = 1 ∧ 2 = 2",
    ),
    "a definition": ("def Fermat := True\ntheorem t : Fermat := trivial", "Fermat"),
    "a structure": (
        "structure Pair where\n  a : Nat\n  b : Nat\ntheorem t (p : Pair) (h : p.a = 1) : p.a = 1 := h",
        "∀ (p : Pair), p.a = 1 → p.a = 1",
    ),
}


@pytest.mark.parametrize("name", MASKS)
def test_a_type_is_printed_as_the_library_prints_it(session: Session, name: str) -> None:
    source, type_ = MASKS[name]
    outcome = session.kernel_check(source)
    assert isinstance(outcome, Checked), outcome
    assert outcome.evidence.name == "t"
    assert outcome.evidence.type == type_


def test_notation_of_an_extended_session_is_its_own(session: Session) -> None:
    """What the caller has extended the session by is no candidate's."""
    with session.extend('notation "Yes" => True') as grown:
        outcome = grown.kernel_check("theorem t : True := trivial")
        assert isinstance(outcome, Checked)
        assert outcome.evidence.type == "Yes"


@pytest.mark.parametrize(
    "name", ["«Nat.add_comm»", "«Nat».«add_comm'»", "«t\u200b»", "T.«1».«a b»", "«»"], ids=range(5)
)
def test_names_that_look_alike_are_told_apart(session: Session, name: str) -> None:
    outcome = session.kernel_check(f"theorem {name} : True := trivial")
    assert not isinstance(outcome, Checked) or (outcome.evidence.name != "Nat.add_comm")
    assert not isinstance(outcome, Checked) or (outcome.evidence.name != "t")


def test_an_axiom_whose_name_looks_like_an_allowed_one(session: Session) -> None:
    for name in ("«Classical.choice»", "Classical.«choice\u200b»", "Main.propext", "«propext »"):
        source = f"axiom {name} : 1 = 2\ntheorem t : 1 = 2 := {name}"
        outcome = session.kernel_check(source)
        assert isinstance(outcome, Rejected)
        assert outcome.failure.code == "axiom"


@pytest.mark.parametrize(
    "proof",
    [
        "axiom no : False\ndef hidden : False := no\ntheorem t : 1 = 2 := hidden.elim",
        "axiom no : False\nstructure S where\n  x : Nat\n  h : x = x := no.elim\ntheorem t : 1 = 2 := no.elim",
        "axiom no : False\ninductive T : Prop\n  | mk (h : no.elim = True) : T\ntheorem t (x : T) : 1 = 1 := rfl",
        "axiom no : False\nopaque o : 1 = 2 := no.elim\ntheorem t : 1 = 2 := o",
        "axiom no : False\ninstance : Inhabited (1 = 2) := ⟨no.elim⟩\ntheorem t : 1 = 2 := default",
        "axiom A : Type\ntheorem t (a : A) : a = a := rfl",
        "private axiom no : False\ntheorem t : 1 = 2 := no.elim",
    ],
)
def test_an_axiom_is_found_wherever_it_hides(session: Session, proof: str) -> None:
    outcome = session.kernel_check(proof)
    assert isinstance(outcome, Rejected)
    assert outcome.failure.code == "axiom", outcome.failure.message


@pytest.mark.parametrize(
    "proof",
    [
        "def cheat {p : Prop} : p := sorry\ntheorem t : 1 = 2 := cheat",
        "instance : Inhabited (1 = 2) := ⟨sorry⟩\ntheorem t : 1 = 2 := default",
        "opaque o : 1 = 2 := sorry\ntheorem t : 1 = 2 := o",
        "set_option warn.sorry false\ntheorem t : 1 = 2 := sorry",
        "theorem t : 1 = 2 := sorryAx _ true",
        "def s := @sorryAx\ntheorem t : 1 = 2 := s _ true",
        "set_option warn.sorry false\nexample : 1 = 2 := sorry\nprivate theorem t : 1 = 2 := sorry",
    ],
)
def test_sorry_is_found_wherever_it_hides(session: Session, proof: str) -> None:
    outcome = session.kernel_check(proof)
    assert isinstance(outcome, Rejected)
    assert outcome.failure.code in ("sorry", "elaboration"), outcome.failure.message


def test_compiled_code_is_an_axiom_of_its_own(host: Host) -> None:
    """``Lean.reduceBool`` makes the kernel run code; its body, which says so, is not always shipped."""
    if host.toolchain.engine == "native":
        pytest.skip("the fixture library has nothing that runs compiled code")
    with host.session(["Init"]) as session:
        source = "theorem t : Lean.reduceBool System.Platform.isWindows = false := rfl"
        outcome = session.kernel_check(source)
        assert isinstance(outcome, Rejected)
        assert outcome.failure.code == "axiom"
        assert "Lean.trustCompiler" in outcome.failure.message
        for allowed in ("Lean.trustCompiler", "Lean.ofReduceBool"):
            assert isinstance(session.kernel_check(source, allow_axioms=[allowed]), Checked)


def test_the_library_cannot_be_declared_again(host: Host) -> None:
    for source in ("theorem rfl : 1 = 2 := by trivial", "def And.intro := 1", "axiom False.elim : 1 = 2"):
        assert host.check_source(source).status is Status.REJECTED


def test_a_shadow_of_the_library_shows(session: Session) -> None:
    """A name in a namespace wins over the library's there; what is printed has the whole of it."""
    source = "namespace Mine\ninductive False : Prop\n  | oh\ntheorem t : False := .oh\nend Mine"
    outcome = session.kernel_check(source)
    assert isinstance(outcome, Checked)
    assert (outcome.evidence.name, outcome.evidence.type) == ("Mine.t", "Mine.False")


def test_a_proof_is_of_the_statement_it_was_begun_with(session: Session) -> None:
    """A tactic can change anything in the state, the type of the goal too: that is not what is asked for."""
    easy, hard = session.prove("True"), session.prove("1 = 2")
    assert isinstance(easy, ProofState)
    assert isinstance(hard, ProofState)
    done = easy.apply("trivial")
    assert isinstance(done, ProofState)
    outcome = ProofState(hard._prover, done._saved, done._root, ()).finish()
    assert isinstance(outcome, Rejected)
    assert outcome.failure.code == "kernel"


# Where numbers leave a machine word, of either engine's width.
EDGES = {
    "Nat.succ 2147483647": 1 << 31,
    "Nat.add 2147483647 1": 1 << 31,
    "Nat.mul 65536 65536": 1 << 32,
    "Nat.succ 9223372036854775807": 1 << 63,
    "Nat.mul 4294967296 4294967296": 1 << 64,
    "Nat.pow 2 64": 1 << 64,
    "Nat.sub (Nat.pow 2 64) 1": (1 << 64) - 1,
    "Nat.sub 1 2": 0,
}


@pytest.mark.parametrize("term", EDGES)
def test_the_kernels_arithmetic_does_not_wrap(session: Session, term: str) -> None:
    value = EDGES[term]
    wrapped = {value % (1 << bits) for bits in (31, 32, 63, 64)} | {(1 << bits) - 1 for bits in (31, 32, 63)}
    assert isinstance(session.kernel_check(f"theorem t : {term} = {value} := by decide +kernel"), Checked)
    for wrong in wrapped - {value}:
        assert isinstance(
            session.kernel_check(f"theorem t : {term} = {wrong} := by decide +kernel"), Rejected
        ), wrong
