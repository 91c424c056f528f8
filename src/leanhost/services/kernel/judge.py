"""Verdicts computed from the environment: kernel replay, axiom walk, typed outcomes."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg
from leanhost.engine.values import Ref, Thrown
from leanhost.lean.constants import kernel_constants
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple, show, user_name
from leanhost.lean.tables import Table
from leanhost.services.kernel.axioms import AxiomSet, ImportedAxioms, axiom_sets_of
from leanhost.services.kernel.builtin_names import Used
from leanhost.services.kernel.native_axioms import evaluated
from leanhost.services.kernel.replay import KernelRejection, replay_constants, unchecked
from leanhost.services.values.options import AllowedAxioms
from leanhost.services.values.outcomes import ElabFailure, Evidence, FailureCode
from leanhost.services.values.progress import phase
from leanhost.services.values.results import CAVEAT_BODIES, CommandResult, Limit, Position, Theorem


@dataclass(frozen=True, slots=True)
class JudgementBase:
    """What a source is judged against: its imports, and what was already added and accepted on top of them.

    ``env`` is the ``Environment`` the source was given, ``kernel_env`` what the kernel accepted of it.
    """

    imported: ImportedAxioms
    env: Ref
    kernel_env: Ref
    added: tuple[Constant, ...] = ()


@dataclass(frozen=True, slots=True)
class Additions:
    """What a source added to its environment: every constant in source order, and those a user sees."""

    constants: list[Constant]
    shown: list[tuple[Constant, Position | None]]


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
    base: JudgementBase,
    env: Ref,
    options: Ref,
    kernel_options: Ref,
    added: Additions,
    result: CommandResult,
    allowed: AllowedAxioms,
    guard: Guard,
) -> Judgement:
    """Judge what *added* to *base* made *env*.

    The kernel checks the additions once more on top of what no candidate code has touched, then the axioms
    are walked. *options* only serve printing; neither they nor *kernel_options* may come from the source. Must
    run inside ``engine.supervise`` under *guard*; when that stops it, the judgement is open and says nothing
    else.
    """

    def pause() -> None:
        if guard.why:
            raise _Stopped

    judging = phase(guard, "kernel", len(added.constants))
    try:
        judging.at(0)
        judgement = _judge(lean, base, env, options, kernel_options, added, result, allowed, guard, pause)
        judging.at(len(added.constants))
        return judgement
    except _Stopped:
        return Judgement([], [], [], (), guard.limit)


def _judge(
    lean: Lean,
    base: JudgementBase,
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
    if not lean.same_imports(base.kernel_env, env):
        fail("kernel", "the source replaced the environment's imported constants")
    everything = [*base.added, *constants]
    used = dict(zip((c.name for c in everything), kernel_constants(lean, everything), strict=True))
    pause()
    opened: Limit | None = None
    spelling = base.imported.spelling
    match replay_constants(lean, base.kernel_env, constants, used, kernel_options, guard.token, spelling):
        case KernelRejection(_, text, opened):
            if opened is not None:
                pause()
            fail("kernel", text)
        case grown:
            if allowed.native:
                hold = evaluated(lean, grown, everything, kernel_options, guard)
                allowed = allowed.also(map(show, hold))
            if grown is not base.kernel_env:
                grown.close()
    pause()
    axiom_sets = axiom_sets_of(base.imported, everything, used, pause)
    total = AxiomSet()
    for constant in constants:
        total |= axiom_sets[constant.name]
    said_sorry = any(d.kind.endswith("hasSorry") for d in diagnostics)
    if ("sorryAx",) in total.axioms or said_sorry:
        fail("sorry", f"{_who(axiom_sets, constants, ('sorryAx',), 'uses', 'use')} `sorry`")
    for axiom in sorted(total.axioms - {("sorryAx",)}, key=show):
        if not allowed.permit(show(axiom), declared=axiom in used):
            who = _who(axiom_sets, constants, axiom, "rests", "rest")
            fail("axiom", f"{who} on the axiom {show(axiom)}, which is not allowed")
    theorems: list[Theorem] = []
    evidence: list[Evidence] = []
    owned = tuple(everything)
    unseen = unchecked(lean, [constant for constant, _ in added.shown])
    plain = _printing(lean, base.env, constants, used, unseen)
    for constant, where in added.shown:
        if constant.name in unseen and constant.kind != "axiom":
            continue  # no kernel looks at these: there is nothing to be evidence of
        pause()
        text = _type_text(lean, plain, options, constant)
        name = show(user_name(constant.name))
        axioms = tuple(sorted(map(show, axiom_sets[constant.name].axioms)))
        caveats = (CAVEAT_BODIES,) if axiom_sets[constant.name].incomplete else ()
        evidence.append(Evidence(name, constant.kind, text, axioms, caveats, constant, owned))
        if constant.kind in ("theorem", "axiom") and (
            where or not derived(lean, base.env, constant.name, axiom_sets)
        ):
            theorems.append(Theorem(name, constant.kind, text, axioms, where))
    caveats = (CAVEAT_BODIES,) if total.incomplete else ()
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


def _who(
    axiom_sets: dict[NameTuple, AxiomSet], added: list[Constant], axiom: NameTuple, one: str, several: str
) -> str:
    """Name the constants that rest on an axiom, with the verb that fits their number."""
    names = sorted(show(user_name(c.name)) for c in added if axiom in axiom_sets[c.name].axioms)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    text = ", ".join(names[:3]) + more if names else "an example"
    return f"{text} {one if len(names) < 2 else several}"
