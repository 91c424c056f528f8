"""Questions about positions in a source: goals, types and references, from one elaboration for many answers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg, ArrayOf, Index, Size
from leanhost.engine.values import Ref, Thrown
from leanhost.errors import ClosedError, UsageError
from leanhost.lean import names, reading
from leanhost.lean.core import Lean
from leanhost.lean.tables.common import NONE
from leanhost.lean.tables.exprs import EXPRS
from leanhost.lean.tables.infotree import INFO_TERM, TREE_CONTEXT, TREE_HOLE
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.lifecycle import Closing
from leanhost.services.values.limits import CallContext
from leanhost.services.values.results import CommandResult, Position

_MAX_TREE_NODES = 200_000


@dataclass(frozen=True, slots=True)
class TypeAt:
    """The smallest term at a position: the term and its type as text, and where it stands."""

    term: str
    type: str
    start: Position
    end: Position


@dataclass(slots=True)
class _Command:
    start: int
    end: int
    trees: list[Ref]
    terms: list[_Term] | None = None


@dataclass(slots=True)
class _Term:
    start: int
    end: int
    context: Ref
    lctx: Ref
    expr: Ref
    key: tuple[object, ...] | None = None


Guarded: TypeAlias = Callable[[Callable[[Guard], object], CallContext], object]
"""Runs a question to Lean as one call of the session, within its limits."""


class SourceView(Closing):
    """A source that was elaborated once with its info trees kept. A context manager.

    Positions are 1-based lines and 0-based columns in code points. *timeout* in seconds is the session's if left out.
    Made by :meth:`leanhost.Session.view`.
    """

    def __init__(self, lean: Lean, text: str, guarded: Guarded) -> None:
        self._lean = lean
        self._text = text
        self._guarded = guarded
        self._lines = [0]
        for line in text.split("\n"):
            self._lines.append(self._lines[-1] + len(line.encode("utf-8")) + 1)
        self._source_lines = text.split("\n")
        self._commands: list[_Command] = []
        self._closed = False
        self._file_map: Ref | None = None
        self.result: CommandResult = CommandResult((), (), (), 0.0, 0.0)
        """What the elaboration came to."""

    def _add(self, start: int, end: int, state: Ref) -> None:
        """Keep the trees of one command."""
        lean, table = self._lean, self._lean.table
        if self._file_map is None:
            utf8 = self._text.encode("utf-8")
            context = table.input_context(utf8, "<view>", len(utf8))
            self._file_map = lean.engine.eval(table.input_file_map(context))
        with lean.engine.eval(table.info_trees(table.state_info(state))) as trees:
            count = lean.number(Size(trees))
            self._commands.append(
                _Command(start, end, lean.engine.eval_all([Index(trees, i) for i in range(count)]))
            )

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self.result.declarations)} declarations"
        return f"<SourceView of {len(self._source_lines)} lines: {state}>"

    # --- positions ---

    def _byte(self, line: int, column: int) -> int:
        if self._closed:
            raise ClosedError("this view of a source is closed")
        if not isinstance(line, int) or not isinstance(column, int):
            raise UsageError(f"a line and a column are whole numbers, not {line!r} and {column!r}")
        if not 1 <= line <= len(self._source_lines):
            raise UsageError(f"there is no line {line}; the source has {len(self._source_lines)}")
        text = self._source_lines[line - 1]
        if not 0 <= column <= len(text):
            raise UsageError(f"there is no column {column} in line {line}; it has {len(text)} characters")
        return self._lines[line - 1] + len(text[:column].encode("utf-8"))

    def _position(self, byte: int) -> Position:
        line = bisect_right(self._lines, byte) - 1
        line = min(line, len(self._source_lines) - 1)
        raw = self._source_lines[line].encode("utf-8")[: byte - self._lines[line]]
        return Position(line + 1, len(raw.decode("utf-8", "replace")))

    def _command(self, byte: int) -> _Command | None:
        for command in self._commands:
            if command.start <= byte <= command.end:
                return command
        return None

    # --- questions ---

    def goals_at(
        self,
        line: int,
        column: int,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> tuple[str, ...]:
        """The goals at a position inside a tactic proof, as Lean prints them; ``()`` outside of one."""
        byte = self._byte(line, column)
        command = self._command(byte)
        if command is None or self._file_map is None:
            return ()
        file_map = self._file_map
        answer = self._guarded(
            lambda guard: self._goals(command, file_map, byte), CallContext(timeout, cancellation)
        )
        assert isinstance(answer, tuple)
        return answer

    def _goals(self, command: _Command, file_map: Ref, byte: int) -> tuple[str, ...]:
        lean, table = self._lean, self._lean.table
        texts: list[str] = []
        for tree in command.trees:
            for result in lean.items(lean.engine.eval(table.goals_at(file_map, tree, byte))):
                texts.extend(self._goal_texts(result))
        return tuple(dict.fromkeys(texts))

    def _goal_texts(self, result: Ref) -> list[str]:
        lean, table = self._lean, self._lean.table
        context, tactic = lean.engine.eval_all([table.goals_context(result), table.goals_tactic(result)])
        after = bool(reading.scalars(lean, table.GOALS_AT, result)["useAfter"])
        mctx, goals = lean.engine.eval_all(
            [table.tactic_mctx(tactic, after), table.tactic_goals(tactic, after)]
        )
        texts = []
        for goal in lean.items(goals):
            try:
                texts.append(lean.text(table.pp_goals(context, mctx, goal)).strip())
            except Thrown:
                continue
        return texts

    def type_at(
        self,
        line: int,
        column: int,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> TypeAt | None:
        """The smallest term at a position, with its type; ``None`` where no term is."""
        byte = self._byte(line, column)
        answer = self._guarded(lambda guard: self._type(byte), CallContext(timeout, cancellation))
        assert answer is None or isinstance(answer, TypeAt)
        return answer

    def _type(self, byte: int) -> TypeAt | None:
        lean, table = self._lean, self._lean.table
        command = self._command(byte)
        if command is None:
            return None
        covering = [
            term for term in self._terms(command) if term.start <= byte < max(term.end, term.start + 1)
        ]
        covering.sort(key=lambda term: term.end - term.start)
        for term in covering:
            try:
                type_ = lean.engine.eval(table.type_in_context(term.context, term.lctx, term.expr))
                shown, typed = (
                    lean.text(table.text_in_context(term.context, term.lctx, e)) for e in (term.expr, type_)
                )
            except Thrown:
                continue
            return TypeAt(shown, typed, self._position(term.start), self._position(term.end))
        return None

    def references(
        self,
        line: int,
        column: int,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> tuple[Position, ...]:
        """Where the constant or variable at a position occurs in the source, in order; its binder included."""
        byte = self._byte(line, column)
        answer = self._guarded(lambda guard: self._references(byte), CallContext(timeout, cancellation))
        assert isinstance(answer, tuple)
        return answer

    def _references(self, byte: int) -> tuple[Position, ...]:
        here = self._command(byte)
        if here is None:
            return ()
        covering = [t for t in self._terms(here) if t.start <= byte < t.end and self._key(t)]
        if not covering:
            return ()
        wanted = self._key(min(covering, key=lambda t: t.end - t.start))
        local = wanted is not None and wanted[0] == "fvar"
        found = {
            term.start
            for command in ([here] if local else self._commands)
            for term in self._terms(command)
            if self._key(term) == wanted
        }
        return tuple(self._position(start) for start in sorted(found))

    def _key(self, term: _Term) -> tuple[object, ...] | None:
        """What a term refers to: a constant or a variable."""
        if term.key is None:
            lean = self._lean
            kind = reading.expr_kind(lean, term.expr)
            if kind in ("const", "fvar"):
                name = EXPRS[kind].get(term.expr, "name")
                term.key = (kind, names.decode(lean.engine.eval_data(name)))
            else:
                term.key = ()
        return term.key or None

    # --- trees ---

    def _terms(self, command: _Command) -> list[_Term]:
        """The terms an elaborated command recorded, with the context each was elaborated in."""
        if command.terms is None:
            command.terms = []
            none: list[tuple[Ref, Arg]] = [(tree, NONE) for tree in command.trees]
            self._walk(none, command.terms)
        return command.terms

    def _walk(self, start: list[tuple[Ref, Arg]], terms: list[_Term]) -> None:
        lean, table = self._lean, self._lean.table
        engine = lean.engine
        level, seen = start, 0
        while level:
            seen += len(level)
            if seen > _MAX_TREE_NODES:
                raise UsageError(f"an info tree has more than {_MAX_TREE_NODES} nodes")
            tags = lean.array(ArrayOf([table.tag(tree) for tree, _ in level]))
            following: list[tuple[Ref, Arg]] = []
            for (tree, context), tag in zip(level, tags, strict=True):
                if tag == TREE_CONTEXT:
                    merged, child = engine.eval_all(
                        [
                            table.merge_context(table.tree_partial_context(tree), context),
                            table.tree_in_context(tree),
                        ]
                    )
                    following.append((child, merged))
                elif tag != TREE_HOLE:
                    info, children = engine.eval_all([table.tree_info(tree), table.tree_children(tree)])
                    self._info(info, context, terms)
                    inner, count = engine.eval_all([table.update_context(context, info), Size(children)])
                    refs = engine.eval_all([Index(children, i) for i in range(count.unbox())])
                    following.extend((child, inner) for child in refs)
            level = following

    def _info(self, info: Ref, context: Arg, terms: list[_Term]) -> None:
        lean, table = self._lean, self._lean.table
        if lean.number_tag(info) != INFO_TERM or not isinstance(context, Ref) or context.is_none:
            return
        term = table.term_info(info)
        place = reading.byte_range(lean, table.term_info_syntax(term))
        if place is not None:
            lctx, expr, inner = lean.engine.eval_all(
                [table.term_info_lctx(term), table.term_info_expr(term), table.option_value(context)]
            )
            terms.append(_Term(*place, inner, lctx, expr))

    def close(self) -> None:
        """Release the trees; closing twice is fine."""
        self._closed = True
        for command in self._commands:
            for tree in command.trees:
                tree.close()
        self._commands.clear()
        if self._file_map is not None:
            self._file_map.close()
