"""Prepared steps: compiled when they run again, and then the same as the walked expression in every respect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leanhost.engine.expressions import (
    Arg,
    ArrayOf,
    Call,
    Closure,
    Const,
    Ctor,
    Field,
    Give,
    Index,
    ListOf,
    Size,
    Tag,
    UInt64,
    Unwrap,
    USize,
    With,
)
from leanhost.engine.native import NativeEngine
from leanhost.engine.native.ffi import memory
from leanhost.engine.values import Data, Node, Ref, Thrown
from leanhost.errors import ClosedError, EngineError, UsageError
from tests.support import arguments as shared
from tests.support.arguments import ADD

RUNS = 3
"""Walked, compiled, and compiled again."""


def references(ref: Ref) -> int:
    """How many references there are to an object."""
    return memory[ref.ptr() >> 3] & 0xFFFFFFFF


values = st.recursive(
    st.one_of(
        st.integers(0, 2**70),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        st.builds(USize, st.integers(0, 2**64 - 1)),
        st.builds(UInt64, st.integers(0, 2**64 - 1)),
        st.just(Const("l_Lean_versionString")),
        st.sampled_from([0, 1, 2, 3]).map(lambda i: ("slot", i)),  # the last is part of the step
    ),
    lambda inner: st.one_of(
        st.builds(ListOf, st.lists(inner, max_size=3)),
        st.builds(ArrayOf, st.lists(inner, max_size=3)),
        st.builds(
            Ctor,
            st.integers(0, 243),
            st.lists(inner, min_size=1, max_size=3).map(tuple),
            st.binary(max_size=9),
        ),
        st.builds(lambda x, y: Field(Ctor(0, (x, y)), 1), inner, inner),
        st.builds(lambda x, y: Field(Field(Ctor(0, (x, Ctor(1, (y,)))), 1), 0), inner, inner),
        st.builds(lambda x, y: Index(ArrayOf([x, y]), 0), inner, inner),
        st.builds(lambda x: Size(ArrayOf([x])), inner),
        st.builds(Tag, inner),
        st.builds(lambda x: Unwrap(Ctor(1, (x,)), ok=1), inner),
        st.builds(lambda x, y: With(Ctor(3, (x, x), b"12345678"), ((1, y),), ((2, b"!"),)), inner, inner),
        st.builds(lambda x, y: Call("lean_array_push", (ArrayOf([x]), y)), inner, inner),
    ),
    max_leaves=8,
)


def filled(shape: Any, slots: Sequence[Arg]) -> Any:
    """Put *slots* where a shape names them."""
    match shape:
        case ("slot", i):
            return slots[i]
        case tuple() | list():
            return type(shape)(filled(each, slots) for each in shape)
        case int() | str() | bytes() | USize() | UInt64() | Const():
            return shape
    return type(shape)(*(filled(getattr(shape, name), slots) for name in type(shape).__slots__))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shapes=st.lists(values, min_size=1, max_size=3))
def test_a_compiled_step_is_the_walked_expression(lean: NativeEngine, shapes: list[Any]) -> None:
    with lean.eval(Ctor(5, ("held", 1), b"x")) as held, lean.eval(ArrayOf(["part"])) as part:
        given: tuple[Arg, ...] = (held, "text", 7)
        expected = [lean.eval_data(filled(shape, (*given, part))) for shape in shapes]
        step = lean.prepare(lambda *slots: [filled(shape, (*slots, part)) for shape in shapes])
        for _ in range(RUNS):
            results = step(*given)
            assert [lean.dump(result) for result in results] == expected
            for result in results:
                result.close()
        assert step.rows([given] * 2) == [tuple(expected)] * 2
        for results in step.each([given] * 2):
            assert [lean.dump(result) for result in results] == expected
            for result in results:
                result.close()
        lean.drain()
        assert references(held) == references(part) == 1


@pytest.mark.parametrize("arg", shared.REFUSED)
def test_a_refusal_loses_nothing(lean: NativeEngine, arg: Arg) -> None:
    with lean.eval(Ctor(0, ("held",))) as held:
        step = lean.prepare(lambda x: (x, Field(x, 0), Ctor(0, ("beside", x, arg))))
        for _ in range(RUNS):
            with pytest.raises(EngineError):
                step(held)
            with pytest.raises(EngineError):
                step.each([(held,)])
            assert references(held) == 1
        assert lean.eval_data("still here") == "still here"


@pytest.mark.parametrize("arg", shared.MISTAKEN)
def test_what_cannot_be_meant_is_a_usage_error(lean: NativeEngine, arg: Arg) -> None:
    step = lean.prepare(lambda x: (ArrayOf([x, arg]),))
    for _ in range(RUNS):
        with pytest.raises(UsageError):
            step("x")
    direct = lean.prepare(lambda x: (ArrayOf(["x", x]),))
    direct("first").pop().close()
    for _ in range(RUNS):
        with pytest.raises(UsageError):
            direct(arg)


def test_places_given_as_values(lean: NativeEngine) -> None:
    step = lean.prepare(lambda array, place: (Index(array, place),))
    with lean.eval(ArrayOf(["a", "b", "c"])) as array:
        assert step.rows([(array, i) for i in range(3)]) == [("a",), ("b",), ("c",)]
        assert [lean.dump(ref) for (ref,) in step.each([(array, 2), (array, 0)])] == ["c", "a"]
        with pytest.raises(EngineError, match="no element 3"):
            step(array, 3)


def test_what_is_thrown_comes_out_and_the_rest_is_released(lean: NativeEngine) -> None:
    step = lean.prepare(lambda x, y: (x, Unwrap(y), x))
    with lean.eval(Ctor(0, ("held",))) as held:
        for _ in range(RUNS):
            with pytest.raises(Thrown) as thrown:
                step(held, Ctor(1, (held,)))
            with thrown.value.error as error:
                assert lean.dump(error) == Node(0, ("held",))
            lean.drain()
            assert references(held) == 1
            (first, second, third) = step(held, Ctor(0, ("fine",)))
            assert lean.dump(second) == "fine"
            for ref in (first, second, third):
                ref.close()


def test_handles_that_are_part_of_a_step(lean: NativeEngine) -> None:
    part = lean.eval("part")
    step = lean.prepare(lambda x: (Ctor(0, (part, x)),))
    assert step.rows([(1,), (2,), (3,)]) == [(Node(0, ("part", i)),) for i in (1, 2, 3)]
    part.close()
    with pytest.raises(ClosedError):
        step(4)


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ((Ctor(1, ("thrown",)),), Thrown),  # in the middle of a run
        ((Ctor(0, (1 << 63, "no lone surrogate: \ud800")),), UsageError),  # before it
        ((1, 2), ValueError),  # no row of this step
    ],
)
def test_of_many_runs_one_that_fails_gives_back_what_was_lent_to_all(
    lean: NativeEngine, row: tuple[Arg, ...], error: type[Exception]
) -> None:
    with lean.eval(Ctor(0, ("part",))) as part, lean.eval(Ctor(0, ("fine",))) as fine:
        step = lean.prepare(lambda x: (Ctor(0, (part, part)), Unwrap(x), part))
        for _ in range(RUNS):
            for ref in (ref for results in step.each([(fine,)] * 5) for ref in results):
                ref.close()
            with pytest.raises(error):
                step.each([(fine,), (fine,), row, (fine,)])
            lean.drain()
            assert references(part) == references(fine) == 1


def test_values_may_be_given_away(lean: NativeEngine) -> None:
    step = lean.prepare(lambda array: (Call("lean_array_push", (array, "new")),))
    expected: list[Data] = ["old", "new"]
    for _ in range(RUNS):
        (pushed,) = step(Give(lean.eval(ArrayOf(["old"]))))
        with pushed:
            assert lean.dump(pushed) == expected


def test_what_a_callback_raises_travels_out(lean: NativeEngine) -> None:
    def wrong(value: Ref) -> Arg:
        value.close()  # the exception's traceback would keep it
        raise LookupError("out of the callback")

    closure = lean.callback(1, wrong)
    with closure, lean.eval(Ctor(0, ("held",))) as held, lean.eval(Ctor(0, ("part",))) as part:
        step = lean.prepare(lambda f, x: (x, part, Call("lean_apply_1", (f, x)), part))
        for _ in range(RUNS):
            with pytest.raises(LookupError, match="out of the callback"):
                step(closure, held)
            with pytest.raises(LookupError, match="out of the callback"):
                step.each([(closure, held)] * 3)
            lean.drain()
            assert references(held) == references(part) == 1


def test_closures_are_built_anew(lean: NativeEngine) -> None:
    step = lean.prepare(lambda x: (Call("lean_apply_1", (Closure(ADD, 2, (x,)), 2)),))
    assert step.rows([(1,), (2,), (40,)]) == [(3,), (4,), (42,)]
