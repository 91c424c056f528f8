"""A real ``lean`` executable around the native runtime: four lines of C, built when a benchmark starts."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

_SOURCE = "int lean_main(int, char **); int main(int c, char **v) { return lean_main(c, v); }\n"


@contextmanager
def lean_executable(library: Path) -> Iterator[Path]:
    """Build ``lean`` next to nothing else and yield its path."""
    with tempfile.TemporaryDirectory(prefix="leanhost-bench-") as folder:
        source, binary = Path(folder) / "lean.c", Path(folder) / "bin" / "lean"
        binary.parent.mkdir()
        source.write_text(_SOURCE)
        folder_of = library.parent
        link = [
            f"-L{folder_of}",
            "-lleanshared",
            f"-Wl,-rpath,{folder_of}",
            "-Wl,--unresolved-symbols=ignore-all",
        ]
        subprocess.run(["cc", "-O1", "-o", str(binary), str(source), *link], check=True)
        yield binary


def run_file(lean: Path, lean_path: Path, file: Path) -> None:
    """Check one file with one ``lean`` process."""
    env = {**os.environ, "LEAN_PATH": str(lean_path)}
    done = subprocess.run([str(lean), str(file)], env=env, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"lean failed: {done.stdout}{done.stderr}")


class Server:
    """``lean --server`` spoken to over LSP: one document, changed as a whole."""

    def __init__(self, lean: Path, lean_path: Path) -> None:
        env = {**os.environ, "LEAN_PATH": str(lean_path), "LEAN_WORKER_PATH": str(lean)}
        self._process = subprocess.Popen(
            [str(lean), "--server"],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._id = 0
        self._version = 0
        self._uri = "file:///tmp/leanhost-bench.lean"
        self._request("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
        self._notify("initialized", {})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        out = self._process.stdout
        assert out is not None
        length = 0
        while (line := out.readline()) != b"\r\n":
            if not line:
                raise RuntimeError("lean --server ended")
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        message = json.loads(out.read(length))
        assert isinstance(message, dict)
        return message

    def _notify(self, method: str, params: dict[str, Any]) -> None:
        self._send({"method": method, "params": params})

    def _request(self, method: str, params: dict[str, Any]) -> Any:
        self._id += 1
        self._send({"id": self._id, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == self._id and "method" not in message:
                return message.get("result")
            if "id" in message and "method" in message:
                self._send({"id": message["id"], "result": None})

    def check(self, text: str) -> int:
        """Replace the document, wait until the server has finished it, and return how many diagnostics it has."""
        self._version += 1
        if self._version == 1:
            document = {"uri": self._uri, "languageId": "lean4", "version": 1, "text": text}
            self._notify("textDocument/didOpen", {"textDocument": document})
        else:
            changed = {
                "textDocument": {"uri": self._uri, "version": self._version},
                "contentChanges": [{"text": text}],
            }
            self._notify("textDocument/didChange", changed)
        self._id += 1
        wanted = self._id
        self._send(
            {
                "id": wanted,
                "method": "textDocument/waitForDiagnostics",
                "params": {"uri": self._uri, "version": self._version},
            }
        )
        found = 0
        while True:
            message = self._receive()
            if message.get("method") == "textDocument/publishDiagnostics":
                found = len(message["params"]["diagnostics"])
            if message.get("id") == wanted and "method" not in message:
                return found
            if "id" in message and "method" in message:
                self._send({"id": message["id"], "result": None})

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
