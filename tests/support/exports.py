"""A second, simple reader of exports, and the same view of what the kernel holds, to compare the two."""

from __future__ import annotations

import json
from typing import Any

from leanhost.engine.expressions import Field
from leanhost.engine.values import Data, Node, Ref
from leanhost.lean import names
from leanhost.lean.core import CONSTANT_KINDS, Constant, Lean
from leanhost.lean.names import NameTuple
from leanhost.services.exports.read.outcome import Replayed

_BINDERS = ("default", "implicit", "strictImplicit", "instImplicit")


class File:
    """What an export says, term by term; terms are nested tuples that share their parts."""

    def __init__(self, data: bytes) -> None:
        self.names: list[NameTuple] = [()]
        self.levels: list[Any] = [("zero",)]
        self.exprs: list[Any] = []
        self.constants: dict[NameTuple, dict[str, Any]] = {}
        self.kinds: dict[NameTuple, str] = {}
        for line in data.decode().split("\n")[1:]:
            if line:
                self._line(json.loads(line))

    def _line(self, line: dict[str, Any]) -> None:
        n, e = self.names, self.exprs
        match line:
            case {"in": _, "str": {"pre": pre, "str": part}} | {"in": _, "num": {"pre": pre, "i": part}}:
                n.append((*n[pre], part))
            case {"il": _, "param": name}:
                self.levels.append(("param", n[name]))
            case {"il": _, "succ": one}:
                self.levels.append(("succ", self.levels[one]))
            case {"il": _, "max": pair}:
                self.levels.append(("max", *(self.levels[i] for i in pair)))
            case {"il": _, "imax": pair}:
                self.levels.append(("imax", *(self.levels[i] for i in pair)))
            case {"ie": _, "bvar": i}:
                e.append(("bvar", i))
            case {"ie": _, "sort": i}:
                e.append(("sort", self.levels[i]))
            case {"ie": _, "const": {"name": name, "us": us}}:
                e.append(("const", n[name], tuple(self.levels[i] for i in us)))
            case {"ie": _, "app": {"fn": fn, "arg": arg}}:
                e.append(("app", e[fn], e[arg]))
            case {"ie": _, "lam": b}:
                e.append(("lam", n[b["name"]], e[b["type"]], e[b["body"]], b["binderInfo"]))
            case {"ie": _, "forallE": b}:
                e.append(("forall", n[b["name"]], e[b["type"]], e[b["body"]], b["binderInfo"]))
            case {"ie": _, "letE": b}:
                e.append(("let", n[b["name"]], e[b["type"]], e[b["value"]], e[b["body"]]))
            case {"ie": _, "proj": {"typeName": name, "idx": i, "struct": s}}:
                e.append(("proj", n[name], i, e[s]))
            case {"ie": _, "natVal": digits}:
                e.append(("nat", digits))
            case {"ie": _, "strVal": text}:
                e.append(("str", text))
            case {"ie": _, "mdata": {"expr": i}}:
                e.append(e[i])
            case {"inductive": parts}:
                for kind in ("types", "ctors", "recs"):
                    for part in parts[kind]:
                        self._constant(kind, part)
            case _:
                [(kind, part)] = line.items()
                self._constant(kind, part)

    def _constant(self, kind: str, part: dict[str, Any]) -> None:
        said = {"levels": tuple(self.names[i] for i in part["levelParams"]), "type": self.exprs[part["type"]]}
        if "value" in part:
            said["value"] = self.exprs[part["value"]]
        name = self.names[part["name"]]
        self.constants[name] = said
        self.kinds[name] = kind

    def axioms(self, name: NameTuple) -> set[NameTuple]:
        """The axioms *name* rests on, by walking what the file says."""
        found: set[NameTuple] = set()
        seen: set[NameTuple] = set()
        front = [name]
        while front:
            at = front.pop()
            if at in seen or at not in self.constants:
                continue
            seen.add(at)
            if self.kinds[at] == "axiom":
                found.add(at)
            parts = [self.constants[at]["type"], self.constants[at].get("value")]
            if self.kinds[at] == "types":
                # An inductive type stands for its constructors as well.
                parts += [c["type"] for n, c in self.constants.items() if n[:-1] == at]
            for part in parts:
                front.extend(_consts(part))
        return found


def _consts(term: Any) -> set[NameTuple]:
    found: set[NameTuple] = set()
    seen: set[int] = set()
    stack = [term]
    while stack:
        at = stack.pop()
        if not isinstance(at, tuple) or id(at) in seen:
            continue
        seen.add(id(at))
        if at[:1] == ("const",):
            found.add(at[1])
        else:
            stack.extend(at[1:])
    return found


def kernel_says(lean: Lean, outcome: Replayed, name: NameTuple) -> dict[str, Any]:
    """What the kernel's environment holds under *name*, as :class:`File` shows it."""
    info = find(lean, outcome.kernel_env, name)
    value = lean.engine.dump(info)
    assert isinstance(value, Node)
    val = value.fields[0]
    assert isinstance(val, Node)
    header = val.fields[0]
    assert isinstance(header, Node)
    levels = []
    rest = header.fields[1]
    while isinstance(rest, Node):
        levels.append(names.decode(rest.fields[0]))
        rest = rest.fields[1]
    said: dict[str, Any] = {"levels": tuple(levels), "type": _term(header.fields[2])}
    if CONSTANT_KINDS[value.tag] in ("definition", "theorem", "opaque"):
        said["value"] = _term(val.fields[1])
    return said


def find(lean: Lean, kernel_env: Ref, name: NameTuple) -> Ref:
    with lean.engine.eval(lean.table.kernel_find(kernel_env, lean.name(name))) as option:
        assert not option.ptr() & 1, f"the kernel has no {names.show(name)}"
        return lean.engine.eval(Field(option, 0))


def constants(lean: Lean, outcome: Replayed) -> list[Constant]:
    """Everything a replay declared, as constants of no environment."""
    found = []
    for text in outcome.names:
        info = find(lean, outcome.kernel_env, names.parse(text))
        found.append(Constant(names.parse(text), lean.constant_kind(info), info))
    return found


def _level(data: Data) -> Any:
    if not isinstance(data, Node) or not data.fields:
        return ("zero",)
    kind = ("zero", "succ", "max", "imax", "param")[data.tag]
    if kind == "param":
        return (kind, names.decode(data.fields[0]))
    return (kind, *map(_level, data.fields))


def _list(data: Data) -> list[Data]:
    found = []
    while isinstance(data, Node):
        found.append(data.fields[0])
        data = data.fields[1]
    return found


def _term(data: Data) -> Any:
    assert isinstance(data, Node)
    f = data.fields
    match data.tag:
        case 0:
            return ("bvar", f[0])
        case 3:
            return ("sort", _level(f[0]))
        case 4:
            return ("const", names.decode(f[0]), tuple(map(_level, _list(f[1]))))
        case 5:
            return ("app", _term(f[0]), _term(f[1]))
        case 6 | 7:
            kind = "lam" if data.tag == 6 else "forall"
            return (kind, names.decode(f[0]), _term(f[1]), _term(f[2]), _BINDERS[data.scalars[8]])
        case 8:
            return ("let", names.decode(f[0]), _term(f[1]), _term(f[2]), _term(f[3]))
        case 9:
            assert isinstance(f[0], Node)
            value = f[0].fields[0]
            # A bignum is not copied; its digits are looked at where exports are compared.
            return ("str", value) if f[0].tag else ("nat", str(value) if isinstance(value, int) else None)
        case 10:
            return _term(f[1])
        case _:
            return ("proj", names.decode(f[0]), f[1], _term(f[2]))
