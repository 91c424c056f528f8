"""A library as another kernel has it: grown by what it was sent, and the ground on which candidates are replayed.

Everything in it went through this kernel, declaration by declaration. Which of the library's declarations are there
depends on what was asked for so far, and so a replay on top of it can lack some: it says which, and nothing else.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import cast

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg
from leanhost.engine.values import Ref
from leanhost.lean.core import Lean
from leanhost.lean.names import NameTuple, show
from leanhost.services.exports.read.lines import ReplayLimits
from leanhost.services.exports.read.outcome import Replayed, ReplayOutcome
from leanhost.services.exports.read.records import DeclarationLine, names_of
from leanhost.services.exports.read.replay import _Replay
from leanhost.services.exports.read.strict import Malformed
from leanhost.services.kernel.builtin_functions import COMPUTED, KERNEL_NAMES
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.limits import CallContext
from leanhost.services.values.options import ElabOptions


@dataclass(slots=True)
class KernelLibrary:
    """What one kernel has of one library."""

    env: Ref
    """A ``Kernel.Environment``."""
    rests: dict[NameTuple, frozenset[NameTuple]] = field(default_factory=dict)
    """The axioms under each of its constants, but for theorems of the library whose proofs were not shipped."""
    called: dict[NameTuple, NameTuple] = field(default_factory=dict)
    nat: bool = False
    strings: bool = False
    quot: bool = False

    @classmethod
    def empty(cls, lean: Lean) -> KernelLibrary:
        """Return one without any declaration."""
        with lean.empty_environment() as env:
            return cls(lean.engine.eval(lean.table.kernel_env(env)))

    def close(self) -> None:
        """Release the environment."""
        self.env.close()


@dataclass(frozen=True, slots=True)
class Lacking:
    """The library lacks these constants, which an export mentions but does not declare."""

    names: tuple[NameTuple, ...]


def grow(
    library: KernelLibrary,
    data: bytes,
    lean: Lean,
    *,
    options: ElabOptions,
    timeout: float,
    cancellation: Cancellation = None,
) -> ReplayOutcome | Lacking:
    """Have the kernel check more of the library, an export, and keep it if all of it was accepted.

    Functions that the kernel computes keep their names: they are the library's.
    """
    guard = CallContext(timeout, cancellation).guard(lean, options)
    return _replayed(library, data, lean, options, guard, part_of_library=True)


def replay_over(
    library: KernelLibrary,
    data: bytes,
    lean: Lean,
    *,
    imported: Collection[NameTuple] = (),
    options: ElabOptions,
    cancellation: Cancellation = None,
) -> ReplayOutcome | Lacking:
    """Have the kernel check the export *data* on top of *library*, which stays as it is.

    What is *imported* has to be there as well, and is in :attr:`Replayed.rests`.
    """
    guard = CallContext(cancellation=cancellation).guard(lean, options)
    return _replayed(library, data, lean, options, guard, imported, part_of_library=False)


def _replayed(
    library: KernelLibrary,
    data: bytes,
    lean: Lean,
    options: ElabOptions,
    guard: Guard,
    imported: Collection[NameTuple] = (),
    *,
    part_of_library: bool,
) -> ReplayOutcome | Lacking:
    try:
        with lean.options(options.kernel_options()) as kernel_options:
            run = _Over(library, data, lean, kernel_options, guard, imported, part_of_library=part_of_library)
            try:
                outcome = lean.engine.supervise(run.attempt, guard)
                if part_of_library and isinstance(outcome, Replayed):
                    run.keep(outcome)
                return outcome
            finally:
                run.close()
    finally:
        guard.token.close()


class _Lacks(Exception):
    """Something the export mentions is not there."""


class _Over(_Replay):
    """A replay that begins with a library. Nothing is declared before all that is mentioned is known to be there."""

    def __init__(
        self,
        library: KernelLibrary,
        data: bytes,
        lean: Lean,
        options: Ref,
        guard: Guard,
        imported: Collection[NameTuple],
        *,
        part_of_library: bool,
    ) -> None:
        mentioned: set[NameTuple] = set()

        def is_there(name: NameTuple) -> bool:
            mentioned.add(name)
            return True  # or nothing is declared

        super().__init__(lean, BytesIO(data), ReplayLimits(), options, guard, COMPUTED, None, is_there)
        self._library = library
        self._part_of_library = part_of_library
        self._new: dict[NameTuple, frozenset[NameTuple]] = {}
        # Looked up below the new ones, and never written to.
        self._rests = cast("dict[NameTuple, frozenset[NameTuple]]", ChainMap(self._new, library.rests))
        self._mentioned = mentioned
        self._noted = 0
        self._announced: set[NameTuple] = set()
        self._imported = imported
        self._lacking = {name for name in imported if name not in library.rests}
        special = self._special
        special.called, special.nat, special.strings = dict(library.called), library.nat, library.strings
        self._quot = library.quot
        self._env = library.env

    def attempt(self) -> ReplayOutcome | Lacking:
        """Read to the end or to the first fault."""
        try:
            outcome = self.run()
        except _Lacks:
            return Lacking(tuple(sorted(self._lacking, key=str)))
        assert outcome is not None  # all that the kernel computes is trusted: there is nothing to compare
        return outcome

    def keep(self, outcome: Replayed) -> None:
        """Make what was accepted a part of the library."""
        library, special = self._library, self._special
        if outcome.kernel_env is not library.env:  # it is if all of it was there already
            library.env.close()
            library.env = outcome.kernel_env
        missing = set(outcome.missing_bodies)
        unshipped = {
            name for name, word in self._declared.items() if word == "axiom" and show(name) in missing
        }
        library.rests.update((name, axioms - unshipped) for name, axioms in self._new.items())
        library.called, library.nat, library.strings = special.called, special.nat, special.strings
        library.quot = self._quot

    def _replayed(self) -> Replayed:
        if self._lacking:
            raise _Lacks
        imported = {name: self._library.rests[name] for name in self._imported if name not in self._new}
        return replace(super()._replayed(), rests={**imported, **self._new})

    def _constant_name(self, number: int) -> Arg:
        return 0  # whatever the kernel computes is the library's, under its own name

    def _work(self) -> None:
        self._note()
        if not self._lacking:
            self._noted = 0
            super()._work()

    def _note(self) -> None:
        """Note what was read, mentioned or announced by a declaration, and is not there."""
        needs = set(self._mentioned)
        self._mentioned.clear()
        for record in self._waiting[self._noted :]:
            declares = [self._tables.name(number) for number in names_of(record)]
            self._announced.update(declares)
            needs |= self._implied(declares, record.body)
        self._noted = len(self._waiting)
        self._lacking.update(name for name in needs if name not in self._library.rests)
        # A family's constructors mention it before it is declared.
        self._lacking -= self._announced

    def _declare(self, record: DeclarationLine) -> None:
        declares = [self._tables.name(number) for number in names_of(record)]
        there = [name for name in declares if name in self._library.rests]
        if self._part_of_library:
            if len(there) == len(declares):
                return  # two candidates that needed the same were judged side by side
        elif own := [name for name in declares if name in KERNEL_NAMES]:
            raise Malformed(f"{show(own[0])} is a name the kernel knows; only the library can declare it")
        if there:
            raise Malformed(f"{show(there[0])} is declared already, by the library")
        super()._declare(record)
