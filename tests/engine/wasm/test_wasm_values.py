"""Values in and out: every kind of argument, every kind of data, and who owns what."""

from __future__ import annotations

import pytest

from leanhost.engine.base import TAG_CLOSURE, TAG_REF, Node, Opaque, Ref, Thrown
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
from leanhost.engine.wasm import WasmEngine
from leanhost.errors import ClosedError, EngineError, ForeignHandleError, ObjectTooLarge, UsageError


@pytest.mark.parametrize("value", [0, 1, 12345, 2**31 - 1])
def test_boxed_scalars(lean: WasmEngine, value: int) -> None:
    assert lean.eval_data(value) == value


def test_large_naturals_become_bignums(lean: WasmEngine) -> None:
    assert lean.eval_data(2**31) == 2**31
    assert lean.eval_data(10**50) == 10**50
    digits = Call("l_Nat_toDigits___boxed", (10, 2**80))
    assert lean.eval_data(Call("lean_string_mk", (digits,))) == str(2**80)


@pytest.mark.parametrize("text", ["", "plain", "héllo ∀ 𝔸", "a\0b", "x" * 3_000_000])
def test_strings(lean: WasmEngine, text: str) -> None:
    assert lean.eval_data(text) == text
    assert lean.eval_data(text.encode()) == text


def test_string_length_is_in_characters(lean: WasmEngine) -> None:
    assert lean.eval_data(Call("l_String_length___boxed", ("∀x𝔸",))) == 3


def test_words_and_scalars(lean: WasmEngine) -> None:
    assert lean.eval_data(USize(2**32 - 1)) == Node(0, (), b"\xff\xff\xff\xff\0\0\0\0")
    assert lean.eval_data(UInt64(2**64 - 1)) == Node(0, (), b"\xff" * 8)
    value = lean.eval_data(Ctor(7, (1, "a"), b"\1\2\3"))
    assert isinstance(value, Node)
    assert (value.tag, value.fields, value.scalars[:3]) == (7, (1, "a"), b"\1\2\3")


def test_lists_and_arrays(lean: WasmEngine) -> None:
    assert lean.eval_data(ArrayOf([1, "two", ArrayOf([])])) == [1, "two", []]
    assert lean.eval_data(ListOf([1, 2])) == Node(1, (1, Node(1, (2, 0))))
    assert lean.eval_data(Call("l_List_lengthTR___redArg___boxed", (ListOf(list(range(1000))),))) == 1000
    assert lean.eval_data(Size(ArrayOf(list(range(500))))) == 500
    assert lean.eval_data(Index(ArrayOf(["a", "b"]), 1)) == "b"


def test_projections_and_tags(lean: WasmEngine) -> None:
    with lean.eval(Ctor(3, ("a", Ctor(1, ("b",))))) as value:
        assert lean.eval_data(Field(Field(value, 1), 0)) == "b"
        assert lean.eval_data(Tag(value)) == 3
        assert lean.eval_data(Tag(5)) == 5
        updated = lean.eval_data(With(Ctor(2, (1, 2, 3), b"abcd"), ((0, value), (2, "z")), ((1, b"X"),)))
        assert isinstance(updated, Node)
        assert updated.fields[1:] == (2, "z")
        assert updated.scalars[:4] == b"aXcd"


@pytest.mark.parametrize(
    "arg",
    [
        Field("text", 0),
        Field(Ctor(0, (1,)), 1),
        Field(4, 0),
        Index(ArrayOf([1]), 1),
        Size("text"),
        With(3, ((0, 1),)),
        With(Ctor(0, (1,)), ((1, 1),)),
        Call("l_no_such_function"),
        Call("lean_st_mk_ref", (1, 2)),
        Const("l_no_such_constant"),
        Const("lean_st_mk_ref"),
        Closure("lean_st_mk_ref", 3),
        Closure("l_no_such_function", 1),
    ],
)
def test_what_makes_no_sense_is_refused_and_harmless(lean: WasmEngine, arg: Arg) -> None:
    with pytest.raises(EngineError):
        lean.eval_all(["before", Ctor(0, ("beside", arg))])
    assert lean.eval_data("still here") == "still here"


def test_constants_and_closures(lean: WasmEngine) -> None:
    text = lean.eval_data(Const("l_Lean_versionString"))
    assert isinstance(text, str)
    assert text.startswith("4.28")
    assert lean.eval_data(Closure("l_Nat_add___boxed", 2, (1,))) == Opaque(TAG_CLOSURE)
    assert lean.eval_data(Call("lean_apply_1", (Closure("l_Nat_add___boxed", 2, (40,)), 2))) == 42
    many = Call("l_List_mapTR_loop___redArg", (Closure("l_Nat_add___boxed", 2, (1,)), ListOf([7, 8]), 0))
    assert lean.eval_data(many) == Node(1, (8, Node(1, (9, 0))))


def test_references_cells(lean: WasmEngine) -> None:
    with lean.call("lean_st_mk_ref", "old") as cell:
        assert lean.dump(cell) == Opaque(TAG_REF)
        lean.call("lean_st_ref_set", cell, "new").close()
        assert lean.eval_data(Call("lean_st_ref_get", (cell,))) == "new"


def test_scalar_arrays_come_out_as_bytes(lean: WasmEngine) -> None:
    assert lean.eval_data(Call("l_String_toUTF8___boxed", ("abc",))) == b"abc"


def test_missing(lean: WasmEngine) -> None:
    assert lean.missing(["lean_st_mk_ref", "nope", "l_Lean_versionString", "∀"]) == ["nope", "∀"]
    assert lean.missing([]) == []


def test_unwrap(lean: WasmEngine) -> None:
    assert lean.eval_data(Unwrap(Ctor(0, ("ok",)))) == "ok"
    assert lean.eval_data(Unwrap(Ctor(1, ("ok",)), ok=1)) == "ok"
    with pytest.raises(Thrown) as thrown:
        lean.eval(Call("lean_st_mk_ref", (Unwrap(Ctor(1, ("why",))),)))
    with thrown.value.error as error:
        assert lean.dump(error) == "why"
    with pytest.raises(Thrown) as thrown:
        lean.eval(Unwrap(0, ok=1))
    assert lean.dump(thrown.value.error) == 0
    thrown.value.error.close()


def test_what_was_to_be_given_is_released_when_evaluation_throws(lean: WasmEngine) -> None:
    big = "x" * 400_000
    lean.eval(big).close()
    lean.drain()
    before = lean.private_bytes()
    for _ in range(300):
        early, late = lean.eval(big), lean.eval(big)
        with pytest.raises(Thrown) as thrown:
            lean.eval_all([Give(early), Unwrap(Ctor(1, (1,))), Give(late)])
        thrown.value.error.close()
    assert lean.private_bytes() - before < 20_000_000


def test_given_handles_are_closed(lean: WasmEngine) -> None:
    value = lean.eval("text")
    assert lean.eval_data(Give(value)) == "text"
    with pytest.raises(ClosedError):
        lean.eval_data(value)
    again = lean.eval("text")
    with pytest.raises(ClosedError):
        lean.eval_all([Give(again), again])
    again.close()


def test_a_given_unique_array_is_changed_in_place(lean: WasmEngine) -> None:
    array = lean.call("lean_array_push", ArrayOf(["a"]), "b")
    word = array.word
    pushed = lean.call("lean_array_push", Give(array), "c")
    assert pushed.word == word
    with lean.call("lean_array_push", pushed, "d") as other:
        assert other.word != word
    assert lean.dump(pushed) == ["a", "b", "c"]
    pushed.close()


@pytest.mark.parametrize("value", ["x" * 100_000, ArrayOf(["y"] * 300), Ctor(0, ("z" * 5000,), b"12345678")])
def test_released_memory_is_used_again(lean: WasmEngine, value: Arg) -> None:
    def many() -> None:
        for _ in range(500):
            lean.eval_data(value, 10_000)
            lean.eval(value).close()
        lean.drain()

    many()
    before = lean.private_bytes()
    many()
    many()
    assert lean.private_bytes() - before < 2_000_000


def test_dump_limits(lean: WasmEngine) -> None:
    with lean.eval(ListOf(["x"] * 100)) as value:
        with pytest.raises(ObjectTooLarge):
            lean.dump(value, 150)
        lean.dump(value, 200)
    with pytest.raises(ObjectTooLarge):
        lean.eval_data(ListOf(["x"] * 100), 10)


def test_shared_and_deep_values(lean: WasmEngine) -> None:
    value = lean.eval(Ctor(0, (1,)))
    for _ in range(60):  # 2^60 nodes as a tree, 61 objects in memory
        value = lean.eval(Ctor(0, (value, value)))
    data = lean.dump(value, 100)
    assert isinstance(data, Node)
    assert data.fields[0] is data.fields[1]
    value.close()
    deep = lean.eval_data(ListOf([0] * 50_000))
    for _ in range(50_000):
        assert isinstance(deep, Node)
        deep = deep.fields[1]
    assert deep == 0


def test_usage_errors_change_nothing(lean: WasmEngine) -> None:
    for wrong in (-1, "\ud800", USize(2**32), Ctor(0, (0,) * 300), Call("naïve"), 1.5):
        with pytest.raises(UsageError):
            lean.eval(ArrayOf(["x", wrong]))  # type: ignore[list-item]
    assert lean.eval_data("fine") == "fine"


def test_foreign_handles(lean: WasmEngine) -> None:
    class Other:
        live = 0
        released: list[int] = []  # noqa: RUF012

    foreign = Ref(Other(), 5)  # type: ignore[arg-type]
    with pytest.raises(ForeignHandleError):
        lean.eval(foreign)


def test_live_counts_handles(lean: WasmEngine) -> None:
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
