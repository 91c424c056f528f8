"""comparator's ``config.json``: which theorems of a challenge a solution has to prove, and on which axioms.

The format is that of https://github.com/leanprover/comparator, whose verdicts are ``verify``'s with the
:class:`~leanhost.workers.values.items.Reference` made here. Keys that comparator does not know are skipped, as there.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leanhost.errors import UsageError
from leanhost.lean import names
from leanhost.workers.values.items import CheckItem, Reference

_MAX_BYTES = 1 << 20
_ROOTS = ("lakefile.toml", "lakefile.lean", "lean-toolchain")
"""Files that only the root of a project has."""


@dataclass(frozen=True, slots=True)
class ComparatorConfig:
    """A configuration of comparator's, as it was read.

    Attributes:
        path: the file.
        challenge_module: the module with the statements.
        solution_module: the module with the proofs.
        theorem_names: the theorems to prove.
        definition_names: the definitions of the challenge that the solution gives values of its own.
        permitted_axioms: all axioms that may be rested on.
        external_kernels: programs that have to accept the solution as well, by their names.
        enable_nanoda: whether nanoda has to, as comparator calls it.
    """

    path: Path
    challenge_module: str
    solution_module: str
    theorem_names: tuple[str, ...]
    definition_names: tuple[str, ...]
    permitted_axioms: tuple[str, ...]
    external_kernels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    enable_nanoda: bool = False

    @classmethod
    def load(cls, path: Path | str) -> ComparatorConfig:
        """Read a file; :class:`~leanhost.errors.UsageError` for any other file, or ``OSError``."""
        path = Path(path)
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        try:
            if len(data) > _MAX_BYTES:
                raise UsageError(f"it has more than {_MAX_BYTES} bytes")
            values = json.loads(data)
            if not isinstance(values, dict):
                raise UsageError("it is no JSON object")
            return cls(
                path,
                challenge_module=_module(values, "challenge_module"),
                solution_module=_module(values, "solution_module"),
                theorem_names=_names(values, "theorem_names"),
                definition_names=_names(values, "definition_names", ()),
                permitted_axioms=_names(values, "permitted_axioms"),
                external_kernels=_kernels(values),
                enable_nanoda=_nanoda(values),
            )
        except (ValueError, RecursionError) as error:
            why = error.message if isinstance(error, UsageError) else str(error)
            raise UsageError(f"{path} is no configuration of comparator's: {why}") from None

    @property
    def kernels(self) -> tuple[str, ...]:
        """The external kernels as commands, with ``{file}`` in the place of an export's name.

        Raises :class:`~leanhost.errors.UsageError` if ``enable_nanoda`` is set: comparator then calls a program with
        the name of a configuration that it made, not with that of an export.
        """
        if self.enable_nanoda:
            raise UsageError(
                f"{self.path} has enable_nanoda, which is not supported",
                hint="leave it out of a copy of the file, and name nanoda's command with --kernel or kernels=",
            )
        return tuple(f"{shlex.join(command)} {{file}}" for command in self.external_kernels.values())

    def reference(self, project: Path | str | None = None) -> Reference:
        """Return the challenge as the reference of ``verify``; *project* as for :meth:`source`."""
        return Reference(
            path=self.source(self.challenge_module, project),
            theorems=self.theorem_names,
            definitions=self.definition_names,
            permitted_axioms=self.permitted_axioms,
        )

    def candidate(self, project: Path | str | None = None) -> CheckItem:
        """Return the solution as the candidate of ``verify``; *project* as for :meth:`source`."""
        return CheckItem(path=self.source(self.solution_module, project))

    def source(self, module: str, project: Path | str | None = None) -> Path:
        """Return the source file of *module* in *project*.

        Without *project* it is looked for beside the configuration, and above it up to the root of its project.
        Raises :class:`~leanhost.errors.UsageError` where there is none.
        """
        parts = list(map(str, names.parse(module)))
        roots = [Path(project)] if project is not None else list(self._roots())
        for root in roots:
            file = root.joinpath(*parts[:-1], f"{parts[-1]}.lean")
            if file.is_file():
                return file
        where = " or ".join(map(str, roots))
        raise UsageError(
            f"there is no source of the module {module} in {where}",
            hint="name the project's directory, or the files themselves",
        )

    def _roots(self) -> Iterator[Path]:
        start = self.path.absolute().parent
        above = [start, *start.parents]
        root = next((i for i, folder in enumerate(above) if _is_root(folder)), 0)
        yield from above[: root + 1]


def _is_root(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _ROOTS)


def _module(values: Mapping[str, object], key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str):
        raise UsageError(f"{key} names no module")
    parts = names.parse(value)
    if not parts or any(part in ("", ".", "..") or "/" in str(part) or "\0" in str(part) for part in parts):
        raise UsageError(f"{key} names no module: {value!r:.80}")
    return value


def _names(
    values: Mapping[str, object], key: str, otherwise: tuple[str, ...] | None = None
) -> tuple[str, ...]:
    value = values.get(key)
    if value is None and otherwise is not None:
        return otherwise
    found = _texts(value, key)
    for name in found:
        names.parse(name)
    return found


def _texts(value: object, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UsageError(f"{key} is no list of texts")
    return tuple(value)


def _kernels(values: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    external = values.get("external_kernels")
    if external is None:
        external = {}
    if not isinstance(external, dict):
        raise UsageError("external_kernels is no object")
    found = {name: _texts(command, f"the kernel {name}") for name, command in external.items()}
    for name, command in found.items():
        if not command:
            raise UsageError(f"the kernel {name} has no command")
    return found


def _nanoda(values: Mapping[str, object]) -> bool:
    nanoda = values.get("enable_nanoda")
    if nanoda is None:
        return False
    if not isinstance(nanoda, bool):
        raise UsageError("enable_nanoda is neither true nor false")
    if nanoda and values.get("external_kernels"):
        raise UsageError("enable_nanoda and external_kernels cannot both be given; list nanoda among these")
    return nanoda
