"""Writing a step as Python code: one straight line of calls and memory reads.

The reference counts of what a step lends and lets go of are counted in place. Parts that are the same in every run
(texts, closed constructors) are built once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from leanhost.engine.base import MAX_CTOR_TAG, TAG_ARRAY, TAG_CLOSURE, Ref
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
from leanhost.engine.native.ffi import HEADER, MAX_BOXED, WORD, memory
from leanhost.errors import EngineError, UsageError

if TYPE_CHECKING:
    from leanhost.engine.native.engine import NativeEngine

Compiled = Callable[..., tuple[int, ...]]

_SCALAR = "1"
"""The text of a boxed unit."""

_LENT = "lend "
"""What a line begins with that stands for one more reference to the handle it names."""


def compile_step(
    engine: NativeEngine, build: Build, slots: int
) -> tuple[Compiled, Callable[[Iterable[Sequence[Arg]]], list[list[Ref]]]]:
    """Return two functions that evaluate what *build* makes of *slots* values.

    The first takes the values and returns owned words; the second takes rows of values and returns handles.
    """
    writer = _Writer(engine)
    source = writer.functions(build(*[Slot(i) for i in range(slots)]), slots)
    names = writer.names
    exec(compile(source, "<leanhost step>", "exec"), names)
    return names["step"], names["each"]


class _Writer:
    """Writes one step. A value is the text of a variable or a number, and whether the step owns it."""

    def __init__(self, engine: NativeEngine) -> None:
        self._engine = engine
        self._library = engine._lib
        self._lines: list[str] = []
        self._count = 0
        self._live: list[str] = []
        """Variables with words the step owns at this point; let go of when it fails here."""
        self._functions: dict[tuple[str, int], str] = {}
        self._refs: dict[int, str] = {}
        self._opening: list[str] = []
        self._handles: list[str] = []
        self._lent: dict[str, int] = {}
        """How often each handle has been lent up to this point; the same in every run that gets here."""
        self.names: dict[str, Any] = {
            "E": engine,
            "M": memory,
            "Ref": Ref,
            "take": engine.own,
            "value": engine._value,
            "retain": self._library.function("l_id___redArg", 1),
            "release": self._library.release,
            "last": self._library.function("l_ptrEq___redArg___boxed", 2),
            "allocate": self._library.function("lean_alloc_object", 1),
            "enter": self._library.enter_thread,
            "released": engine.released,
            "changed": engine._changed,
            "no_field": _no_field,
            "no_element": _no_element,
            "escaped": engine._raise_escaped,
            "thrown": engine._throw,
            "give_back": self._give_back,
            "used": [()],
        }

    def functions(self, args: Sequence[Arg], slots: int) -> str:
        """Return the source of both functions."""
        for i in range(slots):
            # What is no handle is evaluated first, lent like one, and let go of at the end.
            self._opening += [
                f"if type(s{i}) is Ref:",
                f"    p{i} = s{i}.word",
                f"    if not p{i} or s{i}.engine is not E: take(s{i})",
                f"elif type(s{i}) is int and 0 <= s{i} <= {MAX_BOXED}: p{i} = s{i} << 1 | 1",
                f"else: p{i} = o{i} = value(s{i})",
            ]
        results = [self._owned(arg) for arg in args]
        parameters = "".join(f"s{i}, " for i in range(slots))
        begin = ["enter()", "while released:", "    w = released.popleft()"]
        begin += [*("    " + line for line in _dropping("w")), *self._handles]
        lends = [f"o{i} = 1" for i in range(slots)] + ["try:"]
        end = ["finally:", *(f"    if not o{i} & 1: release(o{i})" for i in range(slots)), "    pass"]
        opening = ["    " + line for line in self._opening]
        one = [*lends, *opening]
        # Whatever interrupts a run in the middle finds everything used: what is lost then is not freed too early.
        self.names["used"].append(tuple(self._lent.values()))
        many = ["c = 0", f"({parameters}) = row", *lends, *opening, f"    c = {len(self.names['used']) - 1}"]
        for line in self._lines:
            # Many runs lend a handle all at once, before the first of them.
            if not line.startswith(_LENT):
                many.append("    " + line)
                one.append("    " + line)
            else:
                one += ["    " + each for each in _lending(line.removeprefix(_LENT))]
        ahead = [f"k = n * {count}\n    {_lending_many(name)}" for name, count in self._lent.items()]
        words = "".join(f"{result}, " for result in results)
        refs = ", ".join(f"Ref(E, {result})" for result in results)
        times = ", ".join(f"({name}, {count})" for name, count in self._lent.items())
        return "\n".join(
            [
                f"def step({parameters}):",
                *("    " + line for line in (*begin, *one, f"    return ({words})", *end)),
                "def each(rows):",
                *(
                    "    " + line
                    for line in (*begin, "results = []", "n = len(rows)", "c = 0", *ahead, "try:")
                ),
                "      for row in rows:",
                *("        " + line for line in (*many, f"    results.append([{refs}])", *end)),
                "    except BaseException:",
                f"        give_back([{times}], n - len(results), used[c])",
                "        raise",
                "    return results",
                "",
            ]
        )

    def _give_back(self, lent: Sequence[tuple[int, int]], rows: int, used: Sequence[int]) -> None:
        """Take back what was lent to runs that were not made, and to the rest of the one that failed."""
        for i, (word, count) in enumerate(lent):
            for _ in range(rows * count - (used[i] if i < len(used) else 0)):
                self._library.release(word)

    # --- small pieces ---

    def _put(self, *lines: str) -> None:
        self._lines.extend(lines)

    def _fresh(self) -> str:
        self._count += 1
        return f"w{self._count}"

    def _own(self, line: str) -> str:
        """Write ``variable = line``, a word the step owns from here."""
        name = self._fresh()
        self._put(f"{name} = {line}")
        self._live.append(name)
        return name

    def _lend(self, word: str) -> None:
        """Write: one more reference to *word*."""
        if word.isdigit() and (int(word) & 1 or memory[int(word) >> 3] & 0xFFFFFFFF == 0):
            return  # a scalar, or an object that lives for ever
        if word.startswith("q"):
            self._lent[word] = self._lent.get(word, 0) + 1
            self._put(_LENT + word)
        else:
            self._put(*_lending(word))

    def _drop(self, word: str) -> None:
        """Write: one reference to *word* less."""
        self._live.remove(word)
        self._put(f"if not {word} & 1:", *("    " + line for line in _dropping(word)))

    def _clearing(self, *besides: str) -> str:
        """Return the statements that let go of everything the step owns here, in one line.

        They are run where a step fails; how often each handle was lent until then is noted as well.
        """
        self.names["used"].append(tuple(self._lent.values()))
        noted = f"c = {len(self.names['used']) - 1}; "
        return noted + "".join(f"release({word}); " for word in self._live if word not in besides)

    def _owned(self, arg: Arg) -> str:
        """Write *arg* and return a word to hand over."""
        word, owned = self._value(arg)
        if owned:
            return word
        self._lend(word)
        # Under a name of its own, so that it is let go of once when something fails before it is handed over.
        return word if word.isdigit() else self._own(word)

    def _all(self, args: Sequence[Arg]) -> list[str]:
        return [self._owned(arg) for arg in args]

    def _given(self, words: Sequence[str]) -> None:
        """The callee or the new object owns *words* now."""
        for word in words:
            if word in self._live:
                self._live.remove(word)

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
            case Field(Ctor(fields=parts), index) if 0 <= index < len(parts):
                return self._one_of(parts, index), True
            case Field(of, index):
                return self._read(
                    of,
                    lambda w: [
                        f"if {w} & 1 or (h := M[{w} >> 3]) >> 56 > {MAX_CTOR_TAG}"
                        f" or not 0 <= {index} < h >> 48 & 0xFF:",
                        f"    {self._clearing()}no_field({index})",
                    ],
                    lambda w: f"M[({w} >> 3) + {index + 1}]",
                )
            case Index(of, place):
                at = f"(p{place.number} >> 1)" if isinstance(place, Slot) else str(place)
                return self._read(
                    of,
                    lambda w: [
                        f"if {w} & 1 or M[{w} >> 3] >> 56 != {TAG_ARRAY} or not 0 <= {at} < M[({w} >> 3) + 1]:",
                        f"    {self._clearing()}no_element({at})",
                    ],
                    lambda w: f"M[({w} >> 3) + 3 + {at}]",
                )
            case Size(of):
                return self._scalar(
                    of,
                    lambda w: [
                        f"if {w} & 1 or M[{w} >> 3] >> 56 != {TAG_ARRAY}:",
                        f"    {self._clearing()}no_element(0)",
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
        return self._library.keep(self._engine._value(arg))

    def _handle(self, ref: Ref) -> str:
        """A handle that is part of the step: read, and checked, in every run."""
        name = self._refs.get(id(ref))
        if name is None:
            name = self._refs[id(ref)] = f"q{len(self._refs)}"
            self.names[f"r_{name}"] = ref
            self._handles += [f"{name} = r_{name}.word", f"if not {name}: take(r_{name})"]
        return name

    def _read(
        self, of: Arg, check: Callable[[str], list[str]], read: Callable[[str], str]
    ) -> tuple[str, bool]:
        """A part of an object: borrowed from what is borrowed, taken out of what is owned."""
        word, owned = self._value(of)
        self._put(*check(word))
        name = self._fresh()
        self._put(f"{name} = {read(word)}")
        if not owned:
            return name, False
        self._lend(name)
        self._live.append(name)
        self._drop(word)
        return name, True

    def _one_of(self, parts: Sequence[Arg], index: int) -> str:
        """One part of a constructor nobody else sees: the parts are evaluated in order, nothing is built."""
        words = self._all(parts)
        kept = words.pop(index)
        for word in words:
            if word in self._live:
                self._drop(word)
        return kept if kept in self._live else self._own(kept)

    def _scalar(
        self, of: Arg, check: Callable[[str], list[str]], read: Callable[[str], str]
    ) -> tuple[str, bool]:
        """A number read off an object."""
        word, owned = self._value(of)
        self._put(*check(word))
        name = self._fresh()
        self._put(f"{name} = {read(word)}")
        if owned:
            self._drop(word)
        return name, False

    def _call(self, arg: Call) -> str:
        key = (arg.symbol, len(arg.args))
        function = self._functions.get(key)
        if function is None:
            function = self._functions[key] = f"f{len(self._functions)}"
            self.names[function] = self._library.function(*key)
        words = self._all(arg.args)
        self._given(words)
        result = self._own(f"{function}({', '.join(words)})")
        self._put(f"if E._escaped is not None: {self._clearing()}escaped()")
        return result

    def _unwrap(self, of: Arg, ok: int) -> str:
        word = self._owned(of)
        if word.isdigit():
            word = self._own(word)
        others = self._clearing(word)
        # No success, or no constructor with a field: what is raised says which.
        bad = f"{word} & 1 or (h := M[{word} >> 3]) >> 56 != {ok} or not h >> 48 & 0xFF"
        self._put(f"if {bad}: {others}thrown({word})")
        name = self._fresh()
        self._put(f"{name} = M[({word} >> 3) + 1]")
        self._lend(name)
        self._live.append(name)
        self._drop(word)
        return name

    def _ctor(self, tag: int, fields: Sequence[Arg], scalars: bytes) -> str:
        self._library.check_ctor(tag, len(fields), len(scalars))
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
        self._given(words)
        name = self._own(f"allocate({WORD * len(content)})")
        self._put(f"a = {name} >> 3", f"M[a:a + {len(content)}] = ({', '.join(content)})")
        return name

    def _closure(self, arg: Closure) -> str:
        self._engine._check_closure(arg)
        words = self._all(arg.fixed)
        counts = arg.arity | len(words) << 16
        header = TAG_CLOSURE << 56 | (24 + WORD * len(words)) << 32 | 1
        return self._object(header, words, [self._library.address(arg.symbol), counts])

    def _with(self, arg: With) -> str:
        word = self._owned(arg.of)
        values = self._all([value for _, value in arg.fields])
        key = f"with{self._count}"
        self.names[key] = (tuple(index for index, _ in arg.fields), arg.scalars)
        self._given([word, *values])
        clearing = self._clearing()
        name = self._fresh()
        self._put(
            f"try: {name} = changed({word}, [{', '.join(values)}], *{key})",
            f"except BaseException: {clearing}raise",
        )
        self._live.append(name)
        return name


def _lending(word: str) -> tuple[str, ...]:
    """Return the code for one more reference to an object."""
    return (
        f"if not {word} & 1:",
        f"    h = M[{word} >> 3]",
        f"    if 0 < h & 0xFFFFFFFF < 0x7FFFFFFF: M[{word} >> 3] = h + 1",
        f"    else: retain({word})",
    )


def _lending_many(word: str) -> str:
    """Return the code, inside a function, for ``k`` more references to an object."""
    return f"""if not {word} & 1:
        h = M[{word} >> 3]
        if 0 < h & 0xFFFFFFFF < 0x7FFFFFFF - k: M[{word} >> 3] = h + k
        else:
            for _ in range(k): retain({word})"""


def _dropping(word: str) -> tuple[str, ...]:
    """Return the code for one reference less to an object."""
    return (
        f"h = M[{word} >> 3]",
        f"if 1 < h & 0xFFFFFFFF < 0x80000000: M[{word} >> 3] = h - 1",
        f"else: last({word}, 1)",
    )


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


def _no_field(index: int) -> None:
    raise EngineError(f"a Lean value has no field {index}")


def _no_element(index: int) -> None:
    raise EngineError(f"a Lean array has no element {index}")
