"""Steps of the native engine: walked the first time, written out as Python code for the times after that.

Walking an expression costs more than most Lean functions it calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from leanhost.engine.base import Engine, Step
from leanhost.engine.expressions import Arg, Build
from leanhost.engine.native.step_code import Compiled, compile_step
from leanhost.engine.native.walk import Walker
from leanhost.engine.values import Data, Ref


class NativeStep(Step):
    """A step that is walked the first time and compiled the second, when it is worth it."""

    __slots__ = ("_compiled", "_each", "_engine", "_seen", "_walker")

    def __init__(self, engine: Engine, walker: Walker, build: Build) -> None:
        super().__init__(engine, build)
        self._engine = engine
        self._walker = walker
        self._seen = False
        self._compiled: Compiled | None = None
        self._each: Callable[[Iterable[Sequence[Arg]]], list[list[Ref]]] | None = None

    def _ready(self, count: int) -> Compiled | None:
        """Return the compiled function, or ``None`` the first time."""
        if self._compiled is None:
            if not self._seen:
                self._seen = True
                return None
            self._compiled, self._each = compile_step(self._walker, self.build, count)
        return self._compiled

    def __call__(self, *values: Arg) -> list[Ref]:
        """Evaluate the step; see :class:`Step`."""
        engine = self._engine
        run = self._compiled or self._ready(len(values))
        if run is None:
            return super().__call__(*values)
        with engine.lock:
            if engine.lost:
                engine.check_alive()
            return [Ref(engine, word) for word in run(*values)]

    def each(self, rows: Iterable[Sequence[Arg]]) -> list[list[Ref]]:
        """Evaluate the step for every row; see :class:`Step`."""
        engine = self._engine
        rows = list(rows)
        if rows and (self._compiled or self._ready(len(rows[0]))) is None:
            return [self(*values) for values in rows]
        with engine.lock:
            engine.check_alive()
            return self._each(rows) if self._each else []

    def rows(self, rows: Iterable[Sequence[Arg]]) -> list[tuple[Data, ...]]:
        """Evaluate the step for every row and copy the values; see :class:`Step`."""
        engine, library = self._engine, self._walker.library
        result: list[tuple[Data, ...]] = []
        with engine.lock:
            engine.check_alive()
            for values in rows:
                run = self._compiled or self._ready(len(values))
                if run is None:
                    words: Sequence[int] = engine._eval(self.build(*values))
                else:
                    words = run(*values)
                try:
                    result.append(
                        tuple(word >> 1 if word & 1 else library.dump(word, self.LIMIT) for word in words)
                    )
                finally:
                    for word in words:
                        library.release(word)
        return result
