"""One item on its way: the future of its result, and how to stop it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

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

    def wait(self) -> Result:
        """Wait for the result; whoever is interrupted in that stops it."""
        try:
            return self.future.result()
        except BaseException:
            self.cancel()
            raise


def known(result: Result) -> Submitted[Result]:
    """Return what stands for an item whose result there is already."""
    future: Future[Result] = Future()
    future.set_result(result)
    return Submitted(future, lambda: None)
