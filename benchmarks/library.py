"""The large library that benchmarks import: compiled once by the native runtime itself, kept in the cache."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from leanhost.toolchain.cache import cache_dir
from tests.support.fixture_core import build_fixture_core, compile_big

THEOREMS = 100_000


def big_library(theorems: int = THEOREMS) -> list[Path]:
    """Return the search path for ``import Big``; compiling 100,000 theorems takes about two minutes, once."""
    core = build_fixture_core(cache_dir() / "tests" / "fixture-core")
    place = cache_dir() / "tests"
    library = place / f"{core.name}-big-{theorems}"
    if not library.is_dir():
        print(f"compiling {theorems} theorems, once ...", flush=True)
        work = Path(tempfile.mkdtemp(prefix=".big-", dir=place))
        try:
            compile_big(core, theorems, "Big", work, part=2_500)
            work.rename(library)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return [library, core]
