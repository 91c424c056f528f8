"""Which axioms of a candidate its reference allows: those of the library, its own, and others as what they say."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from leanhost.errors import UsageError
from leanhost.lean import names
from leanhost.lean.core import Constant, Lean
from leanhost.services.exports.read.outcome import Replayed
from leanhost.services.kernel.equivalence import matches, statement_of
from leanhost.services.kernel.native_axioms import evaluated, is_native
from leanhost.services.session.allowances import elaborated
from leanhost.services.session.session import Session
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.limits import CallContext
from leanhost.services.values.options import AllowedAxioms, ElabOptions
from leanhost.workers.values.verification import Refusal

SORRY = "sorryAx"


def given(
    session: Session,
    allowed: AllowedAxioms,
    theirs: Replayed,
    options: ElabOptions,
    cancellation: Cancellation,
) -> dict[names.NameTuple, Constant] | Refusal:
    """The axioms of the candidate that are allowed with a type, as what they have to be.

    They are read as if the reference had declared them at its end.
    """
    used = {*theirs.axioms, *(names.show(axiom) for rests in theirs.rests.values() for axiom in rests)}
    wanted = [axiom for axiom in allowed.typed if axiom.name in used]
    try:
        found = elaborated(session._runner, wanted)
    except UsageError as error:
        return Refusal("reference", "", error.message)
    lean, more = session._lean, {each.name: each.constant(session._lean) for each in found}
    with lean.engine.eval(lean.table.kernel_env(session._env)) as kernel_env:
        for each, info in zip(found, lean.find(session._env, list(more)), strict=True):
            if info is None:
                continue  # the candidate's alone
            del more[each.name]
            has = statement_of(lean, info)
            if not matches(
                lean, kernel_env, has, each.statement, options, CallContext(cancellation=cancellation)
            ):
                name = names.show(each.name)
                return Refusal("reference", name, f"{name} is allowed with another type than it has")
    return more


def recomputed(
    lean: Lean,
    theirs: Replayed,
    asked: Iterable[str],
    options: ElabOptions,
    cancellation: Cancellation,
) -> list[str]:
    """Those of the axioms *asked* that ``native_decide`` may have added and that hold by evaluation."""
    wanted = [name for name in map(names.parse, asked) if is_native(lean, name)]
    if not wanted:
        return []
    guard = CallContext(cancellation=cancellation).guard(lean, options)
    try:
        with lean.options(options.kernel_options()) as kernel_options:

            def work() -> frozenset[names.NameTuple]:
                infos = zip(wanted, lean.kernel_find_all(theirs.kernel_env, wanted), strict=True)
                axioms = [Constant(name, "axiom", info) for name, info in infos if info is not None]
                return evaluated(lean, theirs.kernel_env, axioms, kernel_options, guard)

            return sorted(map(names.show, lean.engine.supervise(work, guard)))
    finally:
        guard.token.close()


def about_axiom(refusal: Refusal, given: Container[names.NameTuple]) -> Refusal:
    """Say of an axiom that it is not the one that was allowed, rather than which part of it differs."""
    if not refusal.name or names.parse(refusal.name) not in given or refusal.code == "limit":
        return refusal
    text = f"{refusal.name} is not the axiom of that name that is allowed: {refusal.message}"
    return Refusal("axiom", refusal.name, text)


def bad_axioms(
    name: str, axioms: Iterable[str], allowed: Container[str], untyped: Container[str] = ()
) -> Iterator[Refusal]:
    """Refuse what is not allowed of *axioms*: of *name*, or, without one, of the export as a whole.

    *untyped* are allowed by name only, and neither the library nor the reference says what they are.
    """
    rests = f"{name} rests on" if name else "the candidate's export has"
    for axiom in axioms:
        if axiom == SORRY:
            yield Refusal("sorry", name, f"{name or 'the candidate'} uses `sorry`")
        elif axiom in untyped:
            how = f"allowed by its name only; allow it with its type ({axiom} : ...)"
            yield Refusal("axiom", name, f"{rests} the axiom {axiom}, which is {how}")
        elif axiom not in allowed:
            yield Refusal("axiom", name, f"{rests} the axiom {axiom}, which is not allowed")
