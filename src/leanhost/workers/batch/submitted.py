"""One item on its way: the future of its result, and how to stop it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.results import CheckResult
from leanhost.workers.values.verification import Verification

LOOK_S = 0.05
"""Seconds between two looks at a caller's token, and at what a worker tells of its progress."""

Result = TypeVar("Result", CheckResult, Verification)


@dataclass(frozen=True, slots=True)
class Submitted(Generic[Result]):
    """An item under way: what will hold its result, and how to stop it."""

    future: Future[Result]
    cancel: Callable[[], None]

    def wait(self, cancellation: Cancellation = None) -> Result:
        """Wait for the result; *cancellation*, or whatever interrupts the caller, stops the item."""
        try:
            while cancellation is not None and not wait([self.future], timeout=LOOK_S).done:
                if cancellation.is_cancelled:
                    self.cancel()
                    break
            return self.future.result()
        except BaseException:
            self.cancel()
            raise


def known(result: Result) -> Submitted[Result]:
    """Return what stands for an item whose result there is already."""
    future: Future[Result] = Future()
    future.set_result(result)
    return Submitted(future, lambda: None)


def attempt(future: Future[Any], step: Callable[[], None]) -> None:
    """Make the next *step* of an item; what it raises is for whoever waits for *future*, as nothing else reports it."""
    try:
        step()
    except BaseException as error:
        with suppress(InvalidStateError):
            future.set_exception(error)
