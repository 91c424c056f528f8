"""Lake projects: where their compiled modules are, read from the manifest and never by running lake."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from leanhost.errors import ProjectError, ToolchainError, UsageError
from leanhost.toolchain import elan
from leanhost.toolchain.cache import environment

MANIFEST = "lake-manifest.json"
OVERRIDES = Path(".lake", "package-overrides.json")
CONFIGS = ("lakefile.toml", "lakefile.lean")


@dataclass(frozen=True, slots=True)
class LakeProject:
    """A Lake workspace as it lies on disk."""

    root: Path
    """The directory with the lakefile."""
    name: str
    """The package's name from the manifest, ``""`` if it has none."""
    toolchain: str | None
    """What the nearest ``lean-toolchain`` file names."""
    search_path: tuple[Path, ...]
    """Directories of compiled modules: the project's own, then its dependencies' in the manifest's order."""
    unbuilt: tuple[str, ...] = ()
    """Packages that have no compiled modules yet; an import from them will fail."""


def load_project(path: Path) -> LakeProject:
    """Read the Lake project at *path* or above it.

    Raises :class:`~leanhost.errors.ProjectError` when there is no lakefile or no manifest, when the manifest
    cannot be read, when a dependency was never fetched, and when nothing at all has been built.
    """
    root = _find_root(Path(path))
    manifest_file = root / MANIFEST
    if not manifest_file.is_file():
        raise ProjectError(f"{root} has no {MANIFEST}", hint=f"run `lake build` in {root}, which writes it")
    manifest = _read_manifest(manifest_file)
    packages_dir = _text(manifest, "packagesDir", manifest_file, default=".lake/packages")
    entries = _entries(manifest, manifest_file)
    if (root / OVERRIDES).is_file():
        # Lake's own mechanism: entries there replace the manifest's of the same name.
        replaced = {
            _name(entry, root / OVERRIDES): entry
            for entry in _entries(_read_manifest(root / OVERRIDES), root / OVERRIDES)
        }
        entries = [replaced.pop(_name(entry, manifest_file), entry) for entry in entries] + list(
            replaced.values()
        )

    name = _text(manifest, "name", manifest_file, default="")
    found: list[Path] = []
    unbuilt: list[str] = []
    for package, folder in [(name or root.name, root)] + [
        (_name(entry, manifest_file), _folder(entry, root, packages_dir, manifest_file)) for entry in entries
    ]:
        if not folder.is_dir():
            raise ProjectError(
                f"the dependency {package!r} of {root} was not fetched: there is no directory {folder}",
                hint=f"run `lake build` in {root}",
            )
        built = _library_dir(folder)
        if built is None:
            unbuilt.append(package)
        elif built not in found:
            found.append(built)
    if not found:
        raise ProjectError(
            f"the project {root} is not built: there is no {_default_library_dir(root)}",
            hint=f"run `lake build` in {root}",
        )
    return LakeProject(root, name, _toolchain(root), tuple(found), tuple(unbuilt))


def directories(given: Iterable[Path | str]) -> tuple[Path, ...]:
    """Return a search path as callers write it. Raises :class:`~leanhost.errors.UsageError` for one alone."""
    if isinstance(given, str | Path):
        raise UsageError(f"search_path is a sequence of directories; write [{str(given)!r}]")
    return tuple(map(Path, given))


def lean_path(env: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Return the directories of ``LEAN_PATH``, in its order, empty parts left out."""
    return tuple(Path(part) for part in environment(env).get("LEAN_PATH", "").split(os.pathsep) if part)


def _find_root(path: Path) -> Path:
    if not path.exists():
        raise ProjectError(f"there is no project directory {path}")
    start = path.resolve()
    start = start.parent if start.is_file() else start
    for folder in (start, *start.parents):
        if any((folder / name).is_file() for name in CONFIGS):
            return folder
    raise ProjectError(
        f"{path} is in no Lake project: no {' or '.join(CONFIGS)} here or above",
        hint="name the directory that has the lakefile, or open without a project",
    )


def _toolchain(root: Path) -> str | None:
    file = elan.find_upwards(root)
    try:
        return elan.read_toolchain_file(file) if file is not None else None
    except ToolchainError as error:
        raise ProjectError(error.message, hint=error.hint) from error


# --- the manifest ---------------------------------------------------------------------------------


def _read_manifest(file: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ProjectError(f"cannot read {file}: {error}", hint="restore it, or run `lake update`") from error
    if not isinstance(manifest, dict):
        raise _malformed(file, "it is no JSON object")
    _check_version(manifest.get("version"), file)
    return manifest


def _check_version(version: object, file: Path) -> None:
    """Accept what Lake of today reads: 0.5.0 and later (then written as a number), and every 1.x."""
    text = f"0.{version}" if isinstance(version, int) and not isinstance(version, bool) else version
    try:
        parts = [int(part) for part in str(text).split("-")[0].split(".")]
    except ValueError:
        parts = []
    if not isinstance(text, str) or len(parts) < 2:
        raise _malformed(file, f"its version is {version!r}")
    if parts[0] > 1:
        raise ProjectError(
            f"{file} has manifest version {version}, and leanhost knows 1.x", hint="use a newer leanhost"
        )
    if parts < [0, 5]:
        raise ProjectError(
            f"{file} has manifest version {version}, which Lake gave up", hint="run `lake update`"
        )


def _malformed(file: Path, why: str) -> ProjectError:
    return ProjectError(f"{file} is not a Lake manifest: {why}", hint="restore it, or run `lake update`")


def _entries(manifest: dict[str, Any], file: Path) -> list[dict[str, Any]]:
    packages = manifest.get("packages", [])
    if not isinstance(packages, list):
        raise _malformed(file, "`packages` is no list")
    entries: list[dict[str, Any]] = []
    for entry in packages:
        if not isinstance(entry, dict):
            raise _malformed(file, f"a package is {str(entry)[:100]!r}")
        # Before version 7 the kind was a key around the entry, and optional keys ended in a question mark.
        for kind in ("git", "path"):
            if isinstance(entry.get(kind), dict):
                entry = {key.removesuffix("?"): value for key, value in entry[kind].items()} | {"type": kind}
                break
        entries.append(entry)
    return entries


def _name(entry: dict[str, Any], file: Path) -> str:
    return _text(entry, "name", file)


def _text(table: dict[str, Any], key: str, file: Path, default: str | None = None) -> str:
    value = table.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or "\0" in value:
        raise _malformed(file, f"`{key}` is {str(value)[:100]!r} in {str(table)[:200]}")
    return value


def _folder(entry: dict[str, Any], root: Path, packages_dir: str, file: Path) -> Path:
    kind = _text(entry, "type", file)
    if kind == "path":
        return root / _text(entry, "dir", file)
    if kind == "git":
        name = _unescaped(_name(entry, file))
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            raise _malformed(file, f"a package is called {name!r}")
        return root / packages_dir / name / _text(entry, "subDir", file, default="")
    raise _malformed(file, f"a package has the type {kind!r}")


def _unescaped(name: str) -> str:
    """Return a Lean name without its guillemets, which is how Lake names the directory."""
    return name.replace("«", "").replace("»", "")


# --- build directories ----------------------------------------------------------------------------


def _library_dir(package: Path) -> Path | None:
    """Return where the compiled modules of the package are, or ``None`` when it was not built."""
    for candidate in (
        _default_library_dir(package),
        package / ".lake" / "build" / "lib",
        package / "build" / "lib",
    ):
        # Lake before 4.16 put modules right into lib, where later versions have the directory lib/lean.
        if candidate.is_dir():
            return candidate.resolve()
    return None


def _default_library_dir(package: Path) -> Path:
    """Return the directory for compiled modules, as ``lakefile.toml`` sets it (``lakefile.lean`` is code)."""
    import tomllib

    try:
        config = tomllib.loads((package / "lakefile.toml").read_text("utf-8"))
    except (OSError, ValueError):
        config = {}
    build, library = config.get("buildDir"), config.get("leanLibDir")
    return (
        package
        / (build if isinstance(build, str) else ".lake/build")
        / (library if isinstance(library, str) else "lib/lean")
    )
