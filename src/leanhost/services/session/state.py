"""What a session stands on: an imported environment, and what came on top of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from leanhost.engine.values import Ref
from leanhost.lean.core import Constant, Lean
from leanhost.lean.names import NameTuple
from leanhost.services.elaboration.environment import Imported
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.results import Position


@dataclass(slots=True)
class SessionState:
    """The environment of a session and how it came about; no call changes it.

    Attributes:
        lean: the Lean it lives in.
        imported: the imports; one use of them belongs to this.
        options: the limits of the session.
        lean_options: the same as ``Lean.Options``; lent.
        extended: the environment after an extension, which belongs to this; ``None`` for that of the imports.
        added: the constants of all extensions, in the order in which Lean listed them.
        shown: those of *added* that a user wrote or sees, with their places where these are known.
        give_back: what becomes of the use of *imported* in the end.
        known: the names of *added*.
        checked: the ``Kernel.Environment`` that the kernel made of the imports and *added*, once it was asked to.
    """

    lean: Lean
    imported: Imported
    options: ElabOptions
    lean_options: Ref
    extended: Ref | None = None
    added: tuple[Constant, ...] = ()
    shown: tuple[tuple[Constant, Position | None], ...] = ()
    give_back: Callable[[], None] | None = None
    known: frozenset[NameTuple] = field(init=False)
    checked: Ref | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.known = frozenset(constant.name for constant in self.added)

    @property
    def env(self) -> Ref:
        """The ``Lean.Environment``; lent."""
        return self.imported.env if self.extended is None else self.extended

    def free(self) -> None:
        """Release everything."""
        for own in (self.checked, self.extended):
            if own is not None:
                own.close()
        self.added = self.shown = ()  # shared with evidence and with sessions that extend this one
        (self.give_back or self.imported.close)()

    def abandon(self) -> None:
        """Release what is counted; handles are collected on their own."""
        self.imported.close()
