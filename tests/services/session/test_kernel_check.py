"""``Session.kernel_check``: every outcome, and what cannot talk the kernel into another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from leanhost.engine.expressions import Ctor, ListOf
from leanhost.errors import ElaborationError, UsageError
from leanhost.lean.core import CONSTANT_KINDS, Constant
from leanhost.services.kernel.judge import Additions, Judgement
from leanhost.services.session.elaborator import Elaboration
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.limits import CallContext
from leanhost.services.values.options import AllowedAxioms, ElabOptions
from leanhost.services.values.outcomes import Checked, Rejected, Unavailable, Unsupported
from leanhost.services.values.results import CommandResult, Limit, Status
from tests.support.sources import GOOD, SLOW_FUNCTION

Lend = Callable[[ElabOptions], Session]


def rejected(outcome: object) -> str:
    assert isinstance(outcome, Rejected), outcome
    assert outcome.failure.message
    return outcome.failure.code


def judge_forged(session: Session, source: str, **limits: float) -> Judgement:
    """Judge a theorem ``forged`` whose type is the value of ``claim`` and whose proof is that of ``proof``.

    Elaborators type-check what they build, so a wrong proof has to be put together by hand.
    """
    lean = session._lean
    table = lean.table
    with session.extend(source) as grown:
        by_name = {constant.name: constant for constant in grown._added}
        claim, proof = by_name["claim",].info, by_name["proof",].info
        name = lean.name("forged")
        head = Ctor(0, (name, 0, table.constant_value(claim)))
        theorem = Ctor(0, (head, table.constant_value(proof), ListOf([name])))
        info = lean.engine.eval(Ctor(CONSTANT_KINDS.index("theorem"), (theorem,)))
        forged = Constant(("forged",), "theorem", info)
        guard = CallContext(limits.get("timeout")).guard(lean, grown.options)
        run = Elaboration(
            CommandResult((), (), (), 0.0, 0.0),
            lean.engine.eval(grown._env),
            Additions([forged], [(forged, None)]),
            guard,
        )
        return lean.engine.supervise(lambda: grown._judge.judgement(run, AllowedAxioms()), guard)


def test_a_proof_is_checked(session: Session) -> None:
    outcome = session.kernel_check(GOOD)
    assert isinstance(outcome, Checked)
    assert outcome.evidence.name == "good"
    assert outcome.evidence.kind == "theorem"
    assert outcome.evidence.axioms == ()
    assert outcome.all == (outcome.evidence,)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("theorem t : 1 = 2 := rfl", "elaboration"),
        ("theorem t : 1 = 2 := nope", "elaboration"),
        ("theorem t : 1 = 2 := sorry", "sorry"),
        ("theorem a : 1 = 2 := sorry\ntheorem t : 1 = 2 := a", "sorry"),
        ("axiom ax : 1 = 2\ntheorem t : 1 = 2 := ax", "axiom"),
        ("-- nothing", "nothing_declared"),
        ("", "nothing_declared"),
        ("#check Nat", "nothing_declared"),
        ("theorem t : True := \ud800", "source"),
    ],
)
def test_each_reason_to_reject_has_a_code(session: Session, source: str, code: str) -> None:
    assert rejected(session.kernel_check(source)) == code


def test_a_check_after_one_that_declared_nothing(session: Session) -> None:
    assert rejected(session.kernel_check("-- nothing")) == "nothing_declared"
    assert isinstance(session.kernel_check(GOOD), Checked)


def test_axioms_can_be_allowed_by_name(session: Session) -> None:
    source = "axiom Mine.ax : 1 = 2\ntheorem t : 1 = 2 := Mine.ax"
    assert rejected(session.kernel_check(source, allow_axioms=["ax"])) == "axiom"
    outcome = session.kernel_check(source, allow_axioms=["Mine.ax"])
    assert isinstance(outcome, Checked)
    assert outcome.evidence.axioms == ("Mine.ax",)


def test_the_classical_axioms_are_allowed_and_reported(session: Session) -> None:
    outcome = session.kernel_check("theorem t (p q : Prop) (h : p ↔ q) : p = q := propext h")
    assert isinstance(outcome, Checked)
    assert outcome.evidence.axioms == ("propext",)


def test_allow_axioms_is_no_single_string(session: Session) -> None:
    with pytest.raises(UsageError, match="allow_axioms"):
        session.kernel_check(GOOD, allow_axioms="ax")


def test_sorry_cannot_hide_behind_an_error_budget(lend: Lend) -> None:
    with lend(ElabOptions(diagnostic_bytes=0)) as session:
        assert rejected(session.kernel_check("theorem t : 1 = 2 := sorry")) == "sorry"


def test_sorry_as_an_allowed_axiom_is_still_sorry(session: Session) -> None:
    assert rejected(session.kernel_check("theorem t : 1 = 2 := sorry", allow_axioms=["sorryAx"])) == "sorry"


@pytest.mark.parametrize(
    "prefix", ["set_option Elab.async true in\n", "set_option debug.skipKernelTC true in\n"]
)
def test_options_in_the_source_do_not_change_the_verdict(engine: str, session: Session, prefix: str) -> None:
    assert isinstance(session.kernel_check(prefix + GOOD), Checked)
    assert isinstance(session.kernel_check(prefix + "theorem t : 1 = 2 := by decide"), Rejected)


FORGED = "def claim : Prop := False\ntheorem proof : True := True.intro\n"
TRUE = "def claim : Prop := True\ntheorem proof : True := True.intro\n"
SLOW = SLOW_FUNCTION + "def claim : Prop := g 60 0 = 1\ntheorem proof : 1 = 1 := Eq.refl 1\n"


def test_the_kernel_has_the_last_word(session: Session) -> None:
    assert judge_forged(session, TRUE).failures == []
    judgement = judge_forged(session, FORGED)
    assert [failure.code for failure in judgement.failures] == ["kernel"]
    assert judgement.open is None
    assert "forged" in judgement.failures[0].message


def test_no_option_of_the_caller_makes_the_kernel_look_away(lend: Lend) -> None:
    options = ElabOptions(lean={"debug.skipKernelTC": True})
    with lend(options) as session:
        assert [failure.code for failure in judge_forged(session, FORGED).failures] == ["kernel"]


def test_a_timeout_inside_the_kernel_leaves_the_question_open(lend: Lend) -> None:
    with lend(ElabOptions(max_heartbeats=0)) as session:
        judgement = judge_forged(session, SLOW, timeout=0.3)
        assert judgement.open is Limit.TIMEOUT
        assert judgement.evidence == []
        assert isinstance(session.kernel_check(GOOD), Checked)


def test_heartbeats_inside_the_kernel_leave_the_question_open(lend: Lend) -> None:
    with lend(ElabOptions(max_heartbeats=2000)) as session:
        judgement = judge_forged(session, SLOW)
        assert judgement.open in (Limit.HEARTBEATS, Limit.REC_DEPTH)
        assert isinstance(session.kernel_check(GOOD), Checked)


@pytest.mark.parametrize(
    ("options", "source", "limit"),
    [
        (
            ElabOptions(max_heartbeats=100),
            SLOW_FUNCTION + "theorem t : g 12 0 = g 12 0 + 0 := by decide",
            Limit.HEARTBEATS,
        ),
        (
            ElabOptions(max_rec_depth=40),
            "theorem t : " + " ∧ ".join(["True"] * 200) + " := by decide",
            Limit.REC_DEPTH,
        ),
    ],
    ids=["heartbeats", "rec_depth"],
)
def test_a_limit_is_no_verdict(lend: Lend, options: ElabOptions, source: str, limit: Limit) -> None:
    with lend(options) as session:
        outcome = session.kernel_check(source)
        assert isinstance(outcome, Unavailable), outcome
        assert outcome.limit is limit
        assert outcome.diagnostics
        assert isinstance(session.kernel_check(GOOD), Checked)


def test_a_session_never_tires(lend: Lend) -> None:
    """The limit counts each declaration's own heartbeats, not those of all calls before."""
    with lend(ElabOptions(max_heartbeats=60)) as session:
        for _ in range(30):
            assert isinstance(session.kernel_check(GOOD), Checked)


@pytest.mark.parametrize("axiom", ["propext", "Classical.choice", "Quot.sound"])
def test_a_standard_axiom_is_the_library_s_own(host: Host, axiom: str) -> None:
    source = f"prelude\ninductive F : Prop\naxiom {axiom} : F\ntheorem oops : F := {axiom}\n"
    assert host.check_source(source).status is Status.REJECTED
    assert host.check_source(source, allow_axioms=[axiom]).status is Status.ACCEPTED


def test_what_an_empty_environment_gains_is_seen(host: Host) -> None:
    checked = host.check_source("prelude\ninductive F : Prop\naxiom no : F\ntheorem oops : F := no\n")
    assert checked.status is Status.REJECTED
    assert [t.name for t in checked.theorems] == ["no", "oops"]


# --- what a toolchain cannot do ---


@pytest.mark.parametrize(
    "source",
    [
        "#eval [1, 2].map (· + 1)\ntheorem t : True := trivial",
        "theorem t : 10 < 20 := by native_decide",
    ],
)
def test_what_the_embedded_toolchain_cannot_do_is_unsupported(source: str, embedded_host: Host) -> None:
    with embedded_host.session(["Init"]) as session:
        outcome = session.kernel_check(source, allow_axioms=["Lean.ofReduceBool", "Lean.trustCompiler"])
        assert isinstance(outcome, Unsupported), outcome
        assert "this toolchain does not ship" in outcome.message or "without the code" in outcome.message
        assert isinstance(session.kernel_check("theorem t : True := trivial"), Checked)
        assert isinstance(session.kernel_check("#check nope\ntheorem t : True := trivial"), Rejected)
    checked = embedded_host.check_source(source)
    assert (checked.status, checked.accepted) == (Status.UNSUPPORTED, False)
    assert checked.reasons[0] == outcome.message


def test_a_session_that_the_embedded_toolchain_cannot_extend_says_what_can(embedded_host: Host) -> None:
    with embedded_host.session(["Init"]) as session:
        with pytest.raises(ElaborationError) as beyond:
            session.extend("def b : Bool := ([1, 2].map (· + 1)).length == 2")
        assert "toolchain of your own" in beyond.value.hint
        with pytest.raises(ElaborationError) as wrong:
            session.extend("def c : Bool := nope")
        assert not wrong.value.hint


@pytest.mark.parametrize("name", ["eq_1", "match_1", "_helper", "_n.t"])
def test_a_theorem_is_evidence_by_whatever_name(session: Session, name: str) -> None:
    """Lean gives its own details such names; an author's theorem is one all the same."""
    source = f"theorem {name} : 1 = 1 := rfl\n"
    outcome = session.kernel_check(source)
    assert isinstance(outcome, Checked), outcome
    assert outcome.evidence.name == name
    assert [found.name for found in session.run(source).declarations] == [name]
