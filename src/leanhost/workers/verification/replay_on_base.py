"""Replaying what a source added, as an export without the library, on top of a clean import of that library.

What ``Replayed`` means here: every declaration of the file, as the file spells it, was accepted by the kernel on
top of the imports and of the declarations before it. The imports are this process's own and are taken as they
are. The file can neither replace a constant of theirs nor declare one of those that the kernel knows by name.
"""

from __future__ import annotations

import functools
from io import BytesIO
from typing import Any

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg, ArrayOf
from leanhost.engine.values import Node, Ref
from leanhost.lean import names
from leanhost.lean.core import Lean
from leanhost.lean.names import NameTuple, show
from leanhost.services.exports.read.builder import Builder
from leanhost.services.exports.read.checking import WINDOW, Ended, ExportChecker
from leanhost.services.exports.read.inductives import family_declaration, mismatch
from leanhost.services.exports.read.lines import HAS_NAT, HAS_STRING, LineReader, ReplayLimits
from leanhost.services.exports.read.order import IsThere
from leanhost.services.exports.read.outcome import (
    Refused,
    Replayed,
    ReplayOutcome,
    ReplayRejected,
)
from leanhost.services.exports.read.records import DeclarationLine, exprs_of, names_of, parts_of
from leanhost.services.exports.read.strict import Malformed
from leanhost.services.kernel.axioms import ImportedAxioms
from leanhost.services.kernel.builtin_functions import COMPILED, KERNEL_NAMES, BuiltinFunctions
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.limits import CallContext
from leanhost.services.values.options import ElabOptions


def replay_added(
    data: bytes, lean: Lean, env: Ref, *, options: ElabOptions, cancellation: Cancellation = None
) -> ReplayOutcome:
    """Kernel-check the export *data* on top of *env*, an ``Environment`` that no candidate has touched.

    *options* bound the kernel as in :func:`leanhost.services.exports.read.replay.replay_export`.
    """
    guard = CallContext(cancellation=cancellation).guard(lean, options)
    try:
        with lean.options(options.kernel_options()) as kernel_options:
            return lean.engine.supervise(_Additions(lean, data, env, kernel_options, guard).run, guard)
    finally:
        guard.token.close()


class _Additions(ExportChecker):
    def __init__(self, lean: Lean, data: bytes, env: Ref, options: Ref, guard: Guard) -> None:
        reader = LineReader(BytesIO(data), ReplayLimits(), is_there=_imported(lean, env))
        super().__init__(lean, reader, env, options, guard)
        self._builder = Builder(lean, lambda _: 0)
        self._imported = ImportedAxioms(lean, env)
        self._special = BuiltinFunctions(lean, options, guard.token)
        self._special.check_nat(self._env)

    def run(self) -> ReplayOutcome:
        """Read to the end or to the first fault."""
        reader = self._reader
        try:
            for record in reader:
                if isinstance(record, DeclarationLine):
                    self._waiting.append(record)
                else:
                    self._builder.add(record)
                if self._builder.waiting + len(self._waiting) >= WINDOW:
                    self._work()
            self._work()
            return Refused(*reader.refusal) if reader.refusal is not None else self._replayed()
        except Ended as ended:
            return ended.outcome
        finally:
            self._builder.close()

    def _replayed(self) -> Replayed:
        axioms = tuple(sorted(show(name) for name, word in self._declared.items() if word == "axiom"))
        declared = tuple(map(show, self._declared))
        size = (self._reader.line, self._reader.bytes)
        return Replayed(declared, self._theorems(), axioms, (), *size, (), "", self._env, self._rests)

    def _declare(self, record: DeclarationLine) -> None:
        word, body = record.word, record.body
        declares = [self._tables.name(number) for number in names_of(record)]
        for name in declares:
            if name in KERNEL_NAMES:
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
            declaration = self._declaration(record, self._builder.names[body["name"]])
        self._env = self._add(record, declares[0], declaration)
        if word == "inductive":
            found = mismatch(self._lean, self._builder, self._tables, body, self._env)
            if found is not None:
                raise Ended(ReplayRejected(show(found[0]), found[1], record.line))
        self._declared.update(dict.fromkeys(declares, word))
        self._rest(declares, word, (used | self._implied(declares, body)) - set(declares))

    def _mentioned(self, body: dict[str, Any]) -> set[NameTuple]:
        """The constants that the types and values of a declaration mention."""
        exprs = [self._builder.expr(number) for number in set(exprs_of(body))]
        rows: list[Arg] = [self._lean.table.used_constants(each) for each in exprs]
        found: set[NameTuple] = set()
        for row in self._lean.array(ArrayOf(rows)):
            assert isinstance(row, list)
            for item in row:
                assert isinstance(item, Node | int)
                found.add(names.decode(item))
        return found

    def _look_at_literals(self, body: dict[str, Any]) -> None:
        flags = self._flags(body)
        if flags & HAS_NAT and not self._special.nat:
            raise Malformed("it has a number literal, and Nat is not imported")
        if flags & HAS_STRING and not self._special.check_strings(self._env):
            raise Malformed("it has a string literal, and String.ofList is not imported")

    def _pause(self) -> None:
        self._stop_if_asked(self._reader.line)

    def _rest(self, declares: list[NameTuple], word: str, used: set[NameTuple]) -> None:
        """Note the axioms that new constants rest on, those below the imports included."""
        total = set(self._imported.under(used - self._rests.keys(), self._pause).axioms)
        total.update(axiom for name in used & self._rests.keys() for axiom in self._rests[name])
        if word == "axiom":
            total.update(declares)
        found = frozenset(total)
        for name in declares:
            self._rests[name] = found


def _imported(lean: Lean, env: Ref) -> IsThere:
    """Return whether *env* has a constant."""
    return functools.cache(lambda name: lean.find(env, [name]) != [None])


def _unsafe(body: dict[str, Any]) -> bool:
    return body.get("safety", "safe") != "safe" or any(part.get("isUnsafe") for part in parts_of(body))
