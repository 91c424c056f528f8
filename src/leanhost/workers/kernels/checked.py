"""A check whose verdict takes a second kernel: the source is judged in its worker, and replayed in another's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import replace

from leanhost.services.values.results import CheckResult, Diagnostic, Position, Severity, Status
from leanhost.workers.batch.submitted import attempt
from leanhost.workers.jobs.import_profiles import ImportProfile, headerless, profile_of
from leanhost.workers.jobs.job import Job
from leanhost.workers.kernels.agreement import Outcome
from leanhost.workers.kernels.registry import Kernels
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.framing import ProtocolError
from leanhost.workers.protocol.messages import Check, Library
from leanhost.workers.supervision.dispatcher import Dispatcher
from leanhost.workers.values.items import Request
from leanhost.workers.values.kernel_answers import Said

KIND = "leanhost.kernels_disagree"


class CheckedTwice:
    """One source on its way through its own worker and the kernels of the pool."""

    def __init__(self, dispatcher: Dispatcher, kernels: Kernels, request: Request, *, bounded: bool) -> None:
        self._dispatcher = dispatcher
        self._kernels = kernels
        self._request = request
        self.future: Future[CheckResult] = Future()
        chosen = kernels.chosen(None)
        self._missing = chosen.missing
        self._job = dispatcher.queue(request, bounded=bounded, question=Check(second=True))
        self._agreement = kernels.agreement(
            chosen, request, self._ask_judge, lambda result: self._step(lambda: self._agreed(result))
        )
        self._job.future.add_done_callback(lambda _: self._step(self._checked))

    def cancel(self) -> None:
        """Stop it; the status becomes ``cancelled`` unless there is a verdict."""
        self._dispatcher.cancel(self._job)
        self._agreement.cancel()

    def _step(self, step: Callable[[], None]) -> None:
        attempt(self.future, step)

    @property
    def _head(self) -> ImportProfile:
        return profile_of(self._request.source, headerless(self._request.imports))

    def _ask_judge(self, wanted: tuple[str, ...], known: tuple[str, ...]) -> Job:
        question = Library(wanted, known, whole=False)
        return self._dispatcher.queue(self._request, bounded=False, question=question, after=self._job)

    def _checked(self) -> None:
        self._result = self._job.future.result()
        if self._result.status is not Status.ACCEPTED:
            self._end(self._result)
        elif self._missing:
            why = f"no second kernel has seen it: {self._missing}"
            self._end(self._told(replace(self._result, caveats=(*self._result.caveats, why)), ()))
        elif not self._agreement.questions:
            self._end(self._told(self._result, ()))
        else:
            reply = self._job.reply
            try:
                said: Said = codec.decode(reply.payload if reply else b"", Said)
            except ProtocolError as error:  # of a process that has run the source
                why = f"what it says for another kernel is malformed: {error.message}"
                self._end(replace(self._result, status=Status.CRASHED, reasons=(why,)))
                return
            if said.library:
                self._kernels.remember(self._head, said.library)
            self._agreement.begin((reply.text if reply else None) or "", None)
            self._agreement.accepted(said, "")

    def _agreed(self, outcomes: Sequence[Outcome] | BaseException) -> None:
        if isinstance(outcomes, BaseException):
            raise outcomes
        own = self._kernels.own(self._dispatcher.notice().version)
        for answer, _ in outcomes:
            if answer.answer == "rejected":
                self._refuse(Status.REJECTED, f"{own} accepted it, and {answer} did not: {answer.message}")
                return
        for answer, status in outcomes:
            if answer.answer == "limit":
                status = Status.REJECTED if status is Status.ACCEPTED else status
                self._refuse(status, f"the kernel {answer} came to no answer: {answer.message}")
                return
        self._end(self._told(self._result, [answer.version for answer, _ in outcomes if answer.version]))

    def _told(self, result: CheckResult, agreed: Sequence[str]) -> CheckResult:
        return self._dispatcher.notice().on_check(result, agreed)

    def _refuse(self, status: Status, why: str) -> None:
        fault = Diagnostic(Severity.ERROR, why, Position(1, 0), None, self._request.file, KIND)
        diagnostics = (*self._result.diagnostics, fault)
        self._end(replace(self._result, status=status, diagnostics=diagnostics, reasons=(why,)))

    def _end(self, result: CheckResult) -> None:
        if self._request.id is not None:
            result = replace(result, id=self._request.id)
        with suppress(InvalidStateError):
            self.future.set_result(result)
