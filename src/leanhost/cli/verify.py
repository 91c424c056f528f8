"""``leanhost verify``: whether files prove exactly what another one states."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, replace

from leanhost import (
    CheckItem,
    CheckResult,
    ComparatorConfig,
    ElabOptions,
    Reference,
    Refusal,
    Status,
    Verification,
    WorkerPool,
)
from leanhost.cli.entry import ACCEPTED, REJECTED, TROUBLE
from leanhost.cli.reading import look_at
from leanhost.cli.text import one_line, visible
from leanhost.toolchain import resolve

DISPROVED = 3

_WORSE = (ACCEPTED, DISPROVED, REJECTED, TROUBLE)
"""Exit statuses of candidates; the last of them is the command's."""


def run(arguments: argparse.Namespace) -> int:
    """Compare the files and return the exit status."""
    started = time.monotonic()
    _check_usage(arguments)
    config = None if arguments.config is None else ComparatorConfig.load(arguments.config)
    kernels = _kernels(arguments, config)
    reference, *found = look_at(_named(arguments, config))
    candidates = [candidate for candidate in found if candidate is not None]
    if reference is None or not candidates:
        return TROUBLE
    caveats: dict[str, None] = {}
    exits = {TROUBLE} if None in found else set()
    with closing(
        _verdicts(arguments, config, kernels, reference.entry, [each.entry for each in candidates])
    ) as verdicts:
        for candidate, verification in zip(candidates, verdicts, strict=True):
            elapsed = time.monotonic() - started
            if arguments.json:
                # ASCII only, so that neither the locale nor a lone surrogate in a file's name can spoil the line.
                line = _as_json(verification, reference.label, candidate.label, elapsed)
                print(json.dumps(line, ensure_ascii=True), flush=True)
            else:
                _tell(verification, reference.label, candidate.label, elapsed)
            exits.add(_exit_status(verification))
            caveats.update(
                dict.fromkeys(verification.caveats if verification.status is Status.ACCEPTED else ())
            )
    if not arguments.json:
        for caveat in caveats:
            print(f"note: {visible(caveat)}")
    return max(exits, key=_WORSE.index)


def _check_usage(arguments: argparse.Namespace) -> None:
    if not arguments.candidates and (arguments.config is None or arguments.reference is not None):
        arguments.misused("the following arguments are required: REFERENCE, CANDIDATE")
    if arguments.config is not None and arguments.allow_axiom:
        arguments.misused(
            "--allow-axiom cannot be given with --config, whose permitted_axioms are all there are"
        )


def _named(arguments: argparse.Namespace, config: ComparatorConfig | None) -> list[str]:
    """The reference and the candidates, as they are to be called."""
    if config is None or arguments.candidates:
        return [arguments.reference, *arguments.candidates]
    modules = (config.challenge_module, config.solution_module)
    return [str(config.source(module, arguments.project)) for module in modules]


def _kernels(arguments: argparse.Namespace, config: ComparatorConfig | None) -> list[str] | None:
    """The other kernels that are named, on the command line or in the configuration; ``None`` if none is."""
    return [*(arguments.kernel or ()), *(() if config is None else config.kernels)] or None


def _stated(
    arguments: argparse.Namespace, config: ComparatorConfig | None, reference: CheckItem
) -> CheckItem:
    if config is None:
        return replace(reference, allow_axioms=arguments.allow_axiom)
    return Reference(
        source=reference.source,
        path=reference.path,
        file=reference.file,
        theorems=config.theorem_names,
        definitions=config.definition_names,
        permitted_axioms=config.permitted_axioms,
    )


def _exit_status(verification: Verification) -> int:
    if verification.status is Status.ACCEPTED:
        return DISPROVED if verification.disproved else ACCEPTED
    unasked = any(refusal.code == "reference" for refusal in verification.refusals)
    return TROUBLE if unasked or verification.status in (Status.UNSUPPORTED, Status.REFUSED) else REJECTED


def _verdicts(
    arguments: argparse.Namespace,
    config: ComparatorConfig | None,
    kernels: Sequence[str] | None,
    reference: CheckItem | CheckResult,
    candidates: Sequence[CheckItem | CheckResult],
) -> Generator[Verification, None, None]:
    """Yield one verdict for each candidate, in order, as soon as it and all before it are known."""
    items = [candidate for candidate in candidates if isinstance(candidate, CheckItem)]
    with ExitStack() as stack:
        verified: Iterator[Verification] = iter(())
        if items and isinstance(reference, CheckItem):
            stated = _stated(arguments, config, reference)
            pool = stack.enter_context(_pool(arguments, kernels, min(arguments.jobs, len(items))))
            pairs = ((stated, item) for item in items)
            verified = pool.verify_many(
                pairs, from_scratch=arguments.from_scratch, disproofs=arguments.disproofs
            )
        for candidate in candidates:
            if isinstance(candidate, CheckResult):
                yield _refused("elaboration", candidate, candidate)
            elif isinstance(reference, CheckResult):
                yield _refused("reference", reference, CheckResult(candidate.file, Status.REFUSED))
            else:
                yield next(verified)


def _refused(code: str, why: CheckResult, candidate: CheckResult) -> Verification:
    return Verification(Status.REJECTED, (Refusal(code, "", why.reasons[0]),), candidate)


def _pool(arguments: argparse.Namespace, kernels: Sequence[str] | None, workers: int) -> WorkerPool:
    return WorkerPool(
        toolchain=resolve(arguments.toolchain, arguments.project),
        project=arguments.project,
        search_path=arguments.search_path,
        workers=workers,
        options=ElabOptions(timeout=arguments.timeout),
        kernels=kernels,
        imports=arguments.imports,
        known_faults="refuse" if arguments.strict else "tell",
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
        "holes": list(verification.holes),
        "disproved": list(verification.disproved),
        "from_scratch": verification.from_scratch,
        "kernels": [asdict(kernel) for kernel in verification.kernels],
        "caveats": list(verification.caveats),
        "diagnostics": verification.candidate.to_json()["diagnostics"],
        "elapsed_s": round(elapsed, 6),
        "toolchain": verification.candidate.toolchain,
    }


def _tell(verification: Verification, reference: str, candidate: str, elapsed: float) -> None:
    if verification.status is not Status.ACCEPTED:
        for diagnostic in verification.candidate.diagnostics:
            if diagnostic.is_error:
                where = f"{one_line(diagnostic.file)}:{diagnostic.position}"
                print(f"{where}: error: {visible(diagnostic.message.rstrip())}")
    verdict = (
        "proves" if verification.verified else "disproves" if verification.disproved else "does not prove"
    )
    how = [verification.status.value.replace("_", " "), f"{elapsed:.2f} s"]
    if verification.from_scratch:
        how.insert(1, "the library as well")
    agreed = [str(kernel) for kernel in verification.kernels if kernel.answer == "accepted"]
    if verification.verified and len(agreed) > 1:
        how.append(f"kernels: {', '.join(map(visible, agreed))}")
    print(f"{one_line(candidate)}: {verdict} {one_line(reference)} ({'; '.join(how)})")
    for refusal in verification.refusals:
        about = f"{refusal.code} {refusal.name}" if refusal.name else refusal.code
        print(f"  {visible(about)}: {visible(refusal.message)}")
    for name in verification.holes:
        print(f"  hole {visible(name)}: filled by the candidate")
    for name in verification.disproved:
        print(f"  disproved {visible(name)}: the candidate proves its negation")
