"""The settings of a pool: checked once, the same for all workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from leanhost.engine import can_fork, keeps_images
from leanhost.lean.core import Import
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.validate import natural, one_of, seconds
from leanhost.system.process_limits import Limits
from leanhost.toolchain import Toolchain
from leanhost.workers.jobs.import_profiles import ImportProfile, headerless
from leanhost.workers.protocol.messages import Config, SandboxMode
from leanhost.workers.values.known_faults import POLICIES, Policy


@dataclass(frozen=True, slots=True)
class Settings:
    """What :class:`~leanhost.workers.pool.WorkerPool` was made with; seconds and bytes throughout."""

    toolchain: Toolchain
    search_path: tuple[Path, ...]
    strict: bool
    workers: int
    options: ElabOptions
    imports: tuple[Import, ...] | None
    allow_axioms: tuple[str, ...]
    startup_timeout: float
    grace: float
    memory_limit: int
    output_limit: int
    max_requests: int
    max_age: float
    max_growth_bytes: int
    spares: int
    max_waiting: int
    queue_timeout: float
    max_zygotes: int
    sandbox: SandboxMode
    known_faults: Policy = "tell"
    kernel: bool = False
    """Whether the workers are kernels, which replay what they are sent and elaborate nothing."""
    default_profile: ImportProfile = field(init=False)
    """What a source without a header imports."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "default_profile", headerless(self.imports))
        for name in (
            "workers",
            "memory_limit",
            "output_limit",
            "max_requests",
            "max_growth_bytes",
            "max_zygotes",
        ):
            natural(name, getattr(self, name), least=1)
        for name in ("spares", "max_waiting"):
            natural(name, getattr(self, name))
        for name in ("startup_timeout", "grace", "max_age", "queue_timeout"):
            seconds(name, getattr(self, name), below=1e9)
        one_of("sandbox", self.sandbox, get_args(SandboxMode))
        one_of("known_faults", self.known_faults, POLICIES)

    @property
    def forks(self) -> bool:
        """Whether workers are forked from zygotes."""
        return can_fork(self.toolchain)

    @property
    def resets(self) -> bool:
        """Whether workers are put back to what they were after each request."""
        return keeps_images(self.toolchain)

    @property
    def label(self) -> str:
        """One line that names the toolchain, as far as it is known before it is opened."""
        return f"{self.toolchain.name} (Lean {self.toolchain.version}, {self.toolchain.platform})"

    def config(self, header: str, imports: tuple[Import, ...] | None, scratch: Path) -> Config:
        """Return what a worker is to be that should have the imports of *header* ready, or *imports* instead."""
        return Config(
            self.toolchain,
            self.search_path,
            self.strict,
            self.options,
            header,
            imports,
            Limits(self.memory_limit),
            self.startup_timeout,
            self.sandbox,
            str(scratch),
            self.kernel,
        )
