"""``leanhost check``: verdicts on files, from Leans that run in child processes."""

from __future__ import annotations

import argparse
import os
import stat
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from leanhost.cli.entry import ACCEPTED, REJECTED, TROUBLE, complain
from leanhost.cli.reading import STDIN, read_whole, stdin
from leanhost.errors import UsageError
from leanhost.services import verified
from leanhost.services.options import ElabOptions
from leanhost.services.results import CheckResult, Diagnostic, Status
from leanhost.services.source import decode
from leanhost.toolchain import Toolchain, resolve
from leanhost.workers import CheckItem, WorkerPool

if TYPE_CHECKING:
    from leanhost.cli.report import Report


@dataclass(slots=True)
class _Plan:
    """What is to be done, in the order of the arguments.

    A source that cannot be Lean text at all has its verdict already. ``given`` keeps the text of what can be
    read only once; ``unreadable`` counts the files that got a complaint instead of a place here.
    """

    entries: list[CheckItem | CheckResult] = field(default_factory=list)
    given: dict[str, str] = field(default_factory=dict)
    unreadable: int = 0


def run(arguments: argparse.Namespace) -> int:
    """Check the files and return the exit status."""
    started = time.monotonic()
    plan = _plan(arguments)
    if not plan.entries:
        return TROUBLE
    # Here and not in the pool, so that a first download shows its progress before anything else happens.
    toolchain = resolve(arguments.toolchain, arguments.project)
    _announce_first_use(toolchain)
    statuses: set[Status] = set()
    report: Report | None = None
    with closing(_verdicts(arguments, toolchain, plan.entries)) as verdicts:
        for result in verdicts:
            report = report or _report(arguments, plan, started)
            statuses.add(result.status)
            report.result(result)
    if report is not None:
        report.finish()
    if plan.unreadable or statuses & {Status.UNSUPPORTED, Status.REFUSED}:
        return TROUBLE
    return ACCEPTED if statuses == {Status.ACCEPTED} else REJECTED


def _report(arguments: argparse.Namespace, plan: _Plan, started: float) -> Report:
    # Called with the first verdict, because importing rich costs as much as the rest of the command line.
    from leanhost.cli.report import ForPeople, JsonLines

    if arguments.json:
        return JsonLines()
    return ForPeople(plan.given, started=started, quiet=arguments.quiet)


def _announce_first_use(toolchain: Toolchain) -> None:
    """Tell a person at a terminal why the first check with a Lean takes longer than the next."""
    if sys.stderr.isatty() and verified.load(toolchain) is None:
        print(
            "leanhost: first use of this Lean: it goes through a self-test, once", file=sys.stderr, flush=True
        )


def _verdicts(
    arguments: argparse.Namespace, toolchain: Toolchain, entries: Sequence[CheckItem | CheckResult]
) -> Generator[CheckResult, None, None]:
    """Yield one result for each entry, in order, as soon as it and all before it are known."""
    label = f"{toolchain.name} (Lean {toolchain.version}, {toolchain.platform})"
    items = [entry for entry in entries if isinstance(entry, CheckItem)]
    with ExitStack() as stack:
        checked: Iterator[CheckResult] = iter(())
        if items:
            pool = stack.enter_context(_pool(arguments, toolchain, min(arguments.jobs, len(items))))
            checked = pool.check_many(items, ordered=True)
        for entry in entries:
            yield replace(entry, toolchain=label) if isinstance(entry, CheckResult) else next(checked)


def _pool(arguments: argparse.Namespace, toolchain: Toolchain, workers: int) -> WorkerPool:
    return WorkerPool(
        toolchain=toolchain,
        project=arguments.project,
        search_path=arguments.search_path,
        workers=workers,
        options=ElabOptions(
            max_heartbeats=arguments.max_heartbeats,
            max_rec_depth=arguments.max_rec_depth,
            timeout=arguments.timeout,
        ),
        allow_axioms=arguments.allow_axiom,
        imports=arguments.imports,
    )


# --- reading --------------------------------------------------------------------------------------


def _plan(arguments: argparse.Namespace) -> _Plan:
    """Look at every argument before anything is started; complain about those that cannot be read."""
    plan = _Plan()
    if arguments.files.count("-") > 1:
        raise UsageError("standard input (-) can be checked only once")
    for name in arguments.files:
        try:
            plan.entries.append(_entry(name, plan))
        except OSError as error:
            complain(f"cannot read {STDIN if name == '-' else name}: {error.strerror or error}")
            plan.unreadable += 1
    return plan


def _entry(name: str, plan: _Plan) -> CheckItem | CheckResult:
    if name == "-":
        return _read_now(read_whole(stdin()), STDIN, plan)
    with open(name, "rb") as handle:  # noqa: PTH123 - the name as given is the label
        if stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
            return CheckItem(path=name, file=name)
        # A pipe or a device can be read once, and `<(...)` of a shell has no name in a child process.
        return _read_now(read_whole(handle), name, plan)


def _read_now(data: bytes, name: str, plan: _Plan) -> CheckItem | CheckResult:
    plan.given[name] = data.decode("utf-8", "replace")
    text = decode(data, name)
    if isinstance(text, Diagnostic):
        return CheckResult(name, Status.REJECTED, (text,), reasons=(text.message,))
    return CheckItem(source=text, file=name)
