"""Whether a candidate's kernel environment says what a reference says, asked of a Lean that only read data.

What the reference says is an export without proofs. It is read on top of what the candidate declared: every term
of it is built over the candidate's constants, and compared with the candidate's own of the same name. Constants
that Lean made for a definition (``f.match_1``, ``f._proof_2``) are numbered by what came before them in the
source, so they are nobody's to ask for by name: where the candidate has another, the reference's is declared
aside, and the kernel sees through both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

from leanhost.engine.base import Ref, Thrown
from leanhost.engine.expressions import Arg, Field, ListOf
from leanhost.lean import names
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple, show
from leanhost.lean.tables.declarations import SAFETIES
from leanhost.services.cancellation import Cancellation
from leanhost.services.exports.families import family_declaration
from leanhost.services.exports.form import RESERVED
from leanhost.services.exports.lines import LineReader, ReplayLimits
from leanhost.services.exports.outcome import Replayed
from leanhost.services.exports.primitives import Primitives
from leanhost.services.exports.rebuild import Builder
from leanhost.services.exports.records import DeclarationLine, ExprLine
from leanhost.services.matching import Match, Statement, equal, matches, renamed, statement_of
from leanhost.services.options import ElabOptions
from leanhost.workers.holes import Holes
from leanhost.workers.wanted import NOT, Wanted

_HOLES = "a hole is the whole value of a `def` or an `instance`, or a field of a structure in it"

_PROOFS_HEARTBEATS = 1000
"""What the kernel may spend on finding that only proofs are left open."""

_KINDS = {"axiom": "axiom", "def": "definition", "opaque": "opaque", "thm": "theorem", "quot": "quot"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a candidate does not prove its reference.

    ``code`` is ``reference``, ``elaboration``, ``missing``, ``kind``, ``statement``, ``definition``,
    ``noncomputable``, ``library``, ``axiom``, ``sorry``, ``kernel``, ``export``, ``kernels-disagree`` or ``limit``;
    ``name`` the declaration it is about, or ``""``.
    """

    code: str
    name: str
    message: str


class Comparison:
    """Compares what a reference says with what *candidate* declared."""

    def __init__(
        self,
        lean: Lean,
        candidate: Replayed,
        asked: Wanted,
        options: ElabOptions,
        cancellation: Cancellation = None,
    ) -> None:
        self._lean = lean
        self._env = candidate.kernel_env
        self._asked = asked
        self._theorems = frozenset(asked.theorems)
        self._named = frozenset((*asked.theorems, *asked.others))
        self._unnamed = frozenset(asked.unnamed)
        self._unseen = {*self._named, *self._unnamed}
        self._own = frozenset(asked.own)
        self._sound = tuple(asked.sound)
        self.wanted = set(self._named)
        """What of the candidate's the reference asks for."""
        self.filled: list[NameTuple] = []
        """The holes that were filled, by their names in the reference."""
        self.disproved: list[NameTuple] = []
        """The theorems that were answered by their negations."""
        self._options = options
        self._cancellation = cancellation
        self._called = {name: Primitives.aside(name) for name in map(names.parse, candidate.set_aside)}
        self._builder = Builder(lean, self._constant_name)

    def differences(self, reference: bytes) -> Iterator[Refusal]:
        """Yield what of the export *reference* the candidate lacks or changes."""
        reader = LineReader(BytesIO(reference), ReplayLimits())
        self._tables = reader.tables
        self._holes = Holes(self._lean, self._builder, reader.tables, self._find, self._asked.proofs)
        try:
            for record in reader:
                if isinstance(record, DeclarationLine):
                    self._builder.build()
                    yield from self._declaration(record.word, record.body)
                else:
                    self._builder.add(record)
                    if isinstance(record, ExprLine):
                        self._holes.add(record)
        finally:
            self._builder.close()
        if reader.refusal is not None:
            line, why = reader.refusal
            yield Refusal("reference", "", f"the reference cannot be compared (line {line} of it): {why}")
        for name in self._unseen:
            yield Refusal("reference", show(name), f"{show(name)} of the reference cannot be compared")

    def _constant_name(self, number: int) -> Arg:
        called = self._called.get(self._tables.name(number))
        return 0 if called is None else self._lean.name(called)

    def _declaration(self, word: str, body: dict[str, Any]) -> Iterator[Refusal]:
        parts = [*body["types"], *body["ctors"]] if word == "inductive" else [body]
        called = [self._tables.name(part["name"]) for part in parts]
        self._unseen.difference_update(called)
        present = [self._find(self._called.get(name, name)) for name in called]
        # The library's, and the candidate has none of it: `sorryAx` and all it rests on.
        unknown = self._own.isdisjoint(called) and all(theirs is None for theirs in present)
        if unknown and self._add(self._library(word, body)):
            return
        for name, part, theirs in zip(called, parts, present, strict=True):
            if name in self._unnamed:
                filled = (
                    self._fills_unnamed(name, part) if word == "def" and self._is_open(name, part) else None
                )
                if filled is not None:
                    yield from filled
                    continue
                if not self._provided(word, name, part):
                    text = f"nothing of the candidate that rests on allowed axioms is what {show(name)} is"
                    yield Refusal("missing", show(name), f"{text}, which has no name in the reference")
            if name in self._own and name not in self._named and word in ("axiom", "def", "opaque"):
                self._auxiliary(word, name, part)
                continue
            if theirs is None:
                text = f"{show(name)} is not declared by the candidate"
                if word == "def" and self._is_open(name, part):
                    text = f"{text}: it is a hole of the reference, which has to be filled"
                yield Refusal("missing", show(name), text)
                continue
            found = (
                self._statement(theirs, part) if name in self._theorems else self._same(word, theirs, part)
            )
            if found is not None:
                code, text = found
                if name not in self._own and code != "limit":
                    code = "library"
                yield Refusal(code, show(name), text)

    # --- what a user wrote ---

    def _statement(self, theirs: Constant, part: dict[str, Any]) -> tuple[str, str] | None:
        name = show(theirs.name)
        if theirs.kind != "theorem":
            return "kind", f"{name} is a theorem in the reference and here {_a(theirs.kind)}"
        match = self._says(theirs, part)
        text = f"{name} does not say what the reference says"
        if not match and self._asked.deniable:
            if self._denies(theirs, part):
                self.disproved.append(theirs.name)
                return None
            text += ", nor its negation"
        return _refused(match, "statement", name, text)

    def _denies(self, theirs: Constant, part: dict[str, Any]) -> Match:
        """Compare a statement with the negation of the reference's."""
        table = self._lean.table
        negation = table.const(self._lean.name(NOT), ListOf([]))
        denied = table.app(negation, self._builder.expr(part["type"]))
        return self._compare(theirs, part, self._lean.engine.eval(denied))

    def _provided(self, word: str, name: NameTuple, part: dict[str, Any]) -> bool:
        """Whether the candidate has what the reference calls *name*, which is a name of Lean's making."""
        kind = "theorem" if word == "axiom" else _KINDS[word]
        sound = [c for other in self._sound if (c := self._find(other)) is not None and c.kind == kind]
        for says in (self._writes, self._says):  # the kernel is asked where no term is the same
            for theirs in sound:
                if says(theirs, part) and self._is_valued(theirs, part):
                    self.wanted.add(theirs.name)
                    return True
        same = self._find(name)
        if same is None or same.kind != kind or not (self._says(same, part) and self._is_valued(same, part)):
            return False
        self.wanted.add(name)  # why it does not count is told with the axioms
        return True

    def _is_valued(self, theirs: Constant, part: dict[str, Any]) -> bool:
        return "value" not in part or bool(self._does(theirs, part))

    def _writes(self, theirs: Constant, part: dict[str, Any]) -> bool:
        """Whether types are the same term."""
        lean, table, ours = self._lean, self._lean.table, self._universes(part)
        universes = lean.name_list(table.constant_levels(theirs.info))
        if len(universes) != len(ours):
            return False
        asked = renamed(lean, self._builder.expr(part["type"]), ours, universes)
        return bool(lean.number(table.expr_eqv(table.constant_type(theirs.info), asked)))

    def _same(self, word: str, theirs: Constant, part: dict[str, Any]) -> tuple[str, str] | None:
        name = show(theirs.name)
        kind = _KINDS.get(word) or ("inductive" if "ctors" in part else "constructor")
        proved = kind == "axiom" and theirs.kind == "theorem" and theirs.name not in self._own
        if theirs.kind != kind and not proved:
            return "kind", f"{name} is {_a(kind)} in the reference and here {_a(theirs.kind)}"
        universes = self._universes(part)
        if len(universes) != len(self._lean.name_list(self._lean.table.constant_levels(theirs.info))):
            return "definition", f"{name} has other universe parameters"
        match = self._says(theirs, part)
        text = f"{name} is not what it is in the reference"
        if kind == "definition" and self._is_open(theirs.name, part):
            if not match:
                return _refused(
                    match, "definition", name, f"{name} has another type than the hole in the reference"
                )
            return self._hole(theirs.name, theirs, part)
        if match and "value" in part:
            match = self._does(theirs, part)
        if not match:
            if "value" in part and self._holes.is_mentioned(part["value"]):
                text += f", where something is left open that is no hole ({_HOLES})"
            return _refused(match, "definition", name, text)
        if kind == "inductive" and not self._family(theirs, part):
            return "definition", f"{name} has other constructors"
        return None

    def _says(self, theirs: Constant, part: dict[str, Any]) -> Match:
        """Compare types."""
        return self._compare(theirs, part, self._builder.expr(part["type"]))

    def _compare(self, theirs: Constant, part: dict[str, Any], type_: Ref) -> Match:
        """Compare a type with *type_*, in which the universe parameters are those of *part*."""
        ours = Statement(tuple(self._universes(part)), type_)
        statement = statement_of(self._lean, theirs.info)
        options, cancellation = self._options, self._cancellation
        return matches(self._lean, self._env, statement, ours, options=options, cancellation=cancellation)

    def _does(
        self,
        theirs: Constant,
        part: dict[str, Any],
        value: Ref | None = None,
        options: ElabOptions | None = None,
    ) -> Match:
        """Compare values, of types that are the same; *value* in the place of the reference's."""
        lean, table = self._lean, self._lean.table
        universes = lean.name_list(table.constant_levels(theirs.info))
        said = self._builder.expr(part["value"]) if value is None else value
        ours = lean.engine.eval(renamed(lean, said, self._universes(part), universes))
        type_, own = lean.engine.eval_all(
            [table.constant_type(theirs.info), table.constant_value(theirs.info)]
        )
        if lean.number(table.expr_eqv(own, ours)):
            return Match(True, True)
        options, cancellation = options or self._options, self._cancellation
        return equal(lean, self._env, universes, type_, own, ours, options=options, cancellation=cancellation)

    # --- what is left open ---

    def _is_open(self, name: NameTuple, part: dict[str, Any]) -> bool:
        """Whether a definition of the reference is a hole, or has some."""
        if self._asked.holes is not None:
            return name in self._asked.holes
        return part["hints"] != "abbrev" and self._holes.has_any(part["value"])

    def _hole(self, name: NameTuple, theirs: Constant, part: dict[str, Any]) -> tuple[str, str] | None:
        """Whether *theirs*, of the same type, is what the reference calls *name* with its holes filled."""
        decreed = self._asked.holes is not None
        if not decreed and not self._holes.is_whole(part["value"]):
            # Where proofs alone are left open, the kernel takes one for the other, and soon.
            if self._does(theirs, part, options=replace(self._options, max_heartbeats=_PROOFS_HEARTBEATS)):
                return None
            universes = [
                self._lean.table.level_param(level) for level in map(self._lean.name, self._universes(part))
            ]
            constant = self._lean.engine.eval(
                self._lean.table.const(self._lean.name(theirs.name), ListOf(universes))
            )
            match = self._does(theirs, part, self._holes.filled(part["value"], constant))
            if not match:
                text = f"{show(name)} is not what it is in the reference besides what is left open there"
                return _refused(match, "definition", show(name), text)
        if (
            not decreed
            and name in self._asked.compiled
            and show(theirs.name) not in self._asked.candidate_compiled
        ):
            text = f"{show(theirs.name)} fills a hole and has no compiled code of its own; "
            return "noncomputable", text + "the definition in the reference is not marked `noncomputable`"
        self.filled.append(name)
        return None

    def _fills_unnamed(self, name: NameTuple, part: dict[str, Any]) -> list[Refusal] | None:
        """Have a definition of the candidate's stand for a hole without a name; ``None`` if none can."""
        first = [name] if name in self._sound else []
        wrong: list[Refusal] = []
        for other in (*first, *(sound for sound in self._sound if sound != name)):
            theirs = self._find(other)
            if theirs is None or theirs.kind != "definition" or not self._says(theirs, part):
                continue
            found = self._hole(name, theirs, part)
            if found is None:
                self._called[name] = other
                self.wanted.add(other)
                return []
            if found[0] != "definition":
                wrong.append(Refusal(found[0], show(name), found[1]))
        if name not in self._sound:
            self.wanted.add(name)  # why it does not count is told with the axioms
        return wrong[:1] or None

    def _family(self, theirs: Constant, part: dict[str, Any]) -> bool:
        lean, table = self._lean, self._lean.table
        lists = zip(("all", "ctors"), (table.inductive_all, table.inductive_ctors), strict=True)
        same = all(
            list(map(self._tables.name, part[key])) == lean.name_list(theirs_(theirs.info))
            for key, theirs_ in lists
        )
        return same and lean.number(table.inductive_params(theirs.info)) == part["numParams"]

    # --- what Lean made for it ---

    def _auxiliary(self, word: str, name: NameTuple, part: dict[str, Any]) -> None:
        """Have the candidate's stand for the reference's if it is the same, and else declare that aside.

        Where that cannot be done, what mentions it mentions nothing: the candidate's of the same name is another.
        """
        theirs = self._find(name)
        if theirs is not None and self._is(theirs, word, part):
            return
        aside = (RESERVED, "reference", *name)
        self._called[name] = aside
        self._add(self._single(word, self._lean.name(aside), part))

    def _single(self, word: str, name: Arg, part: dict[str, Any]) -> Arg:
        """The ``Declaration`` of anything but an inductive type or the quotient package, under *name*."""
        table = self._lean.table
        params = ListOf([self._builder.names[number] for number in part["levelParams"]])
        header = table.constant_header(name, params, self._builder.expr(part["type"]))
        if word == "axiom":  # a proof: its statement is all there is to it
            return table.axiom_declaration(header, False)
        value = self._builder.expr(part["value"])
        if word == "opaque":
            return table.opaque_declaration(header, value, ListOf([name]), False)
        safe, hints = SAFETIES.index("safe"), table.hints(part["hints"])
        return table.definition_declaration(header, value, hints, ListOf([name]), safe)

    def _add(self, declaration: Arg) -> bool:
        """Have the kernel add a declaration to what is compared with, if it will."""
        lean, table = self._lean, self._lean.table
        try:
            with lean.options(self._options.kernel_options()) as options:
                token = lean.engine.eval(table.new_cancel_token())
                add = table.add_decl(self._env, options, declaration, token)
                _, self._env = lean.engine.eval_all([table.set_heartbeats(0), add])
        except Thrown:
            return False
        return True

    def _is(self, theirs: Constant, word: str, part: dict[str, Any]) -> bool:
        lean, table = self._lean, self._lean.table
        if theirs.kind != _KINDS[word] and (word, theirs.kind) != ("axiom", "theorem"):
            return False
        if lean.name_list(table.constant_levels(theirs.info)) != self._universes(part):
            return False
        pairs = [table.expr_eqv(table.constant_type(theirs.info), self._builder.expr(part["type"]))]
        if "value" in part:
            value = self._builder.expr(part["value"])
            pairs.append(table.expr_eqv(table.constant_value(theirs.info), value))
        return all(lean.flags(pairs))

    # --- what only the reference's library has ---

    def _library(self, word: str, body: dict[str, Any]) -> Arg:
        if word == "inductive":
            return family_declaration(self._lean, self._builder, self._tables, body)
        if word == "quot":
            return self._lean.table.quot_declaration()
        return self._single(word, self._builder.names[body["name"]], body)

    # --- looking ---

    def _universes(self, part: dict[str, Any]) -> list[NameTuple]:
        return [self._tables.name(number) for number in part["levelParams"]]

    def _find(self, name: NameTuple) -> Constant | None:
        lean = self._lean
        with lean.engine.eval(lean.table.kernel_find(self._env, lean.name(name))) as option:
            if option.ptr() & 1:
                return None
            info: Ref = lean.engine.eval(Field(option, 0))
        return Constant(name, lean.constant_kind(info), info)


def _refused(match: Match, code: str, name: str, text: str) -> tuple[str, str] | None:
    if match:
        return None
    if match.definitional is None:
        return "limit", f"whether {name} is the same was not settled: {match.message}"
    return code, text


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'aio' else 'a'} {kind}"
