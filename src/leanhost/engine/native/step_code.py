"""Writing a step as Python code: one straight line of calls and memory reads.

Parts that are the same in every run (texts, closed constructors) are built once. What the lines own and lend is kept
by :mod:`leanhost.engine.native.step_lines`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from leanhost.engine.checks import (
    check_closure,
    check_ctor,
    check_success,
    check_with,
    no_element,
    no_field,
)
from leanhost.engine.expressions import (
    Arg,
    ArrayOf,
    Build,
    Call,
    Closure,
    Const,
    Ctor,
    Field,
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
from leanhost.engine.native.ffi import HEADER, WORD, memory
from leanhost.engine.native.step_lines import Lines
from leanhost.engine.native.walk import Walker
from leanhost.engine.values import MAX_CTOR_TAG, TAG_ARRAY, TAG_CLOSURE, Ref
from leanhost.errors import UsageError

Compiled = Callable[..., tuple[int, ...]]

_SCALAR = "1"
"""The text of a boxed unit."""


def compile_step(
    walker: Walker, build: Build, slots: int
) -> tuple[Compiled, Callable[[Iterable[Sequence[Arg]]], list[list[Ref]]]]:
    """Return two functions that evaluate what *build* makes of *slots* values.

    The first takes the values and returns owned words; the second takes rows of values and returns handles.
    """
    writer = _Writer(walker)
    source = writer.source(build(*[Slot(i) for i in range(slots)]), slots)
    names = writer.names
    exec(compile(source, "<leanhost step>", "exec"), names)
    return names["step"], names["each"]


class _Writer:
    """Writes one step. A value is the text of a variable or a number, and whether the step owns it."""

    def __init__(self, walker: Walker) -> None:
        engine = walker.engine
        self._walker = walker
        self._library = walker.library
        self._lines = Lines(walker.library)
        self._functions: dict[tuple[str, int], str] = {}
        self._refs: dict[int, str] = {}
        self._handles: list[str] = []
        self.names: dict[str, Any] = {
            "E": engine,
            "K": walker,
            "M": memory,
            "Ref": Ref,
            "take": engine.own,
            "value": walker.value,
            "retain": self._library.function("l_id___redArg", 1),
            "release": self._library.release,
            "last": self._library.function("l_ptrEq___redArg___boxed", 2),
            "allocate": self._library.function("lean_alloc_object", 1),
            "enter": self._library.enter_thread,
            "released": engine.released,
            "changed": walker.changed,
            "no_field": no_field,
            "no_element": no_element,
            "escaped": walker.raise_escaped,
            "thrown": walker.throw,
            "give_back": self._lines.give_back,
            "used": self._lines.used,
        }

    def source(self, args: Sequence[Arg], slots: int) -> str:
        """Return the source of both functions."""
        results = [self._owned(arg) for arg in args]
        return self._lines.source(results, slots, self._handles)

    def _owned(self, arg: Arg) -> str:
        """Write *arg* and return a word to hand over."""
        word, owned = self._value(arg)
        if owned:
            return word
        self._lines.lend(word)
        # Under a name of its own, so that it is released once if something fails before it is handed over.
        return word if word.isdigit() else self._lines.own(word)

    def _all(self, args: Sequence[Arg]) -> list[str]:
        return [self._owned(arg) for arg in args]

    # --- expressions ---

    def _value(self, arg: Arg) -> tuple[str, bool]:
        """Write *arg*; return its word and whether the step owns it (else it is borrowed)."""
        if _is_fixed(arg):
            return str(self._fixed(arg)), False
        match arg:
            case Slot(number):
                return f"p{number}", False
            case Ref():
                return self._handle(arg), False
            case Call():
                return self._call(arg), True
            case Field(Ctor(tag, parts, scalars), index) if 0 <= index < len(parts):
                check_ctor(tag, len(parts), len(scalars))
                return self._one_of(parts, index), True
            case Field(of, index):
                return self._read(
                    of,
                    lambda w: [
                        f"if {w} & 1 or (h := M[{w} >> 3]) >> 56 > {MAX_CTOR_TAG}"
                        f" or not 0 <= {index} < h >> 48 & 0xFF:",
                        f"    {self._lines.clearing()}raise no_field({index})",
                    ],
                    lambda w: f"M[({w} >> 3) + {index + 1}]",
                )
            case Index(of, place):
                at = f"(p{place.number} >> 1)" if isinstance(place, Slot) else str(place)
                return self._read(
                    of,
                    lambda w: [
                        f"if {w} & 1 or M[{w} >> 3] >> 56 != {TAG_ARRAY} or not 0 <= {at} < M[({w} >> 3) + 1]:",
                        f"    {self._lines.clearing()}raise no_element({at})",
                    ],
                    lambda w: f"M[({w} >> 3) + 3 + {at}]",
                )
            case Size(of):
                return self._scalar(
                    of,
                    lambda w: [
                        f"if {w} & 1 or M[{w} >> 3] >> 56 != {TAG_ARRAY}:",
                        f"    {self._lines.clearing()}raise no_element(0)",
                    ],
                    lambda w: f"M[({w} >> 3) + 1] << 1 | 1",
                )
            case Tag(of):
                return self._scalar(
                    of, lambda w: [], lambda w: f"{w} if {w} & 1 else M[{w} >> 3] >> 56 << 1 | 1"
                )
            case Unwrap(of, ok):
                return self._unwrap(of, ok), True
            case Ctor():
                return self._ctor(arg.tag, arg.fields, arg.scalars), True
            case ListOf(items):
                words = self._all(list(items))
                tail = _SCALAR
                for word in reversed(words):
                    tail = self._object(_header(1, HEADER + 2 * WORD, 2), [word, tail])
                return tail, True
            case ArrayOf(items):
                words = self._all(list(items))
                n = len(words)
                return self._object(TAG_ARRAY << 56 | 1, words, [n, n]), True
            case Closure():
                return self._closure(arg), True
            case With():
                return self._with(arg), True
        raise UsageError(f"not something a step can be made of: {arg!r:.200}")

    def _fixed(self, arg: Arg) -> int:
        """Return the word of a part that is the same in every run: built now, never freed."""
        if isinstance(arg, Const):
            return self._library.constant(arg.symbol)
        return self._library.keep(self._walker.value(arg))

    def _handle(self, ref: Ref) -> str:
        """A handle that is part of the step: read, and checked, in every run."""
        name = self._refs.get(id(ref))
        if name is None:
            name = self._refs[id(ref)] = f"q{len(self._refs)}"
            self.names[f"r_{name}"] = ref
            self._handles += [f"{name} = r_{name}.word", f"if not {name}: take(r_{name})"]
        return name

    def _look(
        self, of: Arg, check: Callable[[str], list[str]], read: Callable[[str], str]
    ) -> tuple[str, str, bool]:
        """Check an object and read something off it: the object's word, what was read, whether the object is owned."""
        word, owned = self._value(of)
        self._lines.put(*check(word))
        name = self._lines.fresh()
        self._lines.put(f"{name} = {read(word)}")
        return word, name, owned

    def _read(
        self, of: Arg, check: Callable[[str], list[str]], read: Callable[[str], str]
    ) -> tuple[str, bool]:
        """A part of an object: borrowed from what is borrowed, taken out of what is owned."""
        word, name, owned = self._look(of, check, read)
        if owned:
            self._take_out(name, word)
        return name, owned

    def _take_out(self, name: str, word: str) -> None:
        """Own the part *name* of an owned object, and release the object *word*."""
        self._lines.lend(name)
        self._lines.live.append(name)
        self._lines.drop(word)

    def _scalar(
        self, of: Arg, check: Callable[[str], list[str]], read: Callable[[str], str]
    ) -> tuple[str, bool]:
        """A number read off an object."""
        word, name, owned = self._look(of, check, read)
        if owned:
            self._lines.drop(word)
        return name, False

    def _one_of(self, parts: Sequence[Arg], index: int) -> str:
        """One part of a constructor that is not used otherwise: the parts are evaluated in order, nothing is built."""
        words = self._all(parts)
        kept = words.pop(index)
        for word in words:
            if word in self._lines.live:
                self._lines.drop(word)
        return kept if kept in self._lines.live else self._lines.own(kept)

    def _call(self, arg: Call) -> str:
        key = (arg.symbol, len(arg.args))
        function = self._functions.get(key)
        if function is None:
            function = self._functions[key] = f"f{len(self._functions)}"
            self.names[function] = self._library.function(*key)
        words = self._all(arg.args)
        self._lines.given(words)
        result = self._lines.own(f"{function}({', '.join(words)})")
        self._lines.put(f"if K.escaped is not None: {self._lines.clearing()}escaped()")
        return result

    def _unwrap(self, of: Arg, ok: int) -> str:
        check_success(ok)
        word = self._owned(of)
        if word.isdigit():
            word = self._lines.own(word)
        others = self._lines.clearing(word)
        # No success, or no constructor with a field: what is raised says which.
        bad = f"{word} & 1 or (h := M[{word} >> 3]) >> 56 != {ok} or not h >> 48 & 0xFF"
        self._lines.put(f"if {bad}: {others}thrown({word})")
        name = self._lines.fresh()
        self._lines.put(f"{name} = M[({word} >> 3) + 1]")
        self._take_out(name, word)
        return name

    def _ctor(self, tag: int, fields: Sequence[Arg], scalars: bytes) -> str:
        check_ctor(tag, len(fields), len(scalars))
        words = self._all(fields)
        padded = scalars + bytes(-len(scalars) % WORD)
        rest = [int.from_bytes(padded[i : i + WORD], "little") for i in range(0, len(padded), WORD)]
        size = HEADER + WORD * (len(words) + len(rest))
        return self._object(_header(tag, size, len(words)), words, after=rest)

    def _object(
        self, header: int, words: Sequence[str], before: Sequence[int] = (), after: Sequence[int] = ()
    ) -> str:
        """Write a new object that owns *words*: the header, plain numbers, the words, plain numbers."""
        content = [str(header), *map(str, before), *words, *map(str, after)]
        self._lines.given(words)
        name = self._lines.own(f"allocate({WORD * len(content)})")
        self._lines.put(f"a = {name} >> 3", f"M[a:a + {len(content)}] = ({', '.join(content)})")
        return name

    def _closure(self, arg: Closure) -> str:
        check_closure(arg)
        words = self._all(arg.fixed)
        counts = arg.arity | len(words) << 16
        header = TAG_CLOSURE << 56 | (24 + WORD * len(words)) << 32 | 1
        return self._object(header, words, [self._library.address(arg.symbol), counts])

    def _with(self, arg: With) -> str:
        check_with(arg)
        word = self._owned(arg.of)
        values = self._all([value for _, value in arg.fields])
        key = f"with{self._lines.count}"
        self.names[key] = (tuple(index for index, _ in arg.fields), arg.scalars)
        self._lines.given([word, *values])
        clearing = self._lines.clearing()
        name = self._lines.fresh()
        self._lines.put(
            f"try: {name} = changed({word}, [{', '.join(values)}], *{key})",
            f"except BaseException: {clearing}raise",
        )
        self._lines.live.append(name)
        return name


def _is_fixed(arg: Arg) -> bool:
    """Tell whether *arg* is a value without handles, slots and calls."""
    match arg:
        case int() | str() | bytes() | USize() | UInt64() | Const():
            return True
        case Ctor(fields=parts) | ListOf(parts) | ArrayOf(parts) | Closure(fixed=parts):
            return all(map(_is_fixed, parts))
    return False


def _header(tag: int, size: int, fields: int) -> int:
    return tag << 56 | fields << 48 | size << 32 | 1
