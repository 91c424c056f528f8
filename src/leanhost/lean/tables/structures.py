"""Where the parts of Lean's structures lie in their objects: one :class:`Structure` for each."""

from __future__ import annotations

from dataclasses import dataclass

from leanhost.engine.expressions import Arg, Field, With
from leanhost.engine.values import Data, Node


@dataclass(frozen=True, slots=True)
class Structure:
    """The layout of a constructor: its object fields in order, then its fields of one byte.

    ``scalars`` name the ``Bool`` and enumeration fields, which begin ``start`` bytes behind the object fields.
    Trailing fields that nobody reads may be left out of a layout that is never given to :meth:`read`.
    """

    fields: tuple[str, ...]
    scalars: tuple[str, ...] = ()
    start: int = 0

    def get(self, value: Arg, field: str) -> Arg:
        """Return the expression for an object field of *value*."""
        return Field(value, self.fields.index(field))

    def without_fields(self, value: Arg) -> Arg:
        """Return the expression for a copy of *value* that only keeps its scalars."""
        return With(value, tuple((i, 0) for i in range(len(self.fields))))

    def read(self, data: Data) -> dict[str, Data]:
        """Return the fields and scalars of a copied value by name."""
        if not isinstance(data, Node):
            raise TypeError(f"not a structure with the fields {', '.join(self.fields)}: {data!r:.200}")
        return dict(zip(self.fields, data.fields, strict=True)) | self.read_scalars(data)

    def read_scalars(self, data: Node) -> dict[str, Data]:
        """Return only the scalars of a copied value by name."""
        found = data.scalars[self.start : self.start + len(self.scalars)]
        return dict(zip(self.scalars, found, strict=True))
