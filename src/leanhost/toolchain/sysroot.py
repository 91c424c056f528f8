"""Describing an ordinary Lean installation, or a bare shared library, from its files alone."""

from __future__ import annotations

import platform
import re
import struct
import sys
from pathlib import Path

from leanhost.errors import ToolchainCorrupt, ToolchainNotFound
from leanhost.toolchain.model import Toolchain

LIBRARY_NAMES = ("libleanshared.so", "libleanshared.dylib", "libleanshared.dll")

_ELF_MACHINES = {0x3E: "x86_64", 0xB7: "aarch64", 0x03: "i686", 0xF3: "riscv64"}
_MACHO_MACHINES = {0x01000007: "x86_64", 0x0100000C: "aarch64"}


def find_library(root: Path) -> Path | None:
    """Return the Lean shared library of the installation at *root*, or ``None``."""
    for folder in (root / "lib" / "lean", root / "lib", root / "bin"):
        for name in LIBRARY_NAMES:
            if (folder / name).is_file():
                return folder / name
    return None


def describe_sysroot(root: Path, name: str, origin: str) -> Toolchain:
    """Describe the Lean installation at *root*.

    Raises :class:`~leanhost.errors.ToolchainNotFound` when *root* has no shared library, and
    :class:`~leanhost.errors.ToolchainCorrupt` when the library cannot be one.
    """
    library = find_library(root)
    if library is None:
        raise ToolchainNotFound(
            f"{root} is no Lean installation that can be hosted: no {LIBRARY_NAMES[0]} (or .dylib) "
            "in lib/lean, lib or bin",
            hint="name the directory that `lean --print-prefix` prints",
        )
    core = root / "lib" / "lean"
    return _describe(
        library, name, origin, sysroot=root, core=core if (core / "Init.olean").is_file() else None
    )


def describe_library(library: Path, name: str, origin: str) -> Toolchain:
    """Describe a shared library named by its path, with the installation around it if there is one."""
    if not library.is_file():
        raise ToolchainNotFound(f"there is no library {library}")
    parent = library.parent
    root = parent.parent.parent if parent.name == "lean" and parent.parent.name == "lib" else None
    core = parent if (parent / "Init.olean").is_file() else None
    return _describe(library, name, origin, sysroot=root, core=core)


def _describe(library: Path, name: str, origin: str, *, sysroot: Path | None, core: Path | None) -> Toolchain:
    version, commit = _from_headers(sysroot) if sysroot is not None else ("", "")
    if core is not None and not (version and commit):
        told = olean_header(core / "Init.olean")
        version, commit = version or told[0], commit or told[1]
    return Toolchain(
        name=name,
        version=version,
        commit=commit,
        platform=library_platform(library),
        engine="native",
        sysroot=sysroot,
        library=library,
        core=core,
        origin=origin,
    )


def _from_headers(root: Path) -> tuple[str, str]:
    """Return version and commit from ``include/lean``, each ``""`` when it is not told there."""
    version = commit = ""
    text = _read(root / "include" / "lean" / "version.h")
    if text:
        defined = dict(re.findall(r'^\s*#\s*define\s+LEAN_(\w+)\s+"?([^"\n]*?)"?\s*$', text, re.MULTILINE))
        version = defined.get("VERSION_STRING", "")
        numbers = [defined.get(f"VERSION_{part}", "") for part in ("MAJOR", "MINOR", "PATCH")]
        if not version and all(number.isdigit() for number in numbers):
            special = defined.get("SPECIAL_VERSION_DESC", "")
            unreleased = defined.get("VERSION_IS_RELEASE", "1") == "0"
            suffix = special or ("pre" if unreleased else "")
            version = ".".join(numbers) + (f"-{suffix}" if suffix else "")
    match = re.search(r"\b[0-9a-f]{40}\b", _read(root / "include" / "lean" / "githash.h"))
    if match:
        commit = match.group()
    return version, commit


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def olean_header(path: Path) -> tuple[str, str]:
    """Return the Lean version and commit in an ``.olean`` file's header, ``("", "")`` if it has none.

    Layout (``Lean.readModuleData``, format 2): ``olean``, a byte format, a byte flags, 33 bytes of version,
    40 bytes of commit. Format 1 has no version and 42 bytes of commit.
    """
    try:
        with path.open("rb") as handle:
            head = handle.read(80)
    except OSError:
        return "", ""
    if not head.startswith(b"olean") or len(head) < 80:
        return "", ""
    version, commit = (head[7:40], head[40:80]) if head[5] >= 2 else (b"", head[6:48])
    texts = [part.split(b"\0", 1)[0].decode("ascii", "replace") for part in (version, commit)]
    return texts[0], texts[1] if re.fullmatch(r"[0-9a-f]{40}", texts[1]) else ""


def library_platform(library: Path) -> str:
    """Return ``"<machine>-<system>"`` from the library's own header.

    Raises :class:`~leanhost.errors.ToolchainCorrupt` when the file is no shared library at all.
    """
    try:
        with library.open("rb") as handle:
            head = handle.read(20)
    except OSError as error:
        raise ToolchainNotFound(f"cannot read {library}: {error}") from error
    if head[:4] == b"\x7fELF" and len(head) == 20:
        (machine,) = struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)
        return f"{_ELF_MACHINES.get(machine, hex(machine))}-linux"
    if head[:4] == b"\xcf\xfa\xed\xfe":
        (machine,) = struct.unpack_from("<I", head, 4)
        return f"{_MACHO_MACHINES.get(machine, hex(machine))}-darwin"
    if (
        head[:4] == b"\xca\xfe\xba\xbe"
    ):  # a universal binary: the part for this machine is what would be loaded
        return f"{platform.machine()}-darwin"
    if head[:2] == b"MZ":
        return f"{platform.machine().lower()}-{sys.platform}"
    raise ToolchainCorrupt(
        f"{library} is no shared library (it begins with {head[:8].hex(' ') or 'nothing'})",
        hint="reinstall the toolchain, or name another one",
    )
