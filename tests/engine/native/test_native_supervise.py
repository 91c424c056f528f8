"""Callbacks, deadlines, cancellation, interrupts, and a process that forks."""

from __future__ import annotations

import gc
import threading
import time

import pytest

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg, Call, Ctor, Unwrap
from leanhost.engine.native import NativeEngine
from leanhost.engine.values import Ref, Thrown
from leanhost.errors import ForeignHandleError, UsageError
from tests.support.native_engine import Script

IS_SET = "l_IO_CancelToken_isSet___boxed"
NEVER = 600.0


def new_guard(lean: NativeEngine, seconds: float | None = None, **more: object) -> Guard:
    token = lean.call("l_IO_CancelToken_new___boxed", 0)
    deadline = None if seconds is None else time.monotonic() + seconds
    return Guard(token, deadline, grace=NEVER, **more)  # type: ignore[arg-type]


def until_cancelled(lean: NativeEngine, guard: Guard) -> str:
    """Work that asks Lean's token whether to go on, as Lean does itself."""
    while not lean.eval_data(Call(IS_SET, (guard.token, 0))):
        time.sleep(0.001)
    return "stopped"


def test_lean_calls_python(lean: NativeEngine) -> None:
    def add(x: Ref, y: Ref) -> Arg:
        return Call("l_Nat_add___boxed", (x, y))

    with lean.callback(2, add) as closure:
        assert lean.eval_data(Call("lean_apply_2", (closure, 1, 2))) == 3
        assert lean.eval_data(Call("lean_apply_1", (Call("lean_apply_1", (closure, 3)), 4))) == 7


def test_a_callback_may_use_the_engine_and_call_back_again(lean: NativeEngine) -> None:
    closures: list[Ref] = []

    def countdown(n: Ref) -> Arg:
        left = lean.dump(n)
        assert isinstance(left, int)
        return "done" if left == 0 else lean.call("lean_apply_1", closures[0], left - 1)

    with lean.callback(1, countdown) as closure:
        closures.append(closure)
        assert lean.eval_data(Call("lean_apply_1", (closure, 20))) == "done"


@pytest.mark.parametrize("kind", [LookupError, KeyboardInterrupt, SystemExit])
def test_what_a_callback_raises_comes_out_of_the_eval(lean: NativeEngine, kind: type[BaseException]) -> None:
    def fail(_: Ref) -> Arg:
        raise kind("mine")

    with lean.callback(1, fail) as closure:
        for arg in (Call("lean_apply_1", (closure, 1)), Unwrap(Call("lean_apply_1", (closure, 1)))):
            with pytest.raises(kind, match="mine"):
                lean.eval(arg)
    gc.collect()  # tracebacks hold the callback's arguments
    lean.drain()
    assert lean.eval_data("still here") == "still here"


def test_a_callback_that_returns_nonsense(lean: NativeEngine) -> None:
    with lean.callback(1, lambda _: object()) as closure, pytest.raises(UsageError):  # type: ignore[arg-type,return-value]
        lean.eval(Call("lean_apply_1", (closure, 1)))
    with lean.callback(1, lambda _: Unwrap(Ctor(1, ("why",)))) as closure:
        with pytest.raises(Thrown) as thrown:
            lean.eval(Unwrap(Call("lean_apply_1", (closure, 1))))
        with thrown.value.error as why:
            assert lean.dump(why) == "why"
        del thrown
    for arity in (0, 17):
        with pytest.raises(UsageError):
            lean.callback(arity, lambda *_: 0)


def test_supervised_work_returns_its_value_or_raises(lean: NativeEngine) -> None:
    guard = new_guard(lean, NEVER)
    assert lean.supervise(lambda: lean.eval_data("x"), guard) == "x"
    with pytest.raises(IndexError):
        lean.supervise(lambda: [][1], guard)
    assert guard.why == ""
    # Supervised work may supervise more work, on the same thread.
    assert lean.supervise(lambda: lean.supervise(threading.get_ident, guard), guard) != threading.get_ident()
    guard.token.close()


def test_a_deadline_sets_the_token(lean: NativeEngine) -> None:
    guard = new_guard(lean, 0.05)
    assert lean.supervise(lambda: until_cancelled(lean, guard), guard) == "stopped"
    assert guard.why == "deadline"
    guard.token.close()


def test_a_deadline_that_has_passed(lean: NativeEngine) -> None:
    guard = new_guard(lean, -1.0)
    assert lean.supervise(lambda: until_cancelled(lean, guard), guard) == "stopped"
    assert guard.why == "deadline"
    guard.token.close()


def test_another_thread_cancels(lean: NativeEngine) -> None:
    flag = threading.Event()
    guard = new_guard(lean, NEVER, cancelled=flag)
    begun = threading.Event()

    def work() -> str:
        begun.set()
        return until_cancelled(lean, guard)

    def cancel() -> None:
        begun.wait()
        flag.set()

    other = threading.Thread(target=cancel)
    other.start()
    assert lean.supervise(work, guard) == "stopped"
    other.join()
    assert guard.why == "cancelled"
    guard.token.close()


def test_brief_work_is_cancelled_too(lean: NativeEngine) -> None:
    for _ in range(3):
        guard = new_guard(lean, 0.03)
        assert lean.brief(lambda guard=guard: until_cancelled(lean, guard), guard) == "stopped"  # type: ignore[misc]
        assert guard.why == "deadline"
        guard.token.close()


def test_the_watchdog_outlives_tokens_that_are_closed_at_once(lean: NativeEngine) -> None:
    for _ in range(200):
        guard = new_guard(lean, 0.0)
        lean.brief(lambda: None, guard)
        guard.token.close()
        lean.drain()
    test_brief_work_is_cancelled_too(lean)


def test_messages_reach_the_caller_in_order(lean: NativeEngine) -> None:
    got: list[tuple[object, int]] = []
    guard = new_guard(lean, NEVER, sink=lambda message: got.append((message, threading.get_ident())))

    def work() -> None:
        for number in range(100):
            guard.tell(number)

    lean.supervise(work, guard)
    assert got == [(number, threading.get_ident()) for number in range(100)]
    guard.token.close()


def test_what_the_sink_raises_stops_the_work(lean: NativeEngine) -> None:
    def sink(_: object) -> None:
        raise LookupError("enough")

    guard = new_guard(lean, NEVER, sink=sink)
    ended: list[str] = []

    def work() -> None:
        guard.tell("something")
        ended.append(until_cancelled(lean, guard))

    with pytest.raises(LookupError, match="enough"):
        lean.supervise(work, guard)
    assert ended == ["stopped"]
    guard.token.close()


def test_a_foreign_token_is_refused(lean: NativeEngine) -> None:
    other = NativeEngine(lean._lib)
    with other.eval("no token") as foreign, pytest.raises(ForeignHandleError):
        lean.supervise(lambda: None, Guard(foreign, None))
    other.drain()


def test_threads_take_turns(lean: NativeEngine) -> None:
    found: list[object] = []

    def work(number: int) -> None:
        for _ in range(200):
            assert lean.eval_data(ArrayOf_of(number)) == [number, str(number)]
        found.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, found)) == ["0", "1", "2", "3"]


def ArrayOf_of(number: int) -> Arg:  # noqa: N802
    return Call(
        "lean_array_push", (Call("lean_array_push", (Call("l_Array_range", (0,)), number)), str(number))
    )


# --- in a process of their own --------------------------------------------------------------------

TOKEN = """
lean = NativeEngine.open(library)
guard = Guard(lean.call("l_IO_CancelToken_new___boxed", 0), None, grace=600.0)
"""


def test_an_interrupt_cancels_and_comes_back(script: Script) -> None:
    source = (
        TOKEN
        + """
def work():
    os.kill(os.getpid(), signal.SIGINT)
    while not lean.eval_data(Call("l_IO_CancelToken_isSet___boxed", (guard.token, 0))):
        time.sleep(0.001)
    print("stopped")
try:
    lean.supervise(work, guard)
except KeyboardInterrupt:
    print(guard.why, lean.eval_data("and works"))
"""
    )
    assert script(source).splitlines() == ["stopped", "interrupt and works"]


def test_work_that_ignores_its_cancellation_costs_the_engine(script: Script) -> None:
    source = (
        TOKEN
        + """
guard.deadline, guard.grace = time.monotonic(), 0.2
try:
    lean.supervise(lambda: lean.call("l_IO_sleep___boxed", 3_600_000, 0), guard)
except EngineStuck as error:
    print(type(error).__name__, guard.why, bool(lean.lost), bool(error.hint))
for use in (lambda: lean.eval(1), lambda: lean.supervise(print, guard), lambda: NativeEngine.open(library)):
    try:
        use()
    except EngineLost as error:
        print(type(error).__name__)
guard.token.close()
lean.drain()
lean.close()
print("closed")
os._exit(0)
"""
    )
    assert script(source).splitlines() == [
        "EngineStuck deadline True True",
        "EngineLost",
        "EngineLost",
        "EngineLost",
        "closed",
    ]


def test_a_forked_child_works_by_itself(script: Script) -> None:
    source = """
lean = NativeEngine.open(library, tasks=False)
inherited = lean.eval("inherited")
# Both of the parent's helper threads run before the fork, and are missing after it.
def guard(seconds=600.0):
    return Guard(lean.call("l_IO_CancelToken_new___boxed", 0), time.monotonic() + seconds, grace=600.0)
# (A real token needs the task manager; this one is never set.)
for run in (lean.supervise, lean.brief):
    run(lambda: None, Guard(inherited, None))
child = os.fork()
if not child:
    code = 1
    try:
        lean.start_tasks()
        assert lean.dump(inherited) == "inherited"
        for run in (lean.supervise, lean.brief):
            ends = guard(0.05)
            def work():
                while not lean.eval_data(Call("l_IO_CancelToken_isSet___boxed", (ends.token, 0))):
                    time.sleep(0.001)
            run(work, ends)
            assert ends.why == "deadline"
        code = 0
    finally:
        os._exit(code)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), lean.dump(inherited))
"""
    assert script(source) == "0 inherited"


def test_a_rehearsal_leaves_a_process_that_can_fork(script: Script) -> None:
    source = """
lean = NativeEngine.open(library, tasks=False)
def threads():
    return len(os.listdir("/proc/self/task"))
before = threads()
def work():
    # A token and a task need the task manager.
    guard = Guard(lean.call("l_IO_CancelToken_new___boxed", 0), time.monotonic() + 60)
    assert lean.supervise(lambda: 1, guard) + lean.brief(lambda: 2, guard) == 3
    lean.call("lean_task_spawn_core", lean.callback(1, lambda _: 7), 0, 0).close()
lean.rehearse(work)
after = threads()
child = os.fork()
if not child:
    code = 1
    try:
        lean.start_tasks()
        served = threading.Event()
        seen = []
        def serve():
            guard = Guard(lean.call("l_IO_CancelToken_new___boxed", 0), time.monotonic() + 0.05)
            def endless():
                while not lean.eval_data(Call("l_IO_CancelToken_isSet___boxed", (guard.token, 0))):
                    time.sleep(0.001)
                return threading.get_ident()
            seen.append((lean.supervise(endless, guard), threading.get_ident(), guard.why))
            served.set()
            time.sleep(600)
        lean.occupy(serve)
        assert served.wait(60)
        inside, outside, why = seen[0]
        assert inside == outside != threading.get_ident() and why == "deadline"
        code = 0
    finally:
        os._exit(code)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), after - before)
"""
    assert script(source) == "0 0"


def test_a_process_with_an_engine_ends_cleanly(script: Script) -> None:
    source = (
        TOKEN
        + """
kept = lean.eval("not closed")
lean.supervise(lambda: None, guard)
lean.brief(lambda: None, guard)
print("end")
"""
    )
    assert script(source) == "end"


def test_a_file_that_is_no_library(script: Script) -> None:
    source = """
try:
    NativeEngine.open(Path("/dev/null"))
except EngineError as error:
    print(error.code, bool(error.hint))
print(NativeEngine.open(library).eval_data("works after all"))
"""
    assert script(source).splitlines() == ["leanhost.engine True", "works after all"]
