"""``leanhost doctor``: what discovery found, what would be used, and whether it works."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from leanhost.cli.entry import ACCEPTED, TROUBLE
from leanhost.cli.text import visible
from leanhost.cli.toolchain import describe
from leanhost.errors import ToolchainError
from leanhost.toolchain import Finding, Toolchain, bignum, embedded, explain, faults
from leanhost.toolchain.cache import cache_dir
from leanhost.version import VERSION

if TYPE_CHECKING:
    from leanhost import SelfTestReport, SelfTestStep


def run(arguments: argparse.Namespace) -> int:
    """Print the diagnosis; the status says whether a toolchain is usable, or would be once it is fetched."""
    findings = explain(arguments.toolchain, arguments.project)
    chosen = next((finding for finding in findings if finding.chosen), None)
    toolchain = chosen.found if chosen is not None else None
    diagnosis: dict[str, Any] = {
        "leanhost": VERSION,
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "platform": platform.platform(),
        "cache": {"path": str(cache_dir()), "exists": cache_dir().is_dir()},
        "discovery": [_finding(finding) for finding in findings],
        "toolchain": describe(toolchain) if toolchain is not None else None,
    }
    if not arguments.json:
        _print(diagnosis)
    damage = _damage(toolchain) if toolchain is not None else ""
    if damage and not arguments.json:
        _line("files", damage)
    numbers = bignum.describe(toolchain) if toolchain is not None else ""
    report = None
    if toolchain is not None and not damage:
        # It takes seconds: people see each step as it ends.
        report = _self_test(toolchain, quiet=arguments.json)
        if not arguments.json:
            _print_verdict(toolchain, report)
    lean = _settled(toolchain, report) if toolchain is not None else None
    if lean is not None and not arguments.json:
        _line("numbers", numbers)
        _print_faults(lean)
    if arguments.json:
        tested = report.to_json() if report is not None else None
        diagnosis |= {"damage": damage or None, "self_test": tested, "numbers": numbers or None}
        print(json.dumps({**diagnosis, "known_faults": _faults(lean) if lean is not None else None}))
    if report is not None:
        return ACCEPTED if report.ok else TROUBLE
    # Nothing is fetched here; an embedded toolchain that would be is in order, anything else is an error.
    return ACCEPTED if chosen is not None and "would be fetched" in chosen.note else TROUBLE


def _settled(toolchain: Toolchain, report: SelfTestReport | None) -> Toolchain:
    """Return the toolchain with the version that it was found to have."""
    version = toolchain.version or (report.version if report is not None else "")
    return replace(toolchain, version=version)


def _faults(toolchain: Toolchain) -> dict[str, Any]:
    return {
        "as_of": faults.KNOWN_FAULTS_AS_OF.isoformat(),
        "version_known": faults.parse_version(toolchain.version) is not None,
        "faults": [fault.to_json() for fault in toolchain.known_faults],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "looked_at": finding.looked_at,
        "found": finding.found.name if finding.found is not None else None,
        "note": finding.note,
        "chosen": finding.chosen,
    }


def _damage(toolchain: Toolchain) -> str:
    """Compare every byte of the embedded toolchain with its manifest; return what is wrong, or ``""``."""
    if toolchain.name != embedded.NAME:
        return ""
    try:
        embedded.verify()
    except ToolchainError as error:
        return str(error)
    return ""


def _self_test(toolchain: Toolchain, *, quiet: bool) -> SelfTestReport:
    """Try the version tables in child processes; return the report of the first that fits, or the last."""
    from leanhost import self_test

    tried = ""

    def show(table: str, step: SelfTestStep) -> None:
        nonlocal tried
        if table != tried:
            tried = table
            print(f"trying it with the table for Lean {table}:", flush=True)
        _print_step(step)

    return self_test(toolchain, progress=None if quiet else show)


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
    print(flush=True)
    toolchain = diagnosis["toolchain"]
    if toolchain is None:
        _line("toolchain", "none yet")
        return
    _line("toolchain", f"{toolchain['name']}, {toolchain['origin']}")
    _line("engine", toolchain["engine"])
    _line("library", toolchain["library"])
    _line("core library", toolchain["core"] or "none: name directories with --search-path")


def _print_step(step: SelfTestStep) -> None:
    mark = "ok    " if step.ok else "FAILED"
    print(visible(f"  {mark} {step.name:<15} {step.detail}".rstrip()), flush=True)


def _print_verdict(toolchain: Toolchain, report: SelfTestReport) -> None:
    verdict = "passed" if report.ok else "FAILED"
    _line("Lean", f"{toolchain.version or report.version or '?'} ({toolchain.platform})")
    _line("commit", report.commit or toolchain.commit or "?")
    _line("self-test", f"{verdict} with the table for Lean {report.table} in {report.elapsed:.1f} s")


def _print_faults(toolchain: Toolchain) -> None:
    """Name the published soundness faults of this Lean; a newer kernel that agrees covers them."""
    found, total = toolchain.known_faults, len(faults.KNOWN_FAULTS)
    which = f"of the {total} soundness faults of Lean published until {faults.KNOWN_FAULTS_AS_OF}"
    if faults.parse_version(toolchain.version) is None:
        _line("known faults", f"its version is not known: it may have any {which}")
        return
    _line("known faults", f"{len(found) or 'none'} {which}")
    for fault in found:
        print(visible(f"  {fault.name:<7} {fault.what} (fixed in {', '.join(fault.fixed)})"), flush=True)


def _line(name: str, text: str) -> None:
    print(visible(f"{name:<13} {text}"), flush=True)
