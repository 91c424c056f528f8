"""``leanhost check``: verdicts on files, from Leans that run in child processes."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING

from leanhost import CheckItem, CheckResult, ElabOptions, Status, WorkerPool, self_test_passed
from leanhost.cli.entry import ACCEPTED, REJECTED, TROUBLE
from leanhost.cli.reading import Given, look_at
from leanhost.toolchain import Toolchain, resolve

if TYPE_CHECKING:
    from leanhost.cli.report import Report


def run(arguments: argparse.Namespace) -> int:
    """Check the files and return the exit status."""
    started = time.monotonic()
    found = look_at(arguments.files)
    files = [file for file in found if file is not None]
    if not files:
        return TROUBLE
    # Here and not in the pool, so that a first download shows its progress before anything else happens.
    toolchain = resolve(arguments.toolchain, arguments.project)
    _announce_first_use(toolchain)
    statuses: set[Status] = set()
    report: Report | None = None
    with closing(_verdicts(arguments, toolchain, [file.entry for file in files])) as verdicts:
        for result in verdicts:
            report = report or _report(arguments, files, started)
            statuses.add(result.status)
            report.result(result)
    if report is not None:
        report.finish()
    if None in found or statuses & {Status.UNSUPPORTED, Status.REFUSED}:
        return TROUBLE
    return ACCEPTED if statuses == {Status.ACCEPTED} else REJECTED


def _report(arguments: argparse.Namespace, files: Sequence[Given], started: float) -> Report:
    # Called with the first verdict, because importing rich costs as much as the rest of the command line.
    from leanhost.cli.report import ForPeople, JsonLines

    if arguments.json:
        return JsonLines()
    texts = {file.label: file.data.decode("utf-8", "replace") for file in files if file.data is not None}
    return ForPeople(texts, started=started, quiet=arguments.quiet)


def _announce_first_use(toolchain: Toolchain) -> None:
    """Tell a person at a terminal why the first check with a Lean takes longer than the next."""
    if sys.stderr.isatty() and not self_test_passed(toolchain):
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
            checked = pool.check_many(items, ordered=True, second_kernel=arguments.second_kernel)
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
        known_faults="refuse" if arguments.strict else "tell",
    )
