"""Values in and out of the native engine: its word, its handles, its memory; test_values is about both engines."""

from __future__ import annotations

from pathlib import Path

import pytest

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
from leanhost.engine.values import TAG_REF, Node, Opaque, Thrown
from leanhost.errors import ClosedError, EngineError, ForeignHandleError, UsageError
from leanhost.toolchain import Toolchain
from tests.support.arguments import ADD


@pytest.mark.parametrize("value", [2**31, 2**63 - 1])
def test_boxed_scalars_of_a_large_word(lean: NativeEngine, value: int) -> None:
    assert lean.eval_data(value) == value


def test_words_and_scalars(lean: NativeEngine) -> None:
    assert lean.eval_data(USize(2**64 - 1)) == Node(0, (), b"\xff" * 8)
    assert lean.eval_data(UInt64(1)) == Node(0, (), b"\1" + bytes(7))
    # What is behind the given bytes is zero, not what the memory held before.
    assert lean.eval_data(Ctor(7, (1, "a"), b"\1\2\3")) == Node(7, (1, "a"), b"\1\2\3" + bytes(5))


def test_what_stands_behind_scalars_is_kept(lean: NativeEngine) -> None:
    updated = lean.eval_data(With(Ctor(2, (1, 2, 3), b"abcd"), ((2, "z"),), ((1, b"X"),)))
    assert updated == Node(2, (1, 2, "z"), b"aXcd" + bytes(4))


@pytest.mark.parametrize("count", [1, 31, 32, 33, 255])
def test_constructors_of_any_size(lean: NativeEngine, count: int) -> None:
    fields = tuple(str(i) for i in range(count))
    assert lean.eval_data(Ctor(243, fields, b"12345678")) == Node(243, fields, b"12345678")


def test_a_missing_function_names_itself_and_its_library(
    lean: NativeEngine, native_toolchain: Toolchain
) -> None:
    with pytest.raises(EngineError, match="l_no_such_function") as caught:
        lean.call("l_no_such_function", 1)
    assert str(native_toolchain.library.resolve()) in caught.value.message


def test_constants(lean: NativeEngine) -> None:
    assert lean.eval_data(Const("l_Lean_versionString")) == "4.35.0"


def test_reference_cells(lean: NativeEngine) -> None:
    with lean.call("l_ST_Prim_mkRef___boxed", 0, 0, "old", 0) as cell:
        assert lean.dump(cell) == Opaque(TAG_REF)
        lean.call("l_ST_Prim_Ref_set___boxed", 0, 0, cell, "new", 0).close()
        assert lean.eval_data(Call("l_ST_Prim_Ref_get___boxed", (0, 0, cell, 0))) == "new"


def test_what_was_given_before_an_error_is_given(lean: NativeEngine) -> None:
    given = lean.eval("text")
    with pytest.raises(ClosedError):
        lean.eval_all([Give(given), given])
    assert repr(given) == "<Ref closed>"


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
