"""Looking over ``.olean`` files before Lean maps them.

Lean maps a file and follows its pointers without checking its length, so a truncated file ends the process. The
header, the root object's place and the imports are read here, for every module a set of imports reaches.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from leanhost.errors import ImportFailed
from leanhost.lean.names import NameTuple, show

_MAGIC = b"olean"
_HEADER = 80  # magic, format version, flags, 33 bytes of Lean version, 40 of commit
_KNOWN_FORMATS = (2, 3)
_REBUILD = "rebuild it with the toolchain in use (lake build), or open the toolchain it was built with"


@dataclass(frozen=True, slots=True)
class OleanHeader:
    """What the first bytes of an ``.olean`` say. ``imports`` are module names; ``None`` for an unknown format."""

    version: str
    commit: str
    imports: tuple[NameTuple, ...] | None


def module_file(module: NameTuple, search_path: Iterable[Path]) -> Path | None:
    """Return the ``.olean`` a module name stands for: the first root that has the module's top-level name."""
    if not module:
        return None
    for root in search_path:
        top = root / str(module[0])
        if top.is_dir() or top.with_name(top.name + ".olean").is_file():
            file = root.joinpath(*map(str, module[:-1]), f"{module[-1]}.olean")
            return file if file.is_file() else None
    return None


def read_header(file: Path, word: int) -> OleanHeader:
    """Read a file's header and imports; :class:`~leanhost.errors.ImportFailed` when it is damaged."""
    try:
        data = file.read_bytes() if file.stat().st_size < 1 << 16 else _Windows(file)
        return _parse(data, file, word)
    except (struct.error, IndexError, UnicodeDecodeError):
        raise ImportFailed(
            f"{file} is damaged: its contents end before its own pointers do", hint=_REBUILD
        ) from None
    except OSError as error:
        raise ImportFailed(f"cannot read {file}: {error.strerror}") from None


class _Windows:
    """Slices of a file without reading it whole."""

    def __init__(self, file: Path) -> None:
        self._handle = file.open("rb")
        self._size = file.stat().st_size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, where: slice) -> bytes:
        self._handle.seek(where.start)
        return self._handle.read(where.stop - where.start)

    def __del__(self) -> None:
        self._handle.close()


def _parse(data: bytes | _Windows, file: Path, word: int) -> OleanHeader:
    head = data[0:_HEADER]
    if head[:5] != _MAGIC:
        raise ImportFailed(f"{file} is no .olean file", hint=_REBUILD)
    version = head[7:40].split(b"\0")[0].decode("ascii")
    commit = head[40:80].split(b"\0")[0].decode("ascii")
    if head[5] not in _KNOWN_FORMATS:
        return OleanHeader(version, commit, None)
    unpack = struct.Struct("<Q" if word == 8 else "<I")

    def read(offset: int) -> int:
        return int(unpack.unpack(data[offset : offset + word])[0])

    base = read(_HEADER)
    root = read(_HEADER + word) - base
    size, fields, tag = (
        struct.unpack("<HBB", data[root + 4 : root + 8]) if 0 < root < len(data) - 8 else (0, 0, 1)
    )
    if tag or not fields or root + size > len(data):
        raise ImportFailed(f"{file} is truncated: its root object lies outside the file", hint=_REBUILD)
    imports = read(root + 8) - base
    count = read(imports + 8)
    if imports + 8 + 2 * word + count * word > len(data):
        raise ImportFailed(f"{file} is damaged: its list of imports lies outside the file", hint=_REBUILD)

    def name(pointer: int) -> NameTuple:
        parts: list[str | int] = []
        while not pointer & 1:
            offset = pointer - base
            piece = read(offset + 8 + word)
            if piece & 1:
                parts.append(piece >> 1)
            else:
                text = piece - base
                length = read(text + 8)
                parts.append(data[text + 8 + 3 * word : text + 8 + 3 * word + length - 1].decode("utf-8"))
            pointer = read(offset + 8)
        return tuple(reversed(parts))

    items = [read(imports + 8 + 2 * word + i * word) - base for i in range(count)]
    return OleanHeader(version, commit, tuple(name(read(item + 8)) for item in items))


def check_closure(
    modules: Sequence[NameTuple], search_path: Sequence[Path], core: Path | None, word: int, commit: str
) -> int:
    """Look over every module reachable from *modules* that lies outside *core*; return how many were read.

    Raises :class:`~leanhost.errors.ImportFailed` for an unknown module, a damaged file, or another Lean's file.
    """
    seen: set[NameTuple] = set()
    pending: list[tuple[NameTuple, str]] = [(module, "") for module in modules]
    while pending:
        module, importer = pending.pop()
        if module in seen:
            continue
        seen.add(module)
        file = module_file(module, search_path)
        if file is None:
            where = ", ".join(map(str, search_path)) or "an empty search path"
            by = f" (imported by {importer})" if importer else ""
            raise ImportFailed(
                f"unknown module {show(module)}{by}: no such .olean in {where}",
                hint="check the name; open the Lake project that has it (leanhost.open(project=...)) and lake build it",
            )
        if core is not None and file.is_relative_to(core):
            continue
        header = read_header(file, word)
        if header.commit and commit and header.commit != commit:
            raise ImportFailed(
                f"{file} was compiled by Lean {header.version} ({header.commit[:12]}), not by the Lean in use "
                f"({commit[:12]})",
                hint=_REBUILD,
            )
        pending.extend((name, show(module)) for name in header.imports or ())
    return len(seen)
