"""What the judge does for other kernels: it says what it accepted, and exports the library that they need."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Sequence, Set
from contextlib import ExitStack

from leanhost.engine.base import Ref
from leanhost.engine.expressions import Field
from leanhost.lean import names
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple, show
from leanhost.services.cancellation import Cancellation
from leanhost.services.evidence import Theorem
from leanhost.services.exports.outcome import Replayed
from leanhost.services.exports.primitives import COMPUTED
from leanhost.services.exports.statements import digest
from leanhost.services.exports.write import export
from leanhost.services.host import Host
from leanhost.services.options import ElabOptions
from leanhost.services.session import Session
from leanhost.workers.ground import Ground
from leanhost.workers.items import Request
from leanhost.workers.kernels.answers import Resting, Said


class Notes:
    """Notes what a judge accepted."""

    def __init__(self, options: ElabOptions, cancellation: Cancellation, *, file: bool) -> None:
        self._options = options
        self._cancellation = cancellation
        self._file = file
        self.said: Said | None = None
        self.file = ""
        """An export of all that was accepted with what it rests on, if one was asked for."""

    def take(self, ground: Ground, theirs: Replayed, wanted: Set[NameTuple]) -> None:
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

    def _exported(self, ground: Ground, theirs: Replayed, wanted: Sequence[NameTuple]) -> str:
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
        lean, buffer = base.lean, io.BytesIO()
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
            library=base.library if base.imports else "",
            digest=said,
            axioms=tuple(Resting(theorem.axioms, (theorem.name,)) for theorem in theorems),
            wanted=tuple(theorem.name for theorem in theorems),
            imported=(),
            trusted=(),
        )
        self.file = buffer.getvalue().decode()


def _constants(lean: Lean, theirs: Replayed, declared: Iterable[NameTuple]) -> list[Constant]:
    found: list[Constant] = []
    for name in declared:
        with lean.engine.eval(lean.table.kernel_find(theirs.kernel_env, lean.name(name))) as option:
            info = lean.engine.eval(Field(option, 0))
        found.append(Constant(name, lean.constant_kind(info), info))
    return found


def _present(ground: Ground, wanted: Iterable[NameTuple]) -> list[NameTuple]:
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
            ground = opened.enter_context(Ground.under(host, request))
        else:
            base, _ = host.session_for(
                request.source,
                file=request.file,
                options=options,
                imports=request.imports,
                cancellation=cancellation,
            )
            session = opened.enter_context(base)
            ground = opened.enter_context(Ground.of(host, session, request, whole=False))
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
