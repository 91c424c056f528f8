"""Looking over ``.olean`` files before Lean maps them.

Lean maps a file and follows its pointers without checking its length, so a truncated file ends the process. The
header, the root object's place and the imports are read here, for every module a set of imports reaches.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from leanhost.errors import ImportFailed
from leanhost.lean.names import NameTuple, show

_MAGIC = b"olean"
_HEADER = 80  # magic, format version, flags, 33 bytes of Lean version, 40 of commit
_KNOWN_FORMATS = (2, 3)
_PARTS = (".olean.server", ".olean.private", ".ir", ".ir.sig")
"""What a ``module`` has beside its ``.olean``, each a file of the same form."""

_MAX_NAME = 1024
_CORE = {("Init",), ("Std",), ("Lean",)}
_UNKNOWN = "check the name; open the Lake project that has it (leanhost.open(project=...)) and lake build it"
_NO_CORE = (
    "this toolchain has no core library: take another one (toolchain='embedded', or an elan toolchain's name), or name "
    "the directories of one (search_path=, LEAN_PATH)"
)
_REBUILD = "rebuild it with the toolchain in use (lake build), or open the toolchain it was built with"


def module_file(module: NameTuple, search_path: Iterable[Path]) -> Path | None:
    """Return the ``.olean`` a module name stands for: the first root that has the module's top-level name."""
    if not module:
        return None
    for root in search_path:
        top = f"{root}{os.sep}{module[0]}"
        # Not Path's methods: they raise for a name too long for a file.
        if os.path.isdir(top) or os.path.isfile(f"{top}.olean"):  # noqa: PTH112, PTH113
            file = root.joinpath(*map(str, module[:-1]), f"{module[-1]}.olean")
            return file if os.path.isfile(file) else None  # noqa: PTH113
    return None


class _Damaged(Exception):
    """What is wrong with a file, as the end of a sentence about it."""


class _Bytes:
    """What stands at given places of a file, all of which must lie inside it."""

    def __init__(self, handle: IO[bytes], word: int) -> None:
        self._handle = handle
        self._word = word
        self.size = os.fstat(handle.fileno()).st_size

    def at(self, offset: int, size: int) -> bytes:
        """Return *size* bytes."""
        if not 0 <= offset <= self.size - size:
            raise _Damaged("is truncated: something it points to lies outside of it")
        self._handle.seek(offset)
        return self._handle.read(size)

    def word(self, offset: int) -> int:
        """Return a pointer or a size."""
        return int.from_bytes(self.at(offset, self._word), "little")


def look_over(file: Path, word: int, commit: str) -> tuple[NameTuple, ...]:
    """Look over an ``.olean`` and the parts that lie beside it; return what it imports.

    *word* is the size of a pointer in bytes. The imports of an unknown format are not read: ``()``. Raises
    :class:`~leanhost.errors.ImportFailed` when a file is damaged, or of another Lean than *commit*.
    """
    places: list[range] = []
    imports = _look_over(file, word, commit, places)
    stem = str(file).removesuffix(".olean")
    for suffix in _PARTS:
        if os.path.isfile(stem + suffix):  # noqa: PTH113 - cheaper, and there are thousands of them
            _look_over(Path(stem + suffix), word, commit, places)
    return imports


def _look_over(file: Path, word: int, commit: str, places: list[range]) -> tuple[NameTuple, ...]:
    """Look over one file. *places* are the addresses of the parts before it, to which its own are added."""
    try:
        with file.open("rb") as handle:
            data = _Bytes(handle, word)
            head = handle.read(_HEADER)
            if len(head) < _HEADER or head[:5] != _MAGIC:
                raise _Damaged("is no .olean file" if head else "is empty")
            if head[5] < min(_KNOWN_FORMATS):
                raise _Damaged(f"has the format {head[5]}, which is that of an older Lean")
            version, built_by = (
                text.split(b"\0")[0].decode("ascii", "replace") for text in (head[7:40], head[40:80])
            )
            if built_by and commit and built_by != commit:
                raise ImportFailed(
                    f"{file} was compiled by Lean {version} ({built_by[:12]}), not by the Lean in use "
                    f"({commit[:12]})",
                    hint=_REBUILD,
                )
            if head[5] not in _KNOWN_FORMATS:
                return ()
            base, root = data.word(_HEADER), data.word(_HEADER + word)
            if any(root in place for place in places):  # the same as that part's
                return ()
            is_part = bool(places)
            places.append(range(base, base + data.size))
            root -= base
            # Objects are written before what refers to them, so the root ends the file.
            size = int.from_bytes(data.at(root + 4, 2), "little")
            data.at(root, size)
            if size <= 8 or data.at(root + 7, 1) != b"\0":
                raise _Damaged("is damaged: its root is no structure")
            return () if is_part else _imports(data, base, root, word)
    except _Damaged as damage:
        raise ImportFailed(f"{file} {damage}", hint=_REBUILD) from None
    except OSError as error:
        raise ImportFailed(f"cannot read {file}: {error.strerror or error}") from None


def _imports(data: _Bytes, base: int, root: int, word: int) -> tuple[NameTuple, ...]:
    """Read ``ModuleData.imports``."""
    array = data.word(root + 8) - base
    count = data.word(array + 8)
    items = array + 8 + 2 * word
    data.at(items, count * word)

    def name(pointer: int) -> NameTuple:
        parts: list[str | int] = []
        while not pointer & 1:
            offset = pointer - base
            piece = data.word(offset + 8 + word)
            if piece & 1:
                parts.append(piece >> 1)
            else:
                text = piece - base
                raw = data.at(text + 8 + 3 * word, data.word(text + 8) - 1)
                parts.append(raw.decode("utf-8", "replace"))
            if len(parts) > _MAX_NAME:
                raise _Damaged("is damaged: the name of an import has no end")
            pointer = data.word(offset + 8)
        return tuple(reversed(parts))

    return tuple(name(data.word(data.word(items + i * word) - base + 8)) for i in range(count))


def check_closure(
    modules: Sequence[NameTuple], search_path: Sequence[Path], core: Path | None, word: int, commit: str
) -> tuple[int, str]:
    """Look over every module reachable from *modules* that lies outside *core*; return how many were read.

    With the count comes a digest of which files they are, as the file system knows them: it changes when one of
    them is written again or another takes its place. Of *core*, only what is reached first counts.

    Raises :class:`~leanhost.errors.ImportFailed` for an unknown module, a damaged file, or another Lean's file.
    """
    seen: set[NameTuple] = set()
    files = hashlib.sha256(commit.encode())
    pending: list[tuple[NameTuple, str, NameTuple]] = [(module, "", module) for module in modules]
    while pending:
        module, importer, first = pending.pop()
        if module in seen:
            continue
        seen.add(module)
        file = module_file(module, search_path)
        if file is None:
            where = ", ".join(map(str, search_path)) or "an empty search path"
            by = f" (imported by {importer})" if importer else ""
            raise ImportFailed(
                f"unknown module {show(module)}{by}: no such .olean in {where}",
                module=show(first),
                hint=_UNKNOWN if core is not None or module[:1] not in _CORE else _NO_CORE,
            )
        files.update(_identity(module, file))
        if core is not None and file.is_relative_to(core):
            continue
        pending.extend((name, show(module), first) for name in look_over(file, word, commit))
    return len(seen), files.hexdigest()


def _identity(module: NameTuple, file: Path) -> bytes:
    """What tells a file from one that was there before it, without reading it."""
    parts: list[object] = [show(module), file]
    stem = str(file).removesuffix(".olean")
    for suffix in (".olean", *_PARTS):
        with suppress(OSError):
            stat = os.stat(stem + suffix)  # noqa: PTH116 - there are thousands of them
            parts += [suffix, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    return "\0".join(map(str, parts)).encode("utf-8", "surrogatepass") + b"\n"
