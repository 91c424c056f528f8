"""The values this floor hands upwards: what a toolchain is, and how it was looked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from leanhost.errors import ToolchainNotFound
from leanhost.toolchain.faults import KnownFault, known_faults

EngineKind: TypeAlias = Literal["native", "wasm"]
Verified: TypeAlias = Literal["no", "table", "self-test"]


@dataclass(frozen=True, slots=True)
class Toolchain:
    """One Lean that can be opened, described without opening it.

    ``version`` and ``commit`` are ``""`` when no file next to the library tells them; the engine that opens
    the library then fills them in with :func:`dataclasses.replace`. ``verified`` is ``"no"`` as found;
    opening the toolchain says whether a version table names it or a self-test passed.
    """

    name: str
    """How it is selected: ``"embedded"``, ``"native-runtime"``, an elan name, or a path."""
    version: str
    """Lean's own version text, for example ``"4.28.0-pre"``."""
    commit: str
    """The full git commit of Lean, forty hexadecimal digits."""
    platform: str
    """``"x86_64-linux"``, ``"aarch64-darwin"``, ``"wasm32"``..."""
    engine: EngineKind
    sysroot: Path | None
    """The installation's root (``bin/``, ``lib/lean/``), if it has one."""
    library: Path
    """The shared library, or ``lean.wasm``."""
    core: Path | None
    """The directory of the core library's ``.olean`` files; ``None`` when the toolchain has none."""
    glue: Path | None = None
    """The prepared JavaScript glue (wasm only)."""
    module: Path | None = None
    """``lean.wasm`` as it was prepared for that glue (wasm only)."""
    node: Path | None = None
    """The Node executable that runs it (wasm only)."""
    origin: str = ""
    """Which discovery rule found it, in words."""
    verified: Verified = "no"

    @property
    def known_faults(self) -> tuple[KnownFault, ...]:
        """The published soundness faults that this version of Lean has, oldest fix first.

        All of them when ``version`` is not known (``""``, or not a version): any of them may hold.
        """
        return known_faults(self.version, self.platform)

    @property
    def fingerprint(self) -> str:
        """Return 32 hexadecimal digits that change when the library, the version or the commit does.

        Costs one ``stat``; the library is not read. Raises :class:`~leanhost.errors.ToolchainNotFound` when
        the library no longer exists.
        """
        try:
            stat = self.library.stat()
        except OSError as error:
            raise ToolchainNotFound(f"the library of toolchain {self.name!r} has gone: {error}") from error
        parts = (self.library, stat.st_size, stat.st_mtime_ns, self.version, self.commit)
        return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogateescape")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one discovery rule looked at and found (a line of ``leanhost doctor``)."""

    rule: str
    """The rule's name: ``"argument"``, ``"LEANHOST_TOOLCHAIN"``, ``"lean-toolchain"``..."""
    looked_at: str
    """The file, directory, variable or package that was consulted."""
    found: Toolchain | None
    note: str
    """One sentence: what came of it, or why nothing did."""
    chosen: bool = False
    """True for the rule that decides, also when its decision is an error."""
