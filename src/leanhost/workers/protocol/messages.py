"""What a pool and its processes say to each other, as types: the envelope of each frame and each packet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Generic, Literal, TypeAlias, TypeVar

from msgspec import Struct

from leanhost import errors
from leanhost.errors import LeanHostError, WorkerStartError
from leanhost.lean.core import Import
from leanhost.limit import Limit
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.outcomes import ElabFailure
from leanhost.services.values.progress import ProgressEvent
from leanhost.services.values.results import CheckResult, CommandResult
from leanhost.system.process_limits import Limits
from leanhost.toolchain import Toolchain
from leanhost.workers.protocol import codec
from leanhost.workers.values.items import Request

A = TypeVar("A")

SandboxMode: TypeAlias = Literal["auto", "required", "off"]


class Config(Struct, frozen=True):
    """What a worker or a zygote is to be; the first that it receives."""

    toolchain: Toolchain
    search_path: tuple[Path, ...]
    strict: bool
    options: ElabOptions
    header: str
    """The header of the source it is started for."""
    preload: tuple[Import, ...] | None
    """What to import instead."""
    limits: Limits
    startup_timeout: float
    sandbox: SandboxMode
    scratch: str
    kernel: bool = False
    """Whether it is a kernel, which elaborates nothing."""


# --- requests ---


class Kind(Struct, frozen=True, tag_field="kind"):
    """What a request asks a worker for."""

    judging: ClassVar[bool] = False
    """Whether what comes with the request is data to the worker: only the source may run code."""


class Check(Kind, frozen=True, tag="check"):
    """Elaborate a source and judge what it declares.

    With *second*, what was accepted comes back for another kernel: a
    :class:`~leanhost.workers.values.kernel_answers.Said` as the payload, and the export as a text.
    """

    second: bool = False


class Export(Kind, frozen=True, tag="export"):
    """Elaborate a source and export what it adds; if *whole*, with what that rests on. Answered with a text."""

    whole: bool


class Verify(Kind, frozen=True, tag="verify"):
    """Compare the export that comes as a text with a reference, which is the source.

    Answered with a :class:`~leanhost.workers.values.verification.Judged` as the payload; if *file*, what was accepted
    comes back as a text, exported with what it rests on.
    """

    judging: ClassVar[bool] = True
    whole: bool
    start: Request | None = None
    """The candidate, where it begins with other imports."""
    second: bool = False
    """Whether to say what was accepted, for another kernel."""
    file: bool = False


class Replay(Kind, frozen=True, tag="replay"):
    """Have the kernel check the export in a file. Answered with a payload."""

    judging: ClassVar[bool] = True
    path: str
    trusted: tuple[str, ...]


class Library(Kind, frozen=True, tag="library"):
    """Export what *wanted* rests on of the library that the source imports, without what is *known* already.

    If *whole*, that is all of it even for a ``module``. Answered with the library's identity as the payload, and a
    text.
    """

    judging: ClassVar[bool] = True
    wanted: tuple[str, ...]
    known: tuple[str, ...]
    whole: bool


class Kernel(Kind, frozen=True, tag="kernel"):
    """Replay the candidate's export that comes as a text, on top of a library that the process keeps.

    Answered with a :class:`~leanhost.workers.values.kernel_answers.KernelReply` as the payload.
    """

    judging: ClassVar[bool] = True
    library: str
    """Its identity; ``""`` to begin with nothing."""
    part: int = 0
    """So many characters of the text come before the candidate: another part of the library."""
    trusted: tuple[str, ...] = ()
    """Without a library: the functions that are those which the kernel computes."""
    imported: tuple[str, ...] = ()
    """What the candidate needs of the library beside what it mentions."""


class Ask(Kind, frozen=True, tag="ask"):
    """Perform an operation of a session; the payload is an :class:`Invocation`. Answered with a payload."""

    operation: str
    progress: bool
    """Whether to tell how far it has come."""


class Spec(Struct, frozen=True):
    """What a worker makes a session from."""

    imports: tuple[Import, ...]
    options: ElabOptions
    grown: tuple[tuple[str, str], ...] = ()
    """The sources it is extended by, each with the label of its file."""


class Invocation(Struct, Generic[A], frozen=True):
    """The payload of a request: the arguments of an operation, and the session it is performed on."""

    spec: Spec
    arguments: A


Question: TypeAlias = Check | Export | Verify | Replay | Library | Kernel | Ask


class Order(Struct, frozen=True, tag="order"):
    """A request, and what is asked about it."""

    id: str
    request: Request
    question: Question
    held: bool = False
    """Whether a session holds the worker: what the request leaves there is to stay."""


class Cancel(Struct, frozen=True, tag="cancel"):
    """Stop the request with this identity."""

    id: str


class Reset(Struct, frozen=True, tag="reset"):
    """Put Lean back to what it was before the first request."""


Command: TypeAlias = Order | Cancel | Reset
"""What a worker receives."""


# --- replies ---


class Ready(Struct, frozen=True, tag="ready"):
    """The process is up, with what it says of its Lean and of what confines it."""

    label: str
    sandbox: str = ""
    lean: tuple[str, str] | None = None
    """The version and the platform of its Lean."""


class Failed(Struct, frozen=True, tag="failed"):
    """The process cannot be what it should; the payload is a :class:`Raised`."""


class Begun(Struct, frozen=True, tag="begun"):
    """The imports of a request are there: its time runs from now on."""

    id: str


class Told(Struct, frozen=True, tag="told"):
    """How far a request has come."""

    id: str
    event: ProgressEvent


class Done(Struct, frozen=True, tag="done"):
    """The answer to a request. A payload or a text may come with it."""

    id: str
    result: CheckResult
    """Of which the pool takes neither the file nor the output."""
    spent: bool = True
    """Whether the process is of no further use."""
    raised: bool = False
    """Whether the payload is a :class:`Raised`, and not the value that was asked for."""


Reply: TypeAlias = Ready | Failed | Begun | Told | Done
"""What a worker sends."""


# --- zygotes ---


class Fork(Struct, frozen=True):
    """Fork a worker, which is to have the descriptors that come along."""

    number: int


class Born(Struct, frozen=True, tag="born"):
    """It is there; its pidfd comes along."""

    number: int
    pid: int


class NotForked(Struct, frozen=True, tag="not forked"):
    """The system did not let it be made."""

    number: int
    why: str


class Ended(Struct, frozen=True, tag="ended"):
    """A worker has ended, with a status as :func:`os.waitstatus_to_exitcode` gives it."""

    number: int
    status: int


ZygoteReply: TypeAlias = Ready | Failed | Born | NotForked | Ended
"""What a zygote sends."""


# --- programs ---


class ProgramConfig(Struct, frozen=True):
    """The program that a process is to run, for so many seconds; the first that it receives."""

    command: tuple[str, ...]
    seconds: float
    limits: Limits
    sandbox: SandboxMode
    scratch: str


class Exited(Struct, frozen=True, tag="exited"):
    """The program has ended, with a status as :class:`subprocess.Popen` gives it."""

    status: int


class NotRun(Struct, frozen=True, tag="not run"):
    """The program could not be started."""

    why: str


class Late(Struct, frozen=True, tag="late"):
    """The program has not ended in time."""


ProgramReply: TypeAlias = Exited | NotRun | Late
"""What the process around a program sends."""


# --- errors ---


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception that travels: its class by the code, and what it carries."""

    code: str
    message: str
    hint: str
    limit: Limit | None
    result: CommandResult | ElabFailure | None


_RESULTS = (CommandResult, ElabFailure)
_CLASSES = {
    cls.code: cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, LeanHostError)
}


def error_out(error: BaseException) -> bytes:
    """Encode why a worker could not start, or what a call of a session raised."""
    raised = Raised(WorkerStartError.code, f"{type(error).__name__}: {error}", "", None, None)
    if isinstance(error, LeanHostError):
        raised = Raised(error.code, error.message, error.hint, None, None)
        if isinstance(error, errors.ElaborationError):
            raised = replace(raised, result=error.result if isinstance(error.result, _RESULTS) else None)
        elif isinstance(error, errors.MetaError):
            raised = replace(raised, limit=error.limit)
    return codec.encode(raised, Raised)


def error_in(payload: bytes) -> LeanHostError:
    """Rebuild a worker's error under its own class, or as :class:`WorkerStartError`."""
    raised: Raised = codec.decode(payload, Raised)
    cls = _CLASSES.get(raised.code, WorkerStartError)
    if cls is errors.ElaborationError:
        if raised.result is None:
            raise codec.ProtocolError("an error of elaboration carries a result")
        return errors.ElaborationError(raised.message, result=raised.result, hint=raised.hint)
    if cls is errors.MetaError:
        return errors.MetaError(raised.message, limit=raised.limit, hint=raised.hint)
    return cls(raised.message, hint=raised.hint)
