"""``leanhost verify``: whether one file proves exactly what another one states."""

from __future__ import annotations

import argparse
import json
import time

from leanhost.cli.entry import ACCEPTED, REJECTED, TROUBLE, complain
from leanhost.cli.reading import STDIN, read_whole, stdin
from leanhost.cli.text import one_line, visible
from leanhost.errors import UsageError
from leanhost.services.options import ElabOptions
from leanhost.services.results import CheckResult, Diagnostic, Status
from leanhost.services.source import decode
from leanhost.toolchain import resolve
from leanhost.workers import CheckItem, Refusal, Verification, WorkerPool


def run(arguments: argparse.Namespace) -> int:
    """Compare the files and return the exit status."""
    started = time.monotonic()
    if arguments.reference == arguments.candidate == "-":
        raise UsageError("standard input (-) can be read only once")
    sources: list[tuple[str, bytes]] = []
    for name in (arguments.reference, arguments.candidate):
        label = STDIN if name == "-" else name
        try:
            if name == "-":
                data = read_whole(stdin())
            else:
                with open(name, "rb") as handle:  # noqa: PTH123 - the name as given
                    data = read_whole(handle)
        except OSError as error:
            complain(f"cannot read {label}: {error.strerror or error}")
        else:
            sources.append((label, data))
    if len(sources) < 2:
        return TROUBLE
    verification = _verify(arguments, *sources)
    elapsed = time.monotonic() - started
    (reference, _), (candidate, _) = sources
    if arguments.json:
        # ASCII only, so that neither the locale nor a lone surrogate in a file's name can spoil the line.
        print(json.dumps(_as_json(verification, reference, candidate, elapsed), ensure_ascii=True))
    else:
        _tell(verification, reference, candidate, elapsed)
    if verification.verified:
        return ACCEPTED
    unasked = any(refusal.code == "reference" for refusal in verification.refusals)
    return TROUBLE if unasked or verification.status in (Status.UNSUPPORTED, Status.REFUSED) else REJECTED


def _verify(
    arguments: argparse.Namespace, reference: tuple[str, bytes], candidate: tuple[str, bytes]
) -> Verification:
    label, data = reference
    stated = decode(data, label)
    if isinstance(stated, Diagnostic):
        result = CheckResult(candidate[0], Status.REFUSED)
        return Verification(Status.REJECTED, (Refusal("reference", "", stated.message),), result)
    label, data = candidate
    proof = decode(data, label)
    if isinstance(proof, Diagnostic):
        result = CheckResult(label, Status.REJECTED, (proof,), reasons=(proof.message,))
        return Verification(Status.REJECTED, (Refusal("elaboration", "", proof.message),), result)
    pool = WorkerPool(
        toolchain=resolve(arguments.toolchain, arguments.project),
        project=arguments.project,
        search_path=arguments.search_path,
        options=ElabOptions(timeout=arguments.timeout),
        imports=arguments.imports,
    )
    with pool:
        return pool.verify(
            CheckItem(source=stated, file=reference[0], allow_axioms=arguments.allow_axiom),
            CheckItem(source=proof, file=label),
            from_scratch=arguments.from_scratch,
        )


def _as_json(verification: Verification, reference: str, candidate: str, elapsed: float) -> dict[str, object]:
    return {
        "reference": reference,
        "candidate": candidate,
        "verified": verification.verified,
        "status": verification.status.value,
        "refusals": [
            {"code": refusal.code, "name": refusal.name, "message": refusal.message}
            for refusal in verification.refusals
        ],
        "from_scratch": verification.from_scratch,
        "diagnostics": verification.candidate.to_json()["diagnostics"],
        "elapsed_s": round(elapsed, 6),
        "toolchain": verification.candidate.toolchain,
    }


def _tell(verification: Verification, reference: str, candidate: str, elapsed: float) -> None:
    if not verification.verified:
        for diagnostic in verification.candidate.diagnostics:
            if diagnostic.is_error:
                where = f"{one_line(diagnostic.file)}:{diagnostic.position}"
                print(f"{where}: error: {visible(diagnostic.message.rstrip())}")
    verdict = "proves" if verification.verified else "does not prove"
    how = [verification.status.value.replace("_", " "), f"{elapsed:.2f} s"]
    if verification.from_scratch:
        how.insert(1, "the library as well")
    print(f"{one_line(candidate)}: {verdict} {one_line(reference)} ({'; '.join(how)})")
    for refusal in verification.refusals:
        about = f"{refusal.code} {refusal.name}" if refusal.name else refusal.code
        print(f"  {visible(about)}: {visible(refusal.message)}")
