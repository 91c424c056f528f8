"""What ``leanhost check`` prints about each file, for people and for programs."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from rich.console import Console
from rich.text import Text

from leanhost import CheckResult, Diagnostic, Severity, Status
from leanhost.cli.text import excerpt, one_line, visible
from leanhost.errors import bounded

_WORD = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFORMATION: "info"}
_STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFORMATION: "bold blue"}
_WIDEST = 160
_NARROWEST = 40
_LONGEST = 8192  # characters of one message


class Report(Protocol):
    """Where verdicts go, one by one, and what is said at the end."""

    def result(self, result: CheckResult) -> None:
        """Report one file."""

    def finish(self) -> None:
        """End the report."""


class JsonLines:
    """One object on one line for each file, flushed at once: a reader sees it while the next is checked."""

    def result(self, result: CheckResult) -> None:
        """Print the object."""
        # ASCII only, so that neither the locale nor a lone surrogate in a file's name can spoil the line.
        print(json.dumps(result.to_json(), ensure_ascii=True, allow_nan=False), flush=True)

    def finish(self) -> None:
        """Print nothing."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave a closed pipe to the command line; rich would end the process with the status of a rejection."""
        raise BrokenPipeError


class ForPeople:
    """Diagnostics with excerpts, a verdict for each file and a summary.

    *given* holds the text of sources that are not regular files and cannot be read twice; *started* is the
    ``time.monotonic()`` from which the whole run is counted.
    """

    def __init__(self, given: Mapping[str, str], *, started: float, quiet: bool = False) -> None:
        self._console = _Console(file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=True)
        terminal = self._console.is_terminal
        self._width = max(_NARROWEST, min(self._console.width, _WIDEST)) if terminal else 120
        self._given = given
        self._quiet = quiet
        self._counts: Counter[Status] = Counter()
        self._caveats: dict[str, None] = {}
        self._toolchain = ""
        self._started = started

    def result(self, result: CheckResult) -> None:
        """Print the file's diagnostics and its verdict."""
        self._counts[result.status] += 1
        self._toolchain = result.toolchain or self._toolchain
        if result.accepted:
            self._caveats.update(dict.fromkeys(result.caveats))
        shown = [d for d in result.diagnostics if d.is_error or not self._quiet]
        if self._quiet and result.accepted:
            return
        lines = self._source(result.file) if shown else []
        for diagnostic in shown:
            self._diagnostic(diagnostic, lines)
        self._verdict(result)
        self._console.file.flush()

    def finish(self) -> None:
        """Print what the verdicts could not see, and the summary."""
        if self._quiet or not self._counts:
            return
        for caveat in self._caveats:
            self._print((f"note: {visible(caveat)}", "dim"))
        total = sum(self._counts.values())
        counts = ", ".join(f"{self._counts[s]} {_said(s)}" for s in Status if self._counts[s])
        elapsed = time.monotonic() - self._started
        with_what = f" with {visible(self._toolchain)}" if self._toolchain else ""
        self._print(
            (f"{total} file{'s' if total != 1 else ''}: {counts}", "bold"),
            (f" in {elapsed:.1f} s{with_what}", ""),
        )
        self._console.file.flush()

    def _print(self, *parts: tuple[str, str]) -> None:
        self._console.print(Text.assemble(*parts))

    def _diagnostic(self, diagnostic: Diagnostic, lines: list[str]) -> None:
        severity = diagnostic.severity
        self._print(
            (f"{one_line(diagnostic.file)}:{diagnostic.position}: ", "bold"),
            (f"{_WORD[severity]}: ", _STYLE[severity]),
            (visible(_message(diagnostic)), ""),
        )
        where, end = diagnostic.position, diagnostic.end
        if not 1 <= where.line <= len(lines):
            return
        line = lines[where.line - 1]
        if not line.strip():
            return
        stop = end.column if end is not None else where.column + 1
        if end is not None and end.line != where.line:
            stop = len(line.rstrip())
        gutter = f"{where.line:>5}"
        text, carets = excerpt(line, where.column, stop, self._width - len(gutter) - 3)
        self._print((f"{gutter} | ", "dim"), (text, ""))
        self._print((f"{'':>{len(gutter)}} | ", "dim"), (carets, _STYLE[severity]))

    def _verdict(self, result: CheckResult) -> None:
        style = "bold green" if result.accepted else "bold red"
        said = [f"{result.elapsed:.2f} s"]
        if result.accepted:
            # Those an inductive type brings with it have no place in the source, and nobody wrote them.
            count = sum(1 for t in result.theorems if t.kind == "theorem" and t.position is not None)
            axioms = sorted({axiom for t in result.theorems for axiom in t.axioms})
            said = [
                f"{count} theorem{'s' if count != 1 else ''}",
                f"axioms: {', '.join(axioms)}"
                if axioms
                else "no axioms"
                if result.all_axioms_seen
                else "no axioms seen",
                *said,
            ]
        self._print(
            (f"{one_line(result.file)}: ", "bold"),
            (_said(result.status), style),
            (f" ({'; '.join(said)})", ""),
        )
        if not result.accepted:
            told = {diagnostic.message for diagnostic in result.diagnostics}
            for reason in dict.fromkeys(result.reasons):
                if reason not in told:
                    self._print((f"  {visible(bounded(reason, _LONGEST))}", ""))

    def _source(self, file: str) -> list[str]:
        """Return the lines of a checked source as Lean counts them; none when it cannot be read again."""
        text = self._given.get(file)
        if text is None:
            try:
                with open(file, "rb") as handle:  # noqa: PTH123 - the name as given, also when it is no valid text
                    text = handle.read().decode("utf-8", "replace")
            except (OSError, ValueError):
                return []
        return text.replace("\r\n", "\n").split("\n")


def _message(diagnostic: Diagnostic) -> str:
    """Return the text for people; ``--json`` has all of it."""
    text = diagnostic.message.rstrip()
    return bounded(text, _LONGEST) if text else "(its text was left out: too many bytes of diagnostics)"


def _said(status: Status) -> str:
    return status.value.replace("_", " ")
