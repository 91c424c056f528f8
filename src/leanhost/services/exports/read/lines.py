"""Reading an export strictly: every line is what the format says and refers to earlier lines, or is refused.

What is handed on has numbers of the reader's own, one after the other, whatever numbers the file has.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from leanhost.errors import UsageError, bounded
from leanhost.lean.names import NameTuple
from leanhost.services.exports.format import BINDERS
from leanhost.services.exports.read.order import EARLY, IsThere, Order
from leanhost.services.exports.read.records import (
    DeclarationLine,
    ExprLine,
    LevelLine,
    NameLine,
    Record,
    Tables,
    exprs_of,
    names_of,
)
from leanhost.services.exports.read.shapes import DECLARATIONS, Shape
from leanhost.services.exports.read.strict import (
    Malformed,
    Numbers,
    decode,
    exactly,
    flag,
    natural,
    one_of,
    text,
)
from leanhost.services.kernel.builtin_functions import RESERVED
from leanhost.services.values import validate

_MAX_REASON = 300
_MAX_BVAR = 1 << 16
"""Lean packs the range of loose bound variables into twenty bits."""
_MAX_SMALL = 1 << 31
"""What a boxed number holds on every platform."""
_MAX_NAME_PART = 1 << 63

HAS_NAT, HAS_STRING, HAS_NATIVE = 1, 2, 4
"""What a term contains: number literals, string literals, a call for compiled code."""

_INDEX = rb"(0|[1-9][0-9]{0,9})"
_APP_LINE = re.compile(rb'\{"app":\{"arg":%b,"fn":%b\},"ie":%b\}\r?\n' % (_INDEX, _INDEX, _INDEX)).fullmatch
"""Most lines are applications, in the one way exporters write them; reading those as JSON takes three times as long."""

_NATIVE = {("Lean", "reduceBool"), ("Lean", "reduceNat")}
_NATIVE_LAST = {name[-1:] for name in _NATIVE}


MAX_EXPORT_BYTES = 4 << 30
"""Longest file that is replayed."""


@dataclass(frozen=True, slots=True)
class ReplayLimits:
    """How much a file may ask for; past a limit it is refused.

    Attributes:
        line_bytes: length of one line.
        file_bytes: length of the file.
        lines: how many lines.
        depth: how deep terms, levels and names may be nested (the kernel recurses over them).
        level_nodes: the size of one universe level written out as a tree.
        digits: decimal digits of a number literal.
    """

    line_bytes: int = 16 << 20
    file_bytes: int = MAX_EXPORT_BYTES
    lines: int = 50_000_000
    depth: int = 3_000
    level_nodes: int = 10_000
    digits: int = 20_000

    def __post_init__(self) -> None:
        for name in ("line_bytes", "file_bytes", "lines", "depth", "level_nodes", "digits"):
            validate.natural(name, getattr(self, name), least=1, most=1 << 62)


def _anything(name: NameTuple) -> bool:
    return True


class LineReader:
    """Reads one file; :attr:`refusal` says where and why it ended early."""

    def __init__(
        self, file: BinaryIO, limits: ReplayLimits, *, is_there: IsThere = _anything, hashed: bool = False
    ) -> None:
        """Begin with *file*; *is_there* tells whether what it mentions and does not declare is there."""
        self._file = file
        self._digest = hashlib.sha256() if hashed else None
        self._limits = limits
        self.tables = Tables()
        self._order = Order(is_there, self.tables.flags)
        self._names = Numbers("name", len(self.tables.names))
        self._levels = Numbers("level", len(self.tables.level_depth))
        self._exprs = Numbers("expression", len(self.tables.depth))
        self.line = 0
        self.bytes = 0
        self.meta: dict[str, Any] = {}
        self.refusal: tuple[int, str] | None = None
        self._primitives: dict[frozenset[str], Callable[[dict[str, Any]], Record]] = {
            frozenset(keys.split()): parse
            for keys, parse in (
                ("in str", self._name_str),
                ("in num", self._name_num),
                ("il succ", self._level_succ),
                ("il max", self._level_max),
                ("il imax", self._level_max),
                ("il param", self._level_param),
                ("ie bvar", self._bvar),
                ("ie sort", self._sort),
                ("ie const", self._const),
                ("ie app", self._app),
                ("ie lam", self._binder),
                ("ie forallE", self._binder),
                ("ie letE", self._let),
                ("ie proj", self._proj),
                ("ie natVal", self._nat),
                ("ie strVal", self._string),
                ("ie mdata", self._mdata),
            )
        }

    @property
    def sha256(self) -> str:
        """The digest of what was read, where it was asked for."""
        return self._digest.hexdigest() if self._digest is not None else ""

    def __iter__(self) -> Iterator[Record]:
        """Yield records until the end of the file or the first line that is refused."""
        try:
            self._read_meta()
            while raw := self._raw():
                app = _APP_LINE(raw)
                yield self._plain_app(*map(int, app.groups())) if app else self._record(self._object(raw))
        except Malformed as why:
            self.refusal = (self.line, bounded(str(why), _MAX_REASON))

    # --- lines ---

    def _raw(self) -> bytes:
        """Return the next line, with its end; ``b""`` when there is none."""
        limits = self._limits
        raw = self._file.readline(limits.line_bytes + 2)
        if not isinstance(raw, bytes):
            raise UsageError("an export is read from a binary file")
        if not raw:
            return raw
        self.line += 1
        self.bytes += len(raw)
        if self._digest is not None:
            self._digest.update(raw)
        if len(raw) > limits.line_bytes and len(raw.rstrip(b"\r\n")) > limits.line_bytes:
            raise Malformed(f"the line is longer than {limits.line_bytes} bytes")
        if self.bytes > limits.file_bytes:
            raise Malformed(f"the file is longer than {limits.file_bytes} bytes")
        if self.line > limits.lines:
            raise Malformed(f"the file has more than {limits.lines} lines")
        return raw

    def _object(self, raw: bytes) -> dict[str, Any]:
        try:
            value = decode(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise Malformed(f"the line is not UTF-8: {error.reason}") from None
        except RecursionError:
            raise Malformed("the line is nested too deeply") from None
        except ValueError as error:
            raise Malformed(f"the line is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise Malformed("the line is not a JSON object")
        return value

    def _read_meta(self) -> None:
        raw = self._raw()
        if not raw:
            self.line = 1
            raise Malformed("the file is empty")
        first = self._object(raw)
        meta = first.get("meta")
        if len(first) != 1 or not isinstance(meta, dict):
            raise Malformed("the first line holds no `meta` object")
        form = meta.get("format")
        version = form.get("version") if isinstance(form, dict) else None
        if not isinstance(version, str) or version.split(".")[:2] != ["3", "1"]:
            raise Malformed(f"the format is not version 3.1 of lean4export's: {version!r}")
        self.meta = meta

    def _record(self, found: dict[str, Any]) -> Record:
        parse = self._primitives.get(frozenset(found))
        if parse is not None:
            return parse(found)
        if len(found) == 1:
            [(word, body)] = found.items()
            shape = DECLARATIONS.get(word)
            if shape is not None:
                record = DeclarationLine(self.line, word, self._declaration(body, shape))
                self._order.declare(list(map(self.tables.name, names_of(record))), exprs_of(record.body))
                return record
        raise Malformed(f"no line of the format has the keys {', '.join(sorted(found)) or '(none)'}")

    # --- names and levels ---

    def _name_str(self, found: dict[str, Any]) -> Record:
        prefix, part = exactly(found["str"], "pre", "str")
        return self._name(found, prefix, text(part))

    def _name_num(self, found: dict[str, Any]) -> Record:
        prefix, part = exactly(found["num"], "pre", "i")
        return self._name(found, prefix, natural(part, _MAX_NAME_PART))

    def _name(self, found: dict[str, Any], prefix: Any, part: str | int) -> Record:
        tables = self.tables
        at = self._name_number(prefix)
        self._names.give(found["in"], len(tables.names))
        if part == RESERVED and not at:
            raise Malformed(f"names below {RESERVED} are leanhost's own")
        tables.name_depth.append(self._deep(tables.name_depth[at]))
        tables.names.append((at, part))
        return NameLine(at, part)

    def _level_succ(self, found: dict[str, Any]) -> Record:
        return self._level(found, "succ", (self._level_number(found["succ"]),))

    def _level_max(self, found: dict[str, Any]) -> Record:
        kind = "max" if "max" in found else "imax"
        both = found[kind]
        if not isinstance(both, list) or len(both) != 2:
            raise Malformed(f"`{kind}` is not a pair of levels")
        return self._level(found, kind, tuple(map(self._level_number, both)))

    def _level_param(self, found: dict[str, Any]) -> Record:
        return self._level(found, "param", (self._name_number(found["param"]),))

    def _level(self, found: dict[str, Any], kind: str, parts: tuple[int, ...]) -> Record:
        tables = self.tables
        self._levels.give(found["il"], len(tables.level_depth))
        inner = () if kind == "param" else parts
        nodes = 1 + sum(tables.level_nodes[i] for i in inner)
        if nodes > self._limits.level_nodes:
            raise Malformed(f"a level has more than {self._limits.level_nodes} nodes")
        tables.level_depth.append(self._deep(*(tables.level_depth[i] for i in inner)))
        tables.level_nodes.append(nodes)
        return LevelLine(kind, parts)

    # --- expressions ---

    def _bvar(self, found: dict[str, Any]) -> Record:
        index = natural(found["bvar"], _MAX_BVAR)
        return self._expr(found, ExprLine("bvar", (), (index,)), index + 1)

    def _sort(self, found: dict[str, Any]) -> Record:
        return self._expr(found, ExprLine("sort", (), (self._level_number(found["sort"]),)))

    def _const(self, found: dict[str, Any]) -> Record:
        name, levels = exactly(found["const"], "name", "us")
        number = self._name_number(name)
        if not isinstance(levels, list):
            raise Malformed("`us` is not an array of levels")
        us = tuple(map(self._level_number, levels))
        mentioned = self.tables.name(number)
        flags = self._order.mentioned(len(self.tables.depth), mentioned)
        if mentioned[-1:] in _NATIVE_LAST and mentioned in _NATIVE:
            flags |= HAS_NATIVE
        return self._expr(found, ExprLine("const", (), (number, us)), flags=flags)

    def _app(self, found: dict[str, Any]) -> Record:
        function, argument = exactly(found["app"], "fn", "arg")
        return self._expr(found, ExprLine("app", (self._expr_number(function), self._expr_number(argument))))

    def _plain_app(self, argument: int, function: int, number: int) -> Record:
        tables = self.tables
        depth, loose, flags = tables.depth, tables.loose, tables.flags
        count = len(depth)
        if number != count or argument >= count or function >= count or not self._exprs.plain:
            argument, function = self._exprs.place(argument, count), self._exprs.place(function, count)
            self._exprs.give(number, count)
        deep = 1 + (depth[argument] if depth[argument] > depth[function] else depth[function])
        if deep > self._limits.depth:
            self._deep(deep)
        depth.append(deep)
        loose.append(loose[argument] if loose[argument] > loose[function] else loose[function])
        both = flags[argument] | flags[function]
        flags.append(both)
        if both & EARLY:
            self._order.consists_of(count, (function, argument))
        return ExprLine("app", (function, argument))

    def _binder(self, found: dict[str, Any]) -> Record:
        kind = "lam" if "lam" in found else "forallE"
        name, type_, body, info = exactly(found[kind], "name", "type", "body", "binderInfo")
        if info not in BINDERS:
            raise Malformed("`binderInfo` is none of the four kinds of binders")
        rest = (self._name_number(name), BINDERS.index(info))
        return self._expr(found, ExprLine(kind, (self._expr_number(type_), self._expr_number(body)), rest))

    def _let(self, found: dict[str, Any]) -> Record:
        name, type_, value, body, nondep = exactly(found["letE"], "name", "type", "value", "body", "nondep")
        parts = tuple(map(self._expr_number, (type_, value, body)))
        return self._expr(found, ExprLine("letE", parts, (self._name_number(name), flag(nondep))))

    def _proj(self, found: dict[str, Any]) -> Record:
        name, index, struct = exactly(found["proj"], "typeName", "idx", "struct")
        rest = (self._name_number(name), natural(index, _MAX_SMALL))
        parts = (self._expr_number(struct),)
        flags = self._order.mentioned(len(self.tables.depth), self.tables.name(rest[0]), parts)
        return self._expr(found, ExprLine("proj", parts, rest), flags=flags)

    def _nat(self, found: dict[str, Any]) -> Record:
        digits = found["natVal"]
        if not isinstance(digits, str) or not (digits.isascii() and digits.isdigit()):
            raise Malformed("`natVal` is not a string of decimal digits")
        if len(digits) > self._limits.digits:
            raise Malformed(f"`natVal` has more than {self._limits.digits} digits")
        if len(digits) > 1 and digits[0] == "0":
            raise Malformed("`natVal` begins with a zero")
        return self._expr(found, ExprLine("natVal", (), (digits,)), flags=HAS_NAT)

    def _string(self, found: dict[str, Any]) -> Record:
        return self._expr(found, ExprLine("strVal", (), (text(found["strVal"]),)), flags=HAS_STRING)

    def _mdata(self, found: dict[str, Any]) -> Record:
        inner, data = exactly(found["mdata"], "expr", "data")
        if not isinstance(data, dict):
            raise Malformed("`data` is not an object")
        return self._expr(found, ExprLine("mdata", (self._expr_number(inner),)))

    def _expr(self, found: dict[str, Any], record: ExprLine, loose: int = 0, flags: int = 0) -> Record:
        tables = self.tables
        self._exprs.give(found["ie"], len(tables.depth))
        depth = 0
        last = len(record.exprs) - 1
        binds = record.kind in ("lam", "forallE", "letE")
        for i, part in enumerate(record.exprs):
            depth = max(depth, tables.depth[part])
            open_ = tables.loose[part]
            loose = max(loose, open_ - 1 if binds and i == last and open_ else open_)
            flags |= tables.flags[part]
        tables.depth.append(self._deep(depth))
        tables.loose.append(loose)
        tables.flags.append(flags)
        if flags & EARLY and record.exprs:
            self._order.consists_of(len(tables.flags) - 1, record.exprs)
        return record

    def _deep(self, *inner: int) -> int:
        depth = 1 + max(inner, default=0)
        if depth > self._limits.depth:
            raise Malformed(f"something is nested more than {self._limits.depth} deep")
        return depth

    # --- references ---

    def _name_number(self, value: Any) -> int:
        return self._names.place(value, len(self.tables.names))

    def _level_number(self, value: Any) -> int:
        return self._levels.place(value, len(self.tables.level_depth))

    def _expr_number(self, value: Any) -> int:
        return self._exprs.place(value, len(self.tables.depth))

    def _closed(self, value: Any) -> int:
        number = self._expr_number(value)
        if self.tables.loose[number]:
            raise Malformed(f"expression {value} has loose bound variables")
        return number

    # --- declarations ---

    def _declaration(self, body: Any, shape: Shape) -> dict[str, Any]:
        values = exactly(body, *shape)
        return {key: self._value(value, shape[key]) for key, value in zip(shape, values, strict=True)}

    def _value(self, value: Any, kind: Any) -> Any:
        match kind:
            case "name":
                number = self._name_number(value)
                if not number:
                    raise Malformed("a declaration's name is anonymous")
                return number
            case "names":
                if not isinstance(value, list):
                    raise Malformed("an array of names is wanted")
                return [self._name_number(item) for item in value]
            case "expr":
                return self._closed(value)
            case "nat":
                return natural(value, _MAX_SMALL)
            case "bool":
                return flag(value)
            case "hints":
                if isinstance(value, dict):
                    return natural(exactly(value, "regular")[0], 1 << 32)
                return one_of(value, ("opaque", "abbrev"))
            case tuple():
                return one_of(value, kind)
            case _:
                if not isinstance(value, list):
                    raise Malformed("an array of objects is wanted")
                return [self._declaration(item, kind) for item in value]
