"""Whether two kernel environments say the same under the same names, asked of a Lean that only read data."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from leanhost.engine.base import Arg, ArrayOf, Field, Ref
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple, show
from leanhost.services.matching import matches, statement_of
from leanhost.services.options import ElabOptions


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a candidate does not prove its reference.

    ``code`` is ``reference``, ``elaboration``, ``missing``, ``kind``, ``statement``, ``definition``, ``library``,
    ``axiom``, ``sorry``, ``kernel``, ``export`` or ``limit``; ``name`` the declaration it is about, or ``""``.
    """

    code: str
    name: str
    message: str


class Comparison:
    """Looks names up in the kernel environments of a reference and of a candidate."""

    def __init__(self, lean: Lean, reference: Ref, candidate: Ref, options: ElabOptions) -> None:
        self._lean = lean
        self._reference = reference
        self._candidate = candidate
        self._options = options

    def differences(
        self,
        theorems: Collection[NameTuple],
        others: Collection[NameTuple],
        parts: Collection[NameTuple] = (),
        *,
        library: bool = True,
    ) -> Iterator[Refusal]:
        """Yield what of the reference the candidate lacks or changes.

        *theorems* have to say the same, *others* and their *parts* (definitions, types, axioms of the
        reference) have to be the same, and so has everything of the library that either of them mentions;
        without *library* both environments grew from the same import, and it is not looked at.
        """
        own = {*theorems, *others, *parts}
        seen: set[NameTuple] = set()
        front = [*theorems, *others]
        while front:
            name = front.pop()
            if name in seen:
                continue
            seen.add(name)
            ours, theirs = self._find(self._reference, name), self._find(self._candidate, name)
            if ours is None:
                continue  # the reference mentions what it does not have: it says nothing about that
            if theirs is None:
                yield Refusal("missing", show(name), f"{show(name)} is not declared by the candidate")
                continue
            statement_only = ours.kind == "theorem"
            mentioned = self._mentions(ours, statement_only)
            front.extend(mentioned if library else own.intersection(mentioned))
            found = (
                self._statement(ours, theirs)
                if name in theorems
                else self._same(ours, theirs, statement_only)
            )
            if found is not None:
                code, text = found
                yield Refusal(code if name in own else "library", show(name), text)

    def _statement(self, ours: Constant, theirs: Constant) -> tuple[str, str] | None:
        if theirs.kind != "theorem":
            return "kind", f"{show(ours.name)} is a theorem in the reference and here {_a(theirs.kind)}"
        statement, reference = statement_of(self._lean, theirs.info), statement_of(self._lean, ours.info)
        match = matches(self._lean, self._candidate, statement, reference, options=self._options)
        if match.definitional is None and not match.syntactic:
            return "limit", f"whether {show(ours.name)} says the same was not settled: {match.message}"
        return None if match else ("statement", f"{show(ours.name)} does not say what the reference says")

    def _same(self, ours: Constant, theirs: Constant, statement_only: bool) -> tuple[str, str] | None:
        lean, table = self._lean, self._lean.table
        if ours.kind != theirs.kind and not (statement_only and theirs.kind == "axiom"):
            return "kind", f"{show(ours.name)} is {_a(ours.kind)} in the reference and here {_a(theirs.kind)}"
        if lean.name_list(table.constant_levels(ours.info)) != lean.name_list(
            table.constant_levels(theirs.info)
        ):
            return "definition", f"{show(ours.name)} has other universe parameters"
        pairs: list[Arg] = [table.expr_eqv(table.constant_type(ours.info), table.constant_type(theirs.info))]
        if ours.kind in ("definition", "opaque"):
            pairs.append(table.expr_eqv(table.constant_value(ours.info), table.constant_value(theirs.info)))
        if not all(lean.array(ArrayOf(pairs))):
            return "definition", f"{show(ours.name)} is not what it is in the reference"
        if ours.kind == "inductive":
            constructors = [lean.name_list(table.inductive_ctors(c.info)) for c in (ours, theirs)]
            params = [lean.number(table.inductive_params(c.info)) for c in (ours, theirs)]
            if constructors[0] != constructors[1] or params[0] != params[1]:
                return "definition", f"{show(ours.name)} has other constructors"
        return None

    def _mentions(self, constant: Constant, statement_only: bool) -> list[NameTuple]:
        if statement_only:
            constant = Constant(constant.name, "axiom", constant.info)
        (used,) = self._lean.used_constants([constant])
        more: list[NameTuple] = []
        if constant.kind == "inductive":
            more = self._lean.name_list(self._lean.table.inductive_all(constant.info))
        return [*used, *more]

    def _find(self, env: Ref, name: NameTuple) -> Constant | None:
        lean = self._lean
        with lean.engine.eval(lean.table.kernel_find(env, lean.name(name))) as option:
            if option.ptr() & 1:
                return None
            info = lean.engine.eval(Field(option, 0))
        return Constant(name, lean.constant_kind(info), info)


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'aio' else 'a'} {kind}"
