"""Environments that no honest elaboration makes: what is listed is what the kernel was given, or it is refused."""

from __future__ import annotations

import pytest

from leanhost.engine.expressions import Call, Ctor, Field, ListOf
from leanhost.engine.values import Ref
from leanhost.lean.core import CONSTANT_KINDS, Constant
from leanhost.lean.names import NameTuple
from leanhost.services.kernel.judge import Additions, Judgement
from leanhost.services.session.elaborator import Elaboration
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.limits import CallContext
from leanhost.services.values.options import AllowedAxioms
from leanhost.services.values.results import CommandResult, Status

SOURCE = """
inductive T : Type where
  | a
  | b
theorem yes : True := True.intro
theorem no (h : False) : False := h
def claim : Prop := False
def two : Nat := 2
"""


class Forger:
    """Takes apart what an honest source added, and judges what is put together from it."""

    def __init__(self, session: Session) -> None:
        self.lean = session._lean
        self._session = session
        self.grown = session.extend(SOURCE)
        self.added = {constant.name: constant for constant in self.grown._added}
        self.false = self.lean.engine.eval(self.lean.table.constant_value(self["claim"].info))

    def __getitem__(self, text: str) -> Constant:
        return self.added[tuple(text.split("."))]

    def all(self, without: str = "") -> list[Constant]:
        """What the source added, perhaps without one."""
        return [c for name, c in self.added.items() if name != tuple(without.split("."))]

    def constant(self, name: NameTuple, kind: str, *rest: object, type_: Ref | None = None) -> Constant:
        """A constant of any kind that claims ``False``; *rest* are the fields behind its ``ConstantVal``."""
        head = Ctor(0, (self.lean.name(name), 0, type_ or self.false))
        scalars = b"\0" * 8 if kind not in ("theorem",) else b""
        value = Ctor(0, (head, *rest), scalars)  # type: ignore[arg-type]
        return Constant(name, kind, self.lean.engine.eval(Ctor(CONSTANT_KINDS.index(kind), (value,))))

    def judged(self, constants: list[Constant]) -> Judgement:
        """What is said when *constants* are all that was added, and all are shown."""
        session, lean = self._session, self.lean
        guard = CallContext().guard(lean, session.options)
        env = lean.engine.eval(self.grown._env)
        additions = Additions(constants, [(constant, None) for constant in constants])
        run = Elaboration(CommandResult((), (), (), 0.0, 0.0), env, additions, guard)
        return lean.engine.supervise(lambda: session._judge.judgement(run, AllowedAxioms()), guard)

    def refused(self, constants: list[Constant], why: str) -> None:
        """See that nothing is accepted of *constants*."""
        failures = self.judged(constants).failures
        assert [failure.code for failure in failures] == ["kernel"]
        assert why in failures[0].message


@pytest.fixture(scope="module")
def forger(host: Host) -> Forger:
    return Forger(host.session(["Init"]))


def test_what_an_honest_source_lists_is_accepted(forger: Forger) -> None:
    judgement = forger.judged(forger.all())
    assert judgement.failures == []
    assert {evidence.name for evidence in judgement.evidence} >= {"T", "T.a", "T.rec", "yes", "two"}


def test_two_constants_of_one_name(forger: Forger) -> None:
    """Only one of them could be checked, and both would be evidence."""
    twin = forger.constant(("yes",), "theorem", forger.lean.table.constant_value(forger["yes"].info), 0)
    forger.refused([twin, forger["yes"]], "lists it twice")
    forger.refused([forger["yes"], twin], "lists it twice")


def test_a_constant_under_another_name(forger: Forger) -> None:
    forger.refused([Constant(("fermat",), "theorem", forger["yes"].info)], "another constant by this name")


def test_a_constructor_that_was_never_declared(forger: Forger) -> None:
    lean = forger.lean
    ghost = forger.constant(("ghost",), "constructor", lean.name("True"), 0, 0, 0)
    forger.refused([ghost], "of no inductive type")
    forger.refused([*forger.all(), ghost], "of no inductive type")
    lied = forger.constant(("T", "a"), "constructor", lean.name("T"), 0, 0, 0)
    forger.refused([*forger.all("T.a"), lied], "")
    forger.refused(forger.all("T.a"), "T.a: the constructor is missing")
    forger.refused(forger.all("T"), "")


def test_a_recursor_that_is_not_the_kernels(forger: Forger) -> None:
    lean = forger.lean
    family = ListOf([lean.name("T")])
    ghost = forger.constant(("ghost",), "recursor", family, 0, 0, 0, 0, 0)
    forger.refused([*forger.all(), ghost], "the kernel has no such recursor")
    forger.refused([ghost], "of no inductive type")
    lied = forger.constant(("T", "rec"), "recursor", family, 0, 0, 0, 0, 0)
    forger.refused([*forger.all("T.rec"), lied], "the kernel's recursor is another")
    orphan = forger.constant(("orphan",), "recursor", 0, 0, 0, 0, 0, 0)
    forger.refused([*forger.all(), orphan], "of no inductive type")


def test_a_family_that_is_not_its_own(forger: Forger) -> None:
    lean = forger.lean
    names = forger.lean.name("T")
    for family in (0, ListOf([names])):
        ghost = forger.constant(("ghost",), "inductive", 0, 0, family, 0, 0)
        forger.refused([*forger.all(), ghost], "no part of its own family")
    ghost = forger.constant(("ghost",), "inductive", 0, 0, ListOf([lean.name("ghost")]), 0, 0)
    forger.refused([ghost], "")


def test_a_quotient_that_is_not_the_kernels(forger: Forger) -> None:
    forger.refused([forger.constant(("ghost",), "quot")], "the kernel has no such quot")
    forger.refused([forger.constant(("Quot", "lift"), "quot")], "not the quotient package's")


def test_a_theorem_that_rests_on_what_is_not_listed(forger: Forger) -> None:
    forger.refused([forger.constant(("bad",), "theorem", forger.false, 0)], "bad")
    used = forger.lean.engine.eval(Field(Field(forger["no"].info, 0), 1))
    forger.refused([forger.constant(("bad",), "theorem", used, 0)], "bad")


@pytest.mark.parametrize("kind", ["theorem", "opaque"])
@pytest.mark.parametrize("hole", ["Expr_mvar", "Expr_fvar", "Level_mvar"])
def test_a_term_with_a_hole_in_it(forger: Forger, kind: str, hole: str) -> None:
    """In the value of a ``let`` that nothing mentions, where a kernel might not look."""
    lean, table = forger.lean, forger.lean.table
    name, made = lean.name(("x",)), Call(f"l_Lean_{hole}___override", (lean.name(("hole",)),))
    filling = table.sort(made) if hole == "Level_mvar" else made
    prop, true = table.sort(table.level_zero()), table.const(lean.name(("True",)), 0)
    value = table.let_flagged(name, prop, filling, table.const(lean.name(("True", "intro")), 0), 0)
    odd = lean.engine.eval(table.let_flagged(name, prop, filling, true, 0))
    proof = table.const(lean.name(("True", "intro")), 0)
    forger.refused([forger.constant(("a",), kind, value, 0, type_=lean.engine.eval(true))], "it has")
    forger.refused([forger.constant(("a",), kind, proof, 0, type_=odd)], "it has")


@pytest.mark.parametrize(
    "source",
    ["unsafe def t : 1 = 2 := t", "theorem good : 1 = 1 := rfl\nunsafe def t : 1 = 2 := t"],
    ids=["alone", "after a proof"],
)
def test_what_no_kernel_looks_at_is_no_evidence(forger: Forger, source: str) -> None:
    judged = forger._session.kernel_check(source)
    assert "1 = 2" not in repr(judged)


# --- what the kernel knows by name, declared by the source ---

LOGIC = """prelude
inductive False : Prop
inductive True : Prop
  | intro
inductive Eq.{u} {α : Sort u} : α → α → Prop
  | refl (a : α) : Eq a a
inductive Bool : Type
  | false
  | true
set_option bootstrap.inductiveCheckResultingUniverse false in
inductive PUnit.{u} : Sort u
  | unit
"""
NAT = """
set_option genCtorIdx false in
inductive Nat : Type
  | zero
  | succ (n : Nat)
"""
ADD = """
noncomputable def Nat.add (n m : Nat) : Nat := Nat.rec (motive := fun _ => Nat) n (fun _ r => Nat.succ r) m
noncomputable def Nat.mul (n m : Nat) : Nat := Nat.rec (motive := fun _ => Nat) Nat.zero (fun _ r => Nat.add r n) m
"""
# A literal has the type ``String`` by its name, and this one has no values.
STRINGS = """
inductive String : Type
def OfText (s : String) : Prop := True
theorem oops : OfText "a" := True.intro
"""
COMPUTES = "the kernel computes the function"
NUMBERS = "something else than the natural numbers"
PRELUDES = {
    "natural numbers": (LOGIC + NAT, ""),
    "arithmetic": (LOGIC + NAT + ADD, ""),
    "a false addition": (LOGIC + NAT + "def Nat.add (n m : Nat) : Nat := n\n", COMPUTES),
    "a false product": (LOGIC + NAT + ADD.replace("Nat.add r n", "Nat.add r r"), COMPUTES),
    "an addition nobody knows": (LOGIC + NAT + "axiom Nat.add : Nat → Nat → Nat\n", COMPUTES),
    "a logarithm": (LOGIC + NAT + "def Nat.log2 (n : Nat) : Nat := n\n", COMPUTES),
    "no numbers": (LOGIC + "inductive Nat : Type\n", NUMBERS),
    "numbers with a third": (LOGIC + NAT + "  | third\n", NUMBERS),
    "numbers that are a proposition": (LOGIC + NAT.replace("Type", "Prop"), NUMBERS),
    "a number that is a theorem": (LOGIC + "theorem Nat.zero : True := True.intro\n", NUMBERS),
    "quotients": (LOGIC + "init_quot\n", ""),
    "no quotients": (LOGIC + "def Quot.lift : True := True.intro\n", "not the quotient package's"),
    "no strings": (LOGIC + STRINGS, "string literals"),
}


@pytest.mark.parametrize("name", PRELUDES)
def test_names_the_kernel_knows(host: Host, name: str) -> None:
    source, why = PRELUDES[name]
    result = host.check_source(source + "theorem t : True := True.intro\n")
    assert (result.status is Status.ACCEPTED) == (not why), (result.reasons, result.diagnostics)
    assert why in "\n".join(result.reasons)
