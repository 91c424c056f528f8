"""The file of an image: a Lean's memory and what else it takes to go on from there in another process.

An image is a magic text, the length and the SHA-256 of a header, the header, and the payload: the runs of memory that
hold something, one after the other. The header is JSON: the key, the SHA-256 of the payload, what ``image.js``
described (``runtime``), and what Python noted (``notes``). It is trusted input, so nothing is loaded that is not
exactly what was written, by this user or by root.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leanhost.toolchain import Toolchain

_MAGIC = b"leanhost image 1\n"
_START = struct.Struct("<I32s")
_MAX_HEADER = 4 << 20
_READ = 16 << 20

Read = Callable[[int, int], bytes]
"""Reads memory: an address and a size."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that can be started from; :meth:`close` it afterwards."""

    path: Path
    fd: int
    header_at: tuple[int, int]
    """Offset and length of the header in the file."""
    payload_at: int
    header: dict[str, Any]

    @property
    def memory(self) -> int:
        """Bytes of memory that the runtime had."""
        return int(self.header["runtime"]["memory"])

    @property
    def notes(self) -> dict[str, Any]:
        """What was noted with it."""
        notes: dict[str, Any] = self.header["notes"]
        return notes

    def config(self) -> dict[str, object]:
        """Return what ``host.js`` is told."""
        return {
            "fd": self.fd,
            "header": list(self.header_at),
            "offset": self.payload_at,
            "sha256": self.header["sha256"],
        }

    def close(self) -> None:
        """Close the file."""
        os.close(self.fd)


def image_key(toolchain: Toolchain, what: str) -> str:
    """Return the digest of all that an image of *what* depends on: the module, the glue, Node, this host's code, the
    core library, and what Python says it holds.

    Raises ``OSError`` where that cannot be read.
    """
    assert toolchain.node is not None
    assert toolchain.glue is not None
    digest = hashlib.sha256(_MAGIC)
    node = toolchain.node.stat()
    parts = [
        what,
        toolchain.fingerprint,
        str(toolchain.core),
        str(toolchain.node),
        node.st_size,
        node.st_mtime_ns,
    ]
    for part in parts:
        digest.update(f"{part}\0".encode("utf-8", "surrogateescape"))
    # The glue's description has the digests of glue and module; the manifest those of the library.
    files = [toolchain.glue.with_suffix(".json"), *sorted(Path(__file__).parent.glob("*.js"))]
    if toolchain.sysroot is not None:
        files.append(toolchain.sysroot / "manifest.json")
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:32]


def read_image(path: Path, key: str) -> Image | None:
    """Open the image at *path*, if it is there, is *key*'s, and its header is whole.

    The payload's digest is compared while it is loaded. Raises :class:`ValueError` for what is no such image.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(str(error)) from error
    try:
        stat = os.fstat(fd)
        if stat.st_uid not in (os.geteuid(), 0) or stat.st_mode & 0o022:
            raise ValueError("the image can be written by others")
        start = os.pread(fd, len(_MAGIC) + _START.size, 0)
        if not start.startswith(_MAGIC) or len(start) != len(_MAGIC) + _START.size:
            raise ValueError("not an image")
        size, digest = _START.unpack_from(start, len(_MAGIC))
        if size > _MAX_HEADER:
            raise ValueError("the header is too long")
        text = os.pread(fd, size, len(start))
        if hashlib.sha256(text).digest() != digest:
            raise ValueError("the header is damaged")
        header = json.loads(text)
        payload_at = len(start) + size
        runs = sum(length for _, length in header["runtime"]["runs"])
        if header["key"] != key or stat.st_size != payload_at + runs:
            raise ValueError("not the image that was looked for")
        return Image(path, fd, (len(start), size), payload_at, header)
    except OSError as error:
        os.close(fd)
        raise ValueError(str(error)) from error
    except (LookupError, TypeError) as error:
        os.close(fd)
        raise ValueError(f"a header of another form: {error!r}") from error
    except BaseException:
        os.close(fd)
        raise


def write_image(out: IO[bytes], key: str, runtime: dict[str, Any], notes: dict[str, Any], read: Read) -> None:
    """Write the image of a runtime that is at rest, on disk when this returns.

    The payload goes first, to where it belongs, because the header that has its digest comes before it.
    """

    def header(digest: str) -> bytes:
        value = {"key": key, "sha256": digest, "runtime": runtime, "notes": notes}
        return json.dumps(value, separators=(",", ":")).encode()

    out.seek(len(_MAGIC) + _START.size + len(header("0" * 64)))
    digest = hashlib.sha256()
    for piece in _pieces(runtime["runs"], read):
        digest.update(piece)
        out.write(piece)
    text = header(digest.hexdigest())
    out.seek(0)
    out.write(_MAGIC + _START.pack(len(text), hashlib.sha256(text).digest()) + text)
    out.flush()
    os.fsync(out.fileno())


def _pieces(runs: list[list[int]], read: Read) -> Iterator[bytes]:
    for address, length in runs:
        for done in range(0, length, _READ):
            yield read(address + done, min(_READ, length - done))
