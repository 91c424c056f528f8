"""What a candidate is judged on top of: nothing, what the reference imports, or what the candidate says it imports."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Self

from leanhost.engine.expressions import ArrayOf
from leanhost.engine.values import Ref
from leanhost.lean import reading
from leanhost.lean.core import Lean, chunks
from leanhost.lean.names import NameTuple
from leanhost.services.elaboration.environment import Imported
from leanhost.services.exports.read.outcome import ReplayOutcome
from leanhost.services.exports.read.replay import replay_export
from leanhost.services.kernel.axioms import ImportedAxioms
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.options import ElabOptions
from leanhost.workers.values.items import Request
from leanhost.workers.verification.replay_on_base import replay_added


class CandidateBase:
    """The environment under a candidate's declarations, which this process made itself.

    Modules are imported along this process's own search path, so where two environments have a constant from a module
    of the same name, it is the same constant, and so is all below it.
    """

    def __init__(self, imported: Imported, *, whole: bool = False, own: bool = False) -> None:
        """Begin with *imported*, which becomes the ground's own, or if *whole* with nothing.

        *own* says that the candidate's imports are not the reference's.
        """
        self.lean: Lean = imported.lean
        self.whole = whole
        self.own = own
        self._imported = imported
        self._modules: dict[int, tuple[Ref, list[NameTuple]]] = {}

    @classmethod
    def of(cls, host: Host, session: Session, request: Request, *, whole: bool) -> CandidateBase:
        """Return what *request* begins with, of which *session* is made."""
        if (
            whole and session._imported.key.is_module
        ):  # such an environment lacks what is not shown to modules
            return cls(
                host._whole_import(request.source, file=request.file, imports=request.imports), whole=True
            )
        return cls(session._imported.share(), whole=whole)

    @classmethod
    def under(cls, host: Host, candidate: Request) -> CandidateBase:
        """Return what *candidate* imports. Raises as :meth:`leanhost.services.session.host.Host._whole_import`."""
        imported = host._whole_import(candidate.source, file=candidate.file, imports=candidate.imports)
        return cls(imported, own=True)

    def replayed(self, exported: str, options: ElabOptions, cancellation: Cancellation) -> ReplayOutcome:
        """Have the kernel check an export."""
        lean, env = self.lean, self._imported.env
        if not self.whole:
            return replay_added(exported.encode(), lean, env, options=options, cancellation=cancellation)
        file = io.BytesIO(exported.encode())
        # What the reference imports is trusted, and has the functions on numbers as the kernel computes them.
        return replay_export(file, lean, options=options, library=lambda: env, cancellation=cancellation)

    @property
    def library(self) -> Ref:
        """The imported ``Environment``, all of it; where the ground is nothing, that of the reference."""
        return self._imported.env

    @property
    def identity(self) -> str:
        """Which library this is, as :attr:`Imported.identity`; ``""`` for nothing."""
        return "" if self.whole else self._imported.identity

    @property
    def axioms(self) -> ImportedAxioms:
        """The axioms under what is imported."""
        return self._imported.axioms

    def shares(self, env: Ref, wanted: Sequence[NameTuple]) -> Collection[NameTuple]:
        """Return those of *wanted* that *env* has from the same modules as the ground."""
        if self.whole or not wanted:
            return ()
        ours, theirs = self._origins(self.library, wanted), self._origins(env, wanted)
        pairs = zip(wanted, ours, theirs, strict=True)
        return {name for name, our, their in pairs if our is not None and our == their}

    def _origins(self, env: Ref, wanted: Sequence[NameTuple]) -> list[NameTuple | None]:
        """The modules that constants come from; ``None`` for what was not imported."""
        lean, table = self.lean, self.lean.table
        if id(env) not in self._modules:
            self._modules[id(env)] = (env, lean.name_array(table.module_names(env)))
        modules = self._modules[id(env)][1]
        found: list[NameTuple | None] = []
        for step in chunks(wanted):
            for index in lean.array(ArrayOf([table.module_of(env, lean.name(name)) for name in step])):
                number = reading.option(index)
                found.append(modules[number] if isinstance(number, int) else None)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._imported.close()
