"""Verdicts computed from the environment: kernel replay, axiom walk, typed outcomes."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from leanhost.engine.base import Guard, Ref, Thrown
from leanhost.engine.expressions import Arg
from leanhost.lean.constants import kernel_constants
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple, show, user_name
from leanhost.lean.tables import Table
from leanhost.services.axioms import ImportedAxioms, Rests, rests_of
from leanhost.services.elaboration import WHY_LIMITS, Additions
from leanhost.services.kernel import Objection, replay, unchecked
from leanhost.services.knownnames import Used
from leanhost.services.native_axioms import evaluated
from leanhost.services.options import AllowedAxioms
from leanhost.services.progress import phase
from leanhost.services.results import CommandResult, Diagnostic, Limit, Position

CAVEAT_BODIES = (
    "this toolchain does not ship the proofs of its library: "
    "axioms used inside library theorems are not visible"
)


@dataclass(frozen=True, slots=True)
class Theorem:
    """A theorem or axiom a source added, with the axioms it rests on (sorted, as text).

    ``position`` is where its name stands in the source, if that is known.
    """

    name: str
    kind: str
    type: str
    axioms: tuple[str, ...]
    position: Position | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the theorem as JSON-ready values."""
        return {
            "name": self.name,
            "kind": self.kind,
            "type": self.type,
            "axioms": list(self.axioms),
            "line": self.position.line if self.position else None,
            "column": self.position.column if self.position else None,
        }


@dataclass(frozen=True, slots=True)
class ProofSummary:
    """A bounded description of evidence, for logs and messages."""

    name: str
    kind: str
    type: str
    truncated: bool = False


def _cut(text: str, max_bytes: int) -> tuple[str, bool]:
    raw = text.encode("utf-8", "replace")
    return raw[:max_bytes].decode("utf-8", "ignore"), len(raw) > max_bytes


class EvidenceStatus(StrEnum):
    """What the kernel says of evidence when it is asked again."""

    CHECKED = "checked"
    REJECTED = "rejected"
    UNAVAILABLE = "unavailable"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Evidence:
    """That the kernel accepted a declaration on top of the session's imports, and what it rests on.

    ``type`` is pretty-printed for people; ``axioms`` come from walking the environment; ``caveats`` say what
    the walk could not see. The ``ConstantInfo`` is kept alive as long as the evidence.
    """

    name: str
    kind: str
    type: str
    axioms: tuple[str, ...]
    caveats: tuple[str, ...] = ()
    _constant: Constant | None = field(default=None, repr=False, compare=False)
    _with: tuple[Constant, ...] = field(default=(), repr=False, compare=False)
    _origin: object = field(default=None, repr=False, compare=False)
    # What it is made again from, where it came from another process and has no constant here.

    def summary(self, max_bytes: int = 4096) -> ProofSummary:
        """Return name, kind and type as text of at most *max_bytes* UTF-8 bytes each, cut between characters."""
        (name, cut), (kind, _), (type_, more) = (
            _cut(t, max_bytes) for t in (self.name, self.kind, self.type)
        )
        return ProofSummary(name, kind, type_, cut or more)


FailureCode: TypeAlias = Literal[
    "elaboration", "sorry", "axiom", "kernel", "nothing_declared", "source", "limit", "unsupported"
]


@dataclass(frozen=True, slots=True)
class ElabFailure:
    """Why a source was not accepted, or why a term did not elaborate.

    ``truncated`` says that diagnostics were dropped; ``limit`` is what ended the work, with the code ``limit``.
    """

    code: FailureCode
    message: str
    diagnostics: tuple[Diagnostic, ...] = ()
    truncated: bool = False
    limit: Limit | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """The kernel accepted. ``evidence`` is for the last declaration, ``all`` for every one in source order."""

    evidence: Evidence
    all: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """The source does not prove what it says; ``failure`` tells why."""

    failure: ElabFailure


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No verdict was reached: ``limit`` was hit."""

    limit: Limit
    message: str
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Unsupported:
    """This toolchain cannot answer; ``message`` says what is missing."""

    message: str


KernelOutcome: TypeAlias = Checked | Rejected | Unavailable | Unsupported


@dataclass(frozen=True, slots=True)
class Ground:
    """What a source is judged against: its imports, and what was already added and accepted on top of them.

    ``env`` is the ``Environment`` the source was given, ``kernel_env`` what the kernel accepted of it.
    """

    imported: ImportedAxioms
    env: Ref
    kernel_env: Ref
    added: tuple[Constant, ...] = ()


@dataclass(slots=True)
class Judgement:
    """Everything the environment says about a source's additions; no failures means that all of it holds.

    ``open`` is set when a limit was hit instead of a verdict; ``unsupported`` says why this Lean cannot tell.
    """

    theorems: list[Theorem]
    evidence: list[Evidence]
    failures: list[ElabFailure]
    caveats: tuple[str, ...]
    open: Limit | None = None
    unsupported: str = ""


class _Stopped(Exception):
    """The guard of a judgement has stopped it."""


def judge(
    lean: Lean,
    ground: Ground,
    env: Ref,
    options: Ref,
    kernel_options: Ref,
    added: Additions,
    result: CommandResult,
    allowed: AllowedAxioms,
    guard: Guard,
) -> Judgement:
    """Judge what *added* to *ground* made *env*.

    The kernel checks the additions once more on top of what no candidate code has touched, then the axioms
    are walked. *options* only serve printing; neither they nor *kernel_options* may come from the source. Must
    run inside ``engine.supervise`` under *guard*; when that stops it, the judgement is open and says nothing
    else.
    """

    def pause() -> None:
        if guard.why:
            raise _Stopped

    listening = phase(guard, "kernel", len(added.constants))
    try:
        if listening is not None:
            listening.at(0)
        judgement = _judge(lean, ground, env, options, kernel_options, added, result, allowed, guard, pause)
        if listening is not None:
            listening.at(len(added.constants))
        return judgement
    except _Stopped:
        assert guard.why
        return Judgement([], [], [], (), WHY_LIMITS[guard.why])


def _judge(
    lean: Lean,
    ground: Ground,
    env: Ref,
    options: Ref,
    kernel_options: Ref,
    added: Additions,
    result: CommandResult,
    allowed: AllowedAxioms,
    guard: Guard,
    pause: Callable[[], None],
) -> Judgement:
    failures: list[ElabFailure] = []
    diagnostics = result.diagnostics
    truncated = Limit.DIAGNOSTIC_BYTES in result.limits
    constants = added.constants

    def fail(code: FailureCode, message: str) -> None:
        failures.append(ElabFailure(code, message, diagnostics, truncated))

    if result.errors:
        fail("elaboration", result.errors[0].message)
    if not lean.same_imports(ground.kernel_env, env):
        fail("kernel", "the source replaced the environment's imported constants")
    everything = [*ground.added, *constants]
    used = dict(zip((c.name for c in everything), kernel_constants(lean, everything), strict=True))
    pause()
    opened: Limit | None = None
    spelling = ground.imported.spelling
    match replay(lean, ground.kernel_env, constants, used, kernel_options, guard.token, spelling):
        case Objection(_, "rejected", text):
            fail("kernel", text)
        case Objection(_, reason, text):
            pause()
            opened = open_question(reason)
            fail("kernel", text)
        case grown:
            if allowed.native:
                hold = evaluated(lean, grown, everything, kernel_options, guard)
                allowed = allowed.also(map(show, hold))
            if grown is not ground.kernel_env:
                grown.close()
    pause()
    rests = rests_of(ground.imported, everything, used, pause)
    total = Rests()
    for constant in constants:
        total |= rests[constant.name]
    said_sorry = any(d.kind.endswith("hasSorry") for d in diagnostics)
    if ("sorryAx",) in total.axioms or said_sorry:
        fail("sorry", f"{_who(rests, constants, ('sorryAx',), 'uses', 'use')} `sorry`")
    for axiom in sorted(total.axioms - {("sorryAx",)}, key=show):
        if not allowed.permit(show(axiom), declared=axiom in used):
            who = _who(rests, constants, axiom, "rests", "rest")
            fail("axiom", f"{who} on the axiom {show(axiom)}, which is not allowed")
    theorems: list[Theorem] = []
    evidence: list[Evidence] = []
    owned = tuple(everything)
    unseen = unchecked(lean, [constant for constant, _ in added.shown])
    plain = _printing(lean, ground.env, constants, used, unseen)
    for constant, where in added.shown:
        if constant.name in unseen and constant.kind != "axiom":
            continue  # no kernel looks at these: there is nothing to be evidence of
        pause()
        text = _type_text(lean, plain, options, constant)
        name = show(user_name(constant.name))
        axioms = tuple(sorted(map(show, rests[constant.name].axioms)))
        caveats = (CAVEAT_BODIES,) if rests[constant.name].unseen else ()
        evidence.append(Evidence(name, constant.kind, text, axioms, caveats, constant, owned))
        if constant.kind in ("theorem", "axiom") and (
            where or not derived(lean, ground.env, constant.name, rests)
        ):
            theorems.append(Theorem(name, constant.kind, text, axioms, where))
    caveats = (CAVEAT_BODIES,) if total.unseen else ()
    said = (*(d.message for d in result.errors), *(f.message for f in failures if f.code == "kernel"))
    unsupported = next((why for message in said if (why := lean.beyond(message))), "")
    return Judgement(theorems, evidence, failures, caveats, opened, unsupported if failures else "")


def _type_of(table: Table, env: Arg, options: Arg, info: Arg) -> tuple[Arg, ...]:
    return (table.pp_expr(env, options, table.constant_type(info)),)


def _type_text(lean: Lean, env: Ref, options: Ref, constant: Constant) -> str:
    try:
        ((text,),) = lean.step(_type_of).rows([(env, options, constant.info)])
        return str(text)
    except Thrown:
        return "(a type that cannot be printed)"  # only of what the kernel has refused


def _printing(
    lean: Lean, env: Ref, constants: list[Constant], used: Used, unseen: Container[NameTuple]
) -> Ref:
    """Return the environment types are printed in: *env*, which no candidate has touched, and the constants.

    What a source says about how terms are to be written (notation, unexpanders) is not in it.
    """
    own = {constant.name for constant in constants}
    if not any(not own.isdisjoint(used[constant.name]) for constant in constants):
        return env  # nothing mentions anything that was added
    grown: Arg = env
    for start, constant in enumerate(constants, 1):
        if constant.name not in unseen:
            grown = lean.table.with_constant(grown, constant.info)
        if start % _STRIDE == 0:
            grown = lean.engine.eval(grown)
    return lean.engine.eval(grown)


_STRIDE = 32
"""How many constants are put into an environment in one expression."""


def derived(lean: Lean, env: Ref, name: NameTuple, added: Container[NameTuple]) -> bool:
    """Tell whether Lean made a constant for another: ``f.eq_def``, ``T.mk.injEq``, a private one too.

    The other is one of *added* or of *env*: ``split`` makes what it needs for a ``match`` of the library as well.
    """
    above = [form[:end] for form in {name, user_name(name)} for end in range(1, len(form))]
    return any(form in added for form in above) or any(info is not None for info in lean.find(env, above))


def open_question(reason: str) -> Limit:
    """Return the limit that kept the kernel from a verdict (see :class:`Objection`)."""
    return _OPEN.get(reason, Limit.HEARTBEATS)


_OPEN = {"recursion": Limit.REC_DEPTH, "interrupted": Limit.CANCELLED}


def _who(
    rests: dict[NameTuple, Rests], added: list[Constant], axiom: NameTuple, one: str, several: str
) -> str:
    """Name the constants that rest on an axiom, with the verb that fits their number."""
    names = sorted(show(user_name(c.name)) for c in added if axiom in rests[c.name].axioms)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    text = ", ".join(names[:3]) + more if names else "an example"
    return f"{text} {one if len(names) < 2 else several}"
