"""What of a reference a candidate is asked for, and what in it rests on what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass

from leanhost.errors import UsageError
from leanhost.lean import names
from leanhost.lean.constants import kernel_constants
from leanhost.lean.core import Constant
from leanhost.lean.names import NameTuple
from leanhost.services.kernel.replay import unchecked
from leanhost.services.session.session import Session
from leanhost.services.values.graphs import reachable
from leanhost.workers.values.items import Asked

NOT: NameTuple = ("Not",)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reference asks of a candidate.

    Attributes:
        theorems: have to say the same.
        others: have to be the same, and so has everything of the library that these or the theorems mention.
        unnamed: each has to be one of *sound*.
        own: the reference's constants; those not named above only have to be seen through.
        proofs: those of *own* that are theorems, whoever named them.
        sound: what the candidate declares on nothing that is not allowed.
        holes: those of *others* that may have any value; ``None`` for those whose values are left open.
        deniable: whether a theorem may be answered by its negation.
        compiled: the reference's definitions that have code of their own.
        candidate_compiled: the candidate's, as its own process says.
    """

    theorems: Collection[NameTuple]
    others: Collection[NameTuple]
    unnamed: Collection[NameTuple]
    own: Collection[NameTuple]
    proofs: Collection[NameTuple]
    sound: Collection[NameTuple]
    holes: Collection[NameTuple] | None = None
    deniable: bool = False
    compiled: Collection[NameTuple] = ()
    candidate_compiled: Collection[str] = ()


def chosen(
    session: Session,
    asked: Asked,
    theorems: list[NameTuple],
    others: dict[NameTuple, str],
    unnamed: list[NameTuple],
    axioms: Container[str],
) -> tuple[list[NameTuple], dict[NameTuple, str], list[NameTuple]]:
    """Those of a reference's constants that are asked for by name, and those that they mention.

    So are its axioms where the candidate declares them, too: *axioms* are that one's.
    Raises :class:`UsageError` for a name that the reference has no theorem or definition by.
    """
    odd = unchecked(session._lean, session._added)
    kinds = {constant.name: constant.kind for constant in session._added if constant.name not in odd}
    holes = list(map(names.parse, asked.definitions or ()))
    for name in holes:
        if kinds.get(name) != "definition":
            raise UsageError(f"the reference has no safe definition {names.show(name)}")
    if asked.theorems is None:
        return theorems, {**others, **dict.fromkeys(holes, "definition")}, unnamed
    named = list(map(names.parse, asked.theorems))
    for name in named:
        if kinds.get(name) != "theorem":
            raise UsageError(f"the reference has no theorem {names.show(name)}")
    used = dict(mentions(session, [*theorems, *holes]))
    allowed = [n for n, kind in others.items() if kind == "axiom" and names.show(n) in axioms]
    reached = set(reachable([*named, *holes, *allowed], lambda name: used.get(name, frozenset())))
    others = {name: kind for name, kind in others.items() if name in reached}
    return named, {**others, **dict.fromkeys(holes, "definition")}, []


def mentions(
    session: Session, stated: Iterable[NameTuple] = ()
) -> list[tuple[NameTuple, frozenset[NameTuple]]]:
    """What the types and values of a reference's constants mention; only the types of those in *stated*."""
    only = frozenset(stated)
    constants = [Constant(c.name, "axiom", c.info) if c.name in only else c for c in session._added]
    return [
        (c.name, used) for c, used in zip(constants, kernel_constants(session._lean, constants), strict=True)
    ]


def resting(
    pairs: Iterable[tuple[NameTuple, frozenset[NameTuple]]], on: set[NameTuple]
) -> frozenset[NameTuple]:
    """Those of *pairs* that mention something in *on*, or what mentions it, and *on* itself."""
    users: defaultdict[NameTuple, list[NameTuple]] = defaultdict(list)
    for name, used in pairs:
        for each in used:
            users[each].append(name)
    return frozenset(reachable(on, lambda name: users.get(name, [])))
