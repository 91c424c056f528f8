"""Values of any type: tags, ``Option`` and ``List``."""

from __future__ import annotations

from leanhost.engine.expressions import Arg, Call, Field, Tag


class ValueTable:
    """What does not depend on the type of what a value holds."""

    def tag(self, value: Arg) -> Arg:
        """The constructor tag of a value, as a boxed scalar."""
        return Tag(value)

    def option_value(self, option: Arg) -> Arg:
        """What is in an ``Option.some``."""
        return Field(option, 0)

    def list_head(self, items: Arg) -> Arg:
        """The first element of a ``List`` that is not empty."""
        return Field(items, 0)

    def list_tail(self, items: Arg) -> Arg:
        """The rest of a ``List`` that is not empty."""
        return Field(items, 1)

    def list_to_array(self, items: Arg) -> Arg:
        """``List.toArray``."""
        return Call("l_List_toArrayImpl___redArg", (items,))
