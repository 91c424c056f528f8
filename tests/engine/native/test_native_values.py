"""Values in and out: every kind of argument, every kind of data, and who owns what."""

from __future__ import annotations

from pathlib import Path

import pytest

from leanhost.engine.base import TAG_CLOSURE, TAG_REF, TAG_STRING, Node, Opaque, Ref, Thrown
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
from leanhost.errors import ClosedError, EngineError, ForeignHandleError, ObjectTooLarge, UsageError
from leanhost.toolchain import Toolchain

ADD = "l_Nat_add___boxed"


@pytest.mark.parametrize("value", [0, 1, 12345, 2**31, 2**63 - 1, True])
def test_boxed_scalars(lean: NativeEngine, value: int) -> None:
    assert lean.eval_data(value) == value


@pytest.mark.parametrize("value", [2**63, 2**64, 10**100])
def test_large_naturals_become_bignums(lean: NativeEngine, value: int) -> None:
    assert lean.eval_data(value) == value
    digits = Call("l_Nat_toDigits___boxed", (10, value))
    assert lean.eval_data(Call("lean_string_mk", (digits,))) == str(value)


@pytest.mark.parametrize("text", ["", "plain", "héllo ∀ 𝔸", "a\0b", "\0", "\U0010ffff", "x" * 3_000_000])
def test_strings(lean: NativeEngine, text: str) -> None:
    assert lean.eval_data(text) == text
    assert lean.eval_data(text.encode()) == text
    assert lean.eval_data(Call("l_String_length___boxed", (text,))) == len(text)
    assert lean.eval_data(Call("l_String_append___boxed", (text, "∎"))) == text + "∎"


def test_words_and_scalars(lean: NativeEngine) -> None:
    assert lean.eval_data(USize(2**64 - 1)) == Node(0, (), b"\xff" * 8)
    assert lean.eval_data(UInt64(1)) == Node(0, (), b"\1" + bytes(7))
    # What is behind the given bytes is zero, not what the memory held before.
    assert lean.eval_data(Ctor(7, (1, "a"), b"\1\2\3")) == Node(7, (1, "a"), b"\1\2\3" + bytes(5))


@pytest.mark.parametrize("count", [1, 31, 32, 33, 255])
def test_constructors_of_any_size(lean: NativeEngine, count: int) -> None:
    fields = tuple(str(i) for i in range(count))
    assert lean.eval_data(Ctor(243, fields, b"12345678")) == Node(243, fields, b"12345678")
    assert lean.eval_data(Field(Ctor(0, fields), count - 1)) == str(count - 1)


def test_lists_and_arrays(lean: NativeEngine) -> None:
    assert lean.eval_data(ArrayOf([1, "two", ArrayOf([])])) == [1, "two", []]
    assert lean.eval_data(ListOf([1, 2])) == Node(1, (1, Node(1, (2, 0))))
    assert lean.eval_data(ListOf([])) == 0
    assert lean.eval_data(Call("l_List_lengthTR___redArg___boxed", (ListOf(list(range(1000))),))) == 1000
    assert lean.eval_data(Size(ArrayOf(["x"] * 500))) == 500
    assert lean.eval_data(Index(ArrayOf(["a", "b"]), 1)) == "b"


def test_big_arrays(lean: NativeEngine) -> None:
    numbers = list(range(300_000))
    assert lean.eval_data(ArrayOf(numbers)) == numbers
    with lean.call("lean_array_push", ArrayOf(numbers), "last") as array:
        assert lean.eval_data(Size(array)) == 300_001
        assert lean.eval_data(Index(array, 300_000)) == "last"


def test_projections_and_tags(lean: NativeEngine) -> None:
    with lean.eval(Ctor(3, ("a", Ctor(1, ("b",))))) as value:
        assert lean.eval_data(Field(Field(value, 1), 0)) == "b"
        assert lean.eval_data(Tag(value)) == 3
        assert lean.eval_data(Tag(5)) == 5
        assert lean.eval_data(Tag("text")) == TAG_STRING
        updated = lean.eval_data(With(Ctor(2, (1, 2, 3), b"abcd"), ((0, value), (2, "z")), ((1, b"X"),)))
        assert updated == Node(2, (lean.dump(value), 2, "z"), b"aXcd" + bytes(4))


REFUSED: list[Arg] = [
    Field("text", 0),
    Field(Ctor(0, (1,)), 1),
    Field(Ctor(0, (1,)), -1),
    Field(ArrayOf([1]), 0),
    Field(4, 0),
    Index(ArrayOf([1]), 1),
    Index(ArrayOf([1]), -1),
    Index("text", 0),
    Index(7, 0),
    Size("text"),
    Size(0),
    Unwrap("text"),
    Unwrap(ArrayOf(["x"])),
    Unwrap(USize(1)),
    With(3, ((0, 1),)),
    With("text", ((0, 1),)),
    With(Ctor(0, (1,)), ((1, "beyond"),)),
    With(Ctor(0, (1,)), ((-1, "before"),)),
    With(Ctor(0, (1,), b"12345678"), (), ((5, b"abcd"),)),
    Call("l_no_such_function", ("lost?",)),
    Const("l_no_such_constant"),
    Closure("l_no_such_function", 2, ("lost?",)),
]


@pytest.mark.parametrize("arg", REFUSED)
def test_what_lean_cannot_answer_is_refused_and_harmless(lean: NativeEngine, arg: Arg) -> None:
    with pytest.raises(EngineError):
        lean.eval_all(["before", Ctor(0, ("beside", arg))])
    assert lean.eval_data("still here") == "still here"


MISTAKEN: list[object] = [
    -1,
    "\ud800",
    USize(2**64),
    USize(-1),
    UInt64(2**64),
    Ctor(0, (0,) * 256),
    Ctor(244, (0,)),
    Ctor(-1, (0,)),
    Ctor(0),
    With(Ctor(0, (1,)), ((0, "one"), (0, "two"))),
    Closure(ADD, 2, (1, 2)),
    Closure(ADD, 17),
    1.5,
    None,
    ["a list"],
]


@pytest.mark.parametrize("arg", MISTAKEN)
def test_what_cannot_be_meant_is_a_usage_error(lean: NativeEngine, arg: Arg) -> None:
    with pytest.raises(UsageError):
        lean.eval(ArrayOf(["x", arg]))
    assert lean.eval_data("still here") == "still here"


def test_a_missing_function_names_itself_and_its_library(
    lean: NativeEngine, native_toolchain: Toolchain
) -> None:
    with pytest.raises(EngineError, match="l_no_such_function") as caught:
        lean.call("l_no_such_function", 1)
    assert str(native_toolchain.library.resolve()) in caught.value.message
    assert lean.missing(["lean_apply_1", "nope", "l_Lean_versionString", "∀"]) == ["nope", "∀"]
    assert lean.missing([]) == []


def test_constants_and_closures(lean: NativeEngine) -> None:
    assert lean.eval_data(Const("l_Lean_versionString")) == "4.35.0"
    assert lean.eval_data(Closure(ADD, 2, (1,))) == Opaque(TAG_CLOSURE)
    assert lean.eval_data(Call("lean_apply_1", (Closure(ADD, 2, (40,)), 2))) == 42
    assert lean.eval_data(Call("lean_apply_2", (Closure(ADD, 2), 40, 3))) == 43
    many = Call("l_List_mapTR_loop___redArg", (Closure(ADD, 2, (1,)), ListOf([7, 8]), 0))
    assert lean.eval_data(many) == Node(1, (8, Node(1, (9, 0))))


def test_reference_cells(lean: NativeEngine) -> None:
    with lean.call("l_ST_Prim_mkRef___boxed", 0, 0, "old", 0) as cell:
        assert lean.dump(cell) == Opaque(TAG_REF)
        lean.call("l_ST_Prim_Ref_set___boxed", 0, 0, cell, "new", 0).close()
        assert lean.eval_data(Call("l_ST_Prim_Ref_get___boxed", (0, 0, cell, 0))) == "new"


def test_scalar_arrays_come_out_as_bytes(lean: NativeEngine) -> None:
    assert lean.eval_data(Call("l_String_toUTF8___boxed", ("a∀\0",))) == "a∀\0".encode()


def test_unwrap(lean: NativeEngine) -> None:
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


def test_a_lent_handle_stays_open(lean: NativeEngine) -> None:
    with lean.eval(ArrayOf(["a"])) as array:
        for _ in range(3):
            assert lean.eval_data(Call("lean_array_push", (array, "b"))) == ["a", "b"]
        assert lean.dump(array) == ["a"]


def test_a_given_handle_is_closed(lean: NativeEngine) -> None:
    value = lean.eval("text")
    assert lean.eval_data(Give(value)) == "text"
    for use in (value, Give(value), Field(value, 0)):
        with pytest.raises(ClosedError):
            lean.eval_data(use)
    again = lean.eval("text")
    with pytest.raises(ClosedError):
        lean.eval_all([Give(again), again])
    assert lean.eval_all([]) == []
    assert repr(again) == "<Ref closed>"


def test_a_given_unique_array_is_changed_in_place(lean: NativeEngine) -> None:
    array = lean.call("lean_array_push", ArrayOf(["a"]), "b")
    word = array.word
    pushed = lean.call("lean_array_push", Give(array), "c")
    assert pushed.word == word
    with lean.call("lean_array_push", pushed, "d") as other:
        assert other.word != word
    with pushed:
        assert lean.dump(pushed) == ["a", "b", "c"]


def test_closing_twice_releases_once(lean: NativeEngine) -> None:
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


def test_a_dropped_handle_is_released(lean: NativeEngine) -> None:
    before = lean.live
    lean.eval("dropped")
    assert lean.live == before
    assert lean.released


def test_foreign_handles_are_refused(lean: NativeEngine) -> None:
    other = NativeEngine(lean._lib)
    for foreign in (other.eval("theirs"), other.eval(3)):
        with foreign:
            for use in (foreign, Give(foreign), Field(foreign, 0), Ctor(0, ("mine", foreign))):
                with pytest.raises(ForeignHandleError):
                    lean.eval(use)
            assert other.eval_data(foreign) in ("theirs", 3)
    other.drain()
    assert other.live == 0


BIG = "x" * 400_000


def memory_grown(lean: NativeEngine, arg: Arg) -> int:
    """Evaluate *arg* 300 times, whatever comes of it; return by how many bytes memory grew."""
    before = lean.private_bytes()
    for _ in range(300):
        try:
            lean.eval(arg).close()
        except Thrown as thrown:
            thrown.error.close()
        except (EngineError, UsageError):
            pass
    lean.drain()
    return lean.private_bytes() - before


@pytest.mark.parametrize(
    "arg",
    [
        BIG,
        ArrayOf([BIG]),
        ListOf([BIG]),
        Ctor(0, (BIG,), b"1234"),
        With(Ctor(0, (BIG, BIG)), ((0, BIG),)),
        Field(Ctor(0, (BIG, BIG)), 1),
        Index(ArrayOf([BIG]), 0),
        Size(ArrayOf([BIG])),
        Tag(Ctor(0, (BIG,))),
        Call("l_String_append___boxed", (BIG, BIG)),
        Call("lean_apply_1", (Closure("l_String_append___boxed", 2, (BIG,)), BIG)),
        Unwrap(Ctor(0, (BIG,))),
        Unwrap(Ctor(1, (BIG,))),
        # What fails must release what was built before it failed.
        ArrayOf([BIG, Unwrap(Ctor(1, (BIG,)))]),
        ArrayOf([BIG, Field(BIG, 0)]),
        Unwrap(BIG),
        Call("l_no_such_function", (BIG,)),
        Closure("l_no_such_function", 2, (BIG,)),
        Closure(ADD, 1, (BIG,)),
        With(Ctor(0, (BIG,)), ((3, BIG),)),
        With(Ctor(0, (BIG,)), ((0, BIG),), ((0, b"x"),)),
        Ctor(250, (BIG,)),
    ],
    ids=lambda arg: type(arg).__name__,
)
def test_nothing_leaks(lean: NativeEngine, arg: Arg) -> None:
    # Two allocators keep memory for later; a leak grows by 300 times 400 kB in every round, so one flat round will do.
    assert any(memory_grown(lean, arg) < 20_000_000 for _ in range(4))


def test_given_handles_are_released_when_a_later_argument_fails(lean: NativeEngine) -> None:
    def grown() -> int:
        before = lean.private_bytes()
        for _ in range(300):
            early, late = lean.eval(BIG), lean.eval(BIG)
            with pytest.raises(Thrown) as thrown:
                lean.eval_all([Give(early), Unwrap(Ctor(1, (1,))), Give(late)])
            thrown.value.error.close()
            assert lean.dump(late) == BIG
            late.close()
        lean.drain()
        return lean.private_bytes() - before

    assert any(grown() < 20_000_000 for _ in range(4))


# --- copying out ----------------------------------------------------------------------------------


def test_dump_limits(lean: NativeEngine) -> None:
    with lean.eval(ListOf(["x"] * 100)) as value:
        for limit in (0, 1, 199):
            with pytest.raises(ObjectTooLarge):
                lean.dump(value, limit)
        lean.dump(value, 200)
    with pytest.raises(ObjectTooLarge):
        lean.eval_data(ListOf(["x"] * 100), 10)


def test_shared_values_are_copied_once(lean: NativeEngine) -> None:
    value = lean.eval(Ctor(0, (1,)))
    for _ in range(60):  # 2^60 nodes as a tree, 61 objects in memory
        value = lean.eval(Ctor(0, (value, value)))
    with value:
        data = lean.dump(value, 100)
    assert isinstance(data, Node)
    assert data.fields[0] is data.fields[1]


def test_deep_values_are_copied_and_freed_without_recursion(lean: NativeEngine) -> None:
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


def test_a_deep_argument_is_a_python_error(lean: NativeEngine) -> None:
    arg: Arg = "bottom"
    for _ in range(100_000):
        arg = Ctor(0, (arg,))
    with pytest.raises(RecursionError):
        lean.eval(arg)
    assert lean.eval_data("still here") == "still here"
    while isinstance(arg, Ctor):
        (arg,) = arg.fields


def test_the_library_is_opened_once(lean: NativeEngine, native_toolchain: Toolchain, tmp_path: Path) -> None:
    assert NativeEngine.open(native_toolchain.library) is lean
    link = tmp_path / "same.so"
    link.symlink_to(native_toolchain.library)
    assert NativeEngine.open(link) is lean
    other = tmp_path / "other.so"
    other.write_bytes(b"")
    with pytest.raises(EngineError, match="already runs") as caught:
        NativeEngine.open(other)
    assert caught.value.hint
    lean.close()
    lean.close()
    assert lean.eval_data("still here") == "still here"


def test_handles_repr(lean: NativeEngine) -> None:
    with lean.eval("x") as value:
        assert isinstance(value, Ref)
        assert repr(value).startswith("<Ref 0x")
