"""How sessions and hosts end, what they count, and what they leave behind."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from leanhost.errors import ClosedError, EngineLost, ImportFailed, UsageError
from leanhost.services.proofs.proof_state import ProofState
from leanhost.services.session.host import Host
from leanhost.services.terms.expr import Expr
from leanhost.services.terms.meta_answers import MetaOptions
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.limits import CallContext
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.outcomes import Checked
from leanhost.services.values.results import Limit
from tests.support.hosts import open_host
from tests.support.sources import ENDLESS, GOOD, forget_imports

UNLIMITED = ElabOptions(max_heartbeats=0, timeout=600)


# --- closing --------------------------------------------------------------------------------------


def test_a_closed_session_says_so(host: Host) -> None:
    session = host.session(["Init"])
    assert not session.closed
    assert session.imports == ("Init",)
    session.close()
    session.close()
    assert session.closed
    assert "closed" in repr(session)
    assert session.imports == ("Init",)
    for call in (session.run, session.kernel_check, session.extend):
        with pytest.raises(ClosedError, match="session is closed"):
            call(GOOD)


def test_closing_during_a_call_lets_the_call_finish(host: Host) -> None:
    session = host.session(["Init"], UNLIMITED)
    token = CancellationToken()
    limits: list[tuple[Limit, ...]] = []
    begun = threading.Event()

    def work() -> None:
        limits.append(session.run(ENDLESS, cancellation=token, progress=lambda event: begun.set()).limits)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(60)
    session.close()
    with pytest.raises(ClosedError):
        session.run(GOOD)
    token.cancel()
    thread.join(60)
    assert limits == [(Limit.CANCELLED,)]


def test_a_call_that_the_end_of_its_host_interrupts_says_so(request: pytest.FixtureRequest) -> None:
    """On wasm, where the engine is a process that ends at once; native has nothing that could be ended."""
    raised: list[BaseException] = []
    begun = threading.Event()
    with open_host("wasm", request) as host:
        session = host.session(["Init.Core"], UNLIMITED)

        def work() -> None:
            try:
                session.run(ENDLESS, progress=lambda event: begun.set())
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        assert begun.wait(60)
    thread.join(60)
    (error,) = raised
    assert isinstance(error, ClosedError)
    assert "closed during this call" in str(error)


def test_a_host_ends_with_its_sessions(engine: str, request: pytest.FixtureRequest) -> None:
    host = open_host(engine, request)
    session = host.session(["Init"])
    grown = session.extend(GOOD)
    host.close()
    host.close()
    assert session.closed
    assert grown.closed
    for closed in (session, grown):
        with pytest.raises(ClosedError, match="host"):
            closed.run(GOOD)
    for call in (lambda: host.session(["Init"]), lambda: host.check_source(GOOD)):
        with pytest.raises(ClosedError):
            call()


def test_handles_come_back(engine: str, request: pytest.FixtureRequest) -> None:
    host = open_host(engine, request)
    native = host._lean.engine
    gc.collect()
    before = native.live if engine == "native" else 0  # a wasm engine may come with an environment
    session = host.session(["Init"])
    assert session.run(GOOD).ok
    assert isinstance(session.kernel_check(GOOD), Checked)
    session.kernel_check("theorem t : 1 = 2 := sorry")
    session.run("theorem t : nope")
    with pytest.raises(UsageError):
        session.run(b"")  # type: ignore[arg-type]
    grown = session.extend(GOOD).extend("theorem more : 1 = 1 := good 1 1 rfl")
    assert isinstance(grown.kernel_check("theorem t : 1 = 1 := more"), Checked)
    assert host.check_source(GOOD).accepted
    with pytest.raises(ImportFailed):
        host.session(["No.Such"])
    grown.close()
    session.close()
    host.close()
    gc.collect()
    # What other hosts of this process hold (one native Lean serves them all) is not touched.
    assert native.live == before


def test_evidence_outlives_its_session(host: Host) -> None:
    with host.session(["Init"]) as session:
        outcome = session.kernel_check(GOOD)
    assert isinstance(outcome, Checked)
    assert outcome.evidence.type


# --- many threads ---------------------------------------------------------------------------------


def test_threads_share_a_session(host: Host) -> None:
    with host.session(["Init"]) as session:
        answers: list[bool] = []

        def work(i: int) -> None:
            for k in range(5):
                source = (
                    f"theorem t{i}_{k} : {i} = {i} := rfl" if k % 2 else f"theorem t : {i} = {i + 1} := rfl"
                )
                answers.append(isinstance(session.kernel_check(source), Checked) == bool(k % 2))

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert answers == [True] * 20
        assert session.stats.calls == 20


# --- a lost engine --------------------------------------------------------------------------------


def test_a_killed_runtime_is_opened_again_for_new_sessions(request: pytest.FixtureRequest) -> None:
    if "wasm" not in os.environ.get("LEANHOST_TEST_ENGINES", "native,wasm"):
        pytest.skip("wasm was not asked for")
    with open_host("wasm", request) as host:
        session = host.session(["Init"])
        pid = host._lean.engine.pid  # type: ignore[attr-defined]
        os.kill(pid, signal.SIGKILL)
        # The first call may fail while the death is noticed, the next ones know.
        with pytest.raises(EngineLost):
            session.run(GOOD)
        with pytest.raises(EngineLost) as caught:
            session.run(GOOD)
        assert "new session" in caught.value.hint
        with host.session(["Init"]) as fresh:
            assert fresh.run(GOOD).ok
        assert host.check_source(GOOD).accepted
        with pytest.raises(EngineLost):
            session.run(GOOD)
        session.close()


STUCK = """
import sys, threading, time
from pathlib import Path
from leanhost.errors import EngineLost, EngineStuck
from leanhost.services.values.limits import CallContext
from leanhost.services.session.host import Host
from leanhost.services.values.options import ElabOptions
from leanhost.toolchain import resolve

host = Host(resolve("native-runtime"), [Path(sys.argv[1])])
session = host.session(["Init"])
guard = CallContext(0.1).guard(host._lean, ElabOptions(grace=0.1))
never = threading.Event()
try:
    host._lean.engine.supervise(never.wait, guard)
except EngineStuck:
    print("stuck")
for call in (lambda: session.run(""), lambda: host.session(["Init"]), lambda: host.check_source("")):
    try:
        call()
    except EngineLost as error:
        print(type(error).__name__, "restart" in error.hint)
session.close()
host.close()
print("closed", flush=True)
"""


def test_a_native_lean_that_does_not_stop_is_given_up_for_good(native_host: Host, fixture_core: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUCK, str(fixture_core)], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split("\n") == ["stuck", *["EngineLost True"] * 3, "closed", ""], done.stderr


def test_work_that_waits_behind_other_work_does_not_cost_the_engine(native_host: Host) -> None:
    """Its time may run out, and its grace, before its turn comes; that says nothing about Lean."""
    lean = native_host._lean
    patient = CallContext().guard(lean, UNLIMITED)
    hasty = CallContext(0.01).guard(lean, ElabOptions(grace=0.01))
    begun, end = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        end.wait(60)

    thread = threading.Thread(target=lambda: lean.engine.supervise(hold, patient))
    thread.start()
    begun.wait(60)
    threading.Timer(0.5, end.set).start()
    assert lean.engine.supervise(lambda: "its turn came", hasty) == "its turn came"
    thread.join(60)
    assert hasty.why == "deadline"
    assert not lean.engine.lost


# --- memory ---------------------------------------------------------------------------------------


def test_two_thousand_checks_leave_memory_flat(native_host: Host) -> None:
    with native_host.session(["Init"]) as session:
        for _ in range(300):
            session.kernel_check(GOOD)
        native = native_host._lean.engine
        native.drain()
        gc.collect()
        live, sizes = native.live, [native_host.private_bytes()]
        for i in range(2000):
            session.kernel_check(GOOD if i % 3 else "theorem bad : 1 = 2 := rfl")
            if i % 500 == 499:
                native.drain()
                gc.collect()
                sizes.append(native_host.private_bytes())
        assert native.live == live
        # A leak grows in every block; an allocator that takes a page now and then does not.
        assert min(after - before for before, after in itertools.pairwise(sizes)) < 256 << 10


# --- stats ----------------------------------------------------------------------------------------


def test_stats_count_calls_items_and_seconds(host: Host) -> None:
    with host.session(["Init"]) as session:
        assert session.stats.calls == 0
        assert session.stats.by_operation == {}
        session.run(GOOD)
        session.run("theorem t : nope")
        session.kernel_check(GOOD)
        with pytest.raises(UsageError):
            session.run(3)  # type: ignore[arg-type]
        stats = session.stats
        assert stats.calls == stats.items == 3
        assert {name: row.calls for name, row in stats.by_operation.items()} == {"run": 2, "kernel_check": 1}
        assert stats.elapsed == pytest.approx(sum(row.elapsed for row in stats.by_operation.values()))
        assert stats.elapsed > 0
        session.run(GOOD)
        assert stats.calls == 3  # a snapshot
        with session.extend(GOOD) as grown:
            assert grown.stats.calls == 0


def test_stats_count_every_service(host: Host) -> None:
    with host.session(["Init"]) as session:
        nat = session.elaborate("Nat")
        assert isinstance(nat, Expr)
        for _ in range(3):
            session.meta.infer_type(nat)
        session.meta.infer_type_many([nat] * 5)
        session.meta.infer_type(nat, MetaOptions(max_heartbeats=1000))
        session.meta.whnf(session.build.app(nat, nat))
        session.elaborate_many(["Nat", "nope"])
        session.declarations.kind_many(["Nat", "Nat.succ", "no.such.name"])
        listed = sum(1 for _ in session.declarations.iterate())
        state = session.prove("True")
        assert isinstance(state, ProofState)
        state.apply_many(["trivial", "nope"])
        session.run_meta(lambda m: m.pp_expr(nat))
        rows = {name: (row.calls, row.items) for name, row in session.stats.by_operation.items()}
        assert rows == {
            "elaborate": (2, 3),
            "meta.infer_type": (5, 9),
            "meta.whnf": (1, 1),
            "declarations.kind": (1, 3),
            "declarations.iterate": (1, listed),
            "prove": (1, 1),
            "proof.apply": (2, 2),
            "run_meta": (1, 1),
        }
        assert session.stats.calls == sum(calls for calls, _ in rows.values())
        assert all(row.elapsed > 0 for row in session.stats.by_operation.values())


def test_spans_without_telemetry_are_log_records(
    host: Host, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leanhost.services.values import tracing

    monkeypatch.setattr(tracing, "_find", lambda: None)
    caplog.set_level(logging.DEBUG, logger="leanhost.trace")
    forget_imports(host)
    with host.session(["Init"]) as session:
        session.kernel_check("theorem secret : 1 = 1 := rfl")
        with pytest.raises(Exception, match="cannot be extended"):
            session.extend("theorem secret : nope")
    spans = {record.span[0]: record.span[1] for record in caplog.records}  # type: ignore[attr-defined]
    assert {"leanhost.import", "leanhost.session.kernel_check", "leanhost.session.extend"} <= set(spans)
    assert spans["leanhost.session.kernel_check"]["declarations"] == 1
    assert spans["leanhost.session.extend"]["error"] == "ElaborationError"
    assert "secret" not in caplog.text


def test_spans_go_through_opentelemetry(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    trace_sdk = pytest.importorskip("opentelemetry.sdk.trace")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.trace import use_span

    from leanhost.services.values import tracing

    exporter = InMemorySpanExporter()
    provider = trace_sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry = tracing._Telemetry(provider.get_tracer("leanhost"), use_span)
    monkeypatch.setattr(tracing, "_find", lambda: telemetry)
    forget_imports(host)
    with host.session(["Init"]) as session:
        session.kernel_check("theorem secret : 1 = 1 := rfl")
        with pytest.raises(Exception, match="cannot be extended"):
            session.extend("theorem secret : nope")
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert {"leanhost.import", "leanhost.session.kernel_check", "leanhost.session.extend"} <= set(spans)
    assert (spans["leanhost.session.kernel_check"].attributes or {})["leanhost.declarations"] == 1
    assert (spans["leanhost.session.extend"].attributes or {})["leanhost.error"] == "ElaborationError"
    for span in spans.values():
        assert "secret" not in span.to_json()
        assert all(len(str(value)) <= tracing.MAX_TEXT for value in (span.attributes or {}).values())
