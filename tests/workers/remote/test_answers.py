"""Every operation of a session that a worker performs answers what the same operation answers in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from leanhost.errors import Cancelled, ElaborationError, UsageError
from leanhost.services.declarations.search import Listed
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.terms.expr import Expr, Name
from leanhost.services.terms.meta_answers import Failed, MetaOptions, Ok, TimeoutOrHeartbeat
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.outcomes import ElabFailure
from leanhost.services.values.progress import ProgressEvent
from leanhost.services.values.results import CommandResult, Limit
from leanhost.workers import WorkerPool, WorkerSession
from leanhost.workers.remote.terms import QUESTIONS, TermText
from tests.support.pools import BAD, GOOD

TERMS = (
    "fun (n : Nat) => n",
    "Nat.succ",
    "(fun (n : Nat) => n) Nat.zero",
    "no_such_name",
    "fun (n",
    "Nat.zero Nat.zero",
)
VIEWED = "theorem t (a b : Nat) (h : a = b) : b = a := by\n  exact h.symm\n"


@pytest.fixture(scope="module")
def here(host: Host) -> Iterator[Session]:
    with host.session(["Init"]) as session:
        yield session


@pytest.fixture(scope="module")
def there(pool: WorkerPool) -> WorkerSession:
    return pool.session(["Init"])


def plain(session: Session, answer: object) -> object:
    """What a worker's answer has to be where a session in this process answers *answer*."""
    match answer:
        case Expr():
            type_ = session.meta.infer_type(answer)
            assert isinstance(type_, Ok)
            texts = [session.meta.pp_expr(e) for e in (answer, type_.value)]
            return TermText(*[text.value for text in texts if isinstance(text, Ok)])
        case Ok(value):
            return Ok(plain(session, value))
    return answer


def timeless(result: CommandResult) -> CommandResult:
    return replace(result, elapsed=0.0, heartbeats=0.0)


def test_elaborated_terms(here: Session, there: WorkerSession) -> None:
    expected = [plain(here, answer) for answer in here.elaborate_many(TERMS)]
    assert there.elaborate_many(TERMS) == expected
    assert [type(answer) for answer in expected] == [TermText] * 3 + [ElabFailure] * 3
    assert there.elaborate(TERMS[0]) == expected[0]
    assert there.elaborate_many([]) == []
    assert str(there.elaborate(TERMS[1])) == "Nat.succ"


def test_terms_are_read_where_the_caller_says(here: Session, there: WorkerSession) -> None:
    contexts: tuple[dict[str, Any], ...] = (
        {"expected_type": "Nat → Nat"},
        {"expected_type": "Nat"},
        {"expected_type": "no_such_type"},
        {"open_namespaces": ["Nat"]},
        {"namespace": Name("Nat")},
        {"levels": [Name("u")], "lean_options": {"pp.all": True}},
    )
    for more in contexts:
        for term in ("succ", "fun x => x", "Sort u"):
            assert there.elaborate(term, **more) == plain(here, here.elaborate(term, **more))


ONE: dict[str, Any] = {
    "infer_type": TERMS,
    "whnf": TERMS,
    "reduce": TERMS,
    "pp_expr": TERMS,
    "instantiate_mvars": TERMS,
    "synth_instance": ("Inhabited Nat", "Inhabited False", "Nat.zero", "no_such_class Nat"),
}


@pytest.mark.parametrize("question", ONE)
def test_questions_about_one_term(here: Session, there: WorkerSession, question: str) -> None:
    terms = ONE[question]
    read = here.elaborate_many(terms)
    ask: Callable[[Any], object] = getattr(here.meta, question)
    expected = [plain(here, ask(term)) if isinstance(term, Expr) else term for term in read]
    assert getattr(there.meta, f"{question}_many")(terms) == expected
    assert getattr(there.meta, question)(terms[0]) == expected[0]
    assert any(isinstance(answer, Ok) for answer in expected)


def test_equality_by_definition_and_every_question_was_asked(there: WorkerSession) -> None:
    pairs = [
        ("(fun (n : Nat) => n) Nat.zero", "Nat.zero"),
        ("Nat.zero", "Nat.succ Nat.zero"),
        ("Nat", "nope"),
    ]
    same, other, unknown = there.meta.is_def_eq_many(pairs)
    assert (same, other) == (Ok(True), Ok(False))
    assert isinstance(unknown, ElabFailure)
    assert there.meta.is_def_eq(*pairs[0]) == Ok(True)
    assert {*ONE, "is_def_eq"} == set(QUESTIONS)


def test_limits_of_questions_are_the_callers(there: WorkerSession) -> None:
    tight = MetaOptions(max_heartbeats=1, timeout=60)
    answer = there.elaborate(
        "fun (a b c d e f g h : Nat) => (Nat.add a (Nat.add b (Nat.add c d)))", options=tight
    )
    assert isinstance(answer, ElabFailure)
    assert answer.limit is Limit.HEARTBEATS
    long = there.meta.synth_instance("Inhabited False", MetaOptions(diagnostic_bytes=8))
    assert isinstance(long, Failed)
    assert long.truncated
    for wrong in (b"Nat", 1, ["Nat"]):
        with pytest.raises(UsageError, match=f"as text, not {type(wrong).__name__}"):
            there.elaborate(wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"\.text of a TermText"):
        there.meta.whnf(TermText("Nat", "Type"))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="must be a sequence of texts"):
        there.elaborate_many("Nat")
    with pytest.raises(UsageError, match="Lean options"):
        there.elaborate("Nat", lean_options={"maxHeartbeats": 1})


NAMES = ("Nat.succ", "Nat.add", "no.such", Name(("Nat", "rec")), ("Eq", "symm"))


def test_declarations_by_name(here: Session, there: WorkerSession) -> None:
    ours, theirs = here.declarations, there.declarations
    assert theirs.exists_many(NAMES) == ours.exists_many(NAMES)
    assert theirs.kind_many(NAMES) == ours.kind_many(NAMES)
    assert theirs.kind("Nat.succ") == ours.kind("Nat.succ") == "constructor"
    assert theirs.type_many(NAMES, type_bytes=9) == ours.type_many(NAMES, type_bytes=9)
    assert theirs.inspect_many(NAMES, value_bytes=50) == ours.inspect_many(NAMES, value_bytes=50)
    assert theirs.inspect("no.such") is None
    found = ours.get_many(NAMES)
    assert theirs.axioms_many(NAMES) == [None if item is None else item.axioms for item in found]
    assert theirs.used_constants_many(NAMES) == [
        None if item is None else item.used_constants for item in found
    ]
    for wrong in ("Nat", Name("Nat")):
        with pytest.raises(UsageError):
            theirs.kind_many(wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="type_bytes"):
        theirs.inspect("Nat", type_bytes=-1)


def test_declarations_by_the_page_and_by_a_fragment(here: Session, there: WorkerSession) -> None:
    ours, theirs = here.declarations, there.declarations
    chosen: dict[str, Any] = {"namespace": "Nat", "kinds": "theorem", "internal": False, "mentions": ["Eq"]}
    expected = list(ours.iterate(**chosen))
    assert expected
    assert theirs.listing(**chosen) == expected
    assert theirs.listing(**chosen, start=1, limit=2) == expected[1:3]
    assert theirs.listing(**chosen, start=len(expected)) == []
    assert theirs.search("add", limit=7, **chosen) == ours.search("add", limit=7, **chosen)
    refused: tuple[dict[str, Any], ...] = (
        {"limit": 0},
        {"limit": True},
        {"limit": 1 << 40},
        {"start": -1},
        {"kinds": "no kind"},
    )
    for wrong in refused:
        with pytest.raises(UsageError):
            theirs.listing(**wrong)


def test_pages_that_follow_each_other_do_not_begin_anew(here: Session, there: WorkerSession) -> None:
    ours, theirs = here.declarations, there.declarations
    chosen: dict[str, Any] = {"kinds": "theorem"}
    expected = list(islice(ours.iterate(**chosen), 400))
    theirs._marks.clear()
    pages: list[Listed] = []
    passed: list[int] = []
    for start in range(0, len(expected), 100):
        pages += theirs.listing(**chosen, start=start, limit=100)
        (mark,) = theirs._marks.values()
        passed.append(mark.passed)
    assert pages == expected
    assert passed == sorted(passed)
    assert passed[-1] > 0
    # Back to an earlier one.
    assert theirs.listing(**chosen, start=150, limit=20) == expected[150:170]


def test_what_a_source_adds_is_among_the_declarations(there: WorkerSession) -> None:
    grown = there.extend("def mine : Nat := Nat.zero\n").extend("theorem also : mine = Nat.zero := rfl\n")
    assert [str(item.name) for item in grown.declarations.listing(own=True, internal=False)] == [
        "also",
        "mine",
    ]
    assert grown.meta.whnf("mine") == Ok(TermText("Nat.zero", "Nat"))
    assert isinstance(there.elaborate("mine"), ElabFailure)
    (axioms,) = grown.declarations.axioms_many(["also"])
    assert axioms is not None
    assert axioms.names == frozenset()


def test_positions_in_a_source(here: Session, there: WorkerSession) -> None:
    theirs = there.view(VIEWED, file="v.lean")
    with here.view(VIEWED, file="v.lean") as ours, theirs:
        assert timeless(theirs.result) == timeless(ours.result)
        for where in ((2, 2), (2, 8), (1, 12), (1, 0)):
            assert theirs.goals_at(*where) == ours.goals_at(*where)
            assert theirs.type_at(*where) == ours.type_at(*where)
            assert theirs.references(*where) == ours.references(*where)
    with pytest.raises(UsageError, match="no line 9"):
        theirs.goals_at(9, 0)
    with pytest.raises(UsageError, match="a pair"):
        there.goals_at(VIEWED, [(1,)])  # type: ignore[list-item]
    for session in (there, here):
        with pytest.raises(ElaborationError) as caught:
            session.view("theorem \ud800")
        assert isinstance(caught.value.result, CommandResult)


def test_many_sources(here: Session, there: WorkerSession) -> None:
    sources = [GOOD, BAD, "#check Nat\n", ""]
    assert [*map(timeless, there.run_many(sources))] == [*map(timeless, here.run_many(sources))]
    with pytest.raises(UsageError):
        there.run_many(GOOD)


def test_an_extension_fails_as_in_this_process(here: Session, there: WorkerSession) -> None:
    raised: list[ElaborationError] = []
    for session in (here, there):
        with pytest.raises(ElaborationError) as caught:
            session.extend(BAD, file="bad.lean")
        raised.append(caught.value)
    ours, theirs = raised
    assert str(theirs) == str(ours)
    assert isinstance(ours.result, CommandResult)
    assert isinstance(theirs.result, CommandResult)
    assert timeless(theirs.result) == timeless(ours.result)


def test_progress_is_heard_on_the_calling_thread(there: WorkerSession) -> None:
    events: list[ProgressEvent] = []
    there.run(GOOD + BAD, progress=events.append)
    assert {event.phase for event in events} == {"elaborate"}
    assert events[-1].current == events[-1].total == len(GOOD + BAD)
    events.clear()
    there.extend(GOOD, progress=events.append)
    assert events[-1].current == events[-1].total == len(GOOD)
    events.clear()
    there.run_many([GOOD] * 3, progress=events.append)
    assert {event.phase for event in events} == {"bulk"}
    assert events[-1].current == events[-1].total == 3
    events.clear()
    there.declarations.kind_many(NAMES, progress=events.append)
    assert (events[-1].phase, events[-1].current) == ("kind", len(NAMES))

    class Enough(Exception):
        pass

    def stop(_: ProgressEvent) -> None:
        raise Enough

    with pytest.raises(Enough):
        there.run(GOOD, progress=stop)
    assert there.run(GOOD).ok


def test_a_cancelled_call_answers_as_in_this_process(here: Session, there: WorkerSession) -> None:
    token = CancellationToken()
    token.cancel()
    for session in (here, there):
        assert session.run_many([GOOD] * 2, cancellation=token)[1].limits == (Limit.CANCELLED,)
        answer = session.elaborate("Nat", cancellation=token)
        assert isinstance(answer, ElabFailure)
        assert answer.limit is Limit.CANCELLED
        with pytest.raises(Cancelled):
            session.declarations.kind_many(NAMES, cancellation=token)
        with pytest.raises(Cancelled):
            session.extend(GOOD, cancellation=token)
    assert (
        there.meta.whnf_many(["Nat", "Nat"], cancellation=token) == [TimeoutOrHeartbeat(Limit.CANCELLED)] * 2
    )


def test_a_session_counts_what_it_was_used_for(pool: WorkerPool) -> None:
    session = pool.session(["Init"])
    session.run_many([GOOD] * 2)
    session.meta.whnf("Nat")
    assert {name: (row.calls, row.items) for name, row in session.stats.by_operation.items()} == {
        "run": (1, 2),
        "meta.whnf": (1, 1),
    }
