"""Text for a terminal: nothing in a source or a message may move the cursor, and carets stand where they
should.
"""

from __future__ import annotations

TAB = 4
"""Tabs are shown as spaces up to the next multiple of this."""

_HIDDEN = (0x00AD, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF)
_PICTURES: dict[int, str] = {
    **{code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),
    **{code: f"<U+{code:04X}>" for code in _HIDDEN},
}
_LINE_PICTURES = {code: chr(0x2400 + code) for code in (0x09, 0x0A)}


def visible(text: str) -> str:
    """Return *text* with every control, invisible and direction-changing character made visible.

    Line ends and tabs stay. A checked file is somebody else's text: it must not be able to send escape
    sequences to a terminal, nor show a proof that is not there.
    """
    return text.translate(_PICTURES)


def one_line(text: str) -> str:
    """Return *text* as :func:`visible` does, on one line: for names of files."""
    return visible(text.translate(_LINE_PICTURES))


def excerpt(line: str, start: int, end: int, width: int) -> tuple[str, str]:
    """Return *line* as it is shown in *width* cells, and the carets below its code points *start* to *end*.

    An empty range, also one past the line's end, gets one caret. A line that is too long is shown around the
    carets, with an ellipsis where something was left out.
    """
    from rich.cells import get_character_cell_size

    start = min(start, len(line))
    # A line can be megabytes long; only what could be in the window is measured.
    cut = max(0, start - 2 * width)
    line = line[cut : start + 2 * width]
    start, end = start - cut, max(end, start + 1) - cut
    shown: list[tuple[str, int]] = []
    column = first = last = 0
    for at, char in enumerate(line):
        if at == start:
            first = column
        if at == end:
            last = column
        if char == "\t":
            text = " " * (TAB - column % TAB)
            size = len(text)
        else:
            text = visible(char)
            size = len(text) if text != char else get_character_cell_size(char)
        shown.append((text, size))
        column += size
    if start >= len(line):
        first = column
    if end >= len(line):
        last = column
    last = max(last, first + 1)
    left, right = 0, max(column, last)
    if right - left > width or cut:
        fits = last < width and not cut
        left = 0 if fits else max(0, min(first - width // 3, right - width))
        right = left + width
    return _window(shown, left, right, first, last, cut > 0)


def _window(
    shown: list[tuple[str, int]], left: int, right: int, first: int, last: int, cut: bool
) -> tuple[str, str]:
    """Return the cells from *left* to *right*, and carets under those from *first* to *last*."""
    more_left = cut or left > 0
    low = left + 1 if more_left else left
    total = sum(size for _, size in shown)
    more_right = total > right
    high = right - 1 if more_right else right
    pieces, column = [], 0
    for text, size in shown:
        if low <= column and column + size <= high:
            pieces.append(text)
        elif column < high and column + size > low:  # half of a wide character is inside
            pieces.append(" " * (min(column + size, high) - max(column, low)))
        column += size
    start, end = min(max(first, low), high), min(max(last, low + 1), right)
    text = ("\u2026" if more_left else "") + "".join(pieces) + ("\u2026" if more_right else "")
    carets = " " * (start - left) + "^" * max(end - start, 1)
    return text.rstrip(), carets
