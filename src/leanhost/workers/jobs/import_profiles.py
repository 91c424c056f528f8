"""A guess at what a source imports, from its text alone, to choose the process that has it imported already.

Only a guess, so that no Lean is needed to make it: in the worker Lean's own parser decides, and a wrong guess
costs an import and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from leanhost.lean import names
from leanhost.lean.core import Import
from leanhost.lean.olean import module_file

MAX_HEAD = 1 << 15
"""Characters of header beyond which no environment is kept ready for it."""

_IMPLICIT = (Import(("Init",)),)

_SPACE = re.compile(r"(?:\s+|--[^\n]*)+")
_OPEN = re.compile(r"/-(?![-!])")
_EDGE = re.compile(r"/-|-/")
_WORD = re.compile(r"(module|prelude)\b(?![.'])")
_PART = r"(?:«[^»\n]+»|[^\W\d][\w'!?]*)"
_IMPORT = re.compile(
    rf"((?:public\s+)?(?:meta\s+)?import\s+(?:all\s+)?)({_PART}(?:\.{_PART})*)(?=\s|$|--|/-)"
)


@dataclass(frozen=True, slots=True)
class ImportProfile:
    """What a worker should have imported: the header's text, or *imports* for sources without one."""

    text: str = ""
    imports: tuple[Import, ...] | None = None
    modules: tuple[str, ...] = ()

    @property
    def has_library(self) -> bool:
        """Whether sources with this head import anything, and what Lean imports by itself as well."""
        return "prelude" not in self.text.split() and self.imports != ()

    def shared_with(self, other: ImportProfile) -> bool:
        """Whether sources with both profiles import the very same environment.

        Not those of a ``module``, which sees only a part of what it imports.
        """
        return self == other and self.has_library and not self.text.startswith("module")


def profile_of(source: str, otherwise: ImportProfile) -> ImportProfile:
    """Return the header of *source* in a normal form, or *otherwise* if it has none."""
    at = _skip(source, 0)
    lines: list[str] = []
    modules: list[str] = []
    size = 0
    while (word := _WORD.match(source, at)) and len(lines) < 2:
        lines.append(word[1])
        at = _skip(source, word.end())
    while found := _IMPORT.match(source, at):
        lines.append(" ".join(found[0].split()))
        modules.append(found[2])
        size += len(lines[-1])
        if size > MAX_HEAD:
            return ImportProfile()
        at = _skip(source, found.end())
    if lines:
        return ImportProfile("\n".join(lines) + "\n", None, tuple(modules))
    return otherwise


def plain_imports(header: str) -> list[str] | None:
    """Return the modules that a profile's header imports besides ``Init``; ``None`` where it says more than that."""
    lines = [line.partition(" ") for line in header.splitlines()]
    modules = list(dict.fromkeys(module for _, _, module in lines))
    if any(word != "import" or " " in module for word, _, module in lines) or "Init" in modules:
        return None
    return modules


def headerless(imports: tuple[Import, ...] | None) -> ImportProfile:
    """Return the profile of sources without a header: *imports*, or what Lean imports into those."""
    modules = tuple(each.text for each in (_IMPLICIT if imports is None else imports))
    return ImportProfile("", None if imports == _IMPLICIT else imports, modules)


def _skip(source: str, at: int) -> int:
    """Return where the text goes on after white space and comments."""
    while True:
        space = _SPACE.match(source, at)
        at = space.end() if space else at
        if not _OPEN.match(source, at):
            return at
        depth, inner = 1, at + 2
        while depth:
            edge = _EDGE.search(source, inner)
            if edge is None:
                return len(source)
            depth += 1 if edge[0] == "/-" else -1
            inner = edge.end()
        at = inner


def importable(modules: Iterable[str], search_path: Iterable[Path]) -> bool:
    """Whether every module has a file: a process that would only fail to import is not worth starting."""
    roots = tuple(search_path)
    return all(module_file(names.parse(module), roots) is not None for module in modules)
