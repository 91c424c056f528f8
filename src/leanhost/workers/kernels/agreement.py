"""Whether the other kernels agree with what a judge accepted: one candidate's way through all of them.

A Lean that is a kernel replays the candidate while the judge still compares it: on top of the library that earlier
references with the same imports were judged on. What it lacks of that library a judge exports once it has accepted,
and what it has is what it says, so nobody has to remember what was sent to whom, and a process that is new is sent
everything again. Its answer counts once the judge has said the same library, declarations and axioms.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from leanhost.errors import LeanHostError, PoolClosed
from leanhost.services.values.results import CheckResult, Status
from leanhost.workers.jobs.job import Job
from leanhost.workers.jobs.settings import Settings
from leanhost.workers.kernels.choice import Program
from leanhost.workers.kernels.lean_kernel import LeanKernel
from leanhost.workers.kernels.program import ProgramRun
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.framing import ProtocolError
from leanhost.workers.protocol.messages import Kernel
from leanhost.workers.values.items import Request
from leanhost.workers.values.kernel_answers import KernelAnswer, KernelReply, Resting, Said, Verdict

ROUNDS = 4
"""How often a kernel may lack something of a library for one candidate; other candidates' needs are met meanwhile."""

Outcome: TypeAlias = "tuple[KernelAnswer, Status]"
"""What a kernel says, and how the process that was asked ended."""

AskJudge: TypeAlias = Callable[[tuple[str, ...], tuple[str, ...]], Job]
"""Asks a judge of the same reference for what is wanted of its library, without what is known."""


class Agreement:
    """The questions to all kernels about one candidate. *done* gets the answers, or what kept them from being."""

    def __init__(
        self,
        kernels: Sequence[LeanKernel],
        programs: Sequence[Program],
        settings: Settings,
        request: Request,
        ask_judge: AskJudge,
        done: Callable[[Sequence[Outcome] | BaseException], None],
    ) -> None:
        # Reentrant: a question that ends at once is heard of while it is asked.
        self._lock = threading.RLock()
        self._done = done
        self._ended = False
        self._said: Said | None = None
        self._outcomes: dict[int, Outcome] = {}
        self._questions: list[_Question] = [
            *(_OfLean(self, kernel, request, ask_judge) for kernel in kernels),
            *(_OfProgram(self, program, request, settings) for program in programs),
        ]

    @property
    def questions(self) -> int:
        """How many kernels are asked."""
        return len(self._questions)

    def begin(self, export: str, library: str | None) -> None:
        """The candidate was exported; *library* is the one it will probably be judged on top of."""
        with self._lock:
            for question in self._questions:
                question.begin(export, library)

    def accepted(self, said: Said, file: str) -> None:
        """The judge has accepted the candidate; *file* is an export of all of it, if a program wants one."""
        with self._lock:
            self._said = said
            for question in self._questions:
                question.judged(said, file)

    def cancel(self) -> None:
        """Stop whatever is asked; answers that are there count."""
        with self._lock:
            for question in self._questions:
                question.cancel()

    def step(self, step: Callable[[Said], None]) -> None:
        """Make a question's next step, once the judge has accepted."""
        with self._lock:
            if self._said is None or self._ended:
                return
            try:
                step(self._said)
            except BaseException as error:  # the caller's: nothing else would report it
                self._end(error)

    def answered(self, question: _Question, answer: KernelAnswer, status: Status) -> None:
        """Note the answer of one kernel."""
        with self._lock:
            self._outcomes.setdefault(id(question), (answer, status))
            if len(self._outcomes) == len(self._questions):
                self._end([self._outcomes[id(each)] for each in self._questions])

    def _end(self, result: Sequence[Outcome] | BaseException) -> None:
        if not self._ended:
            self._ended = True
            self._done(result)


class _Question(ABC):
    """What one kernel is asked. All methods run under the agreement's lock."""

    @abstractmethod
    def begin(self, export: str, library: str | None) -> None:
        """Take the candidate's export."""

    @abstractmethod
    def judged(self, said: Said, file: str) -> None:
        """The judge has accepted."""

    @abstractmethod
    def cancel(self) -> None:
        """Stop."""


class _OfLean(_Question):
    def __init__(
        self, agreement: Agreement, kernel: LeanKernel, request: Request, ask_judge: AskJudge
    ) -> None:
        self._agreement = agreement
        self._kernel = kernel
        self._request = request
        self._ask_judge = ask_judge
        self._export = ""
        self._library: str | None = None
        self._job: Job | None = None
        self._judge_job: Job | None = None
        self._rounds = 0
        self._cancelled = False

    def begin(self, export: str, library: str | None) -> None:
        self._export = export
        if library:
            self._ask(library)

    def judged(self, said: Said, file: str) -> None:
        if self._job is not None and self._library == said.library and not said.imported:
            if self._job.ended and self._job.future.done():
                self._take(self._job, said)
            return
        if self._job is not None:  # on top of another library, or without what the candidate imports
            self._kernel.cancel(self._job)
        self._ask(said.library, said=said)

    def cancel(self) -> None:
        self._cancelled = True
        if self._job is not None:
            self._kernel.cancel(self._job)

    def _ask(self, library: str, part: str = "", said: Said | None = None) -> None:
        self._library = library
        trusted, imported = ((), ()) if said is None else (said.trusted, said.imported)
        question = Kernel(library, len(part), trusted, imported)
        job = self._job = self._kernel.ask(self._request, question, part + self._export)
        job.future.add_done_callback(lambda _: self._agreement.step(lambda said: self._take(job, said)))
        if self._cancelled:
            self._kernel.cancel(job)

    def _take(self, job: Job, said: Said) -> None:
        if job is not self._job:
            return
        result = self._result_of(job)
        if result is None:
            return
        try:
            replay: KernelReply = codec.decode(job.reply.payload if job.reply else b"", KernelReply)
        except ProtocolError as error:
            self._say("limit", f"its answer is malformed: {error.message}", Status.CRASHED)
            return
        if replay.verdict == "lacking":
            self._provide(replay, said)
        elif replay.verdict == "accepted":
            why = _difference(replay, said)
            self._say("rejected" if why else "accepted", why, Status.ACCEPTED)
        else:
            self._say(replay.verdict, replay.message, Status.REJECTED)

    def _provide(self, replay: KernelReply, said: Said) -> None:
        """Have a judge export what is lacking, and ask again."""
        self._rounds += 1
        if self._rounds > ROUNDS or not said.library:
            lacking = ", ".join(replay.lacking[:3])
            self._say(
                "limit", f"it has not got what the candidate needs of the library: {lacking}", Status.CRASHED
            )
            return
        job = self._ask_judge(replay.lacking, replay.known)
        job.future.add_done_callback(lambda _: self._agreement.step(lambda said: self._provided(job, said)))

    def _provided(self, job: Job, said: Said) -> None:
        result = self._result_of(job)
        if result is None:
            return
        library, text = (job.reply.payload, job.reply.text or "") if job.reply else (b"", "")
        try:
            same = codec.decode(library, str) == said.library
        except ProtocolError as error:
            self._say("limit", f"the judge's answer is malformed: {error.message}", Status.CRASHED)
            return
        if same:
            self._ask(said.library, text, said)
        else:
            self._say("limit", "the library was changed while the candidate was judged", Status.CRASHED)

    def _result_of(self, job: Job) -> CheckResult | None:
        """Return how a job ended that has an answer; if it has none, that is the answer."""
        error = job.future.exception()
        if isinstance(error, LeanHostError) and not isinstance(error, PoolClosed):
            self._say("limit", error.message, Status.CRASHED)
            return None
        result = job.future.result()
        if result.status is Status.ACCEPTED:
            return result
        why = result.reasons[0] if result.reasons else result.status.value
        self._say("limit", why, result.status)
        return None

    def _say(self, verdict: Verdict, message: str, status: Status) -> None:
        toolchain = self._kernel.toolchain
        version = toolchain.version or self._kernel.supervisor.lean[0]
        answer = KernelAnswer(toolchain.name, version, toolchain.commit, verdict, message)
        self._agreement.answered(self, answer, status)


class _OfProgram(_Question):
    def __init__(self, agreement: Agreement, program: Program, request: Request, settings: Settings) -> None:
        self._agreement = agreement
        self._program = program
        self._seconds = request.timeout
        self._settings = settings
        self._export = ""
        self._run: ProgramRun | None = None

    def begin(self, export: str, library: str | None) -> None:
        self._export = export

    def judged(self, said: Said, file: str) -> None:
        # The candidate's own export has everything if it was judged from nothing on.
        file = file or self._export
        self._run = ProgramRun(
            self._program,
            file,
            self._seconds,
            self._settings,
            lambda answer, status: self._agreement.answered(self, answer, status),
        )

    def cancel(self) -> None:
        if self._run is not None:
            self._run.cancel()


def _difference(replay: KernelReply, said: Said) -> str:
    """Return what two kernels that both accepted do not agree on."""
    if replay.digest != said.digest:
        return "it accepted declarations that say something else"
    theirs, judges = _by_name(replay.axioms), _by_name(said.axioms)
    for name in said.wanted:
        more = sorted(set(theirs.get(name, ())) - set(judges.get(name, ())))
        if more:
            return f"{name} rests on {', '.join(more)} there, and here it does not"
    return ""


def _by_name(axioms: Iterable[Resting]) -> dict[str, tuple[str, ...]]:
    return {name: group.axioms for group in axioms for name in group.constants}
