"""What callers give by mistake is refused with the argument's name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from leanhost import UsageError
from leanhost.services.terms.expr import Name
from leanhost.services.values.validate import many, natural, one_of, seconds, text, texts

BIG = 10**5000
"""Python has no text for it."""


@pytest.mark.parametrize("wrong", [True, -1, 1.0, "1", None, pytest.param(-BIG, id="big")])
def test_a_natural_number(wrong: object) -> None:
    with pytest.raises(UsageError, match="limit must be a natural number, not "):
        natural("limit", wrong)
    assert (natural("limit", 0), natural("limit", BIG)) == (0, BIG)


@pytest.mark.parametrize("wrong", [0, 6, pytest.param(BIG, id="big")])
def test_a_whole_number_in_a_range(wrong: int) -> None:
    with pytest.raises(UsageError, match="limit must be a whole number from 1 to 5, not "):
        natural("limit", wrong, least=1, most=5)
    with pytest.raises(UsageError, match="limit must be a whole number of at least 1, not 0"):
        natural("limit", 0, least=1)
    assert natural("limit", 5, least=1, most=5) == 5


@pytest.mark.parametrize(
    "wrong", [0, -1.0, float("nan"), float("inf"), 1e7, True, "1", None, pytest.param(BIG, id="big")]
)
def test_seconds(wrong: object) -> None:
    with pytest.raises(UsageError, match="timeout must be a positive number of seconds, not "):
        seconds("timeout", wrong)
    assert seconds("timeout", 0.5) == 0.5


@pytest.mark.parametrize(
    "check",
    [
        lambda: text("a source", b"x"),
        lambda: texts("terms", "x"),
        lambda: texts("terms", ["x", 1]),
        lambda: texts("terms", 1),
        lambda: many("names", "x"),
        lambda: many("names", Name("x")),
        lambda: many("names", b"x"),
        lambda: many("names", 1),
        lambda: one_of("kind", "x", ("a", "b")),
    ],
)
def test_one_where_another_is_wanted(check: Callable[[], object]) -> None:
    with pytest.raises(UsageError, match=r"a source is a str|must be (a sequence of|one of)"):
        check()


def test_what_is_right_passes() -> None:
    assert text("a source", "") == ""
    assert texts("terms", ("x",)) == ("x",)
    many("names", {"x"})
    many("names", (each for each in "x"))
    one_of("kind", "a", ("a", "b"))
