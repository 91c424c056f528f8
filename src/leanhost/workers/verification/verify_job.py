"""A candidate on its way to a verdict: elaborated and exported in one process, judged in another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

from leanhost.errors import UsageError
from leanhost.services.values.results import CheckResult, Status
from leanhost.workers.batch.submitted import attempt
from leanhost.workers.jobs.import_profiles import ImportProfile, headerless, profile_of
from leanhost.workers.jobs.job import Job
from leanhost.workers.kernels.agreement import Agreement, Outcome
from leanhost.workers.kernels.choice import KernelChoice
from leanhost.workers.kernels.registry import Kernels
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.framing import ProtocolError
from leanhost.workers.protocol.messages import Export, Library, Verify
from leanhost.workers.supervision.dispatcher import Dispatcher
from leanhost.workers.values.items import CheckItem, Request
from leanhost.workers.values.kernel_answers import KernelAnswer
from leanhost.workers.values.verification import Judged, Judgement, Refusal, Verification

_HINT = "for many candidates of one reference write ((reference, candidate) for candidate in candidates)"

Pair: TypeAlias = tuple[CheckItem | str, CheckItem | str]
"""A reference and a candidate."""


class VerifyJob:
    """Two requests, the second of which is made of the answer to the first; it keeps that one's turn.

    Beside the second, and after it, other kernels are asked. Whoever gives an answer makes the next step, which is
    the thread of the pool or of a kernel.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        registry: Kernels,
        pair: Pair,
        *,
        from_scratch: bool,
        disproofs: bool = False,
        bounded: bool,
        kernels: Sequence[KernelChoice] | None = None,
    ) -> None:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise UsageError("what is verified is a pair (reference, candidate)", hint=_HINT)
        self._dispatcher = dispatcher
        self._kernels = registry
        self._bounded = bounded
        self._cancelled = False
        self.future: Future[Verification] = Future()
        self._reference, answered = map(dispatcher.request, pair)
        if isinstance(self._reference, Request):
            asked = replace(self._reference.asked, disproofs=disproofs)
            self._reference = replace(self._reference, asked=asked)
            if isinstance(answered, Request):
                answered = replace(answered, asked=asked)
        self._whole = from_scratch
        self._chosen = registry.chosen(kernels)
        self._agreement: Agreement | None = None
        if isinstance(answered, CheckResult):
            self._end(Verification(answered.status, (_refusal("elaboration", answered),), answered))
            return
        self._whole = from_scratch or not have_library(self._reference, answered)
        self._answered = answered
        self._job = dispatcher.queue(answered, bounded=bounded, question=Export(self._whole))
        if self._chosen and not isinstance(self._reference, CheckResult):
            # Now, so that processes start while the candidate is elaborated.
            self._agreement = registry.agreement(
                self._chosen,
                self._reference,
                self._ask_judge,
                lambda result: self._step(lambda: self._agreed(result)),
            )
        self._job.future.add_done_callback(lambda _: self._step(self._exported))

    def cancel(self) -> None:
        """Stop it where it is; the status becomes ``cancelled`` unless there is a verdict."""
        self._cancelled = True
        if not self.future.done():
            self._dispatcher.cancel(self._job)
            if self._agreement is not None:
                self._agreement.cancel()

    def _step(self, step: Callable[[], None]) -> None:
        attempt(self.future, step)

    def _exported(self) -> None:
        elaborated, reply = self._job.future.result(), self._job.reply
        if elaborated.status is not Status.ACCEPTED or reply is None or reply.text is None:
            self._end(Verification(elaborated.status, (_refusal("elaboration", elaborated),), elaborated))
        elif isinstance(self._reference, CheckResult):
            refused = self._reference
            self._end(Verification(refused.status, (_refusal("reference", refused),), elaborated))
        else:
            first = self._job
            other = not self._whole and self._start is not self._reference
            if self._agreement is not None:
                library = None if self._whole else self._kernels.library(_profile(self._start))
                self._agreement.begin(reply.text, library)
            self._job = self._dispatcher.queue(
                self._reference,
                bounded=self._bounded,
                question=Verify(
                    self._whole,
                    self._answered if other else None,
                    second=self._agreement is not None,
                    file=self._agreement is not None and bool(self._chosen.programs),
                ),
                text=reply.text,
                after=first,
            )
            self._job.future.add_done_callback(lambda _: self._step(lambda: self._judged(elaborated)))
            if self._cancelled:  # meanwhile, so that only the first one may have heard of it
                self._dispatcher.cancel(self._job)

    @property
    def _start(self) -> Request:
        """The one on whose imports the candidate is judged."""
        assert isinstance(self._reference, Request)
        return self._reference if same_start(self._reference, self._answered) else self._answered

    def _ask_judge(self, wanted: tuple[str, ...], known: tuple[str, ...]) -> Job:
        """Have a judge export a part of the library that the candidate was judged on."""
        question = Library(wanted, known, whole=True)
        return self._dispatcher.queue(self._start, bounded=False, question=question, after=self._job)

    def _judged(self, elaborated: CheckResult) -> None:
        judged, reply = self._job.future.result(), self._job.reply
        if judged.status in (Status.ACCEPTED, Status.REJECTED):
            answer: Judged = codec.decode(reply.payload if reply else b"", Judged)
            found, said = answer.judgement, answer.said
        else:
            unsupported = judged.status is Status.UNSUPPORTED
            found, said = Judgement((_refusal("reference" if unsupported else "limit", judged),)), None
        self._verdict = Verification(
            judged.status,
            found.refusals,
            elaborated,
            from_scratch=self._whole,
            caveats=self._caveats,
            holes=found.holes,
            disproved=found.disproved,
        )
        if self._agreement is None or judged.status is not Status.ACCEPTED:
            if judged.status is Status.ACCEPTED:
                self._verdict = replace(self._verdict, kernels=(self._own,))
            self._end(self._verdict)
            if self._agreement is not None:
                self._agreement.cancel()
            return
        if said is None:
            raise ProtocolError("a judge that accepted says nothing for another kernel")
        if said.library:
            self._kernels.remember(_profile(self._start), said.library)
        self._agreement.accepted(said, (reply.text if reply else None) or "")

    def _agreed(self, result: Sequence[Outcome] | BaseException) -> None:
        """All kernels have answered."""
        if isinstance(result, BaseException):
            raise result
        own = self._own
        answers = (own, *(answer for answer, _ in result))
        refusals = [_disagreement(own, answer) for answer in answers if answer.answer == "rejected"]
        status = Status.REJECTED if refusals else Status.ACCEPTED
        for answer, ended in result:
            if answer.answer == "limit":
                refusals.append(
                    Refusal("limit", "", f"the kernel {answer} came to no answer: {answer.message}")
                )
                if status is Status.ACCEPTED:
                    status = Status.REJECTED if ended is Status.ACCEPTED else ended
        verdict = replace(self._verdict, status=status, refusals=tuple(refusals), kernels=answers)
        self._end(replace(verdict, holes=(), disproved=()) if refusals else verdict)

    @property
    def _own(self) -> KernelAnswer:
        """The answer of the judge's kernel to what it accepted."""
        return self._kernels.own(self._dispatcher.notice().version)

    @property
    def _caveats(self) -> tuple[str, ...]:
        why = self._chosen.missing
        return (f"no second kernel has seen it: {why}",) if why else ()

    def _end(self, verification: Verification) -> None:
        with suppress(InvalidStateError):
            agreed = [each.version for each in verification.kernels[1:] if each.version]
            self.future.set_result(self._dispatcher.notice().on_verification(verification, agreed))


def _disagreement(own: KernelAnswer, answer: KernelAnswer) -> Refusal:
    text = f"{own} accepted the candidate, and {answer} did not: {answer.message}"
    return Refusal("kernels-disagree", "", text)


def _refusal(code: str, result: CheckResult) -> Refusal:
    return Refusal(code, "", result.reasons[0] if result.reasons else "no export")


def have_library(*requests: Request | CheckResult) -> bool:
    """Whether all can be compared on top of imports; one that has no text is not compared at all."""
    return all(_profile(each).has_library for each in requests if isinstance(each, Request))


def same_start(*requests: Request) -> bool:
    """Whether both can be compared on top of one import."""
    first, second = map(_profile, requests)
    return first.shared_with(second)


def _profile(request: Request) -> ImportProfile:
    return profile_of(request.source, headerless(request.imports))
