"""The settings of a pool, checked once and the same for all of its workers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from leanhost.engine import can_fork
from leanhost.errors import UsageError
from leanhost.lean.core import Import
from leanhost.services.values.options import ElabOptions
from leanhost.system.process_limits import Limits
from leanhost.toolchain import Toolchain
from leanhost.workers.jobs.import_profiles import ImportProfile, headerless
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.framing import Message
from leanhost.workers.values.known_faults import POLICIES, Policy

SandboxMode: TypeAlias = Literal["auto", "required", "off"]


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
            _natural(name, getattr(self, name), at_least=1)
        for name in ("spares", "max_waiting"):
            _natural(name, getattr(self, name), at_least=0)
        for name in ("startup_timeout", "grace", "max_age", "queue_timeout"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
                raise UsageError(f"{name} must be a positive number of seconds, not {value!r}")
        if self.sandbox not in ("auto", "required", "off"):
            raise UsageError(f'sandbox is "auto", "required" or "off", not {self.sandbox!r}')
        if self.known_faults not in POLICIES:
            raise UsageError(f'known_faults is "tell" or "refuse", not {self.known_faults!r}')

    @property
    def forks(self) -> bool:
        """Whether workers are forked from zygotes."""
        return can_fork(self.toolchain)

    @property
    def label(self) -> str:
        """One line that names the toolchain, as far as it is known before it is opened."""
        return f"{self.toolchain.name} (Lean {self.toolchain.version}, {self.toolchain.platform})"

    def config(self, header: str, imports: tuple[Import, ...] | None, scratch: Path) -> Message:
        """Return the first frame of a worker that should have the imports of *header* ready, or *imports* instead."""
        values: dict[str, Any] = {
            "toolchain": codec.toolchain_out(self.toolchain),
            "search_path": [str(p) for p in self.search_path],
            "strict": self.strict,
            "options": codec.options_out(self.options),
            "preload": codec.imports_out(imports),
            "header": header,
            "limits": asdict(Limits(self.memory_limit)),
            "startup_timeout": self.startup_timeout,
            "sandbox": self.sandbox,
            "kernel": self.kernel,
            "scratch": str(scratch),
        }
        return values


def _natural(name: str, value: object, *, at_least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise UsageError(f"{name} must be a whole number from {at_least} on, not {value!r}")
