"""Checking whole files: their own header decides the imports, nothing is rewritten."""

from __future__ import annotations

from dataclasses import dataclass

from leanhost.engine.base import Arg, ArrayOf, Field, Index, Node, Size
from leanhost.lean import names
from leanhost.lean.core import Import, Lean
from leanhost.services.elaboration import Messages
from leanhost.services.results import Diagnostic
from leanhost.services.source import file_name


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


def parse_header(lean: Lean, text: str, file: str) -> Header:
    """Parse a prepared source's header with Lean's own parser (``Lean.Parser.parseHeader``)."""
    engine, table = lean.engine, lean.table
    context = engine.eval(table.input_context(text, file_name(file), len(text.encode("utf-8"))))
    parsed = lean.io(table.parse_header(context))
    syntax, state, said = engine.eval_all(
        [
            table.parsed_syntax(parsed),
            table.parsed_state(parsed),
            table.message_list(table.parsed_messages(parsed)),
        ]
    )
    messages = Messages(lean, file, 1 << 16)
    messages.take(said)
    imports = tuple(_import(item) for item in lean.array(table.header_imports(syntax)))
    is_module = bool(lean.number(table.header_is_module(syntax)))
    position = engine.dump(state)
    assert isinstance(position, Node)
    assert isinstance(position.fields[0], int)
    # `module`, `prelude` and the list of imports: what of them is there.
    parts: list[Arg] = [Size(Field(Index(Field(syntax, 2), i), 2)) for i in range(3)]
    written = bool(messages.found) or any(lean.array(ArrayOf(parts)))
    return Header(imports, is_module, position.fields[0], tuple(messages.found), written)


def _import(item: object) -> Import:
    assert isinstance(item, Node)
    all_, exported, meta = (bool(flag) for flag in item.scalars[:3])
    return Import(names.decode(item.fields[0]), all_, exported, meta)
