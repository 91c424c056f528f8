"""Sources in workers: running, judging, extending and looking into them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from leanhost.errors import UsageError
from leanhost.services.elaboration.source_view import SourceView, TypeAt
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.lifecycle import Closing
from leanhost.services.values.limits import WORDS
from leanhost.services.values.outcomes import KernelOutcome, Unavailable
from leanhost.services.values.results import CommandResult, Limit, Position
from leanhost.workers.remote.operation import Operation, Task
from leanhost.workers.remote.rpc import RemoteContext, async_twin, blocking, first

T = TypeVar("T")


class Run(Struct, frozen=True):
    """A source, and the label of its file."""

    source: str
    file: str


class KernelCheck(Struct, frozen=True, tag="kernel_check"):
    """A source to judge."""

    source: str
    file: str
    allow_axioms: tuple[str, ...]


class At(Struct, frozen=True):
    """Positions in a source."""

    source: str
    file: str
    positions: tuple[tuple[int, int], ...] = ()


def _run(task: Task[Run]) -> CommandResult:
    a = task.arguments
    return task.session.run(
        a.source,
        file=a.file,
        timeout=task.timeout,
        cancellation=task.cancellation,
        progress=task.progress,
    )


def _kernel_check(task: Task[KernelCheck]) -> KernelOutcome:
    a = task.arguments
    return task.session.kernel_check(
        a.source,
        allow_axioms=a.allow_axioms,
        file=a.file,
        timeout=task.timeout,
        cancellation=task.cancellation,
        progress=task.progress,
    )


def _extend(task: Task[Run]) -> None:
    spec = task.cached.spec
    grown = replace(spec, grown=(*spec.grown, (task.arguments.source, task.arguments.file)))
    task.cache.entry(grown, task.timeout, task.cancellation, task.progress)


def _view(task: Task[At]) -> SourceView:
    source, file = task.arguments.source, task.arguments.file
    found = task.cached.views.get((source, file))
    if found is None:
        made = task.session.view(
            source, file=file, timeout=task.timeout, cancellation=task.cancellation, progress=task.progress
        )
        found = task.cached.views.put((source, file), made)
    return found


def _at(ask: Callable[..., object], task: Task[At]) -> list[object]:
    view = _view(task)
    stop = {"timeout": task.timeout, "cancellation": task.cancellation}
    return [ask(view, line, column, **stop) for line, column in task.arguments.positions]


RUN: Operation[Run, CommandResult] = Operation(
    "run", Run, CommandResult, _run, cancelled=lambda: CommandResult((), (), (), 0.0, 0.0, (Limit.CANCELLED,))
)
KERNEL_CHECK: Operation[KernelCheck, KernelOutcome] = Operation(
    "kernel_check",
    KernelCheck,
    KernelOutcome,
    _kernel_check,
    cancelled=lambda: Unavailable(Limit.CANCELLED, WORDS[Limit.CANCELLED]),
)
EXTEND: Operation[Run, None] = Operation("extend", Run, type(None), _extend)
VIEW: Operation[At, CommandResult] = Operation("view", At, CommandResult, lambda task: _view(task).result)
GOALS_AT: Operation[At, list[tuple[str, ...]]] = Operation(
    "goals_at", At, list[tuple[str, ...]], partial(_at, SourceView.goals_at), each=True
)
TYPES_AT: Operation[At, list[TypeAt | None]] = Operation(
    "type_at", At, list[TypeAt | None], partial(_at, SourceView.type_at), each=True
)
REFERENCES: Operation[At, list[tuple[Position, ...]]] = Operation(
    "references", At, list[tuple[Position, ...]], partial(_at, SourceView.references), each=True
)
OPERATIONS: tuple[Operation[Any, Any], ...] = (
    RUN,
    KERNEL_CHECK,
    EXTEND,
    VIEW,
    GOALS_AT,
    TYPES_AT,
    REFERENCES,
)


def positions_out(positions: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return ``(line, column)`` pairs; :class:`~leanhost.errors.UsageError` for anything else."""
    found = tuple((*position,) for position in positions)
    for pair in found:
        if len(pair) != 2 or not all(isinstance(n, int) and not isinstance(n, bool) for n in pair):
            raise UsageError(f"a position is a pair (line, column), not {pair!r:.80}")
    return found


@dataclass(frozen=True, slots=True)
class WorkerSourceView(Closing):
    """A source that a worker has elaborated with its info trees kept, as :class:`~leanhost.SourceView`.

    It holds no process: a worker without the trees elaborates the source again. In a session that
    holds a worker, the trees of the last few sources are there.
    """

    result: CommandResult
    """What the elaboration came to."""
    _context: RemoteContext = field(repr=False, compare=False)
    _arguments: At = field(repr=False)
    _seconds: float | None = field(repr=False)

    def _ask(
        self,
        operation: Operation[At, list[T]],
        line: int,
        column: int,
        timeout: float | None,
        cancellation: Cancellation,
    ) -> T:
        arguments = replace(self._arguments, positions=positions_out([(line, column)]))
        seconds = self._seconds if timeout is None else timeout
        return first(self._context.ask(operation, arguments, seconds=seconds, cancellation=cancellation))

    @blocking
    def goals_at(
        self,
        line: int,
        column: int,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> tuple[str, ...]:
        """The goals at a position inside a tactic proof, as :meth:`leanhost.SourceView.goals_at`."""
        return self._ask(GOALS_AT, line, column, timeout, cancellation)

    @blocking
    def type_at(
        self,
        line: int,
        column: int,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> TypeAt | None:
        """The smallest term at a position, with its type, as :meth:`leanhost.SourceView.type_at`."""
        return self._ask(TYPES_AT, line, column, timeout, cancellation)

    @blocking
    def references(
        self,
        line: int,
        column: int,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> tuple[Position, ...]:
        """Where what stands at a position occurs, as :meth:`leanhost.SourceView.references`."""
        return self._ask(REFERENCES, line, column, timeout, cancellation)

    agoals_at = async_twin(goals_at)
    atype_at = async_twin(type_at)
    areferences = async_twin(references)

    def close(self) -> None:
        """Do nothing: a view holds nothing. For code that closes views."""
