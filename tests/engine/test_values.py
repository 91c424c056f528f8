"""Values in and out, on both engines: every kind of argument, every kind of data, and who owns what."""

from __future__ import annotations

import pytest

from leanhost.engine.base import Engine
from leanhost.engine.expressions import (
    Arg,
    ArrayOf,
    Call,
    Closure,
    Ctor,
    Field,
    Give,
    Index,
    ListOf,
    Size,
    Slot,
    Tag,
    Unwrap,
    With,
)
from leanhost.engine.values import TAG_CLOSURE, TAG_STRING, Node, Opaque, Ref, Thrown
from leanhost.errors import ClosedError, EngineError, ObjectTooLarge, UsageError
from tests.support.arguments import ADD, MISTAKEN, REFUSED


@pytest.mark.parametrize("value", [0, 1, 12345, 2**31 - 1, True])
def test_boxed_scalars(lean: Engine, value: int) -> None:
    assert lean.eval_data(value) == value


@pytest.mark.parametrize("value", [2**63, 2**64, 2**80, 10**50, 10**100])
def test_large_naturals_become_bignums(lean: Engine, value: int) -> None:
    assert lean.eval_data(value) == value
    digits = Call("l_Nat_toDigits___boxed", (10, value))
    assert lean.eval_data(Call("lean_string_mk", (digits,))) == str(value)


@pytest.mark.parametrize("text", ["", "plain", "héllo ∀ 𝔸", "a\0b", "\0", "\U0010ffff", "x" * 3_000_000])
def test_strings(lean: Engine, text: str) -> None:
    assert lean.eval_data(text) == text
    assert lean.eval_data(text.encode()) == text
    assert lean.eval_data(Call("l_String_length___boxed", (text,))) == len(text)
    assert lean.eval_data(Call("l_String_append___boxed", (text, "∎"))) == text + "∎"


def test_scalars_are_read_without_asking_lean(lean: Engine) -> None:
    with lean.eval(12345) as number, lean.eval(Ctor(1, (7,))) as some, lean.eval(0) as none:
        assert (number.is_scalar, number.unbox()) == (True, 12345)
        assert (some.is_none, none.is_none) == (False, True)
        with pytest.raises(EngineError, match="not a boxed scalar"):
            some.unbox()
    assert number.closed
    with pytest.raises(ClosedError):
        number.unbox()


@pytest.mark.parametrize("count", [1, 31, 32, 33, 255])
def test_constructors_of_any_size(lean: Engine, count: int) -> None:
    fields = tuple(str(i) for i in range(count))
    value = lean.eval_data(Ctor(243, fields, b"12345678"))
    assert isinstance(value, Node)
    assert (value.tag, value.fields, value.scalars[:8]) == (243, fields, b"12345678")
    assert lean.eval_data(Field(Ctor(0, fields), count - 1)) == str(count - 1)


def test_lists_and_arrays(lean: Engine) -> None:
    assert lean.eval_data(ArrayOf([1, "two", ArrayOf([])])) == [1, "two", []]
    assert lean.eval_data(ListOf([1, 2])) == Node(1, (1, Node(1, (2, 0))))
    assert lean.eval_data(ListOf([])) == 0
    assert lean.eval_data(Call("l_List_lengthTR___redArg___boxed", (ListOf(list(range(1000))),))) == 1000
    assert lean.eval_data(Size(ArrayOf(["x"] * 500))) == 500
    assert lean.eval_data(Index(ArrayOf(["a", "b"]), 1)) == "b"


def test_big_arrays(lean: Engine) -> None:
    numbers = list(range(300_000))
    assert lean.eval_data(ArrayOf(numbers)) == numbers
    with lean.call("lean_array_push", ArrayOf(numbers), "last") as array:
        assert lean.eval_data(Size(array)) == 300_001
        assert lean.eval_data(Index(array, 300_000)) == "last"


def test_projections_and_tags(lean: Engine) -> None:
    with lean.eval(Ctor(3, ("a", Ctor(1, ("b",))))) as value:
        assert lean.eval_data(Field(Field(value, 1), 0)) == "b"
        assert lean.eval_data(Tag(value)) == 3
        assert lean.eval_data(Tag(5)) == 5
        assert lean.eval_data(Tag("text")) == TAG_STRING
        updated = lean.eval_data(With(Ctor(2, (1, 2, 3), b"abcd"), ((0, value), (2, "z")), ((1, b"X"),)))
        assert isinstance(updated, Node)
        assert (updated.tag, updated.fields) == (2, (lean.dump(value), 2, "z"))
        assert updated.scalars[:4] == b"aXcd"


def refused(lean: Engine, arg: Arg) -> None:
    """Evaluate *arg*, which Lean cannot answer, beside other things: a typed error, and nothing else happens."""
    with pytest.raises(EngineError):
        lean.eval_all(["before", Ctor(0, ("beside", arg))])
    assert lean.eval_data("still here") == "still here"


def mistaken(lean: Engine, arg: Arg) -> None:
    """Evaluate *arg*, which nobody can mean, beside other things: a typed error, and nothing else happens."""
    with pytest.raises(UsageError):
        lean.eval(ArrayOf(["x", arg]))
    assert lean.eval_data("still here") == "still here"


@pytest.mark.parametrize("arg", REFUSED)
def test_what_lean_cannot_answer_is_refused_and_harmless(lean: Engine, arg: Arg) -> None:
    refused(lean, arg)


@pytest.mark.parametrize("arg", MISTAKEN)
def test_what_cannot_be_meant_is_a_usage_error(lean: Engine, arg: Arg) -> None:
    mistaken(lean, arg)


def test_a_slot_has_a_value_only_inside_a_step(lean: Engine) -> None:
    for arg in (Slot(0), Index(ArrayOf([1]), Slot(0))):
        mistaken(lean, arg)


def test_what_is_mistaken_is_refused_before_anything_is_called(lean: Engine) -> None:
    pushed = lean.call("lean_array_push", ArrayOf(["a"]), "b")
    with pushed:
        for arg in (Ctor(244, (pushed,)), Closure(ADD, 1, (pushed,)), With(pushed, ((0, "x"), (0, "y")))):
            mistaken(lean, arg)
            assert lean.dump(pushed) == ["a", "b"]


def test_places_up_to_the_last_are_there(lean: Engine) -> None:
    full = Ctor(243, tuple(range(255)), bytes(1024))
    with lean.eval(full) as value:
        assert lean.eval_data(Field(value, 254)) == 254
        changed = lean.eval_data(With(value, ((254, "last"),), ((1016, b"12345678"),)))
        assert isinstance(changed, Node)
        assert (changed.tag, changed.fields[254], changed.scalars[1016:1024]) == (243, "last", b"12345678")
        refused(lean, With(value, (), ((1017, b"12345678"),)))
    many = lean.eval_data(With(Ctor(0, (1, 2), bytes(8)), (), tuple((i % 8, b"x") for i in range(300))))
    assert many == Node(0, (1, 2), b"x" * 8)
    assert lean.eval_data(Unwrap(Ctor(243, ("ok",)), 243)) == "ok"


def test_rows_of_a_step_have_any_length(lean: Engine) -> None:
    for count in (0, 1, 300):
        step = lean.prepare(lambda x, count=count: [x] * count)
        for _ in range(2):
            assert step.rows([(1,), ("a",)]) == [(1,) * count, ("a",) * count]
    assert lean.prepare(lambda x: [x]).rows([]) == []


@pytest.mark.parametrize("arity", [-1, 0, 17, 300])
def test_a_callback_has_1_to_16_parameters(lean: Engine, arity: int) -> None:
    with pytest.raises(UsageError):
        lean.callback(arity, lambda *_: 0)


def test_missing_symbols_are_told(lean: Engine) -> None:
    assert lean.missing(["lean_apply_1", "nope", "l_Lean_versionString", "∀"]) == ["nope", "∀"]
    assert lean.missing([]) == []


def test_closures(lean: Engine) -> None:
    assert lean.eval_data(Closure(ADD, 2, (1,))) == Opaque(TAG_CLOSURE)
    assert lean.eval_data(Call("lean_apply_1", (Closure(ADD, 2, (40,)), 2))) == 42
    assert lean.eval_data(Call("lean_apply_2", (Closure(ADD, 2), 40, 3))) == 43
    many = Call("l_List_mapTR_loop___redArg", (Closure(ADD, 2, (1,)), ListOf([7, 8]), 0))
    assert lean.eval_data(many) == Node(1, (8, Node(1, (9, 0))))


def test_scalar_arrays_come_out_as_bytes(lean: Engine) -> None:
    assert lean.eval_data(Call("l_String_toUTF8___boxed", ("a∀\0",))) == "a∀\0".encode()


def test_unwrap(lean: Engine) -> None:
    assert lean.eval_data(Unwrap(Ctor(0, ("ok",)))) == "ok"
    assert lean.eval_data(Unwrap(Ctor(1, ("ok",)), ok=1)) == "ok"
    with pytest.raises(Thrown) as thrown:
        lean.eval(Call(ADD, ("not reached", Unwrap(Ctor(1, ("why",))))))
    with thrown.value.error as error:
        assert lean.dump(error) == "why"
    with pytest.raises(Thrown) as thrown:
        lean.eval(Unwrap(0, ok=1))
    with thrown.value.error as error:
        assert lean.dump(error) == 0


# --- ownership ------------------------------------------------------------------------------------


def test_a_lent_handle_stays_open(lean: Engine) -> None:
    with lean.eval(ArrayOf(["a"])) as array:
        for _ in range(3):
            assert lean.eval_data(Call("lean_array_push", (array, "b"))) == ["a", "b"]
        assert lean.dump(array) == ["a"]


def test_a_given_handle_is_closed(lean: Engine) -> None:
    value = lean.eval("text")
    assert lean.eval_data(Give(value)) == "text"
    for use in (value, Give(value), Field(value, 0)):
        with pytest.raises(ClosedError):
            lean.eval_data(use)
    again = lean.eval("text")
    with pytest.raises(ClosedError):
        lean.eval_all([Give(again), again])
    assert lean.eval_all([]) == []
    again.close()
    assert repr(again) == "<Ref closed>"


def test_a_given_unique_array_is_changed_in_place(lean: Engine) -> None:
    array = lean.call("lean_array_push", ArrayOf(["a"]), "b")
    word = array.word
    pushed = lean.call("lean_array_push", Give(array), "c")
    assert pushed.word == word
    with lean.call("lean_array_push", pushed, "d") as other:
        assert other.word != word
    with pushed:
        assert lean.dump(pushed) == ["a", "b", "c"]


def test_closing_twice_releases_once(lean: Engine) -> None:
    before = lean.live
    handles = lean.eval_all(["a", "b", 3])
    assert lean.live == before + 3
    for handle in handles:
        handle.close()
        handle.close()
    assert lean.live == before
    assert len(lean.released) == 2  # a number has nothing to release
    lean.drain()
    assert not lean.released
    with pytest.raises(ClosedError):
        lean.dump(handles[0])


def test_a_dropped_handle_is_released(lean: Engine) -> None:
    before = lean.live
    lean.eval("dropped")
    assert lean.live == before
    assert lean.released


# --- copying out ----------------------------------------------------------------------------------


def test_dump_limits(lean: Engine) -> None:
    with lean.eval(ListOf(["x"] * 100)) as value:
        for limit in (0, 1, 150, 199):
            with pytest.raises(ObjectTooLarge):
                lean.dump(value, limit)
        lean.dump(value, 200)
    with pytest.raises(ObjectTooLarge):
        lean.eval_data(ListOf(["x"] * 100), 10)


def test_shared_values_are_copied_once(lean: Engine) -> None:
    value = lean.eval(Ctor(0, (1,)))
    for _ in range(60):  # 2^60 nodes as a tree, 61 objects in memory
        value = lean.eval(Ctor(0, (value, value)))
    with value:
        data = lean.dump(value, 100)
    assert isinstance(data, Node)
    assert data.fields[0] is data.fields[1]


def test_deep_values_are_copied_and_freed_without_recursion(lean: Engine) -> None:
    with lean.eval(ListOf([0] * 200_000)) as value:
        data = lean.dump(value, 300_000)
    for _ in range(200_000):
        assert isinstance(data, Node)
        # Taken apart from the top: Python's own release of a nested value is not in question here.
        data = data.fields[1]
    assert data == 0
    value = lean.eval(0)
    for _ in range(100_000):
        value = lean.eval(Ctor(0, (Give(value),)))
    value.close()
    lean.drain()


def test_a_deep_argument_is_a_python_error(lean: Engine) -> None:
    arg: Arg = "bottom"
    for _ in range(100_000):
        arg = Ctor(0, (arg,))
    with pytest.raises(RecursionError):
        lean.eval(arg)
    assert lean.eval_data("still here") == "still here"
    while isinstance(arg, Ctor):
        (arg,) = arg.fields


def test_handles_repr(lean: Engine) -> None:
    with lean.eval("x") as value:
        assert isinstance(value, Ref)
        assert repr(value).startswith("<Ref 0x")
