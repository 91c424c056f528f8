"""Telling a person what an installation is doing: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PLAIN_SECONDS = 10.0


def megabytes(size: float) -> str:
    """Return *size* bytes as text in decimal megabytes."""
    return f"{size / 1e6:.0f} MB"


class Reporter(Protocol):
    """What an installation tells while it works. Sizes are bytes."""

    def note(self, text: str) -> None:
        """Say one sentence."""

    def stage(self, text: str, total: int | None = None) -> None:
        """Begin a step, of *total* bytes if that is known."""

    def at(self, done: int) -> None:
        """Say how many bytes of the current step are done."""

    def finish(self) -> None:
        """End the display; calling twice is fine."""


class Silent:
    """A reporter that says nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def stage(self, text: str, total: int | None = None) -> None:
        """Say nothing."""

    def at(self, done: int) -> None:
        """Say nothing."""

    def finish(self) -> None:
        """Say nothing."""


class PlainLines:
    """A reporter for logs: a line for each step, and one every ten seconds of a long step."""

    def __init__(self) -> None:
        self._text, self._total, self._last = "", 0, 0.0

    def note(self, text: str) -> None:
        """Print one line to standard error."""
        print(f"leanhost: {text}", file=sys.stderr, flush=True)

    def stage(self, text: str, total: int | None = None) -> None:
        """Print the step's name."""
        self._text, self._total, self._last = text, total or 0, time.monotonic()
        self.note(f"{text}...")

    def at(self, done: int) -> None:
        """Print how far the step is, at most every ten seconds."""
        now = time.monotonic()
        if now - self._last >= _PLAIN_SECONDS:
            self._last = now
            of = f" of {megabytes(self._total)}" if self._total else ""
            self.note(f"{self._text}: {megabytes(done)}{of}")

    def finish(self) -> None:
        """Nothing is left open."""


class Bar:
    """A reporter with a progress bar on standard error (rich)."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        self._progress: Progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None

    def note(self, text: str) -> None:
        """Print one line above the bar."""
        self._progress.console.print(f"leanhost: {text}", highlight=False, markup=False)

    def stage(self, text: str, total: int | None = None) -> None:
        """Complete the last bar and start the next."""
        self._complete()
        self._progress.start()
        self._task = self._progress.add_task(text, total=total)

    def at(self, done: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, completed=done)

    def _complete(self) -> None:
        if self._task is not None:
            task = self._progress.tasks[-1]
            self._progress.update(
                self._task, total=task.total or task.completed, completed=task.total or task.completed
            )
            self._task = None

    def finish(self) -> None:
        """Take the display down; an interrupted bar stays where it was."""
        self._progress.stop()


def default_reporter() -> Reporter:
    """Return a bar when standard error is a terminal, plain lines otherwise."""
    return Bar() if sys.stderr is not None and sys.stderr.isatty() else PlainLines()
