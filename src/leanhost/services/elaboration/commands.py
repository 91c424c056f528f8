"""Running Lean commands over an environment, one at a time, under limits."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg
from leanhost.engine.values import Data, Ref, Thrown
from leanhost.errors import bounded
from leanhost.lean import reading
from leanhost.lean.constants import WITH_VALUE, by_kind, described_constants
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple, show, user_name
from leanhost.lean.tables import Table
from leanhost.services.kernel.judge import Additions
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.progress import phase
from leanhost.services.values.results import (
    CommandResult,
    Declared,
    Diagnostic,
    Limit,
    Position,
    Severity,
    Sorry,
)
from leanhost.services.values.text import file_name, position_of_byte

_KIND_LIMITS = {"runtime.maxHeartbeats": Limit.HEARTBEATS, "runtime.maxRecDepth": Limit.REC_DEPTH}

_EOI: NameTuple = ("Lean", "Parser", "Command", "eoi")


@dataclass(slots=True)
class Elaborated:
    """The raw outcome of elaborating a source: the grown environment and what was said."""

    env: Ref
    diagnostics: list[Diagnostic]
    limits: set[Limit]
    heartbeats: float
    elapsed: float


class Messages:
    """Collects Lean's messages up to a budget of bytes.

    A term or a tactic is elaborated without a map of its lines: Lean then puts every position in line 1, with the
    byte as its column. *text* is what the bytes are of, the first of them number *start*.
    """

    def __init__(
        self, lean: Lean, file: str, budget: int, *, text: str | None = None, start: int = 0
    ) -> None:
        self._lean = lean
        self._text = text
        self._start = start
        self._file = file
        self._left = budget
        self.found: list[Diagnostic] = []
        self.limits: set[Limit] = set()

    def take(self, messages: Ref) -> None:
        """Copy a ``List Message`` out."""
        while not messages.is_scalar:
            text, messages = self._lean.step(_message)(messages)
            with text:
                self._add(json.loads(str(self._lean.engine.dump(text))))

    def _add(self, message: dict[str, object]) -> None:
        kind = str(message.get("kind", ""))
        kind = "" if kind == "[anonymous]" else kind
        for suffix, limit in _KIND_LIMITS.items():
            if kind.endswith(suffix):
                self.limits.add(limit)
        text = str(message["data"])
        if message.get("caption"):
            text = f"{message['caption']}:\n{text}"
        raw = text.encode("utf-8", "replace")
        severity = Severity(str(message["severity"]))
        if len(raw) > self._left:
            self.limits.add(Limit.DIAGNOSTIC_BYTES)
            # An error is never dropped whole: its place and severity decide verdicts.
            if severity is not Severity.ERROR and not self._left:
                return
            text = raw[: self._left].decode("utf-8", "ignore")
        self._left = max(0, self._left - len(raw))
        end = message.get("endPos")
        self.found.append(
            Diagnostic(
                severity,
                text,
                self._position(message["pos"]),
                None if end is None else self._position(end),
                self._file,
                kind,
            )
        )

    def _position(self, value: object) -> Position:
        assert isinstance(value, dict)
        line, column = int(value["line"]), int(value["column"])
        if self._text is None:
            return Position(line, column)
        return position_of_byte(self._text, column - self._start)


def parser_diagnostic(said: str, file: str) -> Diagnostic:
    """Take apart what Lean's parser objects: ``<file>:line:column: message`` (``Lean.Parser.runParserCategory``)."""
    found = re.fullmatch(rf"{re.escape(file)}:(\d+):(\d+): (.*)", said, re.DOTALL)
    where, message = (
        (Position(1, 0), said) if found is None else (Position(int(found[1]), int(found[2])), found[3])
    )
    return Diagnostic(Severity.ERROR, bounded(message), where, None, file)


def elaborate(
    lean: Lean,
    env: Ref,
    source: str,
    *,
    lean_options: Ref,
    options: ElabOptions,
    file: str,
    guard: Guard,
    start: int = 0,
    watch: Callable[[int, int, Ref], None] | None = None,
) -> Elaborated:
    """Elaborate the commands of *source* from byte *start* on top of *env*, under *guard*.

    *watch* is called with each command: its first byte, the byte behind it, and the state after it with info trees.

    *source* has been prepared by :func:`leanhost.services.values.text.prepare`. Must run inside
    ``engine.supervise``.
    """
    engine, table = lean.engine, lean.table
    begun = time.monotonic()
    messages = Messages(lean, file, options.diagnostic_bytes)
    utf8 = source.encode("utf-8")
    size = len(utf8)
    begin = lean.step(_begin if watch is None else _begin_with_info)
    beats, context, name, state = begin(env, lean_options, utf8, file_name(file), size)
    current, following = lean.step(_first)(state, start)
    parse, read, elab = lean.step(_parse), lean.step(_read), lean.step(_elab)
    position = start
    reading = phase(guard, "elaborate", size)
    while not guard.why:
        (parsed,) = parse(context, current, following)
        # The state is Lean's alone while a command changes it, or Lean would copy it.
        current.close()
        syntax, following, said, terminal, behind = read(parsed)
        messages.take(said)
        last = bool(terminal.unbox())
        if not last or not lean.is_name(engine.eval(table.syntax_kind(syntax)), _EOI):
            try:
                _, said, current = elab(syntax, name, context, position, guard.token, state)
            except Thrown as thrown:
                # Only interruption gets here: everything else is logged by the command itself.
                if not guard.why:
                    said_text = lean.text(table.exception_text(thrown.error))
                    messages.found.append(
                        Diagnostic(
                            Severity.ERROR, said_text, Position(1, 0), None, file, "leanhost.elab.thrown"
                        )
                    )
                current = engine.eval(table.get_ref(state))
                said = engine.eval(table.message_list(table.state_messages(current)))
            messages.take(said)
        else:
            current = engine.eval(table.get_ref(state))
        if last:
            break
        began, position = position, behind.unbox()
        if watch is not None:
            watch(began, position, engine.eval(table.get_ref(state)))
        reading.at(position)
        if position >= size:  # the space behind a command belongs to it: nothing is left to parse
            break
    if not guard.why:
        reading.at(size)
    limits = messages.limits
    if guard.limit is not None:
        limits.add(guard.limit)
    env_after, beats_after = lean.step(_finish)(state)
    spent = (lean.small(beats_after) - lean.small(beats)) / 1000
    return Elaborated(env_after, messages.found, limits, spent, time.monotonic() - begun)


# The steps of an elaboration, each prepared once for a Lean.


def _begin(table: Table, env: Arg, options: Arg, source: Arg, file: Arg, size: Arg) -> tuple[Arg, ...]:
    state = table.new_ref(table.command_state(env, options))
    return (table.heartbeats(), table.input_context(source, file, size), file, state)


def _begin_with_info(
    table: Table, env: Arg, options: Arg, source: Arg, file: Arg, size: Arg
) -> tuple[Arg, ...]:
    state = table.new_ref(table.state_with_info(table.command_state(env, options)))
    return (table.heartbeats(), table.input_context(source, file, size), file, state)


def _first(table: Table, state: Arg, start: Arg) -> tuple[Arg, ...]:
    return (table.get_ref(state), table.parser_state(start))


def _parse(table: Table, context: Arg, state: Arg, following: Arg) -> tuple[Arg, ...]:
    return (table.parse_command(context, state, following),)


def _read(table: Table, parsed: Arg) -> tuple[Arg, ...]:
    syntax, following = table.parsed_syntax(parsed), table.parsed_state(parsed)
    said = table.message_list(table.parsed_messages(parsed))
    return (syntax, following, said, table.is_terminal(syntax), table.parser_position(following))


def _elab(
    table: Table, syntax: Arg, file: Arg, context: Arg, position: Arg, token: Arg, state: Arg
) -> tuple[Arg, ...]:
    command = table.command_context(file, table.input_file_map(context), position, token)
    after = table.get_ref(state)
    return (
        table.elab_command(syntax, command, state),
        table.message_list(table.state_messages(after)),
        after,
    )


def _message(table: Table, messages: Arg) -> tuple[Arg, ...]:
    return (table.message_json(table.list_head(messages)), table.list_tail(messages))


def _finish(table: Table, state: Arg) -> tuple[Arg, ...]:
    after = table.get_ref(state)
    return (table.state_env(after), table.heartbeats())


def _description(table: Table, env: Arg, name: Arg, info: Arg) -> tuple[Arg, ...]:
    return (table.is_internal_detail(table.user_name(name)), table.declaration_ranges(env, name))


def _sorry_in_type(table: Table, info: Arg) -> tuple[Arg, ...]:
    return (table.has_sorry(table.constant_type(info)),)


def _sorry_in_value(table: Table, info: Arg) -> tuple[Arg, ...]:
    return (*_sorry_in_type(table, info), table.has_sorry(table.constant_value(info)))


_SORRY = dict.fromkeys(WITH_VALUE, _sorry_in_value)


def _unreported(sorries: list[Constant], done: Elaborated, file: str) -> list[Diagnostic]:
    """Tell of errors that Lean kept to itself, as it does when a source turns ``Elab.async`` on."""
    told = any(d.is_error or d.kind.endswith("hasSorry") for d in done.diagnostics)
    if told or not sorries or Limit.DIAGNOSTIC_BYTES in done.limits:
        return []
    names = ", ".join(show(user_name(c.name)) for c in sorries[:3])
    message = f"{names}: contains `sorry` or an error that Lean did not report (is `Elab.async` or `warn.sorry` set?)"
    return [Diagnostic(Severity.ERROR, message, Position(1, 0), None, file, "leanhost.elab.unreported")]


def summarise(
    lean: Lean, done: Elaborated, known: frozenset[NameTuple], file: str
) -> tuple[CommandResult, Additions]:
    """Read from the environment what the elaboration of *file* added, and freeze the result."""
    described = described_constants(lean, done.env, _description, known)
    places = {
        c.name: _selected(lean.table, where)
        for c, (internal, where) in described
        if not internal or _stated(lean.table, c, where)
    }
    added = sorted((c for c, _ in described), key=lambda constant: _place(constant.name, places))
    shown = [(c, places[c.name]) for c in added if c.name in places]
    sorries = declarations_with_sorry(lean, added)
    result = CommandResult(
        diagnostics=(*done.diagnostics, *_unreported(sorries, done, file)),
        declarations=tuple(Declared(show(user_name(c.name)), c.kind, where) for c, where in shown),
        sorries=tuple(Sorry(show(user_name(c.name))) for c in sorries),
        elapsed=done.elapsed,
        heartbeats=done.heartbeats,
        limits=tuple(sorted(done.limits)),
    )
    return result, Additions(added, shown)


def _stated(table: Table, constant: Constant, found: Data) -> bool:
    """Whether an author has claimed it, by whatever name: ``theorem eq_1`` reads like one of Lean's own details.

    What Lean makes on the way has no place in the source, but for the definitions behind a macro.
    """
    return constant.kind in ("theorem", "axiom") and _selected(table, found) is not None


def _selected(table: Table, found: Data) -> Position | None:
    """Read ``selectionRange.pos`` of an ``Option DeclarationRanges``, which any code may have written."""
    ranges = reading.option(found)
    start = None if ranges is None else reading.selection_start(table, ranges)
    return None if start is None else Position(*start)


_NOWHERE = (sys.maxsize, 0)


def _place(name: NameTuple, places: Mapping[NameTuple, Position | None]) -> tuple[int, int, int, str]:
    """Sort by position; what has none (``T.rec``, ``f._proof_1``) follows the nearest name above it."""
    for end in range(len(name), 0, -1):
        where = places.get(name[:end])
        if where is not None:
            return (where.line, where.column, len(name) - end, show(name))
    return (*_NOWHERE, 0, show(name))


def declarations_with_sorry(lean: Lean, constants: list[Constant]) -> list[Constant]:
    """Return the constants whose type or value mentions ``sorryAx`` (``Expr.hasSorry``)."""
    answers = by_kind(lean, constants, _SORRY, _sorry_in_type)
    return [constant for constant, flags in zip(constants, answers, strict=True) if any(flags)]
