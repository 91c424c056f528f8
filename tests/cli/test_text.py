"""Excerpts: the carets stand under what they mean, whatever is in the line."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from leanhost.cli.text import excerpt, visible


def under(line: str, start: int, end: int, width: int = 80) -> str:
    """Return the part of the shown line that the carets mark, cell by cell."""
    shown, carets = excerpt(line, start, end, width)
    assert set(carets.strip()) == {"^"}
    first = len(carets) - len(carets.lstrip())
    marked, column = "", 0
    for char in shown:
        if first <= column < len(carets):
            marked += char
        column += cell_len(char)
    return marked


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("theorem wrong : 1 = 2 := rfl", "wrong"),
        ("theorem wrong : 1 = 2 := rfl", "rfl"),
        ("\texact\th", "h"),
        ("-- 日本語 then word here", "word"),
        ("-- 日本語 then word here", "日本語"),
        ("∀ x ∈ s, x ≤ y", "≤"),
        ("e\u0301toile: word", "word"),
        ("\ttab 日\tword", "word"),
    ],
)
def test_carets_under_the_word(line: str, word: str) -> None:
    start = line.index(word)
    assert under(line, start, start + len(word)) == word


@pytest.mark.parametrize("width", [20, 40, 79, 80, 81, 200])
@pytest.mark.parametrize("before", [0, 10, 75, 500, 100_000])
@pytest.mark.parametrize("filler", ["x", "日", "\t"])
def test_long_lines_are_shown_around_the_carets(width: int, before: int, filler: str) -> None:
    line = filler * before + "NEEDLE" + filler * 5000
    shown, carets = excerpt(line, before, before + 6, width)
    assert under(line, before, before + 6, width) == "NEEDLE"
    assert cell_len(shown) <= width
    assert len(carets) <= width
    assert shown.endswith("…") or filler == "\t"
    if before > width:
        assert shown.startswith("…")
    if filler == "x" and before + 6 < width:
        assert not shown.startswith("…")


def test_a_range_longer_than_the_window_is_cut() -> None:
    shown, carets = excerpt("y" * 500, 5, 500, 60)
    assert cell_len(shown) <= 60
    assert len(carets) <= 60


@pytest.mark.parametrize("start", [3, 4, 1000])
def test_past_the_end_of_the_line(start: int) -> None:
    assert excerpt("abc", start, start, 80) == ("abc", "   ^")


def test_an_empty_range_gets_one_caret() -> None:
    assert excerpt("abc", 1, 1, 80) == ("abc", " ^")


def test_nothing_reaches_the_terminal_that_could_command_it() -> None:
    hostile = "\x1b[2J\x07\x9b31m\r\u202e\u2066\u200b\ufeff\x00\x7f"
    shown = visible(hostile)
    assert shown.isprintable()
    assert "\x1b" not in shown
    assert visible("tab\tand\nline 日本 ∀") == "tab\tand\nline 日本 ∀"


def test_carets_after_made_visible_characters() -> None:
    line = "a \u202e b \x1b c"
    shown, carets = excerpt(line, line.index("c"), line.index("c") + 1, 80)
    assert shown.index("c") == carets.index("^")
