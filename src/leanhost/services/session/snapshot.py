"""What a host knows at the moment of a snapshot of its Lean, and knows again after a reset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leanhost.engine.values import Ref
    from leanhost.lean.core import Lean
    from leanhost.services.elaboration.environment import Imported, ImportKey
    from leanhost.services.elaboration.header import Headers
    from leanhost.services.kernel.axioms import ImportedAxioms
    from leanhost.services.values.recent import Recent

    Options = Recent[tuple[int, str], tuple[Lean, Ref]]


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """The environments and options that are there at a snapshot, with all that was found out about them until then.

    What is found out later may have been said by a Lean that ran somebody's code, so it goes with the reset.
    """

    lean: Lean
    kept: dict[ImportKey, tuple[Imported, ImportedAxioms]]
    options: Options
    headers: Headers
    option_types: dict[str, int]

    @classmethod
    def take(
        cls, lean: Lean, kept: Recent[ImportKey, Imported], options: Options, headers: Headers
    ) -> HostSnapshot:
        """Take note of everything; the environments are used until :meth:`close`."""
        shared = {key: (imported.share(), imported.axioms.copy()) for key, imported in kept.items()}
        return cls(lean, shared, options.copy(), headers.copy(), dict(lean.option_types))

    def put_back(self, kept: Recent[ImportKey, Imported]) -> None:
        """Have Lean's own values know what they did; add the environments to *kept*, each with a use of its own."""
        self.lean.option_types = dict(self.option_types)
        for key, (imported, axioms) in self.kept.items():
            imported.axioms = axioms.copy()
            kept.put(key, imported.share())

    def close(self) -> None:
        """Let the environments go."""
        for imported, _ in self.kept.values():
            imported.close()
