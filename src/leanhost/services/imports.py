"""Importing environments: the set of imports, its level, and what can be told before Lean is asked."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leanhost.engine.base import Ref
from leanhost.errors import ImportFailed, LeanError, UsageError
from leanhost.lean import names
from leanhost.lean.core import Import, Lean
from leanhost.lean.olean import check_closure
from leanhost.services.axioms import ImportedAxioms

MAIN_MODULE = ("Main",)
"""The module name sources are elaborated under."""

LEVEL_EXPORTED, LEVEL_PRIVATE = 0, 2


@dataclass(frozen=True, slots=True)
class ImportKey:
    """What makes two imported environments interchangeable: the ordered imports and how they are read."""

    imports: tuple[Import, ...]
    is_module: bool = False

    def __str__(self) -> str:
        return " ".join(i.text for i in self.imports) or "(nothing)"


def parse_imports(imports: Sequence[str | Import]) -> tuple[Import, ...]:
    """Turn module names into imports; order is kept, a repeated module is a :class:`UsageError`."""
    if isinstance(imports, str):
        raise UsageError(f"imports is a sequence of module names, not one string; write [{imports!r}]")
    result = tuple(i if isinstance(i, Import) else Import(names.parse(i)) for i in imports)
    for i in result:
        if not i.module:
            raise UsageError("a module name is empty")
    modules = [i.module for i in result]
    if len(set(modules)) != len(modules):
        raise UsageError("a module is imported twice")
    return result


class Imported:
    """An imported environment: immutable, shared by every session over it."""

    __slots__ = ("axioms", "env", "key", "lean", "lock")

    def __init__(self, lean: Lean, key: ImportKey, env: Ref) -> None:
        self.lean = lean
        self.key = key
        self.env = env
        self.axioms = ImportedAxioms(lean, env)
        self.lock = threading.Lock()

    def close(self) -> None:
        """Let the environment go; Lean frees it once nothing else refers to it."""
        self.env.close()


def import_environment(
    lean: Lean, key: ImportKey, search_path: Sequence[Path], core: Path | None, *, leak: bool = False
) -> Imported:
    """Import *key* along *search_path*.

    ``.olean`` files outside *core* are looked over first, because Lean maps them without checking their length.
    Raises :class:`~leanhost.errors.ImportFailed` with the module, the file and the next step.
    """
    check_closure([i.module for i in key.imports], search_path, core, lean.engine.word, lean.commit)
    options = lean.engine.eval(lean.table.options_empty())
    level = LEVEL_EXPORTED if key.is_module else LEVEL_PRIVATE
    try:
        if key.imports:
            env = lean.import_modules(key.imports, [str(p) for p in search_path], options, level=level, leak=leak)
        else:
            env = lean.empty_environment()
    except LeanError as error:
        raise ImportFailed(f"cannot import {key}: {error.message}") from None
    main = lean.engine.eval(lean.table.set_main_module(env, lean.name(MAIN_MODULE)))
    env.close()
    return Imported(lean, key, main)
