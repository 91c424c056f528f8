"""A candidate on its way to a verdict: elaborated and exported in one process, judged in another."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

from leanhost.errors import UsageError
from leanhost.services.values.results import CheckResult, Status
from leanhost.workers.jobs.import_profiles import ImportProfile, headerless, profile_of
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.messages import Export, Verify
from leanhost.workers.supervision.dispatcher import Dispatcher
from leanhost.workers.values.items import CheckItem, Request
from leanhost.workers.values.verification import Judgement, Refusal, Verification

_HINT = "for many candidates of one reference write ((reference, candidate) for candidate in candidates)"

Pair: TypeAlias = tuple[CheckItem | str, CheckItem | str]
"""A reference and a candidate."""


class VerifyJob:
    """Two requests, the second of which is made of the answer to the first; it keeps that one's turn.

    Whoever gives an answer makes the next step, which is the pool's thread.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        pair: Pair,
        *,
        from_scratch: bool,
        disproofs: bool = False,
        bounded: bool,
    ) -> None:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise UsageError("what is verified is a pair (reference, candidate)", hint=_HINT)
        self._dispatcher = dispatcher
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
        if isinstance(answered, CheckResult):
            self._end(Verification(answered.status, (_refusal("elaboration", answered),), answered))
            return
        self._whole = from_scratch or not have_library(self._reference, answered)
        self._answered = answered
        self._job = dispatcher.queue(answered, bounded=bounded, question=Export(self._whole))
        self._job.future.add_done_callback(lambda _: self._step(self._exported))

    def cancel(self) -> None:
        """Stop it where it is; the status becomes ``cancelled`` unless there is a verdict."""
        self._cancelled = True
        if not self.future.done():
            self._dispatcher.cancel(self._job)

    def _step(self, step: Callable[[], None]) -> None:
        try:
            step()
        except BaseException as error:  # the caller's: nobody else would hear of it
            with suppress(InvalidStateError):
                self.future.set_exception(error)

    def _exported(self) -> None:
        elaborated, reply = self._job.future.result(), self._job.reply
        if elaborated.status is not Status.ACCEPTED or reply is None or reply.text is None:
            self._end(Verification(elaborated.status, (_refusal("elaboration", elaborated),), elaborated))
        elif isinstance(self._reference, CheckResult):
            refused = self._reference
            self._end(Verification(refused.status, (_refusal("reference", refused),), elaborated))
        else:
            first = self._job
            other = not self._whole and not same_start(self._reference, self._answered)
            self._job = self._dispatcher.queue(
                self._reference,
                bounded=self._bounded,
                question=Verify(self._whole, self._answered if other else None),
                text=reply.text,
                after=first,
            )
            self._job.future.add_done_callback(lambda _: self._step(lambda: self._judged(elaborated)))
            if self._cancelled:  # meanwhile, so that only the first one may have heard of it
                self._dispatcher.cancel(self._job)

    def _judged(self, elaborated: CheckResult) -> None:
        judged, reply = self._job.future.result(), self._job.reply
        if judged.status in (Status.ACCEPTED, Status.REJECTED):
            found = codec.decode(reply.payload if reply else b"", Judgement)
        else:
            unsupported = judged.status is Status.UNSUPPORTED
            found = Judgement((_refusal("reference" if unsupported else "limit", judged),))
        self._end(
            Verification(
                judged.status,
                found.refusals,
                elaborated,
                from_scratch=self._whole,
                holes=found.holes,
                disproved=found.disproved,
            )
        )

    def _end(self, verification: Verification) -> None:
        with suppress(InvalidStateError):
            self.future.set_result(self._dispatcher.notice().on_verification(verification))


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
