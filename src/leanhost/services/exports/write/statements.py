"""A digest of what declarations say: what two kernels must agree on before their verdicts are about the same.

It covers the types of all constants and the values of those that can be unfolded, as the kernel has them. Proofs are
left out, since any proof of a statement serves; so are recursors, which each kernel makes itself. Names of bound
variables are no part of a statement, but both sides were given the same, so a difference in them is one, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from leanhost.engine.expressions import Arg, ArrayOf
from leanhost.engine.values import Data, Ref
from leanhost.lean.core import Lean, chunks
from leanhost.lean.names import NameTuple, show
from leanhost.lean.reading import constant_kinds, items
from leanhost.services.exports.write.terms import TermWriter
from leanhost.services.kernel.builtin_functions import RESERVED, BuiltinFunctions

MAX_OBJECTS = 4_000_000
"""How many objects the declarations that are read at once may consist of."""

_UNFOLDED = ("definition", "opaque")
_KERNEL_MADE = ("recursor", "quot")


def digest(lean: Lean, kernel_env: Ref, declared: Iterable[NameTuple], aside: Collection[str] = ()) -> str:
    """Return a digest of what the constants *declared* in *kernel_env* say.

    *aside* are those that are in it under another name (:attr:`Replayed.set_aside`).
    """
    hashed = hashlib.sha256()
    ordered = sorted(declared, key=show)  # the same for all who declared them in another order
    called = [BuiltinFunctions.aside(name) if show(name) in aside else name for name in ordered]
    for chunk in chunks(called):
        writer = _Writer()
        for name, kind, levels, terms in _copied(lean, kernel_env, chunk):
            params = [writer.name(level) for level in items(levels)]
            numbers = [writer.expr(term) for term in terms]
            writer.add(f"{kind} {_plain(name)!r} {params} {numbers}\n")
        hashed.update(writer.take().encode("utf-8", "surrogatepass"))
    return hashed.hexdigest()


def _copied(
    lean: Lean, kernel_env: Ref, called: Iterable[NameTuple]
) -> list[tuple[NameTuple, str, Data, list[Data]]]:
    table = lean.table
    wanted = list(called)
    infos = [info for info in lean.kernel_find_all(kernel_env, wanted) if info is not None]
    kinds = constant_kinds(lean, infos)
    rows: list[Arg] = []
    asked: list[tuple[NameTuple, str]] = []
    for name, kind, info in zip(wanted, kinds, infos, strict=True):
        if kind in _KERNEL_MADE:
            continue
        parts = [table.constant_levels(info), table.constant_type(info)]
        if kind in _UNFOLDED:
            parts.append(table.constant_value(info))
        asked.append((name, kind))
        rows.append(ArrayOf(parts))
    copied = lean.engine.eval_data(ArrayOf(rows), MAX_OBJECTS)
    for info in infos:
        info.close()
    assert isinstance(copied, list)
    found: list[tuple[NameTuple, str, Data, list[Data]]] = []
    for (name, kind), row in zip(asked, copied, strict=True):
        assert isinstance(row, list)
        levels, *terms = row
        found.append((name, kind, levels, terms))
    return found


def _plain(name: NameTuple) -> NameTuple:
    return name[1:] if name[:1] == (RESERVED,) else name


class _Writer(TermWriter):
    """Writes what was set aside under its own name."""

    def _name(self, prefix: int, part: str | int) -> int:
        return 0 if prefix == 0 and part == RESERVED else super()._name(prefix, part)
