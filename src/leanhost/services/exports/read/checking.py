"""Having the kernel check what an export declares, one declaration after another; what every replay shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg
from leanhost.engine.values import Ref, Thrown
from leanhost.lean.constants import implied
from leanhost.lean.core import Lean
from leanhost.lean.names import NameTuple, show
from leanhost.lean.tables.declarations import SAFETIES
from leanhost.lean.tables.kernel import LiteralKind
from leanhost.services.exports.read.builder import Builder
from leanhost.services.exports.read.lines import HAS_NAT, HAS_STRING, LineReader
from leanhost.services.exports.read.outcome import (
    Refused,
    ReplayedTheorem,
    ReplayOpen,
    ReplayOutcome,
    ReplayRejected,
)
from leanhost.services.exports.read.records import DeclarationLine, exprs_of
from leanhost.services.exports.read.strict import Malformed
from leanhost.services.values.limits import WORDS

WINDOW = 4096
"""How many lines are read before they are rebuilt."""

_LITERALS: tuple[tuple[LiteralKind, int], ...] = (("nat", HAS_NAT), ("string", HAS_STRING))
"""The reader's flag for each kind of literal."""


class Ended(Exception):
    """The replay is over before the end of the file, with *outcome*."""

    def __init__(self, outcome: ReplayOutcome) -> None:
        super().__init__()
        self.outcome = outcome


class ExportChecker(ABC):
    """Rebuilds the declarations that were read and has the kernel check each on top of those before it."""

    _builder: Builder

    def __init__(self, lean: Lean, reader: LineReader, env: Ref, options: Ref, guard: Guard) -> None:
        """Start on top of *env*, an ``Environment``; *options* are the kernel's."""
        self._lean = lean
        self._options = options
        self._guard = guard
        self._reader = reader
        self._tables = reader.tables
        self._env = lean.engine.eval(lean.table.kernel_env(env))
        self._waiting: list[DeclarationLine] = []
        self._declared: dict[NameTuple, str] = {}
        self._rests: dict[NameTuple, frozenset[NameTuple]] = {}

    @abstractmethod
    def _declare(self, record: DeclarationLine) -> None:
        """Look at one declaration and have the kernel check it; raises ``Malformed`` or :class:`Ended`."""

    def _work(self) -> None:
        """Make and check what was read."""
        self._builder.build()
        waiting, self._waiting = self._waiting, []
        for record in waiting:
            try:
                self._declare(record)
            except Malformed as why:
                raise Ended(Refused(record.line, str(why))) from None
            self._stop_if_asked(record.line)

    def _stop_if_asked(self, line: int) -> None:
        limit = self._guard.asked_to_stop
        if limit is not None:
            raise Ended(ReplayOpen(limit, f"the replay was stopped: {WORDS[limit]}", line))

    def _theorems(self) -> tuple[ReplayedTheorem, ...]:
        return tuple(
            ReplayedTheorem(show(name), tuple(sorted(map(show, self._rests[name]))))
            for name, word in self._declared.items()
            if word == "thm"
        )

    def _flags(self, body: dict[str, Any]) -> int:
        """What occurs in the expressions of a declaration: ``HAS_NAT`` and the like, joined."""
        flags = 0
        for number in exprs_of(body):
            flags |= self._tables.flags[number]
        return flags

    def _implied(self, declares: Iterable[NameTuple], body: dict[str, Any]) -> frozenset[NameTuple]:
        """What the kernel looks up for a declaration that the declaration does not mention."""
        flags = self._flags(body)
        literals: list[LiteralKind] = [kind for kind, flag in _LITERALS if flags & flag]
        return implied(self._lean, declares, literals)

    def _declaration(self, record: DeclarationLine, name: Arg) -> Arg:
        """The ``Declaration`` of anything but an inductive type or the quotient package, under *name*."""
        body, builder, table = record.body, self._builder, self._lean.table
        header = table.constant_header(
            name, builder.name_list(body["levelParams"]), builder.expr(body["type"])
        )
        if record.word == "axiom":
            return table.axiom_declaration(header, body["isUnsafe"])
        value, all_ = builder.expr(body["value"]), builder.name_list(body["all"])
        if record.word == "thm":
            return table.theorem_declaration(header, value, all_)
        if record.word == "opaque":
            return table.opaque_declaration(header, value, all_, body["isUnsafe"])
        safety = SAFETIES.index(body["safety"])
        return table.definition_declaration(header, value, table.hints(body["hints"]), all_, safety)

    def _add(self, record: DeclarationLine, name: NameTuple, declaration: Arg) -> Ref:
        """Have the kernel check a declaration; return the grown environment."""
        engine, table = self._lean.engine, self._lean.table
        add = table.add_decl(self._env, self._options, declaration, self._guard.token)
        try:
            # Each declaration has the limit to itself.
            _, grown = engine.eval_all([table.set_heartbeats(0), add])
        except Thrown as thrown:
            limit = table.KERNEL_LIMITS.get(self._lean.number_tag(thrown.error))
            text = self._lean.text(table.kernel_exception_text(thrown.error, self._options))
            if limit is None:
                raise Ended(ReplayRejected(show(name), text, record.line)) from None
            self._stop_if_asked(record.line)
            raise Ended(ReplayOpen(limit, f"{show(name)}: {text}", record.line)) from None
        return grown
