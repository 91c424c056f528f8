"""``leanhost doctor``: what discovery found, what would be used, and whether it works."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from typing import TYPE_CHECKING, Any

from leanhost import __version__
from leanhost.cli.entry import ACCEPTED, TROUBLE
from leanhost.cli.text import visible
from leanhost.cli.toolchain import describe
from leanhost.toolchain import Finding, Toolchain, explain
from leanhost.toolchain.cache import cache_dir

if TYPE_CHECKING:
    from leanhost.services.selftest import Report


def run(arguments: argparse.Namespace) -> int:
    """Print the diagnosis; the status says whether a toolchain is usable, or would be once it is fetched."""
    findings = explain(arguments.toolchain, arguments.project)
    chosen = next((finding for finding in findings if finding.chosen), None)
    toolchain = chosen.found if chosen is not None else None
    report = _self_test(toolchain) if toolchain is not None else None
    diagnosis = {
        "leanhost": __version__,
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "platform": platform.platform(),
        "cache": {"path": str(cache_dir()), "exists": cache_dir().is_dir()},
        "discovery": [_finding(finding) for finding in findings],
        "toolchain": describe(toolchain) if toolchain is not None else None,
        "self_test": report.to_json() if report is not None else None,
    }
    if arguments.json:
        print(json.dumps(diagnosis))
    else:
        _print(diagnosis)
    if report is not None:
        return ACCEPTED if report.ok else TROUBLE
    # Nothing is fetched here; an embedded toolchain that would be is in order, anything else is an error.
    return ACCEPTED if chosen is not None and "would be fetched" in chosen.note else TROUBLE


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "looked_at": finding.looked_at,
        "found": finding.found.name if finding.found is not None else None,
        "note": finding.note,
        "chosen": finding.chosen,
    }


def _self_test(toolchain: Toolchain) -> Report:
    """Try the version tables in child processes; return the report of the first that fits, or the last."""
    from leanhost.services import opening, selftest

    reports = (selftest.run(toolchain, table) for table in opening.candidates(toolchain))
    report = next(reports)
    while not report.ok and (following := next(reports, None)) is not None:
        report = following
    return report


def _print(diagnosis: dict[str, Any]) -> None:
    python, cache = diagnosis["python"], diagnosis["cache"]
    _line("leanhost", diagnosis["leanhost"])
    _line("Python", f"{python['version']} ({python['executable']})")
    _line("platform", diagnosis["platform"])
    _line("cache", f"{cache['path']}{'' if cache['exists'] else ' (not there yet)'}")
    print("\ndiscovery, in order (* decides):")
    for finding in diagnosis["discovery"]:
        where = f"{finding['looked_at']}: " if finding["looked_at"] else ""
        print(visible(f"{'*' if finding['chosen'] else ' '} {finding['rule']:<19} {where}{finding['note']}"))
    print()
    toolchain, test = diagnosis["toolchain"], diagnosis["self_test"]
    if toolchain is None:
        _line("toolchain", "none yet")
        return
    _line("toolchain", f"{toolchain['name']}, {toolchain['origin']}")
    _line("engine", toolchain["engine"])
    _line("library", toolchain["library"])
    _line("core library", toolchain["core"] or "none: name directories with --search-path")
    _line("Lean", f"{test['version'] or toolchain['version']} ({toolchain['platform']})")
    _line("commit", test["commit"] or toolchain["commit"] or "?")
    verdict = "passed" if test["ok"] else "FAILED"
    _line("self-test", f"{verdict} with the table for Lean {test['table']} in {test['elapsed']:.1f} s")
    for step in test["steps"]:
        print(
            visible(f"  {'ok    ' if step['ok'] else 'FAILED'} {step['name']:<15} {step['detail']}".rstrip())
        )


def _line(name: str, text: str) -> None:
    print(visible(f"{name:<13} {text}"))
