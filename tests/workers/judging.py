"""Both halves of a verification in the test's own process: what ``WorkerPool.verify`` has two processes do."""

from __future__ import annotations

from collections.abc import Callable

from leanhost.services.session.host import Host
from leanhost.services.values.options import ElabOptions
from leanhost.workers.values.items import Request
from leanhost.workers.values.verification import Refusal
from leanhost.workers.verification import judge


def refusals(
    host: Host,
    reference: str,
    candidate: str,
    *,
    whole: bool = False,
    change: Callable[[str], str] = lambda exported: exported,
) -> list[Refusal]:
    """Why *candidate* does not prove *reference*; *change* is what happens to its export on the way."""
    options = ElabOptions(timeout=60)
    result, exported = judge.export_added(host, _request(candidate), options, None, whole=whole)
    assert exported, (result.reasons, result.diagnostics)
    changed = change(exported)
    return judge.judge_export(host, _request(reference), changed, options, None, whole=whole)


def codes(host: Host, reference: str, candidate: str, *, whole: bool = False) -> set[tuple[str, str]]:
    """The codes of the refusals and what they are about."""
    return {(r.code, r.name) for r in refusals(host, reference, candidate, whole=whole)}


def _request(source: str) -> Request:
    return Request(source, "<test>", None, (), 60.0)
