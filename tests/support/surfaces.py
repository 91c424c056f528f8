"""What every surface says of one source: which of its declarations rest on which axioms."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

from leanhost.lean.names import show
from leanhost.services.exports.read.outcome import Replayed
from leanhost.services.exports.read.replay import replay_export
from leanhost.services.exports.write.export import export
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.outcomes import Checked, EvidenceStatus, Rejected
from leanhost.services.values.results import Status
from leanhost.workers.values.items import Request
from leanhost.workers.values.verification import Refusal
from leanhost.workers.verification import judge
from leanhost.workers.verification.replay_on_base import replay_added

OPTIONS = ElabOptions(timeout=60)
OPTION = "set_option genCtorIdx false\n"


def exported(session: Session) -> bytes:
    """Everything that *session* was extended by, and what that rests on."""
    buffer = io.BytesIO()
    wanted = [constant.name for constant in session._added]
    export(session._lean, session._env, wanted, buffer, added=session._added)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Surfaces:
    """What the surfaces say of ``boom``: the axioms it rests on, on each."""

    checked: frozenset[str]
    evidence: frozenset[str]
    declarations: frozenset[str]
    replayed: frozenset[str]
    added: frozenset[str]

    def all_say(self, axioms: Iterable[str]) -> None:
        """See that they agree."""
        for surface in self.__slots__:
            assert getattr(self, surface) == frozenset(axioms), surface


def surfaces(host: Host, before: str, source: str) -> Surfaces:
    """Have *source*, which ends with ``boom``, judged on top of *before*, a ``prelude``, in every way there is."""
    axioms, source = ["bad"], OPTION + source
    whole = host.check_source(before + source, allow_axioms=axioms)
    assert whole.status is Status.ACCEPTED, (whole.reasons, whole.diagnostics)
    body = before.replace("prelude\n", "", 1)
    with host.session(()) as empty, empty.extend(body) as library, library.extend(source) as grown:
        refused = library.kernel_check(source)
        assert isinstance(refused, Rejected)
        assert refused.failure.code == "axiom"
        outcome = library.kernel_check(source, allow_axioms=axioms)
        assert isinstance(outcome, Checked), outcome
        assert library.recheck(outcome.evidence) is EvidenceStatus.CHECKED
        declared = grown.declarations.get("boom")
        assert declared is not None
        replayed = replay_export(io.BytesIO(exported(grown)), grown._lean, options=OPTIONS)
        assert isinstance(replayed, Replayed), replayed
        data = io.BytesIO()
        own = [constant.name for constant in grown._added[len(library._added) :]]
        export(
            grown._lean, grown._lean.empty_environment(), own, data, added=grown._added[len(library._added) :]
        )
        added = replay_added(data.getvalue(), grown._lean, library._env, options=OPTIONS)
        assert isinstance(added, Replayed), added
        return Surfaces(
            frozenset(next(t.axioms for t in whole.theorems if t.name == "boom")),
            frozenset(outcome.evidence.axioms),
            frozenset(map(str, declared.axioms.names)),
            frozenset(map(show, replayed.rests[("boom",)])),
            frozenset(map(show, added.rests[("boom",)])),
        )


def assert_refused(host: Host, source: str) -> None:
    """See that a check does not accept *source*, which proves ``boom`` by ``bad``."""
    result = host.check_source(source)
    assert result.status is Status.REJECTED
    assert any("the axiom bad" in reason for reason in result.reasons), result.reasons


def verified(
    host: Host, reference: str, candidate: str, allowed: Iterable[str] = (), *, whole: bool = False
) -> list[Refusal]:
    """Why *candidate* does not prove *reference*, which allows the axioms *allowed*."""
    request = Request(candidate, "<candidate>", None, (), 60.0)
    result, text = judge.export_added(host, request, OPTIONS, None, whole=whole)
    assert text, (result.reasons, result.diagnostics)
    asked = Request(reference, "<reference>", None, tuple(allowed), 60.0)
    return list(judge.judge_export(host, asked, text, OPTIONS, None, whole=whole).refusals)
