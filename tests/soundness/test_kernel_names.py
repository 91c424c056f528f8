"""What the kernel takes from the environment by name counts, on every surface: each row of docs/soundness.md."""

from __future__ import annotations

import io
from contextlib import ExitStack

import pytest

from leanhost.lean.constants import kernel_constants
from leanhost.lean.core import Constant
from leanhost.lean.names import show
from leanhost.services.exports.read.outcome import Refused, Replayed
from leanhost.services.exports.read.replay import replay_export
from leanhost.services.kernel.axioms import ImportedAxioms, axiom_sets_of
from leanhost.services.session.host import Host
from leanhost.services.values.outcomes import Rejected
from leanhost.services.values.results import Status
from leanhost.workers.verification.replay_on_base import replay_added
from tests.support.ndjson import Writer
from tests.support.preludes import FALSE, PLACES, USES, chain, prelude, tainted
from tests.support.surfaces import OPTIONS, assert_refused, exported, surfaces, verified

TEXT = USES["in a type"]


def test_a_literal_that_proves_false(host: Host) -> None:
    assert_refused(host, FALSE)
    before, _, source = FALSE.rpartition("theorem")
    surfaces(host, before, "theorem" + source).all_say({"bad"})
    stated = "theorem boom : False := sorry\n"
    (refusal,) = verified(host, stated, FALSE, whole=True)
    assert (refusal.code, refusal.name) == ("axiom", "boom")
    assert verified(host, stated, FALSE) != []


@pytest.mark.parametrize("place", PLACES)
def test_a_string_literal_rests_on_what_it_is_spelled_with(host: Host, place: str) -> None:
    surfaces(host, prelude([place]), TEXT).all_say({"bad"})


@pytest.mark.parametrize("use", USES)
def test_a_literal_counts_wherever_it_stands(host: Host, use: str) -> None:
    surfaces(host, prelude(["Char.ofNat"]), USES[use]).all_say({"bad"})


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_axiom_may_be_some_steps_away(host: Host, steps: int) -> None:
    surfaces(host, prelude(["String.ofList"], steps), TEXT).all_say({"bad"})


def test_what_mentions_no_string_rests_on_none(host: Host) -> None:
    source = prelude(PLACES) + "theorem fine : IsNat (Nat.succ Nat.zero) := fun _ h => h\n"
    result = host.check_source(source, allow_axioms=["bad"])
    assert result.status is Status.ACCEPTED, result.reasons
    assert [t.axioms for t in result.theorems if t.name == "fine"] == [()]


OTHERS = {
    "eagerReduce": f"""noncomputable def eagerReduce (α : Sort v) (a : α) : α := {tainted("α", "a", 0)}
theorem boom : IsNat Nat.zero := eagerReduce (IsNat Nat.zero) (fun _ h => h)
""",
    "Bool.true": f"""inductive Two : Type where
  | one
noncomputable def Bool : Type := Two
noncomputable def Bool.true : Bool := {tainted("Bool", "Two.one", 0)}
noncomputable def Bool.false : Bool := Two.one
noncomputable def Nat.beq (_ _ : Nat) : Bool := Two.one
theorem boom : Is Bool (Nat.beq Nat.zero Nat.zero) := fun _ h => h
""",
    "Nat.add": f"""noncomputable def Nat.add (n m : Nat) : Nat :=
  Nat.rec (motive := fun _ => Nat) ({tainted("Nat", "n", 0)}) (fun _ r => Nat.succ r) m
theorem boom : IsNat (Nat.add (Nat.succ Nat.zero) Nat.zero) := fun _ h => h
""",
    "a structure's eta": f"""structure S : Type where
  field : {tainted("Type", "Nat", 0)}
theorem boom (s : S) : Is S s := fun _ h => h
""",
    "a projection": f"""structure S : Type where
  field : {tainted("Type", "Nat", 0)}
def first (s : S) : Type := Nat
theorem boom (s : S) : Is Type (first s) := fun _ h => h
""",
    "a recursor": f"""inductive T : Type where
  | leaf (n : {tainted("Type", "Nat", 0)})
  | node (t : T)
theorem boom (t : T) : IsNat Nat.zero := T.rec (motive := fun _ => IsNat Nat.zero) (fun _ _ h => h) (fun _ x => x) t
""",
    "the other type of a family": f"""mutual
inductive A : Type where
  | mk
inductive B : Type where
  | mk (n : {tainted("Type", "Nat", 0)})
end
theorem boom (a : A) : Is A a := fun _ h => h
""",
    "a nested type": f"""inductive Wrap (α : Type) : Type where
  | mk (n : {tainted("Type", "Nat", 0)}) (a : α)
inductive N : Type where
  | leaf
  | node (w : Wrap N)
theorem boom (n : N) : Is N n := fun _ h => h
""",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_else_the_kernel_knows(host: Host, name: str) -> None:
    before = prelude()
    if name in ("Bool.true", "Nat.add"):
        # On top of a library that has no such function only the library can declare one.
        before, _, source = (before + OTHERS[name]).rpartition("theorem boom")
        surfaces(host, before, "theorem boom" + source).all_say({"bad"})
    else:
        surfaces(host, before, OTHERS[name]).all_say({"bad"})


def test_numbers_rest_on_what_they_are(host: Host) -> None:
    """``Nat`` can be no other type, and in an import it can be three axioms."""
    numbers = Writer()
    numbers.definition("n", numbers.const("Nat"), numbers.expr(natVal="37"))
    axioms = "axiom Nat : Type\naxiom Nat.zero : Nat\naxiom Nat.succ : (n : Nat) → Nat\n"
    with host.session(()) as base, base.extend(axioms) as library:
        outcome = replay_added(numbers.data(), library._lean, library._env, options=OPTIONS)
    assert isinstance(outcome, Replayed), outcome
    assert set(map(show, outcome.rests[("n",)])) == {"Nat", "Nat.zero", "Nat.succ"}


def test_compiled_code_rests_on_the_compiler(host: Host) -> None:
    source = prelude() + (
        "inductive Bool : Type where\n  | false\n  | true\n"
        "noncomputable def Lean.reduceBool (b : Bool) : Bool := b\n"
        "theorem boom : Is Bool (Lean.reduceBool Bool.true) := fun _ h => h\n"
    )
    result = host.check_source(source, allow_axioms=["bad"])
    assert result.status is Status.REJECTED
    assert any("boom" in reason and "Lean.trustCompiler" in reason for reason in result.reasons)
    with host.session(()) as base, base.extend(source.replace("prelude\n", "", 1)) as grown:
        outcome = replay_export(io.BytesIO(exported(grown)), grown._lean, options=OPTIONS)
    assert isinstance(outcome, Refused)
    assert "compiled code" in outcome.reason


def test_the_quotient_package_rests_on_equality(host: Host) -> None:
    with host.session(["Init"]) as session:
        lean, wanted = session._lean, [("Quot",), ("Quot", "mk"), ("Quot", "lift"), ("Quot", "ind")]
        infos = lean.find(session._env, wanted)
        constants = [Constant(n, "quot", i) for n, i in zip(wanted, infos, strict=True) if i is not None]
        assert len(constants) == len(wanted)
        assert all(("Eq",) in used for used in kernel_constants(lean, constants))


def test_a_string_without_its_spelling_has_no_literals(host: Host) -> None:
    """Who declares the type does not matter: before there is a ``String.ofList`` a literal is of it all the same."""
    body = prelude().split("noncomputable def String.ofList")[0].replace("prelude\n", "", 1)
    body = body.replace("data : (List Char)", "h : Empty")
    boom = 'theorem boom : False := Empty.rec (fun _ => False) (String.h "a")\n'
    with ExitStack() as stack:
        base = stack.enter_context(host.session(()))
        library = stack.enter_context(base.extend(body))
        outcome = library.kernel_check(boom)
        assert isinstance(outcome, Rejected)
        assert outcome.failure.code == "kernel"
        grown = stack.enter_context(library.extend(boom))
        replayed = replay_export(io.BytesIO(exported(grown)), grown._lean, options=OPTIONS)
        assert isinstance(replayed, Refused)
    assert host.check_source("prelude\n" + body + boom).status is Status.REJECTED


def test_a_library_theorem_rests_on_what_a_source_makes_of_its_literals(host: Host) -> None:
    """A library that has the type, the literal and no ``String.ofList``: what that is, the source decides."""
    whole = prelude(["String.ofList"])
    body, _, rest = whole.replace("prelude\n", "", 1).partition("noncomputable def String.ofList")
    text = "def OfText (_ : String) : Prop := ∀ p : Prop, p → p\n"
    text += 'theorem used : OfText "a" := fun _ h => h\n'
    later = f"noncomputable def String.ofList{rest.partition(chr(10))[0]}\n"
    later += 'theorem boom : OfText "a" := used\n'
    with host.session(()) as base, base.extend(body + text) as library, library.extend(later) as grown:
        lean, imported = library._lean, ImportedAxioms(library._lean, library._env)
        assert imported.under([("used",)], lambda: None).absent == {("String", "ofList")}
        added = list(grown._added[len(library._added) :])
        mentioned = dict(zip((c.name for c in added), kernel_constants(lean, added), strict=True))
        plain = {**mentioned, ("boom",): frozenset({("used",)})}
        assert axiom_sets_of(imported, added, plain, lambda: None)[("boom",)].axioms == {("bad",)}


def test_a_chain_of_steps_is_what_it_says() -> None:
    assert chain(0) == ""
    assert chain(2).splitlines() == [
        "noncomputable def step2 : Empty := bad",
        "noncomputable def step1 : Empty := step2",
    ]
