"""The cache directory: where it is, locks over it, temporary directories in it, and atomic small files."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from leanhost.errors import ToolchainInstallError

try:
    import fcntl
except ImportError:  # a platform without flock: the atomic renames alone keep the cache whole
    fcntl = None  # type: ignore[assignment]

_TEMP_PREFIX = ".tmp-"
_LOCK_SUFFIX = ".lock"
_CHUNK = 1 << 20


def environment(env: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return *env*, or the process environment when it is ``None``."""
    return os.environ if env is None else env


def cache_dir(env: Mapping[str, str] | None = None) -> Path:
    """Return the cache directory (not created): ``LEANHOST_CACHE``, else the platform's one for the user.

    :class:`~leanhost.errors.ToolchainInstallError` for a user without a home.
    """
    chosen = environment(env).get("LEANHOST_CACHE")
    try:
        if chosen:
            return Path(os.path.abspath(Path(chosen).expanduser()))  # noqa: PTH100 - no symlink resolution wanted
        import platformdirs  # here, as `tempfile` below

        return platformdirs.user_cache_path("leanhost", appauthor=False)
    except RuntimeError as error:
        raise ToolchainInstallError(
            f"there is no cache directory{f' {chosen}' if chosen else ''}: {error}",
            hint="set LEANHOST_CACHE to a directory",
        ) from None


def ensure_dir(path: Path) -> Path:
    """Create *path* and return it; :class:`~leanhost.errors.ToolchainInstallError` when that is refused."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ToolchainInstallError(
            f"cannot create the cache directory {path}: {error.strerror or error}",
            hint="make it writable, or set LEANHOST_CACHE to a directory that is",
        ) from error
    return path


# --- locks ----------------------------------------------------------------------------------------


def _try_lock(handle: IO[bytes]) -> bool | None:
    """Lock without waiting: True, False when another process holds it, None when locks do not work here."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


@contextmanager
def locked(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold an exclusive lock between processes on *path*; call *waiting* once if somebody else has it.

    A file system without locks is tolerated: what is done under a lock here also ends in an atomic rename.
    """
    with path.open("ab") as handle:
        if _try_lock(handle) is False:
            if waiting is not None:
                waiting()
            fcntl.flock(handle.fileno(), fcntl.LOCK_EX)
        yield


@contextmanager
def try_locked(path: Path) -> Iterator[bool]:
    """Hold a lock like :func:`locked`, without waiting; yields whether it is held, or locks do not work here."""
    with path.open("ab") as handle:
        yield _try_lock(handle) is not False


# --- temporary directories ------------------------------------------------------------------------


@contextmanager
def temp_dir(parent: Path) -> Iterator[Path]:
    """Yield a fresh directory inside *parent*, removed at the end.

    The lock file beside it stays locked as long as this process lives, which is how :func:`remove_stale`
    tells the leftovers of a killed process from the work of a running one (a process id could have been
    reused). It is made first and removed last, so no leftover is ever without one.
    """
    import tempfile  # here, for the sake of the workers that are forked: it brings hooks along

    handle, name = tempfile.mkstemp(prefix=_TEMP_PREFIX, suffix=_LOCK_SUFFIX, dir=parent)
    lock = Path(name)
    made = lock.with_suffix("")
    with os.fdopen(handle, "ab") as owner:
        _try_lock(owner)
        try:
            made.mkdir()
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)
            lock.unlink(missing_ok=True)


def remove_stale(parent: Path) -> int:
    """Remove the temporary directories in *parent* whose owner is dead; return how many."""
    removed = 0
    for lock in parent.glob(f"{_TEMP_PREFIX}*{_LOCK_SUFFIX}"):
        with contextlib.suppress(OSError), lock.open("rb") as owner:
            if _try_lock(owner) is True:
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
                removed += 1
    return removed


# --- files ----------------------------------------------------------------------------------------


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def copy_synced(source: IO[bytes], target: Path) -> tuple[int, str]:
    """Write *source* to the new file *target*, on disk when this returns; give its size and SHA-256."""
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as out:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return size, digest.hexdigest()


def sync_dir(path: Path) -> None:
    """Make the names in *path* durable where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_json(path: Path, value: object) -> None:
    """Write *value* as JSON to *path*, atomically: readers see the old file or the new one."""
    # Not mkstemp: its files are for one user only, and a cache may be installed by one and read by others.
    made = path.with_name(f".{path.name}-{os.urandom(8).hex()}")
    try:
        with made.open("x", encoding="utf-8") as out:
            json.dump(value, out, separators=(",", ":"), sort_keys=True)
            out.flush()
            os.fsync(out.fileno())
        made.replace(path)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
    sync_dir(path.parent)
