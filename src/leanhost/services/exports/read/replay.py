"""Replaying an export: rebuild what a file declares and let the kernel check it, with nothing else around.

What ``Replayed`` means: every declaration of the file, as the file spells it, was accepted by the kernel in an
environment that held only the declarations before it; the constructors, recursors and quotient constants the
file lists are the kernel's own; nothing rests on compiled code. Binder names, reducibility hints and the name of
the exporting Lean are not statements: a file that differs only there replays as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg, ArrayOf
from leanhost.engine.values import Node, Ref
from leanhost.errors import UsageError
from leanhost.lean import names
from leanhost.lean.core import Lean
from leanhost.lean.names import NameTuple, show
from leanhost.lean.tables.declarations import QUOT_KINDS
from leanhost.services.exports.read.builder import Builder
from leanhost.services.exports.read.checking import WINDOW, Ended, ExportChecker
from leanhost.services.exports.read.inductives import family_declaration, mismatch
from leanhost.services.exports.read.library import Library
from leanhost.services.exports.read.lines import HAS_NAT, HAS_NATIVE, HAS_STRING, LineReader, ReplayLimits
from leanhost.services.exports.read.order import IsThere
from leanhost.services.exports.read.outcome import (
    Refused,
    Replayed,
    ReplayOutcome,
    ReplayRejected,
)
from leanhost.services.exports.read.records import DeclarationLine, names_of
from leanhost.services.exports.read.strict import Malformed
from leanhost.services.kernel.builtin_functions import COMPUTED, NAT_FAMILY, QUOT_NAMES, BuiltinFunctions
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.limits import CallContext
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.progress import ProgressSink, phase
from leanhost.services.values.validate import many

_SHA256 = re.compile(r"[0-9a-fA-F]{64}").fullmatch

Source: TypeAlias = "str | os.PathLike[str] | BinaryIO"
"""Where a file is read from: a path or a binary file object."""


def replay_export(
    source: Source,
    lean: Lean,
    *,
    options: ElabOptions | None = None,
    limits: ReplayLimits | None = None,
    trusted: Collection[str] = (),
    library: Callable[[], Ref | None] = lambda: None,
    sha256: str | None = None,
    timeout: float | None = None,
    cancellation: Cancellation = None,
    progress: ProgressSink | None = None,
) -> ReplayOutcome:
    """Rebuild and kernel-check the export in *source*; see :meth:`leanhost.Host.replay`.

    *limits* bound the file. What *trusted* means is told in :mod:`~leanhost.services.kernel.builtin_functions`.
    *library* returns an ``Environment`` whose functions on numbers are Lean's own; it is called at most once, and
    only for a file that declares one the kernel cannot tell by equations.
    """
    options = options or ElabOptions()
    vouched = vouched_for(trusted)
    if sha256 is not None and not _SHA256(sha256):
        raise UsageError(f"sha256 is 64 hexadecimal digits, not {sha256!r:.80}")
    limits = limits or ReplayLimits()
    guard = CallContext(timeout, cancellation, progress).guard(lean, options)
    try:
        with lean.options(options.kernel_options()) as kernel_options, ExitStack() as opened:
            file = source
            if isinstance(file, str | os.PathLike):
                file = opened.enter_context(Path(file).open("rb"))
            run = _Replay(lean, file, limits, kernel_options, guard, vouched, sha256)
            try:
                outcome = lean.engine.supervise(run.run, guard)
                if outcome is None:  # an import is no part of what is supervised
                    run.compare_with(library())
                    outcome = lean.engine.supervise(run.run, guard)
                assert outcome is not None
                return outcome
            finally:
                run.close()
    finally:
        guard.token.close()


def vouched_for(trusted: Collection[str]) -> frozenset[NameTuple]:
    """Return the names in *trusted*; :class:`~leanhost.errors.UsageError` for one that the kernel does not compute."""
    many("trusted", trusted)
    vouched = frozenset(names.parse(name) for name in trusted)
    if not vouched <= COMPUTED:
        odd = ", ".join(sorted(map(show, vouched - COMPUTED)))
        raise UsageError(f"only functions the kernel computes can be trusted, not {odd}")
    return vouched


class _Replay(ExportChecker):
    def __init__(
        self,
        lean: Lean,
        file: BinaryIO,
        limits: ReplayLimits,
        options: Ref,
        guard: Guard,
        trusted: Collection[NameTuple],
        sha256: str | None,
        is_there: IsThere = lambda _: False,
    ) -> None:
        reader = LineReader(file, limits, is_there=is_there, hashed=sha256 is not None)
        super().__init__(lean, reader, lean.empty_environment(), options, guard)
        self._sha256 = sha256
        self._builder = Builder(lean, self._constant_name)
        self._special = BuiltinFunctions(lean, options, guard.token, trusted)
        self._real: dict[NameTuple, NameTuple] = {}
        self._quot = False
        self._records = iter(reader)
        self._reading = phase(guard, "replay")
        self._asked = False

    def compare_with(self, library: Ref | None) -> None:
        """Go on with the functions of *library* known."""
        if library is not None:
            wanted = [name for name in COMPUTED if not self._special.has_equations(name)]
            self._special.library = Library(self._lean, library, wanted)

    def close(self) -> None:
        """Release what was built from the file, but not the environment."""
        self._builder.close()
        # It knows this object: without a cycle the environments go when the outcome does.
        del self._builder

    def run(self) -> ReplayOutcome | None:
        """Read to the end or to the first fault; ``None``, once, where a library to compare with is wanted."""
        reader, reading = self._reader, self._reading
        try:
            if self._asked:
                self._work()
            line = 0
            for record in self._records:
                line = reader.line
                if isinstance(record, DeclarationLine):
                    self._waiting.append(record)
                    computed = [n for n in names_of(record) if self._is_computed(n)]
                    if any(self._wants_library(self._tables.name(number)) for number in computed):
                        self._asked = True
                        return None
                    if computed:
                        self._work()
                else:
                    try:
                        self._builder.add(record)
                    except Malformed as why:
                        self._work()
                        return Refused(reader.line, str(why))
                if self._builder.waiting + len(self._waiting) >= WINDOW:
                    self._work()
                    self._stop_if_asked(line)
                    reading.at(reader.bytes)
            self._work()
            if reader.refusal is not None:
                return Refused(*reader.refusal)
            if self._sha256 is not None and reader.sha256 != self._sha256.lower():
                return Refused(
                    reader.line, f"the file has another digest than was asked for: {reader.sha256}"
                )
            reading.at(reader.bytes)
            return self._replayed()
        except Ended as ended:
            return ended.outcome

    def _wants_library(self, name: NameTuple) -> bool:
        special = self._special
        return not (self._asked or special.has_equations(name) or name in special.trusted)

    def _replayed(self) -> Replayed:
        meta = self._reader.meta
        kinds = self._declared
        axioms = sorted((name for name, kind in kinds.items() if kind == "axiom"), key=str)
        missing = meta.get("missingBodies")
        said = {m for m in missing if isinstance(m, str)} if isinstance(missing, list) else set()
        lean = meta.get("lean")
        version = lean.get("version") if isinstance(lean, dict) else None
        return Replayed(
            tuple(map(show, kinds)),
            self._theorems(),
            tuple(map(show, axioms)),
            tuple(text for text in map(show, axioms) if text in said),
            self._reader.line,
            self._reader.bytes,
            tuple(sorted(map(show, self._real.values()))),
            version if isinstance(version, str) else "",
            self._env,
            self._rests,
        )

    # --- names ---

    def _is_computed(self, number: int) -> bool:
        prefix, part = self._tables.names[number]
        return prefix != 0 and self._tables.names[prefix] == (0, "Nat") and ("Nat", part) in COMPUTED

    def _constant_name(self, number: int) -> Arg:
        """The name a constant has in the kernel, where that is not its own; else 0."""
        if not self._is_computed(number):
            return 0
        name = self._tables.name(number)
        called = self._special.called.get(name)
        if called is None:
            raise Malformed(f"{show(name)} is used before it is declared")
        return self._lean.name(called)

    # --- declaring ---

    def _declare(self, record: DeclarationLine) -> None:
        word, body = record.word, record.body
        declares = [self._tables.name(number) for number in names_of(record)]
        for name in declares:
            if name in self._declared:
                raise Malformed(f"{show(name)} is declared twice")
            if name in QUOT_NAMES and word != "quot":
                # The kernel would put its own in their place later on.
                raise Malformed(f"{show(name)} is not the quotient package's")
            self._declared[name] = word
        self._look_at_literals(body)
        mentioned: list[Arg] = []
        match word:
            case "inductive":
                mentioned = self._inductive(record, declares)
            case "quot":
                self._quotient(record, declares[0])
            case _:
                mentioned = self._single(record, declares[0])
        self._rest(declares, word, mentioned, self._implied(declares, body))

    def _look_at_literals(self, body: dict[str, Any]) -> None:
        flags = self._flags(body)
        if flags & HAS_NATIVE:
            raise Malformed("it rests on compiled code (Lean.reduceBool), which a replay does not run")
        if flags & HAS_NAT and not self._special.nat:
            raise Malformed("it has a number literal before Nat is declared")
        if flags & HAS_STRING and not self._special.check_strings(self._env):
            raise Malformed(
                "it has a string literal where String.ofList and its types are not what Lean's are"
            )

    def _inductive(self, record: DeclarationLine, declares: list[NameTuple]) -> list[Arg]:
        body, table = record.body, self._lean.table
        if any(name in COMPUTED for name in declares):
            raise Malformed("a function the kernel computes is declared as part of an inductive type")
        natural = NAT_FAMILY & set(declares)
        declaration = family_declaration(self._lean, self._builder, self._tables, body)
        self._env = self._add(record, declares[0], declaration)
        found = mismatch(self._lean, self._builder, self._tables, body, self._env)
        if found is not None:
            name, what = found
            raise Ended(ReplayRejected(show(name), what, record.line))
        if natural and (
            natural != NAT_FAMILY
            or [t["numParams"] for t in body["types"]] != [0]
            or [self._tables.name(c["name"]) for c in body["ctors"]] != [("Nat", "zero"), ("Nat", "succ")]
            or body["types"][0]["isUnsafe"]
            or body["types"][0]["levelParams"]
            or not self._special.check_nat(self._env)
        ):
            raise Malformed("Nat is something else than the natural numbers")
        parts = [*body["types"], *body["ctors"]]
        return [table.used_constants(self._builder.expr(part["type"])) for part in parts]

    def _quotient(self, record: DeclarationLine, name: NameTuple) -> None:
        body, lean = record.body, self._lean
        if name not in QUOT_NAMES:
            raise Malformed(f"{show(name)} is no constant of the quotient package")
        if not self._quot:
            self._env = self._add(record, name, lean.table.quot_declaration())
            self._quot = True
        table = lean.table
        info = lean.kernel_find(self._env, self._builder.names[body["name"]])
        assert info is not None
        data = lean.engine.eval_data(
            ArrayOf(
                [
                    table.list_to_array(table.constant_levels(info)),
                    table.expr_eqv(table.constant_type(info), self._builder.expr(body["type"])),
                ]
            )
        )
        assert isinstance(data, list)
        levels, same = data
        assert isinstance(levels, list)
        ours = [self._tables.name(n) for n in body["levelParams"]]
        kind = QUOT_KINDS[QUOT_NAMES.index(name)]
        if not same or list(map(names.decode, levels)) != ours or body["kind"] != kind:
            raise Ended(ReplayRejected(show(name), "the kernel's quotient type is another", record.line))

    def _single(self, record: DeclarationLine, name: NameTuple) -> list[Arg]:
        if name in NAT_FAMILY:
            raise Malformed("Nat is something else than the natural numbers")
        called = name
        if name in COMPUTED:
            called = self._special.called[name] = self._computed(record, name)
        if called != name:
            self._real[called] = name
        self._env = self._add(record, name, self._declaration(record, self._lean.name(called)))
        body = record.body
        parts = [body["type"], *([body["value"]] if "value" in body else [])]
        return [self._lean.table.used_constants(self._builder.expr(part)) for part in parts]

    def _computed(self, record: DeclarationLine, name: NameTuple) -> NameTuple:
        """Choose the name a function shall have that the kernel would compute itself."""
        aside = self._special.aside(name)
        if name in self._special.trusted:
            return name
        body = record.body
        if (
            record.word not in ("def", "axiom")
            or body.get("safety", "safe") != "safe"
            or body.get("isUnsafe")
        ):
            return aside
        with self._add(record, name, self._declaration(record, self._lean.name(aside))) as env:
            return name if self._special.holds(env, name) else aside

    def _rest(
        self, declares: list[NameTuple], word: str, mentioned: list[Arg], implied: Iterable[NameTuple]
    ) -> None:
        """Note the axioms that new constants rest on."""
        total: set[NameTuple] = set(declares) if word == "axiom" else set()
        total.update(axiom for name in implied for axiom in self._rests.get(name, ()))
        for used in self._lean.array(ArrayOf(mentioned)) if mentioned else []:
            assert isinstance(used, list)
            for item in used:
                assert isinstance(item, Node | int)
                name = names.decode(item)
                total |= self._rests.get(self._real.get(name, name), frozenset())
        found = frozenset(total)
        for name in declares:
            self._rests[name] = found
