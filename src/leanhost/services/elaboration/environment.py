"""Importing environments: the set of imports, its level, and what can be told before Lean is asked."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from leanhost.engine.values import Ref
from leanhost.errors import ClosedError, ImportFailed, LeanError, UsageError
from leanhost.lean import names
from leanhost.lean.core import Import, Lean
from leanhost.lean.olean import check_closure
from leanhost.lean.tables.common import OLEAN_LEVELS
from leanhost.services.kernel.axioms import ImportedAxioms
from leanhost.services.values.progress import Phase, ProgressSink
from leanhost.services.values.tracing import span
from leanhost.services.values.validate import many

MAIN_MODULE = ("Main",)
"""The module name sources are elaborated under."""

LEVEL_EXPORTED, LEVEL_PRIVATE = map(OLEAN_LEVELS.index, ("exported", "private"))


@dataclass(frozen=True, slots=True)
class ImportKey:
    """What makes two imported environments interchangeable: the ordered imports and how they are read."""

    imports: tuple[Import, ...]
    is_module: bool = False

    def __str__(self) -> str:
        return " ".join(dict.fromkeys(i.text for i in self.imports)) or "(nothing)"


@lru_cache(maxsize=1024)
def _import(module: str) -> Import:
    if not isinstance(module, str):
        raise UsageError(f"an import is a module's name, not {module!r:.200}")
    return Import(names.parse(module))


def parse_imports(imports: Sequence[str | Import]) -> tuple[Import, ...]:
    """Turn module names into imports; order is kept, a repeated module is a :class:`UsageError`."""
    many("imports", imports, "module names")
    result = tuple(i if isinstance(i, Import) else _import(i) for i in imports)
    if any(not i.module for i in result):
        raise UsageError("a module name is empty")
    modules = [i.module for i in result]
    if len(set(modules)) != len(modules):
        raise UsageError("a module is imported twice")
    return result


class Imported:
    """An imported environment: immutable, shared by the sessions over it, closed by the last of them."""

    __slots__ = ("_lock", "_users", "axioms", "env", "identity", "key", "lean")

    def __init__(self, lean: Lean, key: ImportKey, env: Ref, identity: str = "") -> None:
        self.lean = lean
        self.key = key
        self.env = env
        self.identity = identity
        """Which library this is, also to another process: the Lean, the imports, and the files they were read from."""
        self.axioms = ImportedAxioms(lean, env)
        self._users = 1
        # The collector can close a forgotten session in the middle of anything.
        self._lock = threading.RLock()

    def share(self) -> Imported:
        """Count one more user, who has to :meth:`close`."""
        with self._lock:
            if not self._users:
                raise ClosedError("this imported environment was let go")
            self._users += 1
            return self

    def close(self) -> None:
        """Count one user less; after the last, Lean frees what nothing else refers to."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self.env.close()


def import_environment(
    lean: Lean,
    key: ImportKey,
    search_path: Sequence[Path],
    core: Path | None,
    *,
    leak: bool = False,
    progress: ProgressSink | None = None,
) -> Imported:
    """Import *key* along *search_path*; the caller is its only user.

    ``.olean`` files outside *core* are looked over first, because Lean maps them without checking their
    length. *progress* receives the phase ``import``, in modules. *leak* is Lean's ``leakEnv``: the
    environment is never freed, and its objects are never written to, which is what processes that fork want.

    Raises :class:`~leanhost.errors.ImportFailed` with the module, the file and the next step.
    """
    with span("leanhost.import", engine=lean.engine.kind, imports=key) as said:
        importing = Phase(progress, "import")
        importing.at(0)
        modules = [i.module for i in key.imports]
        found, files = check_closure(modules, search_path, core, lean.engine.word, lean.commit)
        said.set("modules", found)
        importing.total = found
        importing.at(0)
        env = _environment(lean, key, search_path, leak)
        importing.at(found)
    identity = hashlib.sha256(f"{lean.engine.kind} {key!r} {files}".encode("utf-8", "surrogatepass"))
    return Imported(lean, key, env, identity.hexdigest())


def _environment(lean: Lean, key: ImportKey, search_path: Sequence[Path], leak: bool) -> Ref:
    level = LEVEL_EXPORTED if key.is_module else LEVEL_PRIVATE
    try:
        if key.imports:
            for directory in filter(Path.is_dir, search_path):
                lean.engine.mount(directory)
            with lean.engine.eval(lean.table.options_empty()) as options:
                paths = [str(p) for p in search_path]
                env = lean.import_modules(key.imports, paths, options, level=level, leak=leak)
        else:
            env = lean.empty_environment()
    except LeanError as error:
        raise ImportFailed(f"cannot import {key}: {error.message}") from None
    with env:
        return lean.engine.eval(lean.table.set_main_module(env, lean.name(MAIN_MODULE)))
