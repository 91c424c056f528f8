"""Export files written by hand."""

from __future__ import annotations

import json
from typing import Any

META = b'{"meta":{"exporter":{"name":"x","version":"1"},"format":{"version":"3.1.0"},"lean":{}}}\n'


class Writer:
    """Writes a file by hand."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self._names: dict[str, int] = {"": 0}
        self._exprs = 0
        self._levels = 0

    def name(self, text: str) -> int:
        if text not in self._names:
            prefix, _, last = text.rpartition(".")
            pre = self.name(prefix)
            self._names[text] = len(self._names)
            self.lines.append({"in": self._names[text], "str": {"pre": pre, "str": last}})
        return self._names[text]

    def level(self, **what: Any) -> int:
        self._levels += 1
        self.lines.append({"il": self._levels, **what})
        return self._levels

    def expr(self, **what: Any) -> int:
        self.lines.append({"ie": self._exprs, **what})
        self._exprs += 1
        return self._exprs - 1

    def const(self, name: str, *us: int) -> int:
        return self.expr(const={"name": self.name(name), "us": list(us)})

    def app(self, fn: int, *args: int) -> int:
        for arg in args:
            fn = self.expr(app={"fn": fn, "arg": arg})
        return fn

    def pi(self, type_: int, body: int, kind: str = "forallE") -> int:
        binder = {"name": self.name("x"), "type": type_, "body": body, "binderInfo": "default"}
        return self.expr(**{kind: binder})

    def sort(self, level: int = 0) -> int:
        return self.expr(sort=level)

    def axiom(self, name: str, type_: int) -> None:
        self._add("axiom", name, type_, isUnsafe=False)

    def definition(self, name: str, type_: int, value: int, safety: str = "safe") -> None:
        self._add("def", name, type_, value=value, hints="abbrev", safety=safety, all=[self.name(name)])

    def theorem(self, name: str, type_: int, value: int) -> None:
        self._add("thm", name, type_, value=value, all=[self.name(name)])

    def _add(self, word: str, name: str, type_: int, **more: Any) -> None:
        head = {"name": self.name(name), "levelParams": [], "type": type_}
        self.lines.append({word: head | more})

    def data(self) -> bytes:
        return META + b"".join(json.dumps(line).encode() + b"\n" for line in self.lines)
