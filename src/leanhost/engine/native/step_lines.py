"""The lines of a step: what it owns at each of them, how often it has lent each handle, and the functions they make.

Reference counts are kept in place: a line adds to or takes from the count in an object's header, and calls Lean only
where the count says that more has to be done.
"""

from __future__ import annotations

from collections.abc import Sequence

from leanhost.engine.native.ffi import MAX_BOXED, Library, memory

_LENT = "lend "
"""What a line begins with that stands for one more reference to the handle it names."""


class Lines:
    """Code that is written once, from the first line to the last, and made into two functions by :meth:`source`.

    A word is the text of a variable or of a number. Names of variables: ``s0`` the values of the slots, ``p0`` their
    words, ``o0`` those the run owns; ``q0`` the words of handles; ``w1`` words read or made on the way.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._text: list[str] = []
        self.count = 0
        """How many variables there are so far."""
        self.live: list[str] = []
        """Variables with words the step owns at this point; released when it fails here."""
        self._lent: dict[str, int] = {}
        """How often each handle has been lent up to this point; the same in every run that gets here."""
        self.used: list[tuple[int, ...]] = [()]
        """What was lent at the points where a step can fail, by number; ``c`` is the number of the last one."""

    def put(self, *lines: str) -> None:
        """Write *lines* as they are."""
        self._text.extend(lines)

    def fresh(self) -> str:
        """Return the name of a new variable."""
        self.count += 1
        return f"w{self.count}"

    def own(self, line: str) -> str:
        """Write ``variable = line``, a word the step owns from here."""
        name = self.fresh()
        self.put(f"{name} = {line}")
        self.live.append(name)
        return name

    def lend(self, word: str) -> None:
        """Write: one more reference to *word*."""
        if word.isdigit() and (int(word) & 1 or memory[int(word) >> 3] & 0xFFFFFFFF == 0):
            return  # a scalar, or an object that lives for ever
        if word.startswith("q"):
            self._lent[word] = self._lent.get(word, 0) + 1
            self.put(_LENT + word)
        else:
            self.put(*_lending(word))

    def drop(self, word: str) -> None:
        """Write: one reference to *word* less."""
        self.live.remove(word)
        self.put(f"if not {word} & 1:", *("    " + line for line in _dropping(word)))

    def clearing(self, *besides: str) -> str:
        """Return the statements that release everything the step owns here, in one line.

        They are run where a step fails; how often each handle was lent until then is noted as well.
        """
        self.used.append(tuple(self._lent.values()))
        noted = f"c = {len(self.used) - 1}; "
        return noted + "".join(f"release({word}); " for word in self.live if word not in besides)

    def given(self, words: Sequence[str]) -> None:
        """The callee or the new object owns *words* now."""
        for word in words:
            if word in self.live:
                self.live.remove(word)

    def source(self, results: Sequence[str], slots: int, handles: Sequence[str]) -> str:
        """Return the source of ``step``, which takes the values of *slots* and returns owned words, and of ``each``.

        *results* are the words to return, which the step owns; *handles* are lines that read the words of handles.
        ``each`` takes rows of values and returns handles.
        """
        opening = []
        for i in range(slots):
            # Anything but a handle is evaluated first, lent like one, and released at the end.
            opening += [
                f"if type(s{i}) is Ref:",
                f"    p{i} = s{i}.word",
                f"    if not p{i} or s{i}.engine is not E: take(s{i})",
                f"elif type(s{i}) is int and 0 <= s{i} <= {MAX_BOXED}: p{i} = s{i} << 1 | 1",
                f"else: p{i} = o{i} = value(s{i})",
            ]
        parameters = "".join(f"s{i}, " for i in range(slots))
        begin = ["enter()", "while released:", "    w = released.popleft()"]
        begin += [*("    " + line for line in _dropping("w")), *handles]
        lends = [f"o{i} = 1" for i in range(slots)] + ["try:"]
        end = ["finally:", *(f"    if not o{i} & 1: release(o{i})" for i in range(slots)), "    pass"]
        opening = ["    " + line for line in opening]
        one = [*lends, *opening]
        # Whatever interrupts a run in the middle finds everything used: what is lost then is not freed too early.
        self.used.append(tuple(self._lent.values()))
        many = ["c = 0", f"({parameters}) = row", *lends, *opening, f"    c = {len(self.used) - 1}"]
        for line in self._text:
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

    def give_back(self, lent: Sequence[tuple[int, int]], rows: int, used: Sequence[int]) -> None:
        """Take back what was lent to runs that were not made, and to the rest of the one that failed."""
        for i, (word, count) in enumerate(lent):
            for _ in range(rows * count - (used[i] if i < len(used) else 0)):
                self._library.release(word)


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
