"""A worker that was taken over may send anything: what is no answer of the operation becomes no value of ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, get_args

import pytest

from leanhost.errors import ElaborationError, EngineLost, LeanHostError, MetaError, WorkerStartError
from leanhost.services.declarations.decode import Axioms
from leanhost.services.declarations.search import Listed, Rank, SearchMatch
from leanhost.services.declarations.service import Inspection
from leanhost.services.proofs.answers import Goal, Hypothesis, TacticFailure
from leanhost.services.terms.expr import Name
from leanhost.services.terms.meta_answers import Failed, Ok
from leanhost.services.values.outcomes import ElabFailure, KernelOutcome
from leanhost.services.values.progress import ProgressEvent
from leanhost.services.values.results import CommandResult, Limit
from leanhost.workers import TermText
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.framing import ProtocolError
from leanhost.workers.protocol.messages import error_in, error_out
from leanhost.workers.remote.dispatch import OPERATIONS
from leanhost.workers.remote.proofs import Goals
from leanhost.workers.remote.terms import QUESTIONS
from tests.support.fake_worker import COMMAND_RESULT
from tests.support.pools import MakePool

GOOD: dict[str, Any] = {"is": "TermText", "text": "1", "type": "Nat"}
ANSWER: Any = get_args(QUESTIONS["whnf"].answer)[0]

RESULT: dict[str, Any] = json.loads(COMMAND_RESULT)

FORGED: list[tuple[Any, Any]] = [
    (CommandResult, None),
    (CommandResult, []),
    (CommandResult, {}),
    (CommandResult, {field: value for field, value in RESULT.items() if field != "limits"}),
    (CommandResult, {**RESULT, "is": "Session"}),
    (CommandResult, {**RESULT, "diagnostics": [1]}),
    (CommandResult, {**RESULT, "elapsed": True}),
    (CommandResult, {**RESULT, "limits": ["no such"]}),
    (CommandResult, {**RESULT, "more": 1}),
    (Name, "Nat"),
    (Name, [1.0]),
    (Name, [True]),
    (Name, [-1]),
    (Name, [["Nat"]]),
    (Name | None, {}),
    (Rank, True),
    (Rank, 9),
    (Rank, []),
    (Rank, 1.0),
    (frozenset[Name], {}),
    (frozenset[Name], ["Nat"]),
    (Axioms, {"is": "Axioms", "names": [], "complete": 1}),
    (Listed, {"is": "SearchMatch", "name": [], "kind": "theorem", "module": None, "rank": 0}),
    (SearchMatch, {"is": "SearchMatch", "name": [], "kind": "theorem", "module": None, "rank": "0"}),
    (Inspection, {"is": "Inspection"}),
    (TermText, {**GOOD, "text": 1}),
    (TermText, {**GOOD, "more": 1}),
    (TermText, [GOOD]),
    (ANSWER, GOOD),
    (ANSWER, {"is": "Ok", "value": "1"}),
    (ANSWER, {"is": "Ok"}),
    (ANSWER, {"is": "Path", "value": GOOD}),
    (ANSWER, {"is": ["Ok"], "value": GOOD}),
    (Ok[bool] | Failed, {"is": "Ok", "value": 1}),
    (Ok[str] | Failed, {"is": "Ok", "value": None}),
    (Goals | TacticFailure, {"is": "Goals", "goals": [{"is": "Goal"}]}),
    (Goals | TacticFailure, {"is": "TacticFailure", "message": "", "limit": "none", "diagnostics": []}),
    (KernelOutcome, {"is": "Checked", "evidence": None, "all": []}),
    (ProgressEvent, {"is": "ProgressEvent", "phase": "", "current": "1", "total": None, "elapsed": 0}),
    (tuple[str, int], ["a"]),
    (tuple[str, int], ["a", 1, 2]),
    (float, "1"),
    (float, True),
    (float, float("nan")),
    (float, float("-inf")),
    (float, 10**400),
    (type(None), 0),
    (dict, {}),
]


@pytest.mark.parametrize(("wanted", "message"), FORGED)
def test_what_is_no_such_value_is_refused(wanted: Any, message: Any) -> None:
    with pytest.raises(ProtocolError):
        codec.decode(json.dumps(message).encode(), wanted)


GOAL = Goal("t", (Hypothesis("h", "p", None, "default"),), None, "⊢ t", (1,))


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        (Name, Name(("a", 1, "b.c", "\ud800"))),
        (Name | None, None),
        (SearchMatch, SearchMatch(Name("a"), "theorem", None, Rank.PREFIX)),
        (Axioms, Axioms(frozenset({Name("a"), Name(("b", 2))}), False)),
        (ANSWER, Ok(TermText("1", "Nat"))),
        (Goals | TacticFailure, Goals((GOAL,))),
    ],
)
def test_values_come_back_as_they_went(wanted: Any, value: Any) -> None:
    assert codec.decode(codec.encode(value, wanted), wanted) == value


@dataclass(frozen=True)
class Owner:
    shown: int
    _own: object = None


def test_what_is_a_values_own_stays_behind() -> None:
    assert codec.encode(Owner(1, object()), Owner) == b'{"is":"Owner","shown":1}'
    assert codec.decode(b'{"is":"Owner","shown":1}', Owner) == Owner(1)
    with pytest.raises(ProtocolError):
        codec.decode(b'{"is":"Owner","shown":1,"_own":2}', Owner)


def test_no_answer_of_any_operation_is_taken_for_another_shape() -> None:
    shapes: tuple[Any, ...] = (1, "x", {"is": "Session"}, [{"is": "Session"}], [[[[]]]])
    for operation in OPERATIONS.values():
        for shape in shapes:
            with pytest.raises(ProtocolError):
                codec.decode(json.dumps(shape).encode(), operation.answer)


def test_forged_answers_of_a_worker(fake_pool: MakePool) -> None:
    session = fake_pool().session(["Init"])
    assert session.run(f"value {COMMAND_RESULT}").ok
    for forged in (
        "1",
        "null",
        '{"is":"Checked","evidence":null,"all":[]}',
        COMMAND_RESULT[:-2] + '"no such"]}',
    ):
        with pytest.raises(ProtocolError):
            session.run(f"value {forged}")
    with pytest.raises(ProtocolError, match="1 answers to 2 questions"):
        session.goals_at('value [["x"]]', [(1, 0), (1, 1)])
    with pytest.raises(EngineLost):  # a verdict, and no answer
        session.run("accept")
    assert session.run(f"value {COMMAND_RESULT}").ok


def test_forged_errors_of_a_worker(fake_pool: MakePool) -> None:
    session = fake_pool().session(["Init"])
    said: dict[str, Any] = {"is": "Raised", "code": "builtins.SystemExit", "message": "x", "hint": ""}
    said.update(limit=None, result=None)
    with pytest.raises(WorkerStartError, match="x"):
        session.run(f"error {json.dumps(said)}")
    lies: tuple[Any, ...] = (
        [],
        {**said, "code": 1},
        {**said, "code": ElaborationError.code},
        {**said, "code": ElaborationError.code, "result": {"is": "CommandResult"}},
        {**said, "code": MetaError.code, "limit": 1},
        {**said, "code": MetaError.code, "limit": "no limit"},
    )
    for forged in lies:
        with pytest.raises(ProtocolError):
            session.run(f"error {json.dumps(forged)}")


def test_forged_progress_ends_the_worker(fake_pool: MakePool) -> None:
    session = fake_pool().session(["Init"])
    event = {"is": "ProgressEvent", "phase": "p", "current": 1, "total": 2, "elapsed": 0.5}
    events: list[ProgressEvent] = []
    assert session.run(f"tell {json.dumps(event)}", progress=events.append).ok
    assert events == [ProgressEvent("p", 1, 2, 0.5)]
    with pytest.raises(EngineLost, match="did not keep to the protocol"):
        session.run(f"tell {json.dumps({**event, 'current': None})}", progress=events.append)
    with pytest.raises(EngineLost, match="did not keep to the protocol"):
        session.run(f"tell {json.dumps(event)}")  # nobody asked to be told
    with pytest.raises(EngineLost, match="did not keep to the protocol"):
        session.run(f"tell-early {json.dumps(event)}", progress=events.append)  # it has not begun
    assert len(events) == 1


def test_errors_keep_what_they_carry() -> None:
    failure = ElabFailure("elaboration", "no")
    for error in (ElaborationError("e", result=failure, hint="h"), MetaError("m", limit=Limit.TIMEOUT)):
        back = error_in(error_out(error))
        assert type(back) is type(error)
        assert (str(back), back.hint) == (str(error), error.hint)
        assert vars(back) == vars(error)
    assert issubclass(ProtocolError, LeanHostError)
