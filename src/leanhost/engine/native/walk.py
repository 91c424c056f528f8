"""Walking an expression in this process: Lean called for each part of it, from the leaves up."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from leanhost.engine.base import Engine
from leanhost.engine.checks import (
    check_closure,
    check_ctor,
    check_success,
    check_with,
    no_field,
    no_scalars,
)
from leanhost.engine.expressions import (
    Arg,
    ArrayOf,
    Call,
    Closure,
    Const,
    Ctor,
    Field,
    Give,
    Index,
    ListOf,
    Size,
    Slot,
    Tag,
    UInt64,
    Unwrap,
    USize,
    With,
)
from leanhost.engine.native.ffi import MAX_BOXED, Library, memory
from leanhost.engine.values import Ref, Thrown
from leanhost.errors import UsageError


class Walker:
    """Makes owned words of expressions; called with its engine's lock held.

    What a callback's function raises below a running Lean function waits in ``escaped`` until that has returned.
    """

    def __init__(self, engine: Engine, library: Library) -> None:
        self.engine = engine
        self.library = library
        self.escaped: BaseException | None = None

    def value(self, arg: Any) -> int:
        """Return the value of *arg* as an owned word. Raises :class:`Thrown` from an :class:`Unwrap` in it."""
        kind = type(arg)
        if kind is Ref:
            return self.library.retain(self.engine.own(arg))
        if kind is int and 0 <= arg <= MAX_BOXED:
            return arg << 1 | 1  # type: ignore[no-any-return]
        build = _BUILDERS.get(kind)
        if build is None:
            raise UsageError(f"not something Lean can be called with: {arg!r:.200}")
        return build(self, arg)

    def values(self, args: Sequence[Arg], words: list[int]) -> None:
        """Append the values of *args* to *words*; on an error release what is there already."""
        value = self.value
        try:
            for arg in args:
                words.append(value(arg))
        except BaseException:
            for word in words:
                self.library.release(word)
            words.clear()
            raise

    def _call(self, arg: Call) -> int:
        engine, library = self.engine, self.library
        args = arg.args
        # Before the arguments: a missing function must not leave owned words behind.
        function = library.function(arg.symbol, len(args))
        words: list[int] = []
        add = words.append
        try:
            # Handles and small numbers are most of what is passed: they are taken here, as :meth:`value` would.
            for each in args:
                kind = type(each)
                if kind is Ref:
                    word = each.word  # type: ignore[union-attr]
                    if each.engine is not engine or not word:  # type: ignore[union-attr]
                        engine.own(each)  # type: ignore[arg-type] # says what is wrong
                    if not word & 1:
                        header = memory[word >> 3]
                        if 0 < header & 0xFFFFFFFF < 0x7FFFFFFF:
                            memory[word >> 3] = header + 1
                        else:
                            library.retain(word)
                    add(word)
                elif kind is int and 0 <= each <= MAX_BOXED:  # type: ignore[operator]
                    add(each << 1 | 1)  # type: ignore[operator]
                else:
                    add(self.value(each))
        except BaseException:
            for word in words:
                library.release(word)
            raise
        result = function(*words)
        if self.escaped is not None:
            library.release(result)
            self.raise_escaped()
        return result

    def raise_escaped(self) -> None:
        """Raise what a callback's function raised below the Lean function that has just returned."""
        escaped, self.escaped = self.escaped, None
        assert escaped is not None
        raise escaped

    def _unwrap(self, arg: Unwrap) -> int:
        check_success(arg.ok)
        of = arg.of
        word = self._call(of) if type(of) is Call else self.value(of)
        library = self.library
        if word & 1 or library.tag(word) != arg.ok:
            self.throw(word)
        try:
            return library.retain(library.checked_field(word, 0))
        finally:
            library.release(word)

    def throw(self, word: int) -> NoReturn:
        """Raise :class:`Thrown` for an owned result that is not a success."""
        library = self.library
        if word & 1:
            raise Thrown(Ref(self.engine, word))
        try:
            inner = library.retain(library.checked_field(word, 0))
        finally:
            library.release(word)
        raise Thrown(Ref(self.engine, inner))

    def _look(self, of: Arg, read: Callable[[int], int]) -> int:
        """Apply *read* to the value of *of*, borrowed, and own what it returns."""
        library = self.library
        if isinstance(of, Ref):
            return library.retain(read(self.engine.own(of)))
        word = self.value(of)
        try:
            return library.retain(read(word))
        finally:
            library.release(word)

    def _field(self, arg: Field) -> int:
        of = arg.of
        if type(of) is Field:
            # A chain of projections is walked without counting what lies between.
            path = [arg.index]
            while type(of) is Field:
                path.append(of.index)
                of = of.of
            path.reverse()
            return self._look(of, lambda word: functools.reduce(self.library.checked_field, path, word))
        index = arg.index
        return self._look(of, lambda word: self.library.checked_field(word, index))

    def _index(self, arg: Index) -> int:
        place = self._slot(arg.index) if isinstance(arg.index, Slot) else arg.index
        return self._look(arg.of, lambda word: self.library.element(word, place))

    def _size(self, arg: Size) -> int:
        return self._look(arg.of, lambda word: self.library.box(self.library.size(word)))

    def _tag(self, arg: Tag) -> int:
        return self._look(arg.of, lambda word: self.library.box(self.library.tag(word)))

    def _with(self, arg: With) -> int:
        check_with(arg)
        words: list[int] = []
        self.values([arg.of, *(value for _, value in arg.fields)], words)
        return self.changed(words[0], words[1:], tuple(index for index, _ in arg.fields), arg.scalars)

    def changed(
        self, word: int, new: Sequence[int], indices: Sequence[int], scalars: Sequence[tuple[int, bytes]]
    ) -> int:
        """Copy the constructor *word* with other fields and bytes; *word* and *new* are given away.

        *indices* and *scalars* have passed ``check_with``.
        """
        library = self.library
        try:
            tag, words, body = library.constructor(word)
            for index in indices:
                if index >= len(words):
                    raise no_field(index)
            changed = bytearray(body)
            for offset, data in scalars:
                if offset > len(body) - len(data):
                    raise no_scalars(offset, len(data))
                changed[offset : offset + len(data)] = data
        except BaseException:
            for each in (word, *new):
                library.release(each)
            raise
        kept = [0 if i in indices else library.retain(w) for i, w in enumerate(words)]
        for index, value in zip(indices, new, strict=True):
            kept[index] = value
        library.release(word)
        return library.ctor(tag, kept, bytes(changed))

    def _ctor(self, arg: Ctor) -> int:
        check_ctor(arg.tag, len(arg.fields), len(arg.scalars))
        words: list[int] = []
        self.values(arg.fields, words)
        return self.library.ctor(arg.tag, words, arg.scalars)

    def _list(self, arg: ListOf) -> int:
        words: list[int] = []
        self.values(arg.items, words)
        result = self.library.box(0)
        for word in reversed(words):
            result = self.library.ctor(1, [word, result], b"")
        return result

    def _array(self, arg: ArrayOf) -> int:
        words: list[int] = []
        self.values(arg.items, words)
        return self.library.array(words)

    def _closure(self, arg: Closure) -> int:
        check_closure(arg)
        function = self.library.address(arg.symbol)
        words: list[int] = []
        self.values(arg.fixed, words)
        return self.library.closure(function, arg.arity, words)

    def _slot(self, _: Slot) -> NoReturn:
        raise UsageError("a slot has a value only inside a prepared step")


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        surrogate = ord(text[error.start])
        raise UsageError(
            f"a Lean string has no lone surrogate (U+{surrogate:04X} at {error.start})"
        ) from None


_BUILDERS: dict[type, Callable[[Walker, Any], int]] = {
    Call: Walker._call,
    int: lambda walker, arg: walker.library.box(arg),
    str: lambda walker, arg: walker.library.string(_utf8(arg)),
    bytes: lambda walker, arg: walker.library.string(arg),
    Unwrap: Walker._unwrap,
    Field: Walker._field,
    Index: Walker._index,
    Size: Walker._size,
    Tag: Walker._tag,
    With: Walker._with,
    Ctor: Walker._ctor,
    ListOf: Walker._list,
    ArrayOf: Walker._array,
    Closure: Walker._closure,
    Slot: Walker._slot,
    Give: lambda walker, arg: (walker.engine.own(arg.ref), arg.ref.take())[1],
    Const: lambda walker, arg: walker.library.retain(walker.library.constant(arg.symbol)),
    USize: lambda walker, arg: walker.library.boxed_word(arg.value),
    UInt64: lambda walker, arg: walker.library.boxed_word(arg.value),
    bool: lambda walker, arg: walker.library.box(int(arg)),
}
