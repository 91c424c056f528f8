"""The two halves of a verification, in two processes: one elaborates the candidate, a clean one judges its export."""

from __future__ import annotations

import io
from collections.abc import Iterable

from leanhost.errors import ElaborationError, ImportFailed, LeanHostError
from leanhost.lean import names
from leanhost.lean.core import Constant
from leanhost.services.cancellation import Cancellation
from leanhost.services.exports.outcome import Refused, Replayed, ReplayOpen, ReplayOutcome, ReplayRejected
from leanhost.services.exports.replay import replay
from leanhost.services.exports.write import export
from leanhost.services.host import Host
from leanhost.services.options import DEFAULT_AXIOMS, ElabOptions
from leanhost.services.results import CheckResult, CommandResult, Limit, Status
from leanhost.services.session import Session
from leanhost.workers.compare import Comparison, Refusal
from leanhost.workers.items import Request

SORRY = "sorryAx"


def export_added(
    host: Host, request: Request, options: ElabOptions, cancellation: Cancellation
) -> tuple[CheckResult, str]:
    """Elaborate a source and return everything it added as an export, with what it rests on."""
    try:
        with _extended(host, request, options, cancellation) as session:
            text = _export(session, [c.name for c in session.added], options, cancellation)
    except ElaborationError as error:
        result = error.result if isinstance(error.result, CommandResult) else None
        diagnostics = result.diagnostics if result is not None else ()
        stopped = result is not None and Limit.TIMEOUT in result.limits
        status = Status.TIMEOUT if stopped else Status.REJECTED
        return CheckResult(request.file, status, diagnostics, reasons=(error.message,)), ""
    except ImportFailed as error:
        return CheckResult(request.file, Status.REJECTED, reasons=(error.message,)), ""
    return CheckResult(request.file, Status.ACCEPTED, toolchain=host.label), text


def _extended(host: Host, request: Request, options: ElabOptions, cancellation: Cancellation) -> Session:
    base, text = host.session_for(
        request.source, file=request.file, options=options, imports=request.imports, cancellation=cancellation
    )
    with base:
        return base.extend(text, file=request.file, cancellation=cancellation)


def _export(
    session: Session, wanted: Iterable[names.NameTuple], options: ElabOptions, cancellation: Cancellation
) -> str:
    buffer = io.BytesIO()
    export(
        session.lean,
        session.env,
        list(wanted),
        buffer,
        added=session.added,
        timeout=options.timeout,
        cancellation=cancellation,
    )
    return buffer.getvalue().decode()


def judge_export(
    host: Host, reference: Request, exported: str, options: ElabOptions, cancellation: Cancellation
) -> list[Refusal]:
    """Compare a candidate's export with a trusted reference; an empty list means that it proves all of it.

    Nothing of the candidate runs here: its export is data, which the kernel checks from the first axiom on.
    """
    lean = host.lean
    theirs = replay(io.BytesIO(exported.encode()), lean, options=options, cancellation=cancellation)
    if not isinstance(theirs, Replayed):
        return [_refusal(theirs)]
    try:
        session = _extended(host, reference, options, cancellation)
    except LeanHostError as error:
        return [Refusal("reference", "", f"the reference itself does not elaborate: {error.message}")]
    with session:
        added = list(session.added)
        theorems = [c.name for c in added if c.kind == "theorem"]
        others = [c.name for c in added if c.kind not in ("theorem", "recursor", "constructor")]
        allowed = DEFAULT_AXIOMS | {
            *reference.allow_axioms,
            *(names.show(c.name) for c in added if c.kind == "axiom"),
        }
        # Proofs this toolchain does not ship come as axioms: known ones, if the library really has them.
        unknown = [names.parse(name) for name in theirs.axioms if name not in allowed and name != SORRY]
        shipped = _unshipped(session, unknown)
        ours = replay(
            io.BytesIO(
                _export(session, [*(c.name for c in added), *shipped], options, cancellation).encode()
            ),
            lean,
            options=options,
            cancellation=cancellation,
        )
    if not isinstance(ours, Replayed):
        return [Refusal("reference", "", f"the reference itself does not replay: {_refusal(ours).message}")]
    allowed |= set(map(names.show, shipped))
    comparison = Comparison(lean, ours.kernel_env, theirs.kernel_env, options)
    found = list(comparison.differences(theorems, [*others, *shipped], [c.name for c in added]))
    wanted = set(map(names.show, theorems))
    for theorem in theirs.theorems:
        if theorem.name in wanted:
            for axiom in theorem.axioms:
                if axiom == SORRY:
                    found.append(Refusal("sorry", theorem.name, f"{theorem.name} uses `sorry`"))
                elif axiom not in allowed:
                    text = f"{theorem.name} rests on the axiom {axiom}, which is not allowed"
                    found.append(Refusal("axiom", theorem.name, text))
    if not theorems:
        found.append(Refusal("reference", "", "the reference states no theorem"))
    return found


def _unshipped(session: Session, wanted: list[names.NameTuple]) -> list[names.NameTuple]:
    """Those of *wanted* that are theorems of the imported library whose proofs are not there to see."""
    lean, env = session.lean, session.env
    added: set[names.NameTuple] = {constant.name for constant in session.added}
    found: list[Constant] = []
    for name, info in zip(wanted, lean.find(env, wanted), strict=True):
        if info is not None and name not in added:
            found.append(Constant(name, lean.constant_kind(info), info))
    return [c.name for c in found if c.kind == "axiom" and not lean.is_original_axiom(env, c.name)]


def _refusal(outcome: ReplayOutcome) -> Refusal:
    match outcome:
        case ReplayRejected(name, text, _):
            return Refusal("kernel", name, text)
        case Refused(line, reason):
            return Refusal("export", "", f"line {line} of the candidate's export: {reason}")
        case ReplayOpen(limit, message, _):
            return Refusal("limit", "", f"{limit}: {message}")
        case Replayed():
            raise ValueError("a replayed file is no refusal")
