"""Checking whole files: their own header decides the imports, nothing is rewritten."""

from __future__ import annotations

import re
from dataclasses import dataclass

from leanhost.engine.expressions import Index, Size
from leanhost.engine.values import Ref
from leanhost.lean import names, reading
from leanhost.lean.core import Import, Lean
from leanhost.services.elaboration.commands import Messages
from leanhost.services.values.recent import Recent
from leanhost.services.values.results import Diagnostic, Position
from leanhost.services.values.text import file_name, position_of_byte


@dataclass(frozen=True, slots=True)
class Header:
    """What the head of a source asks for.

    ``imports`` are exactly those Lean would import (the implicit ``Init`` included unless ``prelude`` is
    written), ``end`` is the byte offset where the commands start.
    """

    imports: tuple[Import, ...]
    is_module: bool
    end: int
    diagnostics: tuple[Diagnostic, ...]
    written: bool
    """Whether the source says anything about its imports itself."""


_KEPT_HEADERS = 32
_KEPT_CHARACTERS = 4096

# The first word behind a header and what follows it. Lean's header parser reads that word, and the space behind it,
# to see that it is none of its own; it reads no further, unless a comment begins there.
_FIRST_WORD = re.compile(r"(?!(?:module|prelude|public|meta|import|all|private|runtime)\b)[a-z_]+")
_REST = re.compile(r"[ \n]+[^-/\s]")

# Space and plain comments, as far as they can be told without knowing how comments nest, and then a command.
_COMMAND = re.compile(r"(?:[ \n]++|--[^\n]*+\n|/-(?![-!])[^-/]*+-/)*+(?=[^\s/-]|/-[-!])")


def first_command(lean: Lean, text: str, file: str) -> int:
    """Return the byte where the commands of a source without a header begin; 0 when it has one.

    Lean's command parser wants something behind the space it skips; its header parser also takes a source of
    nothing but space and comments.
    """
    plain = _COMMAND.match(text)
    if plain is not None:
        return len(text[: plain.end()].encode("utf-8"))
    header = parse_header(lean, text, file)
    return 0 if header.written or header.diagnostics else header.end


class Headers:
    """Headers of sources, parsed by Lean once for those that begin alike.

    Lean's parser for headers makes an empty environment first, which takes as long as many a proof.
    """

    def __init__(self) -> None:
        self._known: Recent[str, tuple[str, Header]] = Recent(_KEPT_HEADERS)

    def copy(self) -> Headers:
        """Return headers that know as much as these do now."""
        copied = Headers()
        copied._known = self._known.copy()
        return copied

    def parse(self, lean: Lean, text: str, file: str) -> Header:
        """Return what :func:`parse_header` does."""
        for beginning, known in self._known.values():
            if text.startswith(beginning) and _REST.match(text, len(beginning)):
                self._known.get(beginning)
                return known
        header = parse_header(lean, text, file)
        if not header.diagnostics:
            first = len(text.encode("utf-8")[: header.end].decode("utf-8"))
            word = _FIRST_WORD.match(text, first)
            if word is not None and word.end() <= _KEPT_CHARACTERS and _REST.match(text, word.end()):
                beginning = text[: word.end()]
                self._known.put(beginning, (beginning, header))
        return header


def import_place(lean: Lean, text: str, file: str, module: str) -> tuple[Position, Position] | None:
    """Return where the import of *module* begins and ends; ``None`` when the header does not write it out."""
    engine, table = lean.engine, lean.table
    with engine.eval(table.parsed_syntax(_parsed(lean, text, file))) as syntax:
        imports = reading.imports(lean, table.header_imports(syntax))
        written = engine.eval(table.header_import_syntax(syntax))
        count = lean.number(Size(written))
        # What is imported without a word comes first.
        for at, found in enumerate(imports[len(imports) - count :]):
            if names.show(found.module) == module:
                place = reading.byte_range(lean, Index(written, at))
                if place is not None:
                    start, end = place
                    return position_of_byte(text, start), position_of_byte(text, end)
    return None


def _parsed(lean: Lean, text: str, file: str) -> Ref:
    table = lean.table
    utf8 = text.encode("utf-8")
    context = lean.engine.eval(table.input_context(utf8, file_name(file), len(utf8)))
    return lean.io(table.parse_header(context))


def parse_header(lean: Lean, text: str, file: str) -> Header:
    """Parse a prepared source's header with Lean's own parser (``Lean.Parser.parseHeader``)."""
    engine, table = lean.engine, lean.table
    parsed = _parsed(lean, text, file)
    syntax, end, said = engine.eval_all(
        [
            table.parsed_syntax(parsed),
            table.parser_position(table.parsed_state(parsed)),
            table.message_list(table.parsed_messages(parsed)),
        ]
    )
    messages = Messages(lean, file, 1 << 16)
    messages.take(said)
    imports = tuple(reading.imports(lean, table.header_imports(syntax)))
    is_module = bool(lean.number(table.header_is_module(syntax)))
    written = bool(messages.found) or any(lean.array(table.header_written(syntax)))
    return Header(imports, is_module, lean.small(end), tuple(messages.found), written)
