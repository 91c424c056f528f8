"""Checks of a proved statement: whether it matches a reference, and whether the kernel still accepts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg, ListOf
from leanhost.engine.values import Ref, Thrown
from leanhost.lean.constants import kernel_constants
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple, show
from leanhost.lean.tables.declarations import SAFE
from leanhost.services.kernel.replay import KernelRejection, replay_constants
from leanhost.services.values.graphs import reachable
from leanhost.services.values.limits import NO_CONTEXT, CallContext
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.outcomes import EvidenceStatus
from leanhost.services.values.results import Limit

_ASIDE: NameTuple = ("_leanhost", "same")


@dataclass(frozen=True, slots=True)
class Statement:
    """What a theorem says: universe parameters in order, and a type (``ConstantVal`` without its name)."""

    universes: tuple[NameTuple, ...]
    type: Ref


@dataclass(frozen=True, slots=True)
class Match:
    """How a statement compares with a reference.

    Attributes:
        syntactic: they are the same term, up to the names of binders and of universe parameters (``Expr.eqv``).
        definitional: the kernel takes one for the other; ``None`` when a limit kept it from an answer.
        limit: that limit.
        message: the kernel's words when it does not take one for the other.
    """

    syntactic: bool
    definitional: bool | None
    limit: Limit | None = None
    message: str = ""

    def __bool__(self) -> bool:
        """Whether they match in either way."""
        return self.syntactic or bool(self.definitional)


@dataclass(frozen=True, slots=True)
class Recheck:
    """What the kernel says of a constant now; ``limit`` is set when it came to no verdict."""

    status: EvidenceStatus
    message: str = ""
    limit: Limit | None = None


def statement_of(lean: Lean, info: Ref) -> Statement:
    """Return the statement of a ``ConstantInfo``."""
    universes = lean.name_list(lean.table.constant_levels(info))
    return Statement(tuple(universes), lean.engine.eval(lean.table.constant_type(info)))


def matches(
    lean: Lean,
    kernel_env: Ref,
    statement: Statement,
    reference: Statement,
    options: ElabOptions,
    call: CallContext = NO_CONTEXT,
) -> Match:
    """Compare *statement* with *reference*, whose universe parameters are renamed to its own, in order.

    *kernel_env* is a ``Kernel.Environment`` that has what both mention. The kernel is asked to accept the
    identity as a function from one to the other: unlike ``Lean.Kernel.isDefEq`` that also checks that both are
    types, and it keeps to the limits of *options* and of *call*.
    """
    guard = call.guard(lean, options)
    try:
        with lean.options(options.kernel_options()) as kernel_options:
            return lean.engine.supervise(
                lambda: _matches(lean, kernel_env, statement, reference, kernel_options, guard), guard
            )
    finally:
        guard.token.close()


def says(
    lean: Lean, kernel_env: Ref, constant: Constant, statement: Statement, options: Ref, guard: Guard
) -> bool:
    """Whether *constant* says *statement*, as :func:`matches` tells it; runs inside ``engine.supervise``."""
    return bool(_matches(lean, kernel_env, statement_of(lean, constant.info), statement, options, guard))


def other_meaning(
    lean: Lean, kernel_env: Ref, constant: Constant, added: Sequence[Constant]
) -> NameTuple | None:
    """Return a constant the statement of *constant* speaks of that is something else in *kernel_env*.

    *added* came on top of the imports together with *constant*; of another source another environment may have
    other constants by the same names.
    """
    table = lean.table
    by_name = {c.name: c for c in added}
    roots = kernel_constants(lean, [Constant(constant.name, "axiom", constant.info)])[0] & by_name.keys()
    for name in reachable(roots, lambda name: kernel_constants(lean, [by_name[name]])[0] & by_name.keys()):
        theirs = by_name[name]
        ours = lean.kernel_find(kernel_env, theirs.name)
        if ours is None:
            return theirs.name
        pairs: list[Arg] = [table.expr_eqv(table.constant_type(ours), table.constant_type(theirs.info))]
        if lean.constant_kind(ours) != theirs.kind:
            return theirs.name
        if theirs.kind in ("definition", "opaque"):
            pairs.append(table.expr_eqv(table.constant_value(ours), table.constant_value(theirs.info)))
        lists = [table.constant_levels, *([table.inductive_ctors] if theirs.kind == "inductive" else [])]
        if not all(lean.flags(pairs)) or any(
            lean.name_list(part(ours)) != lean.name_list(part(theirs.info)) for part in lists
        ):
            return theirs.name
    return None


def equal(
    lean: Lean,
    kernel_env: Ref,
    universes: Sequence[NameTuple],
    type_: Ref,
    left: Ref,
    right: Ref,
    options: ElabOptions,
    call: CallContext = NO_CONTEXT,
) -> Match:
    """Ask the kernel whether two terms of *type_*, over *universes*, are equal by definition.

    It is asked to accept a proof of something about one for a proof of the same about the other.
    """
    guard = call.guard(lean, options)
    table = lean.table
    params = [lean.name(name) for name in universes]
    about, held, moved = (lean.name((*_ASIDE, part)) for part in ("P", "h", "t"))
    predicate = table.const(about, ListOf([table.level_param(param) for param in params]))
    proof = table.const(held, ListOf([table.level_param(param) for param in params]))

    def header(name: Arg, said: Arg) -> Arg:
        return table.constant_header(name, ListOf(params), said)

    family = table.forall(lean.name(("x",)), type_, table.sort(table.level_zero()))
    declarations = (
        table.axiom_declaration(header(about, family), False),
        table.axiom_declaration(header(held, table.app(predicate, left)), False),
        table.theorem_declaration(header(moved, table.app(predicate, right)), proof, ListOf([moved])),
    )
    try:
        with lean.options(options.kernel_options()) as kernel_options:
            return lean.engine.supervise(
                lambda: _accepted(lean, kernel_env, declarations, kernel_options, guard), guard
            )
    finally:
        guard.token.close()


def renamed(lean: Lean, expr: Arg, universes: Sequence[NameTuple], others: Sequence[NameTuple]) -> Arg:
    """Return *expr* with *others*, in order, in the places of its *universes*."""
    table = lean.table
    if list(universes) == list(others):
        return expr
    new = [table.level_param(lean.name(name)) for name in others]
    return table.instantiate_levels(expr, ListOf([lean.name(name) for name in universes]), ListOf(new))


def _matches(
    lean: Lean, kernel_env: Ref, statement: Statement, reference: Statement, options: Ref, guard: Guard
) -> Match:
    table = lean.table
    if len(statement.universes) != len(reference.universes):
        ours, theirs = len(statement.universes), len(reference.universes)
        return Match(False, False, message=f"there are {ours} universe parameters, in the reference {theirs}")
    asked = lean.engine.eval(renamed(lean, reference.type, reference.universes, statement.universes))
    if lean.number(table.expr_eqv(statement.type, asked)):
        return Match(True, True)
    binder, name = lean.name(("x",)), lean.name(_ASIDE)
    params = ListOf([lean.name(universe) for universe in statement.universes])
    header = table.constant_header(name, params, table.forall(binder, statement.type, asked))
    identity = table.lam(binder, statement.type, table.bvar(0))
    opaque = table.hints("opaque")
    declaration = table.definition_declaration(header, identity, opaque, ListOf([name]), SAFE)
    return _accepted(lean, kernel_env, [declaration], options, guard)


def _accepted(lean: Lean, kernel_env: Ref, declarations: Sequence[Arg], options: Ref, guard: Guard) -> Match:
    """Whether the kernel takes *declarations*, one after the other."""
    table, env = lean.table, kernel_env
    try:
        for declaration in declarations:
            env = _add(lean, env, options, declaration, guard)
    except Thrown as thrown:
        limit = guard.limit or table.KERNEL_LIMITS.get(lean.number_tag(thrown.error))
        text = lean.text(table.kernel_exception_text(thrown.error, options))
        return Match(False, False if limit is None else None, limit, text)
    return Match(False, True)


def _add(lean: Lean, kernel_env: Ref, options: Ref, declaration: Arg, guard: Guard) -> Ref:
    add = lean.table.add_decl(kernel_env, options, declaration, guard.token)
    _, grown = lean.engine.eval_all([lean.table.set_heartbeats(0), add])
    return grown


def recheck(
    lean: Lean,
    kernel_env: Ref,
    constant: Constant,
    added: Sequence[Constant],
    options: ElabOptions,
    call: CallContext = NO_CONTEXT,
) -> Recheck:
    """Add *constant* to *kernel_env* through the kernel once more, after all it needs of *added*.

    *kernel_env* is the ``Kernel.Environment`` of the imports; *added* is what came on top of them together with
    *constant*. Nothing is changed.
    """
    guard = call.guard(lean, options)

    def work(kernel_options: Ref) -> Recheck:
        everything = {c.name: c for c in (*added, constant)}
        constants = list(everything.values())
        used = dict(zip(everything, kernel_constants(lean, constants), strict=True))
        needed = [everything[name] for name in _needed(lean, everything, used, constant.name)]
        lean.engine.eval(lean.table.set_heartbeats(0)).close()
        match replay_constants(lean, kernel_env, needed, used, kernel_options, guard.token):
            case KernelRejection(_, text, limit):
                limit = guard.limit or limit
                status = EvidenceStatus.REJECTED if limit is None else EvidenceStatus.UNAVAILABLE
                return Recheck(status, text, limit)
            case grown:
                try:
                    there = lean.kernel_find(grown, constant.name)
                finally:
                    if grown is not kernel_env:
                        grown.close()
        if there is None:
            return Recheck(
                EvidenceStatus.REJECTED,
                f"{show(constant.name)} is nothing the kernel checks (unsafe or partial)",
            )
        return Recheck(EvidenceStatus.CHECKED)

    try:
        with lean.options(options.kernel_options()) as kernel_options:
            return lean.engine.supervise(lambda: work(kernel_options), guard)
    finally:
        guard.token.close()


def _needed(
    lean: Lean,
    everything: dict[NameTuple, Constant],
    used: dict[NameTuple, frozenset[NameTuple]],
    root: NameTuple,
) -> list[NameTuple]:
    """The constants among *everything* that *root* rests on; all members of the inductive families among them."""
    family: dict[NameTuple, set[NameTuple]] = {}
    for constant in everything.values():
        table = lean.table
        if constant.kind == "inductive":
            members = {constant.name, *lean.name_list(table.inductive_all(constant.info))}
            members.update(lean.name_list(table.inductive_ctors(constant.info)))
        elif constant.kind == "recursor":
            members = {constant.name, *lean.name_list(table.recursor_all(constant.info))}
        else:
            continue
        for member in members:
            family.setdefault(member, set()).update(members)
    needed = set(reachable([root], lambda name: everything.keys() & {*used[name], *family.get(name, ())}))
    return [name for name in everything if name in needed]
