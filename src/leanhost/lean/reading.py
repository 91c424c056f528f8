"""Reading Lean's values: lists, options and structures that were copied out, and small questions about handles."""

from __future__ import annotations

from collections.abc import Sequence

from leanhost.engine.expressions import Arg, ArrayOf
from leanhost.engine.values import Data, Node, Ref
from leanhost.lean import names
from leanhost.lean.core import CONSTANT_KINDS, Import, Lean
from leanhost.lean.tables import Table
from leanhost.lean.tables.exprs import EXPR_KINDS, LEVEL_KINDS
from leanhost.lean.tables.structures import Structure

# --- copied data ----------------------------------------------------------------------------------


def option(data: Data) -> Data | None:
    """Return the value in a copied ``Option``, or ``None``."""
    return data.fields[0] if isinstance(data, Node) else None


def items(data: Data) -> list[Data]:
    """Return the elements of a copied ``List``."""
    found: list[Data] = []
    while isinstance(data, Node):
        head, data = data.fields
        found.append(head)
    return found


def only_field(data: Data) -> Data:
    """Return what a copied constructor with a single field holds, as those of ``ConstantInfo`` and ``Literal`` do."""
    if not isinstance(data, Node) or len(data.fields) != 1:
        raise TypeError(f"not a constructor with a single field: {data!r:.200}")
    return data.fields[0]


# --- handles --------------------------------------------------------------------------------------


def expr_kind(lean: Lean, expr: Arg) -> str:
    """Return the constructor of an ``Expr`` (see :data:`~leanhost.lean.tables.exprs.EXPR_KINDS`)."""
    return EXPR_KINDS[lean.number(lean.table.tag(expr))]


def level_kind(lean: Lean, level: Arg) -> str:
    """Return the constructor of a ``Level`` (see :data:`~leanhost.lean.tables.exprs.LEVEL_KINDS`)."""
    return LEVEL_KINDS[lean.number(lean.table.tag(level))]


def constant_kinds(lean: Lean, infos: Sequence[Arg]) -> list[str]:
    """Return the kinds of many ``ConstantInfo``s (see :data:`~leanhost.lean.core.CONSTANT_KINDS`)."""
    tags = lean.array(ArrayOf([lean.table.tag(info) for info in infos]))
    return [CONSTANT_KINDS[tag] for tag in tags if isinstance(tag, int)]


def literal(lean: Lean, value: Arg) -> int | str:
    """Evaluate a ``Literal``."""
    found = only_field(lean.engine.eval_data(value))
    if not isinstance(found, int | str):
        raise TypeError(f"Lean returned no literal: {found!r:.200}")
    return found


def uint64(lean: Lean, value: Arg) -> int:
    """Evaluate a boxed ``UInt64``."""
    data = lean.engine.eval_data(value)
    if not isinstance(data, Node):
        raise TypeError(f"Lean returned no UInt64: {data!r}")
    return int.from_bytes(data.scalars[:8], "little")


def scalars(lean: Lean, structure: Structure, value: Ref) -> dict[str, Data]:
    """Return the scalars of a structure by name, without copying its object fields."""
    data = lean.engine.eval_data(structure.without(value, structure.fields))
    return structure.read_scalars(data) if isinstance(data, Node) else {}


def byte_range(lean: Lean, syntax: Arg) -> tuple[int, int] | None:
    """Return where a ``Syntax`` begins and ends in its source, in bytes; ``None`` where it is not from there."""
    table = lean.table
    start, end = map(option, lean.array(ArrayOf([table.syntax_start(syntax), table.syntax_end(syntax)])))
    return (start, end) if isinstance(start, int) and isinstance(end, int) else None


def imports(lean: Lean, arg: Arg) -> list[Import]:
    """Evaluate an ``Array Import``."""
    found: list[Import] = []
    for item in lean.array(arg):
        part = lean.table.IMPORT.read(item)
        found.append(
            Import(
                names.decode(part["module"]),
                all_=bool(part["importAll"]),
                exported=bool(part["isExported"]),
                meta=bool(part["isMeta"]),
            )
        )
    return found


# --- places in sources ----------------------------------------------------------------------------


def position(table: Table, data: Data) -> tuple[int, int]:
    """Read a copied ``Position``: line and column."""
    line, column = table.POSITION.pick(data, "line", "column")
    if not isinstance(line, int) or not isinstance(column, int):
        raise TypeError(f"not a position: {data!r:.200}")
    return line, column


def declaration_ranges(table: Table, data: Data) -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
    """Read copied ``DeclarationRanges``: where ``range`` and ``selectionRange`` begin and end."""
    found: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {}
    which = ("range", "selectionRange")
    for name, range_ in zip(which, table.DECLARATION_RANGES.pick(data, *which), strict=True):
        start, end = table.DECLARATION_RANGE.pick(range_, "pos", "endPos")
        found[name] = position(table, start), position(table, end)
    return found


def selection_start(table: Table, ranges: Data) -> tuple[int, int] | None:
    """Return where the ``selectionRange`` of copied ``DeclarationRanges`` begins; ``None`` if they are malformed."""
    try:
        (selection,) = table.DECLARATION_RANGES.pick(ranges, "selectionRange")
        (start,) = table.DECLARATION_RANGE.pick(selection, "pos")
        return position(table, start)
    except TypeError:
        return None
