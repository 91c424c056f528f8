"""Where the parts of Lean's structures lie in their objects: one :class:`Structure` for each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from leanhost.engine.expressions import Arg, Field, With
from leanhost.engine.values import Data, Node


@dataclass(frozen=True, slots=True)
class Structure:
    """The layout of a constructor: its object fields in order, then its fields of one byte.

    ``scalars`` name the ``Bool`` and enumeration fields, which begin ``start`` bytes behind the object fields.
    Unused trailing fields may be left out of a layout that is never given to :meth:`read`.
    """

    fields: tuple[str, ...]
    scalars: tuple[str, ...] = ()
    start: int = 0

    def get(self, value: Arg, field: str) -> Arg:
        """Return the expression for an object field of *value*."""
        return Field(value, self.fields.index(field))

    def byte(self, scalar: str) -> int:
        """Return where a scalar lies among a copied value's scalar bytes."""
        return self.start + self.scalars.index(scalar)

    def without(self, value: Arg, fields: Iterable[str]) -> Arg:
        """Return the expression for a copy of *value* with a boxed zero in the place of some object fields.

        It is for copying out the others.
        """
        return With(value, tuple((self.fields.index(field), 0) for field in fields))

    def read(self, data: Data) -> dict[str, Data]:
        """Return the fields and scalars of a copied value by name."""
        if not isinstance(data, Node):
            raise TypeError(f"not a structure with the fields {', '.join(self.fields)}: {data!r:.200}")
        found = dict(zip(self.fields, data.fields, strict=True))
        if self.scalars:
            found |= self.read_scalars(data)
        return found

    def pick(self, data: Data, *fields: str) -> list[Data]:
        """Return some object fields of a copied value, in the order asked for."""
        if type(data) is not Node or len(data.fields) != len(self.fields):
            raise TypeError(f"not a structure with the fields {', '.join(self.fields)}: {data!r:.200}")
        index, values = self.fields.index, data.fields
        return [values[index(field)] for field in fields]

    def read_scalars(self, data: Node) -> dict[str, Data]:
        """Return only the scalars of a copied value by name."""
        found = data.scalars[self.start : self.start + len(self.scalars)]
        return dict(zip(self.scalars, found, strict=True))
