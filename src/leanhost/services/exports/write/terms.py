"""Writing names, levels and expressions, each once, from copies of Lean's values."""

from __future__ import annotations

import json

from leanhost.engine.digits import digits
from leanhost.engine.values import Data, Node
from leanhost.errors import LeanError
from leanhost.lean.reading import items, only_field
from leanhost.lean.tables.exprs import EXPR_KINDS, EXPR_PARTS, EXPRS, LEVEL_KINDS
from leanhost.services.exports.format import BINDERS
from leanhost.services.exports.interning import PairTable

_BITS = 30
_MOST = 1 << _BITS
"""More of one kind no file has: numbers are packed by this many bits."""

_BVAR, _SORT, _CONST, _APP, _LAM, _FORALL, _LET, _LIT, _MDATA, _PROJ = (
    EXPR_KINDS.index(kind)
    for kind in ("bvar", "sort", "const", "app", "lam", "forall", "let", "lit", "mdata", "proj")
)
_BINDER_BYTE = EXPRS["lam"].byte("binderInfo")
_FUNCTION, _ARGUMENT = map(EXPRS["app"].fields.index, ("function", "argument"))
_BINDER_WORDS = {_LAM: "lam", _FORALL: "forallE"}


class TermWriter:
    """Collects the lines of what is numbered; :meth:`take` hands them out.

    Metadata is left out and ``have`` is written as ``let``, as lean4export does by default: checkers want one
    number for what they hold to be one term.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._names: dict[tuple[int, str | int], int] = {}
        self._levels: dict[tuple[int, int, int], int] = {}
        self._level_lists: dict[tuple[int, ...], int] = {}
        self._literals: dict[str, int] = {}
        self._exprs = PairTable()
        self._seen: dict[int, int] = {}
        self.lines = 0

    def begin(self) -> None:
        """Start with another copied value.

        What was copied before must not be used any more: identity is how shared parts are known again.
        """
        self._seen.clear()

    def take(self) -> str:
        """Return the lines since the last call."""
        text = "".join(self._lines)
        self.lines += len(self._lines)
        self._lines.clear()
        return text

    def add(self, line: str) -> None:
        """Put a line behind those that are there."""
        self._lines.append(line)

    # --- names ---

    def name(self, data: Data) -> int:
        """Number a ``Name``."""
        if not isinstance(data, Node):
            return 0
        seen = self._seen
        chain: list[Node] = []
        at: Data = data
        number = 0
        while isinstance(at, Node):
            known = seen.get(id(at))
            if known is not None:
                number = known
                break
            chain.append(at)
            at, _ = at.fields
        for node in reversed(chain):
            _, part = node.fields
            if not isinstance(part, str | int):
                raise LeanError(f"not a name: {part!r}")
            number = seen[id(node)] = self._name(number, part)
        return number

    def _name(self, prefix: int, part: str | int) -> int:
        known = self._names.get((prefix, part))
        if known is None:
            known = self._names[prefix, part] = len(self._names) + 1
            if isinstance(part, str):
                text = json.dumps(part, ensure_ascii=False)
                self._lines.append(f'{{"in":{known},"str":{{"pre":{prefix},"str":{text}}}}}\n')
            else:
                self._lines.append(f'{{"in":{known},"num":{{"i":{part},"pre":{prefix}}}}}\n')
        return known

    # --- levels ---

    def level(self, data: Data) -> int:
        """Number a ``Level``."""
        seen = self._seen
        stack = [data]
        while stack:
            node = stack[-1]
            if not isinstance(node, Node) or not node.fields:
                stack.pop()
                continue
            if id(node) in seen:
                stack.pop()
                continue
            kind = LEVEL_KINDS[node.tag]
            if kind == "mvar":
                raise LeanError("a universe metavariable cannot be exported")
            if kind == "param":
                (param,) = node.fields
                key = (node.tag, self.name(param), 0)
            else:
                parts = [seen.get(id(part)) if _is_level_node(part) else 0 for part in node.fields]
                if None in parts:
                    stack.extend(part for part, n in zip(node.fields, parts, strict=True) if n is None)
                    continue
                key = (node.tag, parts[0] or 0, (parts[1] or 0) if len(parts) > 1 else 0)
            seen[id(node)] = self._level(kind, key)
            stack.pop()
        return seen[id(data)] if _is_level_node(data) else 0

    def _level(self, kind: str, key: tuple[int, int, int]) -> int:
        known = self._levels.get(key)
        if known is None:
            known = self._levels[key] = len(self._levels) + 1
            _, left, right = key
            what = f"[{left},{right}]" if kind in ("max", "imax") else str(left)
            self._lines.append(f'{{"il":{known},"{kind}":{what}}}\n')
        return known

    def param(self, name: int) -> int:
        """Number ``Level.param`` of a numbered name."""
        return self._level("param", (LEVEL_KINDS.index("param"), name, 0))

    # --- expressions ---

    def expr(self, data: Data) -> int:
        """Number an ``Expr``; its depth is not limited."""
        seen = self._seen
        get = seen.get
        stack = [data]
        while stack:
            node = stack[-1]
            if id(node) in seen:
                stack.pop()
                continue
            assert isinstance(node, Node)
            tag, fields = node.tag, node.fields
            if tag == _APP:
                left, right = get(id(fields[_FUNCTION])), get(id(fields[_ARGUMENT]))
                if left is None or right is None:
                    # The function first: that is the order in which lean4export numbers.
                    if right is None:
                        stack.append(fields[_ARGUMENT])
                    if left is None:
                        stack.append(fields[_FUNCTION])
                    continue
                number = self._exprs.number(tag, left << _BITS | right)
                if number < 0:
                    number = ~number
                    self._lines.append(f'{{"app":{{"arg":{right},"fn":{left}}},"ie":{number}}}\n')
            else:
                inner = _EXPR_FIELDS.get(tag, ())
                missing = [fields[i] for i in inner if id(fields[i]) not in seen]
                if missing:
                    stack.extend(reversed(missing))
                    continue
                number = self._other(node, [seen[id(fields[i])] for i in inner])
            seen[id(node)] = number
            stack.pop()
        if len(self._exprs) > _MOST:
            raise LeanError(f"an export has at most {_MOST} expressions")
        return seen[id(data)]

    def _other(self, node: Node, parts: list[int]) -> int:
        """Number anything but an application, whose subterms have the numbers *parts*."""
        tag = node.tag
        if tag == _MDATA:
            return parts[0]
        part = dict(zip(_FIELDS[tag], node.fields, strict=True))
        if tag in _BINDER_WORDS:
            name, binder = self.name(part["name"]), node.scalars[_BINDER_BYTE]
            type_, body = parts
            return self._number(
                tag | binder << 4 | name << 8,
                type_ << _BITS | body,
                f'"{_BINDER_WORDS[tag]}":{{"binderInfo":"{BINDERS[binder]}","body":{body},'
                f'"name":{name},"type":{type_}}}',
            )
        if tag == _CONST:
            name, levels = self.name(part["name"]), self._level_list(part["levels"])
            listed = self._level_lists.setdefault(levels, len(self._level_lists))
            us = ",".join(map(str, levels))
            return self._number(tag | name << 4, listed, f'"const":{{"name":{name},"us":[{us}]}}')
        if tag == _SORT:
            level = self.level(part["level"])
            return self._number(tag, level, f'"sort":{level}')
        if tag == _BVAR:
            index = _small(part["index"], "bound variable")
            return self._number(tag, index, f'"bvar":{index}')
        if tag == _LET:
            name = self.name(part["name"])
            type_, value, body = parts
            return self._number(
                tag | name << 4 | type_ << 4 + _BITS,
                value << _BITS | body,
                f'"letE":{{"body":{body},"name":{name},"nondep":false,"type":{type_},"value":{value}}}',
            )
        if tag == _PROJ:
            name, index = self.name(part["structure"]), _small(part["index"], "projection")
            return self._number(
                tag | name << 4,
                index << _BITS | parts[0],
                f'"proj":{{"idx":{index},"struct":{parts[0]},"typeName":{name}}}',
            )
        if tag == _LIT:
            return self._literal(part["literal"])
        raise LeanError(f"a term with an {EXPR_KINDS[tag]} cannot be exported: it is not closed")

    def _literal(self, literal: Data) -> int:
        value = only_field(literal)
        if isinstance(value, str):
            text = f'"strVal":{json.dumps(value, ensure_ascii=False)}'
        else:
            assert isinstance(value, int)
            text = f'"natVal":"{digits(value)}"'
        listed = self._literals.setdefault(text, len(self._literals))
        return self._number(_LIT, listed, text)

    def _level_list(self, data: Data) -> tuple[int, ...]:
        return tuple(self.level(item) for item in items(data))

    def _number(self, first: int, second: int, text: str) -> int:
        number = self._exprs.number(first, second)
        if number >= 0:
            return number
        number = ~number
        # The keys of a line are in alphabetical order, as in lean4export's own files.
        line = f'{{{text},"ie":{number}}}\n' if text < '"ie"' else f'{{"ie":{number},{text}}}\n'
        self._lines.append(line)
        return number


_FIELDS = [EXPRS[kind].fields for kind in EXPR_KINDS]
_EXPR_FIELDS = {
    tag: tuple(i for i, field in enumerate(fields) if field in EXPR_PARTS)
    for tag, fields in enumerate(_FIELDS)
}
"""Which fields of an ``Expr`` are expressions."""


def _is_level_node(data: Data) -> bool:
    """Whether a level is not ``zero``."""
    return isinstance(data, Node) and bool(data.fields)


def _small(data: Data, what: str) -> int:
    if not isinstance(data, int) or data >= _MOST:
        raise LeanError(f"the index of a {what} is too large to export")
    return data
