"""Evidence through a session: asked again, summarised, compared, written and replayed."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leanhost.errors import ElaborationError, ForeignHandleError, UsageError
from leanhost.services.exports.read.outcome import Refused, Replayed, ReplayRejected
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.outcomes import Checked, Evidence, EvidenceStatus
from leanhost.services.values.progress import ProgressEvent
from leanhost.services.values.results import Limit
from tests.support.hosts import open_host


@pytest.fixture(scope="module")
def session(host: Host) -> Iterator[Session]:
    with host.session(["Init"]) as opened:
        yield opened


def checked(session: Session, source: str) -> Evidence:
    outcome = session.kernel_check(source)
    assert isinstance(outcome, Checked), outcome
    return outcome.evidence


SWAP = "theorem swap (p q : Prop) (h : p ∧ q) : q ∧ p := ⟨h.2, h.1⟩"


def test_evidence_is_checked_again_when_asked(session: Session) -> None:
    evidence = checked(session, "theorem base : 1 = 1 := rfl\ntheorem top : 1 = 1 ∧ True := ⟨base, trivial⟩")
    assert session.recheck(evidence) is EvidenceStatus.CHECKED


def test_evidence_outlives_its_check_and_its_session(host: Host) -> None:
    with host.session(["Init"]) as short:
        evidence = checked(short, SWAP)
    with host.session(["Init"]) as other:
        assert other.recheck(evidence) is EvidenceStatus.CHECKED
        assert other.matches(evidence, "∀ (a b : Prop), a ∧ b → b ∧ a").syntactic


def test_a_summary_is_cut_between_characters(session: Session) -> None:
    summary = checked(session, SWAP).summary(max_bytes=8)
    assert summary.truncated
    assert len(summary.type.encode()) <= 8
    assert summary.type.startswith("∀ (p")
    assert not checked(session, SWAP).summary().truncated


def test_a_statement_is_compared_with_a_reference(session: Session) -> None:
    evidence = checked(session, "theorem sum : 2 + 2 = 4 := rfl")
    assert session.matches(evidence, "2 + 2 = 4").syntactic
    by_computation = session.matches(evidence, "2 + 2 = 2 + 2")
    assert not by_computation.syntactic
    assert by_computation.definitional
    assert not session.matches(evidence, "2 + 2 = 5")
    with pytest.raises(ElaborationError):
        session.matches(evidence, "2 + + 2")


def test_an_export_replays_without_a_library(session: Session, host: Host, tmp_path: Path) -> None:
    evidence = checked(session, SWAP)
    file = tmp_path / "swap.ndjson"
    report = session.export(evidence, file)
    assert report.count >= 3
    assert report.bytes == file.stat().st_size
    outcome = host.replay(file)
    assert isinstance(outcome, Replayed), outcome
    assert any(theorem.name == "swap" for theorem in outcome.theorems)
    again = io.BytesIO()
    session.export(evidence, again)
    assert again.getvalue() == file.read_bytes()


def test_a_changed_export_is_not_accepted_as_the_same(session: Session, host: Host) -> None:
    buffer = io.BytesIO()
    session.export(checked(session, "theorem one : 1 = 1 ∧ True := ⟨rfl, trivial⟩"), buffer)
    lines = buffer.getvalue().splitlines(keepends=True)
    cut = io.BytesIO(b"".join(lines[:-2]) + lines[-1])
    assert isinstance(host.replay(cut), Refused | ReplayRejected)


def test_constants_are_exported_by_name(session: Session, host: Host) -> None:
    buffer = io.BytesIO()
    session.export(["And.intro"], buffer)
    buffer.seek(0)
    assert isinstance(host.replay(buffer), Replayed)
    with pytest.raises(UsageError):
        session.export(["no.such.name"], io.BytesIO())
    with pytest.raises(UsageError):
        session.export("And.intro", io.BytesIO())


def test_evidence_of_another_host_is_refused(
    engine: str, session: Session, request: pytest.FixtureRequest
) -> None:
    other = "wasm" if engine == "native" else "native"
    with open_host(other, request) as elsewhere, elsewhere.session(["Init"]) as foreign:
        evidence = checked(foreign, SWAP)
        with pytest.raises(ForeignHandleError):
            session.recheck(evidence)


def test_one_changed_byte_is_never_accepted(session: Session, host: Host) -> None:
    buffer = io.BytesIO()
    report = session.export(checked(session, SWAP), buffer)
    data = buffer.getvalue()
    assert isinstance(host.replay(io.BytesIO(data), sha256=report.sha256), Replayed)
    rng = random.Random(7)
    for _ in range(60):
        changed = bytearray(data)
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        outcome = host.replay(io.BytesIO(changed), sha256=report.sha256)
        assert isinstance(outcome, Refused | ReplayRejected), outcome
    with pytest.raises(UsageError):
        host.replay(io.BytesIO(data), sha256="abc")


def test_many_are_asked_at_once(session: Session) -> None:
    all_ = [checked(session, f"theorem t{i} : {i} + 1 = {i + 1} := rfl") for i in range(3)]
    events: list[ProgressEvent] = []
    assert session.recheck_many(all_, progress=events.append) == [EvidenceStatus.CHECKED] * 3
    matches = session.matches_many(all_, "1 + 1 = 2", progress=events.append)
    assert [m.syntactic for m in matches] == [False, True, False]
    assert [(e.phase, e.current) for e in events] == [
        (p, i) for p in ("recheck", "matches") for i in (1, 2, 3)
    ]
    token = CancellationToken()
    token.cancel()
    assert session.recheck_many(all_, cancellation=token) == [EvidenceStatus.UNAVAILABLE] * 3
    stopped = session.matches(all_[0], "1 + 1 = 2", cancellation=token)
    assert (bool(stopped), stopped.definitional, stopped.limit) == (False, None, Limit.CANCELLED)


def test_large_numbers_are_exported(session: Session, host: Host) -> None:
    digits = "7" * 5000
    evidence = checked(session, f"theorem large : {digits} = {digits} := rfl")
    buffer = io.BytesIO()
    session.export(evidence, buffer)
    assert f'"natVal":"{digits}"'.encode() in buffer.getvalue()
    buffer.seek(0)
    assert isinstance(host.replay(buffer), Replayed)


_statement = st.recursive(
    st.sampled_from(["p", "q", "True"]),
    lambda sub: st.tuples(sub, st.sampled_from(["∧", "→", "∨"]), sub).map(
        lambda t: f"({t[0]} {t[1]} {t[2]})"
    ),
    max_leaves=6,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statement=_statement)
def test_what_is_proved_is_what_replays(session: Session, host: Host, statement: str) -> None:
    evidence = checked(session, f"theorem same (p q : Prop) : {statement} → {statement} := fun h => h")
    match = session.matches(evidence, f"∀ (p q : Prop), {statement} → {statement}")
    assert match.syntactic
    first, second = io.BytesIO(), io.BytesIO()
    report = session.export(evidence, first)
    first.seek(0)
    outcome = host.replay(first, sha256=report.sha256)
    assert isinstance(outcome, Replayed), outcome
    assert [(t.name, t.axioms) for t in outcome.theorems if t.name == "same"] == [("same", ())]
    session.export(evidence, second)
    assert second.getvalue() == first.getvalue()


def test_a_definition_is_compared_by_what_it_is(session: Session) -> None:
    """Evidence about one source's ``P`` is none about another's."""
    own = checked(session, "def P : Prop := True\ntheorem t : P := trivial")
    with session.extend("def P : Prop := 1 = 2") as other, session.extend("def P : Prop := True") as same:
        match = other.matches(own, "P")
        assert not match
        assert "P is something else" in match.message
        assert same.matches(own, "P").syntactic
    with session.extend("inductive P : Prop\n  | a") as other:
        assert not other.matches(
            checked(session, "inductive P : Prop\n  | a | b\ntheorem t (p : P) : P := p"), "P → P"
        )
