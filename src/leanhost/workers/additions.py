"""Replaying what a source added, as an export without the library, on top of a clean import of that library.

What ``Replayed`` means here: every declaration of the file, as the file spells it, was accepted by the kernel on
top of the imports and of the declarations before it. The imports are this process's own and are taken as they
are. The file can neither replace a constant of theirs nor declare one of those that the kernel knows by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from leanhost.engine.base import Guard, Node, Ref, Thrown
from leanhost.engine.expressions import Arg, ArrayOf
from leanhost.lean import names
from leanhost.lean.core import Lean
from leanhost.lean.names import NameTuple, show
from leanhost.lean.tables.declarations import SAFETIES
from leanhost.services.axioms import ImportedAxioms
from leanhost.services.cancellation import Cancellation
from leanhost.services.elaboration import WHY_LIMITS, new_guard
from leanhost.services.evidence import open_question
from leanhost.services.exports.families import family_declaration, family_names, mismatch
from leanhost.services.exports.lines import HAS_NAT, HAS_STRING, LineReader, ReplayLimits
from leanhost.services.exports.outcome import (
    Refused,
    Replayed,
    ReplayedTheorem,
    ReplayOpen,
    ReplayOutcome,
    ReplayRejected,
)
from leanhost.services.exports.primitives import COMPILED, KERNELS_OWN, Primitives
from leanhost.services.exports.rebuild import Builder
from leanhost.services.exports.records import DeclarationLine
from leanhost.services.exports.strict import Malformed
from leanhost.services.options import ElabOptions
from leanhost.services.results import Limit

_WINDOW = 4096
"""How many lines are read before they are rebuilt."""


def replay_added(
    data: bytes, lean: Lean, env: Ref, *, options: ElabOptions, cancellation: Cancellation = None
) -> ReplayOutcome:
    """Kernel-check the export *data* on top of *env*, an ``Environment`` that no candidate has touched.

    *options* bound the kernel as in :func:`leanhost.services.exports.replay.replay`.
    """
    guard = new_guard(lean, options, None, cancellation, None)
    try:
        with lean.options(options.kernel_options()) as kernel_options:
            return lean.engine.supervise(_Additions(lean, data, env, kernel_options, guard).run, guard)
    finally:
        guard.token.close()


class _Ended(Exception):
    def __init__(self, outcome: ReplayOutcome) -> None:
        super().__init__()
        self.outcome = outcome


class _Additions:
    def __init__(self, lean: Lean, data: bytes, env: Ref, options: Ref, guard: Guard) -> None:
        self._lean = lean
        self._options = options
        self._guard = guard
        self._reader = LineReader(BytesIO(data), ReplayLimits())
        self._tables = self._reader.tables
        self._builder = Builder(lean, lambda _: 0)
        self._env = lean.engine.eval(lean.table.kernel_env(env))
        self._imported = ImportedAxioms(lean, env)
        self._special = Primitives(lean, options, guard.token)
        self._special.check_nat(self._env)
        self._waiting: list[DeclarationLine] = []
        self._declared: dict[NameTuple, str] = {}
        self._rests: dict[NameTuple, frozenset[NameTuple]] = {}

    def run(self) -> ReplayOutcome:
        """Read to the end or to the first fault."""
        reader = self._reader
        try:
            for record in reader:
                if isinstance(record, DeclarationLine):
                    self._waiting.append(record)
                else:
                    self._builder.add(record)
                if self._builder.waiting + len(self._waiting) >= _WINDOW:
                    self._work()
            self._work()
            return Refused(*reader.refusal) if reader.refusal is not None else self._replayed()
        except _Ended as ended:
            return ended.outcome
        finally:
            self._builder.close()

    def _replayed(self) -> Replayed:
        theorems = tuple(
            ReplayedTheorem(show(name), tuple(sorted(map(show, self._rests[name]))))
            for name, word in self._declared.items()
            if word == "thm"
        )
        axioms = tuple(sorted(show(name) for name, word in self._declared.items() if word == "axiom"))
        declared = tuple(map(show, self._declared))
        size = (self._reader.line, self._reader.bytes)
        return Replayed(declared, theorems, axioms, (), *size, (), "", self._env)

    def _pause(self) -> None:
        guard = self._guard
        why = guard.why
        if not why and guard.cancelled is not None and guard.cancelled.is_set():
            why = "cancelled"
        if why:
            raise _Ended(ReplayOpen(WHY_LIMITS[why], f"the replay was stopped ({why})", self._reader.line))

    def _work(self) -> None:
        """Make and check what was read."""
        self._builder.build()
        waiting, self._waiting = self._waiting, []
        for record in waiting:
            try:
                self._declare(record)
            except Malformed as why:
                raise _Ended(Refused(record.line, str(why))) from None
            self._pause()

    def _declare(self, record: DeclarationLine) -> None:
        word, body = record.word, record.body
        numbers = family_names(body) if word == "inductive" else [body["name"]]
        declares = [self._tables.name(number) for number in numbers]
        for name in declares:
            if name in KERNELS_OWN:
                raise Malformed(f"{show(name)} is a name the kernel knows; only the library can declare it")
        if word == "quot" or _unsafe(body):
            raise Malformed(f"{show(declares[0])} is no safe declaration of a source")
        used = self._mentioned(body)
        if used & COMPILED:
            raise Malformed("it rests on compiled code (Lean.reduceBool), which a replay does not run")
        self._look_at_literals(body)
        if word == "inductive":
            declaration = family_declaration(self._lean, self._builder, self._tables, body)
        else:
            declaration = self._single(word, body)
        self._env = self._add(record, declares[0], declaration)
        if word == "inductive":
            found = mismatch(self._lean, self._builder, self._tables, body, self._env)
            if found is not None:
                raise _Ended(ReplayRejected(show(found[0]), found[1], record.line))
        self._declared.update(dict.fromkeys(declares, word))
        self._rest(declares, word, used - set(declares))

    def _mentioned(self, body: dict[str, Any]) -> set[NameTuple]:
        """The constants that the types and values of a declaration mention."""
        exprs = [self._builder.expr(number) for number in set(_exprs(body))]
        rows: list[Arg] = [self._lean.table.used_constants(each) for each in exprs]
        found: set[NameTuple] = set()
        for row in self._lean.array(ArrayOf(rows)):
            assert isinstance(row, list)
            for item in row:
                assert isinstance(item, Node | int)
                found.add(names.decode(item))
        return found

    def _look_at_literals(self, body: dict[str, Any]) -> None:
        flags = 0
        for number in _exprs(body):
            flags |= self._tables.flags[number]
        if flags & HAS_NAT and not self._special.nat:
            raise Malformed("it has a number literal, and Nat is not imported")
        if flags & HAS_STRING and not self._special.check_strings(self._env):
            raise Malformed("it has a string literal, and String.ofList is not imported")

    def _single(self, word: str, body: dict[str, Any]) -> Arg:
        builder, table = self._builder, self._lean.table
        header = table.constant_header(
            builder.names[body["name"]], builder.name_list(body["levelParams"]), builder.expr(body["type"])
        )
        if word == "axiom":
            return table.axiom_declaration(header, False)
        value, all_ = builder.expr(body["value"]), builder.name_list(body["all"])
        if word == "thm":
            return table.theorem_declaration(header, value, all_)
        if word == "opaque":
            return table.opaque_declaration(header, value, all_, False)
        safe = SAFETIES.index("safe")
        return table.definition_declaration(header, value, table.hints(body["hints"]), all_, safe)

    def _add(self, record: DeclarationLine, name: NameTuple, declaration: Arg) -> Ref:
        """Have the kernel check a declaration; return the grown environment."""
        engine, table = self._lean.engine, self._lean.table
        add = table.add_decl(self._env, self._options, declaration, self._guard.token)
        try:
            # Each declaration has the limit to itself.
            _, grown = engine.eval_all([table.set_heartbeats(0), add])
        except Thrown as thrown:
            reason = table.KERNEL_REASONS.get(self._lean.number_tag(thrown.error), "rejected")
            text = self._lean.text(table.kernel_exception_text(thrown.error, self._options))
            if reason == "rejected":
                raise _Ended(ReplayRejected(show(name), text, record.line)) from None
            self._pause()
            limit = Limit.REC_DEPTH if reason == "recursion" else open_question(reason)
            raise _Ended(ReplayOpen(limit, f"{show(name)}: {text}", record.line)) from None
        return grown

    def _rest(self, declares: list[NameTuple], word: str, used: set[NameTuple]) -> None:
        """Note the axioms that new constants rest on, those below the imports included."""
        total = set(self._imported.under(used - self._rests.keys(), self._pause).axioms)
        total.update(axiom for name in used & self._rests.keys() for axiom in self._rests[name])
        if word == "axiom":
            total.update(declares)
        found = frozenset(total)
        for name in declares:
            self._rests[name] = found


def _parts(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A declaration and everything in it that has a type or a value of its own."""
    yield body
    for key in ("types", "ctors", "recs", "rules"):
        for part in body.get(key, ()):
            if isinstance(part, dict):
                yield from _parts(part)


def _exprs(body: dict[str, Any]) -> list[int]:
    """The numbers of all expressions in a declaration."""
    return [part[key] for part in _parts(body) for key in ("type", "value", "rhs") if key in part]


def _unsafe(body: dict[str, Any]) -> bool:
    return body.get("safety", "safe") != "safe" or any(part.get("isUnsafe") for part in _parts(body))
