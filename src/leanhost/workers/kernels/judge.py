"""What the judge does for other kernels: it says what it accepted, and exports the library that they need."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence

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
from leanhost.workers.items import Request
from leanhost.workers.kernels.answers import Resting, Said


class Notes:
    """Notes what a judge accepted."""

    def __init__(self, options: ElabOptions, cancellation: Cancellation, *, whole: bool, file: bool) -> None:
        self._options = options
        self._cancellation = cancellation
        self._whole = whole
        self._file = file
        self.said: Said | None = None
        self.file = ""
        """An export of all that was accepted with what it rests on, if one was asked for."""

    def take(self, base: Session, theirs: Replayed, wanted: Collection[NameTuple]) -> None:
        """Note it; to be called while what was replayed is there."""
        declared = [names.parse(name) for name in theirs.names]
        kept = set(declared) & COMPUTED - set(map(names.parse, theirs.set_aside))
        self.said = Said(
            library="" if self._whole else base.library,
            digest=digest(base.lean, theirs.kernel_env, declared, theirs.set_aside),
            axioms=Resting.of({name: theirs.rests.get(name, frozenset()) for name in wanted}),
            wanted=tuple(sorted(map(show, wanted))),
            trusted=tuple(sorted(map(show, kept))),
        )
        if self._file and not self._whole:
            self.file = self._exported(base, theirs, declared)

    def _exported(self, base: Session, theirs: Replayed, declared: Sequence[NameTuple]) -> str:
        buffer = io.BytesIO()
        added = _constants(base.lean, theirs, declared)
        export(
            base.lean,
            base.env,
            declared,
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
            trusted=(),
        )
        self.file = buffer.getvalue().decode()


def _constants(lean: Lean, theirs: Replayed, declared: Sequence[NameTuple]) -> list[Constant]:
    found: list[Constant] = []
    for name in declared:
        with lean.engine.eval(lean.table.kernel_find(theirs.kernel_env, lean.name(name))) as option:
            info = lean.engine.eval(Field(option, 0))
        found.append(Constant(name, lean.constant_kind(info), info))
    return found


def export_library(
    host: Host,
    reference: Request,
    wanted: Sequence[str],
    known: Collection[str],
    options: ElabOptions,
    timeout: float,
    cancellation: Cancellation,
) -> tuple[str, str]:
    """Export what *wanted* rests on of the library that *reference* imports, without what is *known* already.

    Returns the identity of the library, and the export. What is *wanted* and is not there is left out.
    """
    base, _ = host.session_for(
        reference.source,
        file=reference.file,
        options=options,
        imports=reference.imports,
        cancellation=cancellation,
    )
    buffer = io.BytesIO()
    with base:
        asked = [names.parse(name) for name in wanted]
        there = [
            name
            for name, info in zip(asked, base.lean.find(base.env, asked), strict=True)
            if info is not None
        ]
        export(
            base.lean,
            base.env,
            there,
            buffer,
            known=frozenset(map(names.parse, known)),
            timeout=timeout,
            cancellation=cancellation,
        )
        return base.library, buffer.getvalue().decode()
