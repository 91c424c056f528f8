"""Sources before Lean sees them: text that cannot be Lean's is a diagnostic."""

from __future__ import annotations

from typing import IO

from leanhost.services.values import validate
from leanhost.services.values.results import Diagnostic, Position, Severity

MAX_SOURCE_BYTES = 64 << 20
"""Largest source that is looked at, in bytes of UTF-8."""


def position(text: str, offset: int) -> Position:
    """Return the position of a code point offset."""
    line = text.count("\n", 0, offset) + 1
    return Position(line, offset - (text.rfind("\n", 0, offset) + 1))


def position_of_byte(text: str, byte: int) -> Position:
    """Return the position of a byte of *text* in UTF-8; the end of *text* for one behind it."""
    return position(text, len(text.encode("utf-8")[: max(0, byte)].decode("utf-8", "ignore")))


def file_name(label: str) -> str:
    """Return a file's label as a Lean string can hold it: what stands for bytes that are not UTF-8 becomes `?`."""
    return label if label.isascii() else label.encode("utf-8", "replace").decode("utf-8")


def _fault(message: str, where: Position, file: str, kind: str) -> Diagnostic:
    return Diagnostic(Severity.ERROR, message, where, None, file, f"leanhost.source.{kind}")


def _too_large(file: str) -> Diagnostic:
    return _fault(f"the source has more than {MAX_SOURCE_BYTES} bytes", Position(1, 0), file, "too_large")


def read(handle: IO[bytes]) -> bytes:
    """Read a source to its end, or one byte more than a source may have: a device has no end."""
    return handle.read(MAX_SOURCE_BYTES + 1)


def decode_source(data: bytes, file: str) -> str | Diagnostic:
    """Decode the bytes of a source; what is too large or not UTF-8 is a diagnostic that says where."""
    if len(data) > MAX_SOURCE_BYTES:
        return _too_large(file)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8")
        byte = data[error.start]
        message = f"the file is not valid UTF-8: byte {byte:#04x} at offset {error.start}; save it as UTF-8"
        return _fault(message, position(good, len(good)), file, "utf8")


def prepare(text: str, file: str, what: str = "a source") -> str | Diagnostic:
    """Return the text Lean is given (``\\r\\n`` read as ``\\n``, as Lean does), or why it cannot be Lean text.

    Raises :class:`~leanhost.errors.UsageError` when either argument is not a ``str``; *what* names the text.
    """
    validate.text(what, text)
    validate.text("a file label", file)
    if text.startswith("\ufeff"):
        return _fault(
            "the source starts with a byte order mark, which Lean does not read; save it as UTF-8 without BOM",
            Position(1, 0),
            file,
            "bom",
        )
    try:
        size = len(text if text.isascii() else text.encode("utf-8"))
    except UnicodeEncodeError as error:
        message = (
            f"the source contains the lone surrogate U+{ord(text[error.start]):04X}, which is no character"
        )
        return _fault(message, position(text, error.start), file, "surrogate")
    if size > MAX_SOURCE_BYTES:
        return _too_large(file)
    return text.replace("\r\n", "\n")
