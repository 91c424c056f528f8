"""elan's directory, read and never run: what is installed, and which toolchain its proxy would start."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanhost.errors import ToolchainError, ToolchainNotFound
from leanhost.toolchain.cache import environment
from leanhost.toolchain.model import Toolchain
from leanhost.toolchain.sysroot import describe_sysroot

TOOLCHAIN_FILE = "lean-toolchain"

_DEFAULT_ORIGIN = "leanprover/lean4"
_NAME = re.compile(r"(?:(?P<origin>[\w-]+/[\w-]+):)?(?P<release>[\w.+-]+)", re.ASCII)
_CHANNELS = ("stable", "beta", "nightly")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The toolchain name that applies in a directory, and what says so."""

    name: str
    because: str


def home(env: Mapping[str, str] | None = None) -> Path:
    """Return elan's directory: ``ELAN_HOME``, else ``~/.elan``; for a user without a home, one that never exists."""
    variables = environment(env)
    if chosen := variables.get("ELAN_HOME"):
        return Path(chosen)
    try:
        return Path(variables.get("HOME") or Path.home()) / ".elan"
    except RuntimeError:
        return Path(os.devnull) / ".elan"


def is_name(text: str) -> bool:
    """Return whether *text* has the form of an elan toolchain name."""
    return _NAME.fullmatch(text) is not None


def find_upwards(start: Path, name: str = TOOLCHAIN_FILE) -> Path | None:
    """Return the nearest file called *name* in *start* or a directory above it."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / name).is_file():
            return folder / name
    return None


def read_toolchain_file(path: Path) -> str:
    """Return the toolchain that a ``lean-toolchain`` file names (its first line).

    Raises :class:`~leanhost.errors.ToolchainNotFound` when it is empty, unreadable or no name.
    """
    try:
        name = (path.read_text("utf-8").splitlines() or [""])[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ToolchainNotFound(f"cannot read {path}: {error}") from error
    if not is_name(name):
        raise ToolchainNotFound(
            f"{path} does not name a toolchain (its first line is {name[:200]!r})",
            hint="write one such as leanprover/lean4:v4.35.0, or choose with toolchain=",
        )
    return name


def find_toolchain(name: str, env: Mapping[str, str] | None = None) -> Path | None:
    """Return the directory of the installed elan toolchain *name*, or ``None``.

    A bare name is a linked toolchain of that name, else a release of ``leanprover/lean4``, as in elan. A
    channel (``stable``, ``beta``, ``nightly``) is its newest installed release: elan would ask the network.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    toolchains = home(env) / "toolchains"
    release, origin = match["release"], match["origin"] or _DEFAULT_ORIGIN
    linked = toolchains / release
    # Linked toolchains are symbolic links; `toolchains/..` is none, and is no name for one either.
    if linked.is_symlink() and linked.is_dir():
        return linked
    if release.startswith("nightly") and not origin.endswith("-nightly"):
        origin += "-nightly"
    if release[0].isdigit():
        release = f"v{release}"
    exact = toolchains / f"{origin}:{release}".replace("/", "--").replace(":", "---")
    if exact.is_dir():
        return exact
    if release in _CHANNELS:
        return _newest(toolchains, origin, release)
    return None


def _newest(toolchains: Path, origin: str, channel: str) -> Path | None:
    prefix = origin.replace("/", "--") + "---"
    found: list[tuple[tuple[int, ...], Path]] = []
    for folder in _folders(toolchains):
        release = folder.name.removeprefix(prefix)
        if release == folder.name:
            continue
        version = re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)(?:-rc(\d+))?", release)
        if channel == "nightly" and re.fullmatch(r"nightly-\d{4}-\d\d-\d\d", release):
            found.append((tuple(map(int, release.split("-")[1:])), folder))
        elif channel != "nightly" and version and (channel == "beta" or version[4] is None):
            # A release comes after its release candidates.
            found.append(((*map(int, version.groups()[:3]), int(version[4] or 10_000)), folder))
    return max(found)[1] if found else None


def require_toolchain(name: str, because: str, env: Mapping[str, str] | None = None) -> Toolchain:
    """Describe the installed elan toolchain *name*, which *because* asks for.

    Raises :class:`~leanhost.errors.ToolchainNotFound` with elan's command for it when it is not installed.
    """
    folder = find_toolchain(name, env)
    if folder is None:
        raise ToolchainNotFound(
            f"{because} names the toolchain {name!r}, which is not installed in {home(env) / 'toolchains'}",
            hint=f"elan toolchain install {name}, or choose another explicitly, such as toolchain='embedded'",
        )
    return describe_sysroot(folder, name, f"{because}, in elan's directory {folder}")


def installed(env: Mapping[str, str] | None = None) -> list[Toolchain]:
    """Return the toolchains in elan's directory, by directory name; unusable ones are left out."""
    found = []
    for folder in _folders(home(env) / "toolchains"):
        name = folder.name.replace("---", ":", 1).replace("--", "/", 1)
        try:
            found.append(describe_sysroot(folder, name, f"elan's directory {folder}"))
        except ToolchainError:
            continue
    return found


def _folders(toolchains: Path) -> list[Path]:
    try:
        return sorted(folder for folder in toolchains.iterdir() if folder.is_dir())
    except OSError:
        return []


# --- the proxy ------------------------------------------------------------------------------------


def is_proxy(lean: Path, env: Mapping[str, str] | None = None) -> bool:
    """Return whether the executable *lean* is elan's proxy: elan itself under another name."""
    if lean.resolve().stem == "elan" or lean.parent.resolve() == (home(env) / "bin").resolve():
        return True
    elan = lean.with_name(f"elan{lean.suffix}")
    try:
        return elan.samefile(lean)
    except OSError:
        return False


def active(folder: Path, env: Mapping[str, str] | None = None) -> Wanted | None:
    """Return the toolchain that elan's proxy would use in *folder*, or ``None`` when elan has no default.

    The order is elan's: ``ELAN_TOOLCHAIN``; then upwards from *folder* a directory override or a
    ``lean-toolchain`` file; then the default of ``settings.toml``.
    """
    if name := environment(env).get("ELAN_TOOLCHAIN"):
        return Wanted(name, "ELAN_TOOLCHAIN")
    file = home(env) / "settings.toml"
    settings = _settings(file)
    overrides = settings.get("overrides")
    overrides = overrides if isinstance(overrides, dict) else {}
    folder = folder.resolve()
    for at in (folder, *folder.parents):
        override = overrides.get(str(at))
        if isinstance(override, str):
            return Wanted(override, f"elan's override for {at} in {file}")
        if (at / TOOLCHAIN_FILE).is_file():
            return Wanted(read_toolchain_file(at / TOOLCHAIN_FILE), str(at / TOOLCHAIN_FILE))
    default = settings.get("default_toolchain")
    return Wanted(default, f"elan's default in {file}") if isinstance(default, str) else None


def _settings(file: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ToolchainNotFound(
            f"cannot read elan's settings {file}: {error}", hint="elan default stable"
        ) from error
