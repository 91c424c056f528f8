"""Ctrl-C while a frame is under way.

``KeyboardInterrupt`` can come between any two bytecodes of the main thread: after a byte was written and
before that was noted. An exchange over the pipes therefore runs with the handler replaced by one that takes a
note, and the real handler is called when the channel is at rest again.

Replacing a handler costs as much as an exchange, so a supervised piece of work does it once, with the shield
lowered between its exchanges.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Shield:
    """Notes SIGINT while up; does nothing outside the main thread.

    ``lowered`` lets interrupts through for a while (Python code runs), at the cost of one attribute.
    """

    __slots__ = ("_handler", "lowered", "pending")

    def __init__(self, lowered: bool = False) -> None:
        self._handler: Any = None
        self.lowered = lowered
        self.pending = False

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.lowered:
            self._handler(signum, frame)
        else:
            self.pending = True

    def __enter__(self) -> Shield:
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                self._handler = handler
                signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        # Python code that ran under a lowered shield may have put a handler of its own there.
        if self._handler is not None and signal.getsignal(signal.SIGINT) == self._note:
            signal.signal(signal.SIGINT, self._handler)

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Hold interrupts back while the block runs."""
        self.lowered = False
        try:
            yield
        finally:
            self.lowered = True

    def deliver(self) -> None:
        """Call the real handler if there was an interrupt; call it when the shield is no longer in use."""
        if self.pending:
            self.pending = False
            self._handler(signal.SIGINT, None)
