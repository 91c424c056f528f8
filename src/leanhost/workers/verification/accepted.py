"""What the judge does for other kernels: it says what it accepted, and exports the library that they need."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Sequence, Set
from contextlib import ExitStack

from leanhost.engine.values import Ref
from leanhost.lean import names
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple, show
from leanhost.services.exports.read.outcome import Replayed
from leanhost.services.exports.write.export import export
from leanhost.services.exports.write.statements import digest
from leanhost.services.kernel.builtin_functions import COMPUTED
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.results import Theorem
from leanhost.workers.values.items import Request
from leanhost.workers.values.kernel_answers import Resting, Said
from leanhost.workers.verification.candidate_base import CandidateBase


class Notes:
    """Notes what a judge accepted."""

    def __init__(self, options: ElabOptions, cancellation: Cancellation, *, file: bool) -> None:
        self._options = options
        self._cancellation = cancellation
        self._file = file
        self.said: Said | None = None
        self.file = ""
        """An export of all that was accepted with what it rests on, if one was asked for."""

    def take(self, ground: CandidateBase, theirs: Replayed, wanted: Set[NameTuple]) -> None:
        """Note it; to be called while what was replayed is there, and the *ground* it was replayed on."""
        declared = [names.parse(name) for name in theirs.names]
        kept = set(declared) & COMPUTED - set(map(names.parse, theirs.set_aside))
        imported = [] if ground.whole else _present(ground, wanted - theirs.rests.keys())
        rests = {name: ground.axioms.under({name}, lambda: None).axioms for name in imported}
        rests.update((name, theirs.rests[name]) for name in wanted if name in theirs.rests)
        self.said = Said(
            library=ground.identity,
            digest=digest(ground.lean, theirs.kernel_env, declared, theirs.set_aside),
            axioms=Resting.of(rests),
            wanted=tuple(sorted(map(show, wanted))),
            imported=tuple(map(show, imported)),
            trusted=tuple(sorted(map(show, kept))),
        )
        if self._file and not ground.whole:
            self.file = self._exported(ground, theirs, [*declared, *imported])

    def _exported(self, ground: CandidateBase, theirs: Replayed, wanted: Sequence[NameTuple]) -> str:
        buffer = io.BytesIO()
        added = _constants(ground.lean, theirs, map(names.parse, theirs.names))
        export(
            ground.lean,
            ground.library,
            wanted,
            buffer,
            added=added,
            timeout=self._options.timeout,
            cancellation=self._cancellation,
        )
        return buffer.getvalue().decode()


class Added:
    """Notes what a check accepted, and exports it without the library."""

    def __init__(self, options: ElabOptions, cancellation: Cancellation) -> None:
        self._options = options
        self._cancellation = cancellation
        self.said: Said | None = None
        self.file = ""

    def take(self, base: Session, env: Ref, added: Sequence[Constant], theorems: Sequence[Theorem]) -> None:
        """Note it; *env* is the environment with what was *added* to that of *base*."""
        lean, buffer = base._lean, io.BytesIO()
        wanted = [constant.name for constant in added]
        with lean.empty_environment() as nothing:
            report = export(
                lean,
                nothing,
                wanted,
                buffer,
                added=added,
                timeout=self._options.timeout,
                cancellation=self._cancellation,
            )
        left_out = set(report.skipped)
        declared = [name for name in wanted if show(name) not in left_out]
        with lean.engine.eval(lean.table.kernel_env(env)) as kernel_env:
            said = digest(lean, kernel_env, declared)
        self.said = Said(
            library=base._library if base.imports else "",
            digest=said,
            axioms=tuple(Resting(theorem.axioms, (theorem.name,)) for theorem in theorems),
            wanted=tuple(theorem.name for theorem in theorems),
            imported=(),
            trusted=(),
        )
        self.file = buffer.getvalue().decode()


def _constants(lean: Lean, theirs: Replayed, declared: Iterable[NameTuple]) -> list[Constant]:
    wanted = list(declared)
    infos = zip(wanted, lean.kernel_find_all(theirs.kernel_env, wanted), strict=True)
    return [Constant(name, lean.constant_kind(info), info) for name, info in infos if info is not None]


def _present(ground: CandidateBase, wanted: Iterable[NameTuple]) -> list[NameTuple]:
    """Those of *wanted* that are in the library."""
    asked = sorted(wanted, key=str)
    found = ground.lean.find(ground.library, asked)
    return [name for name, info in zip(asked, found, strict=True) if info is not None]


def export_library(
    host: Host,
    request: Request,
    wanted: Sequence[str],
    known: Collection[str],
    options: ElabOptions,
    timeout: float,
    cancellation: Cancellation,
    *,
    whole: bool,
) -> tuple[str, str]:
    """Export what *wanted* rests on of the library that *request* imports, without what is *known* already.

    If *whole*, that is all of it even for a ``module``. Returns the identity of the library, and the export. What is
    *wanted* and is not there is left out.
    """
    with ExitStack() as opened:
        if whole:
            ground = opened.enter_context(CandidateBase.under(host, request))
        else:
            base, _ = host._session_for(
                request.source,
                file=request.file,
                options=options,
                imports=request.imports,
                cancellation=cancellation,
            )
            session = opened.enter_context(base)
            ground = opened.enter_context(CandidateBase.of(host, session, request, whole=False))
        buffer = io.BytesIO()
        export(
            ground.lean,
            ground.library,
            _present(ground, map(names.parse, wanted)),
            buffer,
            known=frozenset(map(names.parse, known)),
            timeout=timeout,
            cancellation=cancellation,
        )
        return ground.identity, buffer.getvalue().decode()
