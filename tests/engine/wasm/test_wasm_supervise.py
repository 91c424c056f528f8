"""Callbacks, deadlines, cancellation and Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from leanhost.engine.expressions import Arg, Call, Ctor, Field, Unwrap
from leanhost.engine.values import Ref, Thrown
from leanhost.engine.wasm import WasmEngine
from leanhost.errors import EngineLost, EngineStuck, UsageError
from tests.support.elaborator import ENDLESS, SLOW, Elaborator
from tests.support.engines import Parts

Open = Callable[..., WasmEngine]


def later(seconds: float, action: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, action)
    timer.start()
    return timer


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_lean_calls_python(lean: WasmEngine) -> None:
    def add(x: Ref, y: Ref) -> Arg:
        return Call("l_Nat_add___boxed", (x, y))

    with lean.callback(2, add) as closure:
        assert lean.eval_data(Call("lean_apply_2", (closure, 1, 2))) == 3
        assert lean.eval_data(Call("lean_apply_1", (Call("lean_apply_1", (closure, 3)), 4))) == 7


def test_a_callback_may_use_the_engine_and_call_back_again(lean: WasmEngine) -> None:
    closures: list[Ref] = []

    def countdown(n: Ref) -> Arg:
        left = lean.dump(n)
        assert isinstance(left, int)
        if left == 0:
            return "done"
        texts = [lean.eval_data("x" * 100_000) for _ in range(3)]
        assert texts == ["x" * 100_000] * 3
        return lean.call("lean_apply_1", closures[0], left - 1)

    with lean.callback(1, countdown) as closure:
        closures.append(closure)
        assert lean.eval_data(Ctor(0, ("before", Call("lean_apply_1", (closure, 20)), "after"))) is not None
        assert lean.eval_data(Call("lean_apply_1", (closure, 20))) == "done"


def test_what_a_callback_raises_comes_out_of_the_eval(lean: WasmEngine) -> None:
    def fail(_: Ref) -> Arg:
        raise LookupError("mine")

    with lean.callback(1, fail) as closure:
        with pytest.raises(LookupError, match="mine"):
            lean.eval(Call("lean_apply_1", (closure, 1)))
        with pytest.raises(LookupError, match="mine"):
            lean.eval_data(Unwrap(Call("lean_apply_1", (closure, 1))))
    lean.drain()
    assert lean.eval_data("fine") == "fine"


def test_a_callback_that_returns_nonsense(lean: WasmEngine) -> None:
    with lean.callback(1, lambda _: object()) as closure, pytest.raises(UsageError):  # type: ignore[arg-type,return-value]
        lean.eval(Call("lean_apply_1", (closure, 1)))
    with lean.callback(1, lambda _: Unwrap(Ctor(1, ("why",)))) as closure:
        with pytest.raises(Thrown) as thrown:
            lean.eval(Unwrap(Call("lean_apply_1", (closure, 1))))
        assert lean.dump(thrown.value.error) == "why"
        thrown.value.error.close()
    with pytest.raises(UsageError):
        lean.callback(17, lambda *_: 0)


def test_lean_code_runs_and_is_answered(lean: WasmEngine, elaborator: Elaborator) -> None:
    assert elaborator.run("#eval 1 + 1\ntheorem t : 2 + 2 = 4 := by decide") == ["2\n"]
    (message,) = elaborator.run("example : 1 = 2 := rfl")
    assert "error" in message


def test_supervised_work_returns_its_value(lean: WasmEngine, elaborator: Elaborator) -> None:
    guard = elaborator.guard(time.monotonic() + 60)
    assert lean.supervise(lambda: lean.eval_data("x"), guard) == "x"
    assert guard.why == ""
    guard.token.close()


def test_a_deadline_stops_elaboration(lean: WasmEngine, elaborator: Elaborator) -> None:
    guard = elaborator.guard(time.monotonic() + 1.0, grace=20.0)
    began = time.monotonic()
    lean.supervise(lambda: elaborator.run(SLOW, guard.token), guard)
    assert guard.why == "deadline"
    assert time.monotonic() - began > 0.9
    assert lean.eval_data(Call("l_IO_CancelToken_isSet___boxed", (guard.token, 0))) == 1
    guard.token.close()
    assert elaborator.run("#eval 3") == ["3\n"]


def test_another_thread_cancels(lean: WasmEngine, elaborator: Elaborator) -> None:
    flag = threading.Event()
    guard = elaborator.guard(None, grace=20.0, cancelled=flag)
    timer = later(1.0, flag.set)
    lean.supervise(lambda: elaborator.run(SLOW, guard.token), guard)
    timer.join()
    assert guard.why == "cancelled"
    guard.token.close()


def test_ctrl_c_stops_supervised_work(lean: WasmEngine, elaborator: Elaborator) -> None:
    guard = elaborator.guard(None, grace=20.0)
    timer = later(1.0, press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        lean.supervise(lambda: elaborator.run(SLOW, guard.token), guard)
    timer.join()
    assert guard.why == "interrupt"
    guard.token.close()
    assert elaborator.run("#eval 4") == ["4\n"]


def test_ctrl_c_never_breaks_the_channel(lean: WasmEngine) -> None:
    """Interrupts at many different moments of quick calls: each is raised, and answers still match questions."""
    caught, number, armed = 0, 0, False
    stop = threading.Event()

    def interrupt(*_: object) -> None:
        # One for each call and none outside: what is pressed late must not end the test itself.
        nonlocal armed
        if armed:
            armed = False
            raise KeyboardInterrupt

    def press() -> None:
        while not stop.wait(0.003):
            press_ctrl_c()

    before = signal.signal(signal.SIGINT, interrupt)
    thread = threading.Thread(target=press)
    thread.start()
    end = time.monotonic() + 60.0
    try:
        while caught <= 200 and time.monotonic() < end:
            try:
                number += 1
                text = f"{number}" * 50
                armed = True
                assert lean.eval_data(text) == text
                armed = False
            except KeyboardInterrupt:
                caught += 1
    finally:
        armed = False
        stop.set()
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert caught > 200
    assert not lean.lost


def test_ctrl_c_inside_a_callback(lean: WasmEngine) -> None:
    def wait(_: Ref) -> Arg:
        time.sleep(60)
        return 0

    with lean.callback(1, wait) as closure:
        timer = later(0.3, press_ctrl_c)
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            lean.eval(Call("lean_apply_1", (closure, 1)))
        timer.join()
        assert time.monotonic() - began < 30
    assert lean.eval_data("fine") == "fine"


def test_work_that_ignores_its_cancellation_costs_the_engine(fresh: Open, parts: Parts) -> None:
    engine = fresh()
    elaborator = Elaborator(engine, parts.core)
    guard = elaborator.guard(time.monotonic() + 4.0, grace=0.5)
    began = time.monotonic()
    with pytest.raises(EngineStuck):
        engine.supervise(lambda: elaborator.run(ENDLESS, guard.token), guard)
    assert time.monotonic() - began < 60  # what it would not end in
    assert guard.why == "deadline"
    with pytest.raises(EngineLost):
        engine.eval(1)


def test_ctrl_c_in_a_call_nobody_can_cancel(fresh: Open, parts: Parts) -> None:
    engine = fresh()
    elaborator = Elaborator(engine, parts.core)
    timer = later(4.0, press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        elaborator.run(ENDLESS)
    timer.join()
    assert engine.lost


def test_threads_take_turns(lean: WasmEngine) -> None:
    wrong: list[object] = []

    def work(letter: str) -> None:
        for n in range(100):
            text = letter * (n + 1)
            if lean.eval_data(Field(Ctor(0, (text,)), 0)) != text:
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_token_in_grown_memory_is_reached(fresh: Open, parts: Parts) -> None:
    """The child's second thread sees memory that was added after its start."""
    engine = fresh()
    elaborator = Elaborator(engine, parts.core)
    ballast = engine.call("l_List_range", 30_000_000)  # fills the pages of small objects
    guard = elaborator.guard(time.monotonic() + 1.0, grace=20.0)
    assert guard.token.ptr() > 512 * 1024**2
    engine.supervise(lambda: elaborator.run(SLOW, guard.token), guard)
    assert guard.why == "deadline"
    assert engine.eval_data(Call("l_IO_CancelToken_isSet___boxed", (guard.token, 0))) == 1
    assert ballast.ptr()
