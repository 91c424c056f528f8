"""The two halves of a verification, in two processes: one elaborates the candidate, a clean one judges its export."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence, Set
from contextlib import ExitStack
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

from leanhost.errors import (
    ElaborationError,
    ImportFailed,
    LeanError,
    LeanHostError,
    UnsupportedToolchain,
    UsageError,
)
from leanhost.lean import names
from leanhost.lean.constants import used_constants, with_code
from leanhost.lean.core import Constant
from leanhost.services.exports.read.outcome import (
    Refused,
    Replayed,
    ReplayOpen,
    ReplayOutcome,
    ReplayRejected,
)
from leanhost.services.exports.write.export import export
from leanhost.services.kernel.judge import derived
from leanhost.services.kernel.replay import unchecked
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.options import DEFAULT_AXIOMS, AllowedAxioms, ElabOptions
from leanhost.services.values.results import CheckResult, CommandResult, Diagnostic, Limit, Position, Status
from leanhost.workers.values.items import Asked, Request
from leanhost.workers.values.verification import Judgement, Refusal
from leanhost.workers.verification.axiom_rules import SORRY, about_axiom, bad_axioms, given, recomputed
from leanhost.workers.verification.candidate_base import CandidateBase
from leanhost.workers.verification.compare_reference import Comparison
from leanhost.workers.verification.wanted import NOT, Wanted, chosen, mentions, resting

_COMPILED = "compiled"
"""The key in an export's first line for the definitions that have code of their own."""

_NOTATION = frozenset(
    {("Lean", "ParserDescr"), ("Lean", "TrailingParserDescr"), ("Lean", "Parser", "Category")}
)
"""The types of what ``notation``, ``syntax`` and ``macro`` declare."""

_NO_THEOREM = "the reference states no theorem; give what is to be proved a name (an example has no name)"

_OWN_CHOICE = "{} is about a hole of the reference: what is true of one filling says nothing about others"

_MACRO_SCOPE = "_@"
"""A part of every name that a macro made of its own (``Lean.addMacroScope``)."""

_INSTANCE = re.compile(r"instance(?![\w.!?'])")
"""The word that Lean selects for an instance without a name."""


Accepted: TypeAlias = Callable[[CandidateBase, Replayed, Set[names.NameTuple]], None]
"""Told of what the candidate was judged on, of what was replayed, and of what the reference asks for in it."""


def export_added(
    host: Host, request: Request, options: ElabOptions, cancellation: Cancellation, *, whole: bool
) -> tuple[CheckResult, str]:
    """Elaborate a source and return everything it added as an export; if *whole*, with what it rests on."""
    try:
        with _extended(host, request, options, cancellation) as session:
            wanted = [constant.name for constant in session._added]
            if whole:
                wanted.extend(_imported(session, request.asked))
            compiled = with_code(session._lean, session._env, [constant for constant, _ in session._shown])
            notes = {_COMPILED: sorted(map(names.show, compiled))}
            with CandidateBase.of(host, session, request, whole=whole) as ground:
                text = _export(session, wanted, ground, options, cancellation, notes=notes)
    except ElaborationError as error:
        result = error.result if isinstance(error.result, CommandResult) else None
        diagnostics = result.diagnostics if result is not None else ()
        stopped = result is not None and Limit.TIMEOUT in result.limits
        status = Status.TIMEOUT if stopped else Status.REJECTED
        why = next((str(said) for said in diagnostics if said.is_error), error.message)
        if not stopped and (beyond := _beyond(host, diagnostics)):
            status, why = Status.UNSUPPORTED, beyond
        return CheckResult(request.file, status, diagnostics, reasons=(why,), toolchain=host.label), ""
    except (
        LeanError
    ) as error:  # an import that failed, or a term that cannot be written: it has metavariables
        return CheckResult(request.file, Status.REJECTED, reasons=(str(error),), toolchain=host.label), ""
    return CheckResult(request.file, Status.ACCEPTED, toolchain=host.label), text


def _imported(session: Session, asked: Asked) -> list[names.NameTuple]:
    """What is asked for by name and was imported."""
    own = {constant.name for constant in session._added}
    named = [names.parse(name) for name in (*(asked.theorems or ()), *(asked.definitions or ()))]
    absent = [name for name in named if name not in own]
    found = session._lean.find(session._env, absent)
    return [name for name, info in zip(absent, found, strict=True) if info is not None]


def _beyond(host: Host, diagnostics: Iterable[Diagnostic]) -> str:
    """Why this Lean cannot elaborate a source that has these errors, if that is the reason."""
    errors = (said.message for said in diagnostics if said.is_error)
    return next((why for message in errors if (why := host._lean.beyond(message))), "")


def _extended(host: Host, request: Request, options: ElabOptions, cancellation: Cancellation) -> Session:
    base, text = host._session_for(
        request.source, file=request.file, options=options, imports=request.imports, cancellation=cancellation
    )
    with base:
        return base.extend(text, file=request.file, cancellation=cancellation)


def _export(
    session: Session,
    wanted: Iterable[names.NameTuple],
    ground: CandidateBase,
    options: ElabOptions,
    cancellation: Cancellation,
    *,
    proofs: bool = True,
    notes: Mapping[str, Sequence[str]] = MappingProxyType({}),
    more: Iterable[Constant] = (),
) -> str:
    """Export what *session* adds to *ground*."""
    buffer = io.BytesIO()
    if ground.whole:
        env = ground.library  # a module's own environment lacks what its imports do not show
    elif ground.own:
        env = session._env
    else:
        # What is not found is left out: the imports are, when there is nowhere to look for them.
        env = session._lean.empty_environment()
    export(
        session._lean,
        env,
        list(wanted),
        buffer,
        added=(*session._added, *more),
        without=partial(ground.shares, session._env) if ground.own else None,
        proofs=proofs,
        timeout=options.timeout,
        cancellation=cancellation,
        notes=notes,
    )
    return buffer.getvalue().decode()


def judge_export(
    host: Host,
    reference: Request,
    exported: str,
    options: ElabOptions,
    cancellation: Cancellation,
    *,
    whole: bool,
    start: Request | None = None,
    accepted: Accepted | None = None,
) -> Judgement:
    """Compare a candidate's export with a trusted reference; no refusal means that it answers all of it.

    Nothing of the candidate runs here: its export is data, which the kernel checks from the first axiom on if
    it is *whole*, and otherwise on top of what the reference imports, or what the candidate *start* imports if that is
    not the same. *accepted* is told of a candidate that answers all of it.
    """
    lean = host._lean
    try:
        base, text = host._session_for(
            reference.source,
            file=reference.file,
            options=options,
            imports=reference.imports,
            cancellation=cancellation,
        )
    except (ElaborationError, ImportFailed) as error:
        return Judgement((_unusable(error),))
    with ExitStack() as opened:
        opened.enter_context(base)
        try:
            ground = (
                CandidateBase.of(host, base, reference, whole=whole)
                if start is None or whole
                else CandidateBase.under(host, start)
            )
        except (ElaborationError, ImportFailed) as error:
            return Judgement((Refusal("export", "", error.message),))
        opened.enter_context(ground)
        theirs = ground.replayed(exported, options, cancellation)
        if not isinstance(theirs, Replayed):
            return Judgement((_refusal(theirs),))
        try:
            session = base.extend(text, file=reference.file, cancellation=cancellation)
        except ElaborationError as error:
            diagnostics = error.result.diagnostics if isinstance(error.result, CommandResult) else ()
            if beyond := _beyond(host, diagnostics):
                raise UnsupportedToolchain(f"the reference cannot be elaborated: {beyond}") from None
            return Judgement((_unusable(error),))
        with session:
            added = {constant.name for constant in session._added}
            asked = reference.asked
            theorems, others, unnamed = _written(session, text, added)
            if asked.theorems is not None or asked.definitions is not None:
                try:
                    theorems, others, unnamed = chosen(
                        session, asked, theorems, others, unnamed, frozenset(theirs.axioms)
                    )
                except UsageError as error:
                    return Judgement((Refusal("reference", "", error.message),))
            own = {names.show(name) for name, kind in others.items() if kind == "axiom"}
            named = reference.allow_axioms if asked.permitted_axioms is None else ()
            permitted = AllowedAxioms.of(named)
            typed = given(session, permitted, theirs, options, cancellation)
            if isinstance(typed, Refusal):
                return Judgement((typed,))
            # An axiom of the library is allowed under its name as what it is there, and only where it is there.
            imported = _imported_axioms(session, map(names.parse, theirs.axioms))
            present = {*map(names.show, imported), *own}
            # Another's can say anything: its name alone is no reason to believe it.
            by_name = {name for name in permitted.library if name not in theirs.axioms or name in present}
            # Proofs this toolchain does not ship come as axioms: known ones, if the library really has them.
            unshipped = {names.show(name) for name, original in imported.items() if not original}
            if asked.permitted_axioms is not None:
                # These and no others: exactly what the library or the reference declares of them.
                allowed = {*asked.permitted_axioms} & {*(by_name & DEFAULT_AXIOMS), *present} | unshipped
            else:
                allowed = {*by_name, *own, *unshipped, *(axiom.name for axiom in permitted.typed)}
            if permitted.native:
                unknown = [axiom for axiom in theirs.axioms if axiom not in allowed]
                allowed.update(recomputed(lean, theirs, unknown, options, cancellation))
            compared = [name for name in imported if names.show(name) in allowed]
            compared += _other_axioms(session, ground, theirs)
            # A negation is the library's; what a reference declares under that name may be anything.
            may_deny = asked.disproofs and NOT not in added and None not in lean.find(session._env, [NOT])
            used = mentions(session, theorems) if may_deny else []
            denied = [NOT] if may_deny and _is_compared(session, ground, NOT) else []
            wanted = [*theorems, *others, *unnamed, *compared, *typed, *denied]
            statements = _export(
                session, wanted, ground, options, cancellation, proofs=False, more=typed.values()
            )
            open_ = _open(session) if unnamed or "definition" in others.values() else frozenset()
            everything = Wanted(
                theorems,
                {**others, **dict.fromkeys(typed, "axiom")},
                unnamed,
                own=added | typed.keys(),
                proofs=frozenset(c.name for c in session._added if c.kind == "theorem"),
                sound=_sound(session, added, theirs, allowed) if unnamed else (),
                holes=None if asked.definitions is None else [*map(names.parse, asked.definitions)],
                deniable=may_deny,
                compiled=with_code(lean, session._env, [c for c in session._added if c.name in open_]),
                candidate_compiled=_compiled(exported),
            )
        comparison = Comparison(lean, theirs, everything, options, cancellation)
        found = [about_axiom(each, typed) for each in comparison.differences(statements.encode())]
        untyped = permitted.named - allowed
        told: set[names.NameTuple] = set()
        for name in sorted(comparison.wanted, key=str):
            axioms = theirs.rests.get(name)
            if axioms is None:  # the candidate imports it, or has nothing of the name
                axioms = ground.axioms.under({name}, lambda: None).axioms if ground.own else frozenset()
            told |= axioms
            rests = sorted(map(names.show, axioms - {name}))
            found.extend(bad_axioms(names.show(name), rests, allowed, untyped))
        if whole:
            rest = [axiom for axiom in theirs.axioms if names.parse(axiom) not in told]
            found.extend(bad_axioms("", rest, allowed, untyped))
        may_choose = resting(used, set(comparison.filled))
        disproved = [name for name in comparison.disproved if name not in may_choose]
        for name in (name for name in comparison.disproved if name in may_choose):
            found.append(Refusal("statement", names.show(name), _OWN_CHOICE.format(names.show(name))))
        if not theorems and not unnamed:
            found.append(Refusal("reference", "", _NO_THEOREM))
        if found:
            return Judgement(tuple(found))
        if accepted is not None:
            accepted(ground, theirs, comparison.wanted)
        return Judgement((), *(tuple(map(names.show, each)) for each in (comparison.filled, disproved)))


def _compiled(exported: str) -> frozenset[str]:
    """The definitions that have code of their own, as the process that wrote the export says."""
    try:
        said = json.loads(exported.partition("\n")[0])["meta"][_COMPILED]
    except (ValueError, KeyError, TypeError, RecursionError):
        return frozenset()
    return (
        frozenset(name for name in said if isinstance(name, str)) if isinstance(said, list) else frozenset()
    )


def _sound(
    session: Session, added: Container[names.NameTuple], theirs: Replayed, allowed: Container[str]
) -> list[names.NameTuple]:
    """What the candidate declares beside the library of *session* and rests on nothing that is not allowed."""
    sound = [
        name
        for name, axioms in theirs.rests.items()
        if not any(bad_axioms("", map(names.show, axioms), allowed))
    ]
    found = session._lean.find(session._env, sound)
    return [name for name, info in zip(sound, found, strict=True) if info is None or name in added]


def _unusable(error: LeanHostError) -> Refusal:
    return Refusal("reference", "", f"the reference itself does not elaborate: {error.message}")


def _written(
    session: Session, text: str, added: Container[names.NameTuple]
) -> tuple[list[names.NameTuple], dict[names.NameTuple, str], list[names.NameTuple]]:
    """The theorems of a reference, the other constants its author named, with their kinds, and unnamed claims.

    What Lean made for them is not in it, nor what no kernel looks at: unsafe and partial definitions. Nor are
    instances without a name: Lean numbers them by what came before, and what mentions one is compared through it;
    but those that are proofs claim something, and so do those that leave something to prove. Names that a macro made,
    which nobody can write, are none either. Nor is notation: it says how a text is read, and candidates are compared
    by what was read.
    """
    lines = text.split("\n")
    unnamed = {
        c.name
        for c, where in session._shown
        if _MACRO_SCOPE in c.name or (where is not None and _unnamed(lines, where))
    }
    left = _open(session) if unnamed else frozenset()
    wrote = [
        c
        for c, where in session._shown
        if (c.name not in unnamed or c.kind == "theorem" or (c.kind == "definition" and c.name in left))
        and (where is not None or not derived(session._lean, session._env, c.name, added))
    ]
    odd = unchecked(session._lean, wrote)
    safe = [c for c in wrote if c.name not in odd and c.kind not in ("recursor", "constructor")]
    types = [Constant(c.name, "axiom", c.info) for c in safe]
    safe = [
        c
        for c, used in zip(safe, used_constants(session._lean, types), strict=True)
        if c.kind != "definition" or not used or not used <= _NOTATION
    ]
    theorems = [c.name for c in safe if c.kind == "theorem" and c.name not in unnamed]
    others = {c.name: c.kind for c in safe if c.kind != "theorem" and c.name not in unnamed}
    return theorems, others, [c.name for c in safe if c.name in unnamed]


def _open(session: Session) -> frozenset[names.NameTuple]:
    """What a reference leaves open: the constants in it that rest on ``sorry``."""
    return resting(mentions(session), {(SORRY,)})


def _unnamed(lines: Sequence[str], where: Position) -> bool:
    """Whether the declaration selected by its author's text is an ``instance`` without a name."""
    line = lines[where.line - 1] if where.line <= len(lines) else ""
    return _INSTANCE.match(line, where.column) is not None


def _imported_axioms(session: Session, wanted: Iterable[names.NameTuple]) -> dict[names.NameTuple, bool]:
    """Those of *wanted* that the imported library has as axioms, and whether they are axioms to it.

    Those that are not are theorems whose proofs are not there to see.
    """
    lean, env = session._lean, session._env
    added: set[names.NameTuple] = {constant.name for constant in session._added}
    absent = [name for name in wanted if name not in added and names.show(name) != SORRY]
    found: dict[names.NameTuple, bool] = {}
    for name, info in zip(absent, lean.find(env, absent), strict=True):
        if info is not None and lean.constant_kind(info) == "axiom":
            found[name] = lean.is_original_axiom(env, name)
    return found


def _is_compared(session: Session, ground: CandidateBase, name: names.NameTuple) -> bool:
    """Whether a constant of the library of *session* may be another one in the candidate's."""
    return ground.whole or (ground.own and name not in ground.shares(session._env, [name]))


def _other_axioms(session: Session, ground: CandidateBase, theirs: Replayed) -> list[names.NameTuple]:
    """The axioms of the candidate's imports that *session* imports under the same name from another place."""
    if not ground.own:
        return []
    rests = {axiom for axioms in theirs.rests.values() for axiom in axioms} - theirs.rests.keys()
    asked = sorted(rests - set(ground.shares(session._env, sorted(rests, key=str))), key=str)
    found = session._lean.find(session._env, asked)
    return [name for name, info in zip(asked, found, strict=True) if info is not None]


def _refusal(outcome: ReplayOutcome) -> Refusal:
    match outcome:
        case ReplayRejected(name, text, _):
            return Refusal("kernel", name, text)
        case Refused(line, reason):
            return Refusal("export", "", f"line {line} of the candidate's export: {reason}")
        case ReplayOpen(limit, message, _):
            return Refusal("limit", "", f"{limit}: {message}")
        case Replayed():
            raise ValueError("a replayed file is no refusal")
