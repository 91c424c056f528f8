"""Values in and out of the WebAssembly engine: its word and its memory; test_values is about both engines."""

from __future__ import annotations

import pytest

from leanhost.engine.expressions import (
    Arg,
    ArrayOf,
    Call,
    Closure,
    Const,
    Ctor,
    Give,
    UInt64,
    Unwrap,
    USize,
)
from leanhost.engine.values import TAG_REF, Node, Opaque, Ref, Thrown
from leanhost.engine.wasm import WasmEngine
from leanhost.errors import EngineError, ForeignHandleError, UsageError


def test_naturals_over_a_small_word_become_bignums(lean: WasmEngine) -> None:
    assert lean.eval_data(2**31) == 2**31


def test_words_and_scalars(lean: WasmEngine) -> None:
    assert lean.eval_data(USize(2**32 - 1)) == Node(0, (), b"\xff\xff\xff\xff\0\0\0\0")
    assert lean.eval_data(UInt64(2**64 - 1)) == Node(0, (), b"\xff" * 8)
    value = lean.eval_data(Ctor(7, (1, "a"), b"\1\2\3"))
    assert isinstance(value, Node)
    assert (value.tag, value.fields, value.scalars[:3]) == (7, (1, "a"), b"\1\2\3")


@pytest.mark.parametrize(
    "arg",
    [
        Call("lean_st_mk_ref", (1, 2)),
        Const("lean_st_mk_ref"),
        Closure("lean_st_mk_ref", 3),
    ],
)
def test_what_makes_no_sense_is_refused_and_harmless(lean: WasmEngine, arg: Arg) -> None:
    with pytest.raises(EngineError):
        lean.eval_all(["before", Ctor(0, ("beside", arg))])
    assert lean.eval_data("still here") == "still here"


def test_constants(lean: WasmEngine) -> None:
    text = lean.eval_data(Const("l_Lean_versionString"))
    assert isinstance(text, str)
    assert text.startswith("4.28")


def test_references_cells(lean: WasmEngine) -> None:
    with lean.call("lean_st_mk_ref", "old") as cell:
        assert lean.dump(cell) == Opaque(TAG_REF)
        lean.call("lean_st_ref_set", cell, "new").close()
        assert lean.eval_data(Call("lean_st_ref_get", (cell,))) == "new"


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


def test_usage_errors_change_nothing(lean: WasmEngine) -> None:
    for wrong in (USize(2**32), Call("naïve")):
        with pytest.raises(UsageError):
            lean.eval(ArrayOf(["x", wrong]))
    assert lean.eval_data("fine") == "fine"


def test_foreign_handles(lean: WasmEngine) -> None:
    class Other:
        live = 0
        released: list[int] = []  # noqa: RUF012

    foreign = Ref(Other(), 5)  # type: ignore[arg-type]
    with pytest.raises(ForeignHandleError):
        lean.eval(foreign)
