"""Both halves of a verification in the test's own process: what ``WorkerPool.verify`` has two processes do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from leanhost.services.session.host import Host
from leanhost.services.values.options import ElabOptions
from leanhost.workers.values.items import Asked, Request
from leanhost.workers.values.verification import Judgement, Refusal
from leanhost.workers.verification import judge as examine
from leanhost.workers.verification.verify_job import have_library, same_start

ALL = Asked()


def refusals(
    host: Host,
    reference: str,
    candidate: str,
    *,
    whole: bool = False,
    change: Callable[[str], str] = lambda exported: exported,
    allow_axioms: tuple[str, ...] = (),
    start: str | None = None,
) -> list[Refusal]:
    """Why *candidate* does not prove *reference*; *change* is what happens to its export on the way.

    *start* is what the judge takes for the candidate, where that is something else.
    """
    found = judged(
        host, reference, candidate, whole=whole, change=change, allow_axioms=allow_axioms, start=start
    )
    return list(found.refusals)


def judged(
    host: Host,
    reference: str,
    candidate: str,
    *,
    whole: bool = False,
    change: Callable[[str], str] = lambda exported: exported,
    asked: Asked = ALL,
    allow_axioms: tuple[str, ...] = (),
    start: str | None = None,
) -> Judgement:
    """What a judge finds about *candidate*, of which *asked* is asked for."""
    options = ElabOptions(timeout=60)
    wanted, given = replace(_request(reference, allow_axioms), asked=asked), _request(candidate)
    whole = whole or not have_library(wanted, given)
    result, exported = examine.export_added(host, given, options, None, whole=whole)
    assert exported, (result.reasons, result.diagnostics)
    head = None if whole or same_start(wanted, given) else given
    if start is not None:
        head = _request(start)
    return examine.judge_export(host, wanted, change(exported), options, None, whole=whole, start=head)


def codes(host: Host, reference: str, candidate: str, *, whole: bool = False) -> set[tuple[str, str]]:
    """The codes of the refusals and what they are about."""
    return {(r.code, r.name) for r in refusals(host, reference, candidate, whole=whole)}


def _request(source: str, allow_axioms: tuple[str, ...] = ()) -> Request:
    return Request(source, "<test>", None, allow_axioms, 60.0)
