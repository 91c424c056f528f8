"""``WorkerPool.replay``: what can be asked, and answers of workers that do not add up."""

from __future__ import annotations

from pathlib import Path

import pytest

from leanhost.errors import UsageError
from leanhost.services.values.results import CheckResult, Status
from leanhost.workers import WorkerPool
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.framing import ProtocolError
from leanhost.workers.verification.replay_file import answered
from tests.support.ndjson import Writer

ACCEPTED = {
    "is": "_Accepted",
    "declarations": 2,
    "theorems": 1,
    "axioms": ["P"],
    "missing_bodies": 0,
    "set_aside": [],
    "exporter": "4.35.0",
}
NOT_ACCEPTED = {
    "is": "_NotAccepted",
    "code": "kernel",
    "name": "wrong",
    "line": 7,
    "message": "type mismatch",
}


def test_a_file_between_checks(native_pool: WorkerPool, tmp_path: Path) -> None:
    """The workers of a pool that checks replay files as well, whatever they have imported."""
    file = Writer()
    file.axiom("P", file.sort())
    p = file.const("P")
    file.theorem("same", file.pi(p, p), file.pi(p, file.expr(bvar=0), "lam"))
    path = tmp_path / "file.ndjson"
    path.write_bytes(file.data())
    replayed = native_pool.replay(path, label="mine")
    assert replayed.accepted
    assert (replayed.file, replayed.declarations, replayed.theorems, replayed.axioms) == (
        "mine",
        2,
        1,
        ("P",),
    )
    path.write_bytes(file.data()[:-5])
    refused = native_pool.replay(str(path))
    assert (refused.status, refused.code, refused.file) == (Status.REJECTED, "export", str(path))
    assert refused.line == len(file.lines) + 1
    assert native_pool.check("theorem t (p : Prop) (h : p) : p := h").accepted


def test_what_cannot_be_asked(native_pool: WorkerPool, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        native_pool.replay(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        native_pool.replay(tmp_path)
    with pytest.raises(UsageError, match="not a regular file"):
        native_pool.replay("/dev/null")
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UsageError, match=r"not Nat\.mine"):
        native_pool.replay(file, trusted=["Nat.mine"])
    with pytest.raises(UsageError, match="sequence of names"):
        native_pool.replay(file, trusted="Nat.gcd")
    with pytest.raises(UsageError, match="timeout"):
        native_pool.replay(file, timeout=0)


def test_an_answer_that_does_not_add_up() -> None:
    accepted, rejected = (CheckResult("f", status) for status in (Status.ACCEPTED, Status.REJECTED))
    assert answered(accepted, codec.encode(ACCEPTED)).axioms == ("P",)
    assert answered(rejected, codec.encode(NOT_ACCEPTED)).line == 7
    wrong: list[tuple[CheckResult, object]] = [
        (rejected, ACCEPTED),
        (accepted, NOT_ACCEPTED),
        (accepted, None),
        (accepted, "accepted"),
        (accepted, ACCEPTED | {"axioms": [1]}),
        (accepted, ACCEPTED | {"more": 1}),
    ]
    for result, said in wrong:
        with pytest.raises(ProtocolError):
            answered(result, codec.encode(said))
    with pytest.raises(ProtocolError):
        answered(accepted, b"")


@pytest.mark.parametrize(
    ("status", "code"), [(Status.OUT_OF_MEMORY, "limit"), (Status.TIMEOUT, "limit"), (Status.CRASHED, "")]
)
def test_a_worker_that_was_ended_has_said_nothing(status: Status, code: str) -> None:
    told = answered(CheckResult("f", status, reasons=("it was too much",)), b"")
    assert (told.status, told.code, told.message) == (status, code, "it was too much")
