"""Both halves of a verification in the test's own process: what ``WorkerPool.verify`` has two processes do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from leanhost.services.host import Host
from leanhost.services.options import ElabOptions
from leanhost.workers import examine
from leanhost.workers.compare import Refusal
from leanhost.workers.items import Asked, Request
from leanhost.workers.verification import Judgement

ALL = Asked()


def refusals(
    host: Host,
    reference: str,
    candidate: str,
    *,
    whole: bool = False,
    change: Callable[[str], str] = lambda exported: exported,
) -> list[Refusal]:
    """Why *candidate* does not prove *reference*; *change* is what happens to its export on the way."""
    return list(judged(host, reference, candidate, whole=whole, change=change).refusals)


def judged(
    host: Host,
    reference: str,
    candidate: str,
    *,
    whole: bool = False,
    change: Callable[[str], str] = lambda exported: exported,
    asked: Asked = ALL,
) -> Judgement:
    """What a judge finds about *candidate*, of which *asked* is asked for."""
    options = ElabOptions(timeout=60)
    result, exported = examine.export_added(host, _request(candidate), options, None, whole=whole)
    assert exported, (result.reasons, result.diagnostics)
    changed = change(exported)
    request = replace(_request(reference), asked=asked)
    return examine.judge_export(host, request, changed, options, None, whole=whole)


def codes(host: Host, reference: str, candidate: str, *, whole: bool = False) -> set[tuple[str, str]]:
    """The codes of the refusals and what they are about."""
    return {(r.code, r.name) for r in refusals(host, reference, candidate, whole=whole)}


def _request(source: str) -> Request:
    return Request(source, "<test>", None, (), 60.0)
