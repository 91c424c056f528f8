"""Remembering which table a toolchain passed its self-test with, in the cache directory.

A record speaks for one toolchain's files and for one state of leanhost's own sources. Whatever is wrong with
it (absent, damaged, of another leanhost) only costs a self-test; so does a cache that cannot be written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

from leanhost.errors import ToolchainError
from leanhost.toolchain import Toolchain
from leanhost.toolchain.cache import cache_dir, ensure_dir, locked, write_json
from leanhost.version import PACKAGE_ROOT

How: TypeAlias = Literal["table", "self-test"]
"""Why a table is trusted: it names the commit, or the commit passed the self-test with it."""

_FORMAT = 1

SOURCES = ("engine", "lean", "limit.py", "services/opening/selftest.py", "services/probe")
"""What decides whether a table fits a Lean: packages and modules. The services above are the same for every table."""


@dataclass(frozen=True, slots=True)
class Record:
    """A passed self-test: the table's version, and Lean's version and commit in its own words."""

    table: str
    version: str
    commit: str
    verified: How


@cache
def sources() -> str:
    """Return a digest of leanhost's own part in a self-test's outcome; ``""`` if it cannot be read."""
    digest, root = hashlib.sha256(), Path(PACKAGE_ROOT)
    try:
        for name in SOURCES:
            part = root / name
            for file in sorted(part.rglob("*")) if part.is_dir() else [part]:
                if file.suffix in (".py", ".js"):
                    content = file.read_bytes()
                    digest.update(f"{file.relative_to(root)}\0{len(content)}\0".encode())
                    digest.update(content)
    except OSError:
        return ""
    return digest.hexdigest()


def record_file(toolchain: Toolchain) -> Path:
    """Return the file that remembers *toolchain*: one for each library with what runs and surrounds it."""
    parts = [toolchain.fingerprint, str(toolchain.core), str(toolchain.glue), str(toolchain.node)]
    with suppress(OSError):
        if toolchain.node is not None:
            stat = toolchain.node.stat()
            parts += [str(stat.st_size), str(stat.st_mtime_ns)]
    key = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return cache_dir() / "verified" / f"{key}.json"


def load(toolchain: Toolchain) -> Record | None:
    """Return what is remembered about *toolchain*, if this leanhost wrote it down."""
    try:
        known = json.loads(record_file(toolchain).read_bytes())
        if known["format"] != _FORMAT or not sources() or known["sources"] != sources():
            return None
        record = Record(**known["record"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if not all(isinstance(value, str) for value in asdict(record).values()):
        return None
    return record if record.verified in ("table", "self-test") else None


def self_test_passed(toolchain: Toolchain) -> bool:
    """Whether *toolchain* has passed its self-test before: opening it then takes no time for one."""
    return load(toolchain) is not None


def save(toolchain: Toolchain, record: Record) -> None:
    """Remember *record*; a cache that cannot be written is not an error."""
    if not sources():
        return
    file = record_file(toolchain)
    with suppress(OSError, ToolchainError):
        ensure_dir(file.parent)
        # The name is for people who look into the cache.
        named = {"name": toolchain.name, "library": str(toolchain.library)}
        write_json(file, {"format": _FORMAT, "sources": sources(), "record": asdict(record), **named})


def forget(toolchain: Toolchain) -> None:
    """Drop what is remembered about *toolchain*."""
    with suppress(OSError):
        record_file(toolchain).unlink()


@contextmanager
def alone(toolchain: Toolchain) -> Iterator[None]:
    """Keep other processes from testing the same toolchain meanwhile, where the cache allows for a lock."""
    with ExitStack() as held:
        with suppress(OSError, ToolchainError):
            file = record_file(toolchain)
            ensure_dir(file.parent)
            held.enter_context(locked(file.with_suffix(".lock")))
        yield
