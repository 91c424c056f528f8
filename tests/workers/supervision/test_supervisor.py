"""What a worker may do to its pool, by processes that do it on purpose: answer wrongly, not at all, or die."""

from __future__ import annotations

import signal
import time
import uuid

import pytest

from leanhost.errors import UsageError
from leanhost.services.values.results import CheckResult, Status
from leanhost.workers import CheckItem, WorkerPool
from leanhost.workers.supervision.supervisor import Supervisor
from leanhost.workers.supervision.worker import Worker
from tests.support.pools import MakePool, children
from tests.support.processes import MARK, alive, eventually, marked, parent, scratch

__all__ = ["scratch"]


@pytest.mark.parametrize(
    "forgery",
    [
        "garbage",
        "huge",
        "list",
        "deep",
        "costly",
        "other-id",
        "malformed",
        "no-float",
        "unknown-status",
        "begin-again",
    ],
)
def test_a_forged_answer_costs_the_request_that_forged_it(fake_pool: MakePool, forgery: str) -> None:
    pool = fake_pool()
    result = pool.check(forgery)
    assert result.status is Status.CRASHED
    assert "protocol" in result.reasons[0]
    assert pool.check("accept").accepted


def test_an_answer_that_never_ends_is_over_in_time(fake_pool: MakePool) -> None:
    pool = fake_pool(grace=0.2)
    result = pool.check(CheckItem(source="dribble", timeout=0.2))
    assert result.status is Status.TIMEOUT
    assert pool.check("accept").accepted


def test_a_second_answer_does_not_reach_the_next_request(fake_pool: MakePool) -> None:
    pool = fake_pool()
    assert pool.check("twice").accepted
    eventually(lambda: pool.stats.ended == {"crashed": 1})
    assert [r.status for r in pool.check_many(["signal 11", "accept"])] == [Status.CRASHED, Status.ACCEPTED]


def test_no_inherited_descriptor_leads_to_the_pool(fake_pool: MakePool) -> None:
    result = fake_pool().check("forge")
    assert result.status is Status.REJECTED
    assert "accepted" in result.stdout  # it ended up where a candidate's output belongs


def test_output_is_kept_up_to_the_limit_and_never_blocks(fake_pool: MakePool) -> None:
    result = fake_pool(output_limit=1000).check("flood 100")
    assert result.accepted
    assert result.stdout.startswith("o" * 1000)
    assert "bytes left out" in result.stdout[1000:]
    assert result.stderr.startswith("e" * 1000)
    assert len(result.stdout) < 1100


def test_output_belongs_to_its_own_request(fake_pool: MakePool) -> None:
    pool = fake_pool()
    assert not pool.check("accept").stdout  # a worker's start is nobody's
    first, second = pool.check_many(["flood 1", "accept"])
    assert first.stdout
    assert not second.stdout


def test_what_was_said_before_the_end_is_told(fake_pool: MakePool) -> None:
    result = fake_pool().check("say-and-exit")
    assert (result.status, result.stdout, result.stderr) == (Status.CRASHED, "out", "err")


def test_a_verdict_that_comes_after_a_cancellation_is_no_verdict(fake_pool: MakePool) -> None:
    """A worker that stopped in time is used again, and what was cancelled says nothing about what comes then."""
    pool = fake_pool(grace=300)
    job = pool._submit("obey", bounded=True)
    assert not isinstance(job, CheckResult)
    eventually(lambda: pool.stats.busy == 1 and pool._supervisor._workers[0]._begun)
    pool._cancel(job)
    cancelled = job.future.result(60)
    assert cancelled.status is Status.CANCELLED
    after = pool.check("accept")
    assert (after.status, after.reasons) == (Status.ACCEPTED, cancelled.reasons)


def test_a_verdict_is_about_the_file_that_was_asked_about(fake_pool: MakePool) -> None:
    for identity in (None, 7):
        result = fake_pool().check(CheckItem(source="accept", file="a.lean", id=identity))
        assert (result.file, result.stdout, result.stderr, result.id) == ("a.lean", "", "", identity)


@pytest.mark.parametrize("spent", ['{"spent":true}', "{}"])
def test_a_worker_that_does_not_say_that_it_can_go_on_is_replaced(fake_pool: MakePool, spent: str) -> None:
    pool = fake_pool()
    first = pool.check(f"spent {spent}")
    assert first.accepted
    assert pool.check("accept").reasons != first.reasons
    assert pool.stats.ended == {"spent": 1}


def test_the_memory_of_the_first_check_of_a_starting_worker_is_watched(fake_pool: MakePool) -> None:
    pool = fake_pool(memory_limit=32 << 20)
    result = pool.check(CheckItem(source="hoard 64", timeout=60))
    assert result.status is Status.OUT_OF_MEMORY
    assert "memory" in result.reasons[0]
    assert pool.check("accept").accepted


@pytest.mark.parametrize("what", ["sleep 600", "endless-flood", "stop", "grandchild", "orphan"])
def test_past_timeout_and_grace_a_worker_is_killed_with_all_it_started(
    fake_pool: MakePool, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, mark = children(), uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)  # what has lost its parent is known by it alone
    pool = fake_pool(grace=0.2)
    result = pool.check(CheckItem(source=what, timeout=0.2))
    assert result.status is Status.TIMEOUT
    assert pool.check("accept").accepted
    assert pool.stats.ended == {"timeout": 1}
    pool.close()
    eventually(lambda: children() <= before and not marked(mark))


@pytest.mark.parametrize(
    ("what", "status", "says"),
    [
        ("exit 7", Status.CRASHED, "exit status 7"),
        (f"signal {signal.SIGSEGV}", Status.CRASHED, "SIGSEGV"),
        (f"signal {signal.SIGKILL}", Status.CRASHED, "from outside"),
        (f"signal {signal.SIGXCPU}", Status.TIMEOUT, "CPU"),
    ],
)
def test_an_end_is_read_from_how_the_process_ended(
    fake_pool: MakePool, what: str, status: Status, says: str
) -> None:
    pool = fake_pool()
    result = pool.check(what)
    assert (result.status, says in result.reasons[0]) == (status, True)
    assert pool.stats.processes_started == 1  # a source that was looked at is not tried again


def test_a_worker_that_ends_between_two_requests_costs_neither(fake_pool: MakePool) -> None:
    pool = fake_pool(workers=1)
    assert [r.status for r in pool.check_many(["last", "accept"] * 6)] == [Status.ACCEPTED] * 12


def test_a_source_that_no_worker_comes_to_is_given_up(fake_pool: MakePool) -> None:
    pool = fake_pool()
    result = pool.check("never")
    assert (result.status, "exit status 9" in result.reasons[0]) == (Status.CRASHED, True)
    assert pool.stats.processes_started == 2


def test_a_worker_that_does_not_get_ready_is_given_up(fake_pool: MakePool) -> None:
    pool = fake_pool(grace=0.2)
    assert pool.check("accept").accepted  # a start has all the time it takes
    object.__setattr__(pool._settings, "startup_timeout", 0.2)
    job = pool._submit(CheckItem(source="mute", timeout=1000), bounded=True)
    assert not isinstance(job, CheckResult)
    result = job.future.result(60)
    assert (result.status, "getting ready took more than" in result.reasons[0]) == (Status.TIMEOUT, True)
    assert pool.stats.ended == {"timeout": 1}


def test_a_source_that_no_worker_comes_to_is_not_tried_again_once_it_is_cancelled(
    fake_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = Supervisor.dying

    def cancelled_just_then(self: Supervisor, worker: Worker, why: str) -> None:
        dying(self, worker, why)
        if worker.job is not None:
            self.cancel(worker.job)

    monkeypatch.setattr(Supervisor, "dying", cancelled_just_then)
    pool = fake_pool()
    assert pool.check("never").status is Status.CANCELLED
    assert pool.stats.processes_started == 1


def test_a_pool_that_was_never_used_starts_nothing(fake_pool: MakePool) -> None:
    before = children()
    pool = fake_pool()
    assert pool.stats.processes_started == 0
    pool.close()
    assert children() == before


def test_a_pool_that_is_forgotten_closes(fake_pool: MakePool) -> None:
    from leanhost.workers.jobs.settings import Settings

    made = fake_pool()
    made.check("accept")
    settings: Settings = made._settings
    pool = WorkerPool(toolchain=settings.toolchain, spares=0)
    pool.check("accept")
    supervisor = pool._supervisor
    del pool
    eventually(lambda: supervisor.closed)


def test_settings_are_checked(fake_pool: MakePool) -> None:
    for wrong in (
        {"workers": 0},
        {"grace": 0},
        {"sandbox": "maybe"},
        {"max_requests": True},
        {"allow_axioms": "a"},
    ):
        with pytest.raises(UsageError):
            fake_pool(**wrong)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_orphan_survives_its_parent(how: signal.Signals) -> None:
    with parent("print(*family(os.getpid())[1:], flush=True)\npool.check('sleep 600')") as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert pids
        process.send_signal(how)
        process.wait(30)
    eventually(lambda: not any(map(alive, pids)))


def test_an_interrupt_reaches_the_caller_and_ends_the_workers() -> None:
    body = """
    print(*family(os.getpid())[1:], flush=True)
    try:
        pool.check("sleep 600")
    except KeyboardInterrupt:
        pool.close()
        print("interrupted", family(os.getpid())[1:], flush=True)
    """
    with parent(body) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted []\n"
        process.wait(30)
    assert not any(map(alive, pids))


def test_a_pool_belongs_to_the_process_that_made_it() -> None:
    body = """
    pid = os.fork()
    if pid == 0:
        try:
            pool.check("accept")
        except Exception as error:
            print(type(error).__name__, flush=True)
        pool.close()
        os._exit(0)
    os.waitpid(pid, 0)
    print(pool.check("accept").status, flush=True)
    """
    with parent(body) as process:
        out, _ = process.communicate(timeout=60)
    assert out.splitlines() == ["PoolClosed", "accepted"]


def test_leaving_the_interpreter_without_closing_ends_the_workers() -> None:
    with parent("print(*family(os.getpid())[1:], flush=True)") as process:
        out, _ = process.communicate(timeout=60)
    eventually(lambda: not any(alive(int(pid)) for pid in out.split()))
