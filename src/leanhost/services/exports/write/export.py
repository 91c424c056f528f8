"""Writing declarations with everything they rest on, in lean4export's format, a bounded piece at a time."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, TypeAlias

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg, ArrayOf
from leanhost.engine.values import Data, Node, Ref
from leanhost.errors import Cancelled, LeanError, ObjectTooLarge
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple, show
from leanhost.lean.reading import items, only_field
from leanhost.lean.tables.declarations import QUOT_KINDS, SAFETIES, read_hints
from leanhost.services.exports.format import FORMAT_VERSION
from leanhost.services.exports.write.closure import Unit, Without, closure_of
from leanhost.services.exports.write.terms import TermWriter
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.limits import WORDS
from leanhost.services.values.progress import Phase, ProgressSink, phase
from leanhost.version import VERSION

_Value: TypeAlias = dict[str, Data]
"""What a constant holds, by the names of ``Table.VALUES``."""

_PIECE = 64
"""How many constants are copied out of Lean in one step, at most."""
_PIECE_OBJECTS = 100_000
"""How many objects such a step may copy before it is halved."""

MAX_OBJECTS = 4_000_000
"""How many objects one constant may consist of; each takes some 300 bytes while it is written."""

Target: TypeAlias = "str | os.PathLike[str] | BinaryIO"
"""Where an export goes: a path, which appears whole or not at all, or a binary file object."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export came to.

    Attributes:
        count: constants written, constructors and recursors included.
        lines: lines written.
        bytes: bytes written.
        axioms: constants written as axioms which are axioms.
        missing_bodies: constants written as axioms because this toolchain does not ship their proofs or values;
            the file's first line names them too.
        skipped: constants asked for that were left out, being unsafe or partial.
        sha256: the digest of the file, which :meth:`leanhost.Host.replay` can be given.
        format: the version of the file format.
    """

    count: int
    lines: int
    bytes: int
    axioms: tuple[str, ...]
    missing_bodies: tuple[str, ...]
    skipped: tuple[str, ...]
    sha256: str
    format: str = FORMAT_VERSION

    @property
    def complete(self) -> bool:
        """Whether every body is in the file."""
        return not self.missing_bodies


def export(
    lean: Lean,
    env: Ref,
    wanted: Sequence[NameTuple],
    target: Target,
    *,
    added: Sequence[Constant] = (),
    without: Without | None = None,
    proofs: bool = True,
    known: Collection[NameTuple] = (),
    max_objects: int = MAX_OBJECTS,
    timeout: float | None = None,
    grace: float = 5.0,
    cancellation: Cancellation = None,
    progress: ProgressSink | None = None,
    notes: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> ExportReport:
    """Write the constants *wanted*, and all they rest on, to *target* in lean4export's NDJSON format.

    Constants are looked for in *added* first, then in *env* (an ``Environment``), but for those of its constants that
    *without* returns, which are mentioned only. Without *proofs* theorems are written as axioms, and what only
    proofs need is left out. What the reader has already, *known*, with all it rests on, is not written again. The
    same environment gives the same bytes. Safe
    constants only: an unsafe or partial one that is asked for is reported as skipped.
    *progress* receives the phases ``collect`` (constants found) and ``export`` (constants written); *timeout*
    and *grace* are in seconds. *notes* are put into the first line, for readers who know them.

    Raises :class:`~leanhost.errors.UsageError` for a name that is not there,
    :class:`~leanhost.errors.LeanError` for a term that is not closed,
    :class:`~leanhost.errors.ObjectTooLarge` for a constant of more than *max_objects* objects,
    :class:`~leanhost.errors.Cancelled` when it was cancelled or *timeout* ran out, and ``OSError``.
    """
    token = lean.engine.eval(lean.table.new_cancel_token())
    deadline = None if timeout is None else time.monotonic() + timeout
    guard = Guard(token, deadline, grace, cancellation, sink=progress)
    try:
        if not isinstance(target, str | os.PathLike):
            return lean.engine.supervise(
                lambda: _Export(lean, env, target, guard, max_objects, proofs, known, notes).run(
                    wanted, added, without
                ),
                guard,
            )
        path = Path(target)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                report = lean.engine.supervise(
                    lambda: _Export(lean, env, file, guard, max_objects, proofs, known, notes).run(
                        wanted, added, without
                    ),
                    guard,
                )
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return report
    finally:
        token.close()


class _Export:
    def __init__(
        self,
        lean: Lean,
        env: Ref,
        file: BinaryIO,
        guard: Guard,
        max_objects: int,
        proofs: bool,
        known: Collection[NameTuple],
        notes: Mapping[str, Sequence[str]],
    ) -> None:
        self._known = known
        self._lean = lean
        self._env = env
        self._file = file
        self._guard = guard
        self._max_objects = max_objects
        self._proofs = proofs
        self._notes = notes
        self._terms = TermWriter()
        self._bytes = 0
        self._digest = hashlib.sha256()
        self._lines = 0

    def run(
        self, wanted: Sequence[NameTuple], added: Sequence[Constant], without: Without | None
    ) -> ExportReport:
        collecting = phase(self._guard, "collect")
        closure = closure_of(
            self._lean,
            self._env,
            wanted,
            added,
            lambda n: self._pause(collecting, n),
            without=without,
            proofs=self._proofs,
            known=self._known,
        )
        missing = tuple(map(show, sorted(closure.missing_bodies, key=str)))
        total = sum(len(unit.constants) for unit in closure.units)
        self._meta(missing)
        writing = phase(self._guard, "export", total)
        count = 0
        for unit, values in self._copied(closure.units):
            self._unit(unit, values)
            self._flush()
            count += len(unit.constants)
            self._pause(writing, count)
        real = {unit.constants[0].name for unit in closure.units if unit.kind == "axiom"}
        real -= set(closure.missing_bodies)
        return ExportReport(
            count,
            self._terms.lines,
            self._bytes,
            tuple(map(show, sorted(real, key=str))),
            missing,
            tuple(map(show, closure.skipped)),
            self._digest.hexdigest(),
        )

    def _pause(self, doing: Phase, current: int) -> None:
        limit = self._guard.asked_to_stop
        if limit is not None:
            raise Cancelled(f"the export was stopped: {WORDS[limit]}")
        doing.at(current)

    def _flush(self) -> None:
        data = self._terms.take().encode("utf-8", "surrogatepass")
        self._file.write(data)
        self._bytes += len(data)
        self._digest.update(data)

    def _meta(self, missing: tuple[str, ...]) -> None:
        version, commit = self._lean.version()
        meta: dict[str, Any] = {
            **{key: list(values) for key, values in self._notes.items()},
            "exporter": {"name": "leanhost", "version": VERSION},
            "format": {"version": FORMAT_VERSION},
            "lean": {"githash": commit, "version": version},
        }
        if missing:
            # Readers of the format skip what they do not know; to them these are axioms like any other.
            meta["missingBodies"] = list(missing)
        self._terms.add(_line({"meta": meta}))
        self._flush()

    # --- copying out of Lean ---

    def _copied(self, units: list[Unit]) -> Iterator[tuple[Unit, list[Node]]]:
        """Yield each unit with copies of its constants, which hold until the next one is asked for."""
        constants = [constant for unit in units for constant in unit.constants]
        ready: list[Node] = []
        at = used = 0
        for unit in units:
            needed = len(unit.constants)
            if len(ready) - used < needed:
                piece = max(_PIECE, needed)
                # What was copied before goes first: two pieces are never there at once.
                ready.clear()
                ready = self._copy(constants[at : at + piece], needed)
                used = 0
                self._terms.begin()
            yield unit, ready[used : used + needed]
            used += needed
            at += needed

    def _copy(self, constants: list[Constant], needed: int) -> list[Node]:
        """Copy as many of *constants* as the budget allows, the first *needed* in any case."""
        engine = self._lean.engine
        while True:
            enough = len(constants) <= needed
            limit = self._max_objects * needed if enough else min(_PIECE_OBJECTS, self._max_objects)
            infos: list[Arg] = [constant.info for constant in constants]
            try:
                data = engine.eval_data(ArrayOf(infos), limit)
                break
            except ObjectTooLarge:
                if enough:
                    what = ", ".join(show(constant.name) for constant in constants[:3])
                    raise ObjectTooLarge(
                        f"{what} consists of more than {limit} objects",
                        hint="export() takes max_objects; the copy of a constant takes some 300 bytes an object",
                    ) from None
                constants = constants[: max(needed, len(constants) // 2)]
        assert isinstance(data, list)
        return [_node(item) for item in data]

    # --- declarations ---

    def _unit(self, unit: Unit, values: list[Node]) -> None:
        layouts = self._lean.table.VALUES
        copies = [
            (constant, layouts[constant.kind].read(only_field(value)))
            for constant, value in zip(unit.constants, values, strict=True)
        ]
        match unit.kind:
            case "inductive":
                self._terms.add(_line({"inductive": self._family(copies)}))
            case "quot":
                for _, value in copies:
                    kind = QUOT_KINDS[_number(value["kind"])]
                    self._terms.add(_line({"quot": self._head(value) | {"kind": kind}}))
            case "constructor" | "recursor":
                raise LeanError(f"{show(unit.constants[0].name)} belongs to no inductive type that is there")
            case kind:
                word, body = self._single(kind, copies[0][1])
                self._terms.add(_line({word: body}))

    def _head(self, value: _Value) -> dict[str, Any]:
        """What every declaration begins with: ``ConstantVal``."""
        header = self._lean.table.CONSTANT_VAL.read(value["constant"])
        terms = self._terms
        name = terms.name(header["name"])
        levels = [terms.name(level) for level in items(header["levelParams"])]
        for level in levels:
            terms.param(level)
        return {"name": name, "levelParams": levels, "type": terms.expr(header["type"])}

    def _names(self, data: Data) -> list[int]:
        return [self._terms.name(name) for name in items(data)]

    def _single(self, kind: str, value: _Value) -> tuple[str, dict[str, Any]]:
        head = self._head(value)
        if kind == "axiom":
            return "axiom", head | {"isUnsafe": bool(value["isUnsafe"])}
        head["value"] = self._terms.expr(value["value"])
        if kind == "definition":
            head |= {
                "hints": _hints(value["hints"]),
                "safety": SAFETIES[_number(value["safety"])],
                "all": self._names(value["all"]),
            }
            return "def", head
        head["all"] = self._names(value["all"])
        if kind == "theorem":
            return "thm", head
        return "opaque", head | {"isUnsafe": bool(value["isUnsafe"])}

    def _family(self, copies: list[tuple[Constant, _Value]]) -> dict[str, Any]:
        parts: dict[str, list[dict[str, Any]]] = {"types": [], "ctors": [], "recs": []}
        for constant, value in copies:
            part = self._head(value)
            match constant.kind:
                case "inductive":
                    parts["types"].append(part)
                    part |= {key: value[key] for key in ("numParams", "numIndices", "numNested")}
                    part |= {key: self._names(value[key]) for key in ("all", "ctors")}
                    part |= {key: bool(value[key]) for key in ("isRec", "isUnsafe", "isReflexive")}
                case "constructor":
                    parts["ctors"].append(part)
                    part |= {key: value[key] for key in ("cidx", "numParams", "numFields")}
                    part |= {"induct": self._terms.name(value["induct"]), "isUnsafe": bool(value["isUnsafe"])}
                case _:
                    parts["recs"].append(part)
                    counts = ("numParams", "numIndices", "numMotives", "numMinors")
                    part |= {key: value[key] for key in counts}
                    part |= {key: bool(value[key]) for key in ("k", "isUnsafe")}
                    part |= {
                        "all": self._names(value["all"]),
                        "rules": [self._rule(rule) for rule in items(value["rules"])],
                    }
        return parts

    def _rule(self, rule: Data) -> dict[str, Any]:
        part = self._lean.table.RECURSOR_RULE.read(rule)
        return {
            "ctor": self._terms.name(part["ctor"]),
            "nfields": part["nfields"],
            "rhs": self._terms.expr(part["rhs"]),
        }


def _node(data: Data) -> Node:
    assert isinstance(data, Node)
    return data


def _number(data: Data) -> int:
    assert isinstance(data, int)
    return data


def _hints(data: Data) -> Any:
    hints = read_hints(data)
    return {"regular": hints} if isinstance(hints, int) else hints


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"
