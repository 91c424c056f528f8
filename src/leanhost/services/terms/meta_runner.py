"""How ``MetaM`` is asked from outside: contexts kept for the next question, limits, and failures as values."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, TypeVar

from leanhost.engine.base import Guard, Step
from leanhost.engine.expressions import Arg
from leanhost.engine.values import Ref, Thrown
from leanhost.errors import ClosedError
from leanhost.lean.core import Lean, OptionValue
from leanhost.lean.monads import Contexts, Scope
from leanhost.lean.tables.monads import Six
from leanhost.services.terms.expr import Expr, Home
from leanhost.services.terms.meta_answers import (
    DEFAULT,
    Failed,
    MetaOptions,
    MetaResponse,
    MetaUnsupported,
    Ok,
    TimeoutOrHeartbeat,
)
from leanhost.services.terms.questions import Leave, Question
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.lifecycle import Lifecycle, NotStarted
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.progress import Phase, ProgressSink
from leanhost.services.values.results import Limit
from leanhost.services.values.stats import Rows

T = TypeVar("T")

_BULK = 64
"""How many questions of a bulk call go into one step."""

_KEPT_CONTEXTS = 8
"""How many sets of contexts a session keeps; a capture costs tens of microseconds on the native engine."""


_Kind: TypeAlias = tuple[int, Scope | None, frozenset[tuple[str, OptionValue]]]
"""What makes two sets of contexts interchangeable: heartbeats, scope, Lean options."""


@dataclass(slots=True)
class _Prepared:
    """What single questions under the same options share; one caller has it at a time."""

    options: MetaOptions
    contexts: Contexts
    six: Six
    guard: Guard
    rows: Rows
    steps: dict[Callable[..., Arg], Step] = field(default_factory=dict)
    each: dict[Callable[..., Arg], Step] = field(default_factory=dict)

    def query(self, build: Callable[..., Arg]) -> Step:
        """Return the prepared question ``build(*values, six)``."""
        step = self.steps.get(build)
        if step is None:
            step = self.steps[build] = self.contexts.prepare(build, self.six)
        return step

    def query_each(self, build: Callable[..., Arg]) -> Step:
        """Return the question prepared for many values at a time."""
        step = self.each.get(build)
        if step is None:
            step = self.each[build] = self.contexts.prepare_each(build, self.six)
        return step


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question as it is put to one Lean: its name in statistics, what asks it, what reads its answer."""

    what: str
    build: Callable[..., Arg]
    read: Callable[[Ref], Any]


CANCELLED = TimeoutOrHeartbeat(Limit.CANCELLED)


class MetaRunner:
    """Puts questions to ``MetaM`` over one session's environment."""

    def __init__(self, owner: Lifecycle, lean: Lean, env: Ref, options: ElabOptions) -> None:
        self.owner = owner
        self.lean = lean
        self.env = env
        self._options = options
        # Contexts nobody uses; whoever does has taken them out, so that neither a nested call, nor another
        # thread, nor closing the session can change a state under it.
        self._idle: dict[_Kind, Contexts] = {}
        self._gate = threading.Lock()
        self._idle_prepared: list[_Prepared] = []
        self._questions: dict[tuple[str, Leave], _Asked] = {}
        self._home: Home | None = None
        self._closed = False

    @property
    def home(self) -> Home:
        """Where the session's terms live."""
        if self._home is None:
            self._home = Home(self.lean, self._pp, self.owner.life)
        return self._home

    # --- contexts: taken, used by one caller, given back ---

    def capture(
        self,
        heartbeats: int,
        scope: Scope | None = None,
        lean_options: frozenset[tuple[str, OptionValue]] = frozenset(),
    ) -> Contexts:
        """Capture contexts with a heartbeat limit; they belong to the caller."""
        if self._closed:
            self.owner.check_open()
            raise ClosedError("this session is closed")
        lean = self.lean
        values = {**self._options.lean_options(), **dict(lean_options), "maxHeartbeats": heartbeats}
        with lean.options(values) as options:
            token = lean.engine.eval(lean.table.new_cancel_token())
            try:
                return Contexts(lean, self.env, options, token, scope=scope)
            except ClosedError:
                self.owner.check_open()  # closed meanwhile: say so
                raise

    def _take(self, kind: _Kind) -> Contexts:
        with self._gate:
            found = self._idle.pop(kind, None)
        return found if found is not None else self.capture(*kind)

    def _give_back(self, kind: _Kind, contexts: Contexts, guard: Guard) -> None:
        """Keep *contexts* for the next caller, unless their token was set: it stays set for ever."""
        spare = [contexts]
        with self._gate:
            if not guard.why and not self._closed and kind not in self._idle:
                self._idle[kind] = spare.pop()
                if len(self._idle) > _KEPT_CONTEXTS:
                    spare.append(self._idle.pop(next(iter(self._idle))))
        for each in spare:
            each.close()

    def _pp(self, ref: Ref) -> str:
        kind: _Kind = (DEFAULT.max_heartbeats, None, frozenset())
        contexts = self._take(kind)
        lean = self.lean
        guard = Guard(contexts.token, None)
        try:
            with lean.engine.lock, contexts.meta(lean.table.pp_meta(ref, contexts.six)) as text:
                return str(lean.engine.dump(text))
        except Thrown as thrown:
            return f"<not printable: {lean.text(lean.table.exception_text(thrown.error))[:200]}>"
        finally:
            self._give_back(kind, contexts, guard)

    # --- running under limits ---

    def supervised(
        self,
        work: Callable[[Contexts, Guard], T],
        options: MetaOptions,
        cancellation: Cancellation = None,
        *,
        brief: bool = False,
        scope: Scope | None = None,
        lean_options: frozenset[tuple[str, OptionValue]] = frozenset(),
        progress: ProgressSink | None = None,
    ) -> T:
        """Run *work* under *options*; ``brief`` for what Lean itself bounds by heartbeats."""
        kind = (options.max_heartbeats, scope, lean_options)
        contexts = self._take(kind)
        deadline = time.monotonic() + options.timeout
        guard = Guard(contexts.token, deadline, self._options.grace, cancellation, sink=progress)
        run = self.lean.engine.brief if brief else self.lean.engine.supervise
        try:
            return run(lambda: work(contexts, guard), guard)
        finally:
            self._give_back(kind, contexts, guard)

    def _prepare(self, options: MetaOptions) -> _Prepared:
        """Take what calls under *options* need, made once: single questions are asked in tight loops."""
        try:
            prepared = self._idle_prepared.pop()
        except IndexError:
            prepared = None
        if prepared is not None:
            if prepared.options is options:
                return prepared
            self.owner.meter.close_sheet(prepared.rows)
            self._give_back(
                (prepared.options.max_heartbeats, None, frozenset()), prepared.contexts, prepared.guard
            )
        contexts = self._take((options.max_heartbeats, None, frozenset()))
        guard = Guard(contexts.token, None, self._options.grace)
        rows = self.owner.meter.open_sheet()
        return _Prepared(options, contexts, contexts.at(options.transparency), guard, rows)

    def _leave(self, prepared: _Prepared) -> None:
        """Keep it for the next caller, or close it once its token was set."""
        if prepared.guard.why or self._closed:
            self.owner.meter.close_sheet(prepared.rows)
            prepared.contexts.close()
        else:
            self._idle_prepared.append(prepared)

    def _asked(self, question: Question, leave: Leave) -> _Asked:
        """Return how *question* is put; the same build every time, since steps are kept by it."""
        asked = self._questions.get((question.name, leave))
        if asked is None:
            build = question.build(self.lean.table)
            if leave:
                explicit, types, proofs = leave
                build = partial(build, explicit=explicit, types=types, proofs=proofs)
            readers = {"term": self._expr, "truth": self._truth, "text": self._text}
            asked = _Asked(f"meta.{question.name}", build, readers[question.answer])
            self._questions[question.name, leave] = asked
        return asked

    def ask(
        self,
        question: Question,
        item: Sequence[Expr],
        options: MetaOptions | None,
        cancellation: Cancellation,
        leave: Leave = (),
        *,
        counted: bool = True,
    ) -> MetaResponse[Any]:
        """Put one question and turn the answer, or what Lean threw, into a value."""
        if cancellation is not None and cancellation.is_cancelled:
            return CANCELLED
        options = options or DEFAULT
        asked = self._questions.get((question.name, leave)) or self._asked(question, leave)
        home = self._home or self.home
        refs = [home.expr(expr) for expr in item]
        prepared = self._prepare(options)
        guard = prepared.guard
        guard.cancelled = cancellation
        begun = time.monotonic()
        guard.deadline = begun + options.timeout
        try:
            step = prepared.query(asked.build)
            return Ok(asked.read(self.lean.engine.brief(lambda: prepared.contexts.ask(step, refs), guard)))
        except Thrown as thrown:
            return self.failure(thrown, guard, options.diagnostic_bytes)
        finally:
            if counted:
                row = prepared.rows.get(asked.what)
                if row is None:
                    row = prepared.rows[asked.what] = [0, 0, 0.0]
                row[0] += 1
                row[1] += 1
                row[2] += time.monotonic() - begun
            self._leave(prepared)

    def ask_many(
        self,
        question: Question,
        items: Sequence[Sequence[Expr]],
        options: MetaOptions | None,
        cancellation: Cancellation,
        progress: ProgressSink | None,
        leave: Leave = (),
    ) -> list[MetaResponse[Any]]:
        """Put many questions, a few dozen in one step; where one fails, those of its step are asked one by one."""
        options = options or DEFAULT
        asked = self._asked(question, leave)
        home = self.home
        refs = [[home.expr(expr) for expr in item] for item in items]
        results: list[MetaResponse[Any]] = []
        asking = Phase(progress, asked.what, len(items))
        try:
            with self.owner.calling(asked.what, cancellation, len(items)):
                for start in range(0, len(items), _BULK):
                    if cancellation is not None and cancellation.is_cancelled:
                        break
                    step = refs[start : start + _BULK]
                    answers = self._step(asked.build, step, options, cancellation)
                    if answers is None:
                        for item in items[start : start + _BULK]:
                            answer = self.ask(question, item, options, cancellation, leave, counted=False)
                            results.append(answer)
                    else:
                        results.extend(Ok(asked.read(answer)) for answer in answers)
                    asking.at(len(results))
        except NotStarted:
            pass
        return results + [CANCELLED] * (len(items) - len(results))

    def _step(
        self,
        build: Callable[..., Arg],
        step: Sequence[Sequence[Ref]],
        options: MetaOptions,
        cancellation: Cancellation,
    ) -> list[Ref] | None:
        """Put some questions at once, within the limits of one; ``None`` when one of them failed."""
        prepared = self._prepare(options)
        guard = prepared.guard
        guard.cancelled = cancellation
        guard.deadline = time.monotonic() + options.timeout
        try:
            return self.lean.engine.brief(
                lambda: prepared.contexts.ask_each(prepared.query_each(build), step), guard
            )
        except Thrown:
            return None
        finally:
            self._leave(prepared)

    def failure(
        self, thrown: Thrown, guard: Guard, budget: int
    ) -> Failed | TimeoutOrHeartbeat | MetaUnsupported:
        """Turn what Lean threw into a typed answer."""
        lean, table = self.lean, self.lean.table
        if guard.limit is not None:
            return TimeoutOrHeartbeat(guard.limit)
        heartbeat, depth = lean.flags(
            [table.is_max_heartbeat(thrown.error), table.is_max_rec_depth(thrown.error)]
        )
        if heartbeat:
            return TimeoutOrHeartbeat(Limit.HEARTBEATS)
        if depth:
            return TimeoutOrHeartbeat(Limit.REC_DEPTH)
        text = lean.text(table.exception_text(thrown.error))
        beyond = lean.beyond(text)
        if beyond:
            return MetaUnsupported(beyond)
        raw = text.encode("utf-8", "replace")
        return Failed(raw[:budget].decode("utf-8", "ignore"), len(raw) > budget)

    def _expr(self, ref: Ref) -> Expr:
        return Expr(self._home or self.home, ref)

    def _truth(self, answer: Ref) -> bool:
        with answer:
            return self.lean.small(answer) == 1

    def _text(self, answer: Ref) -> str:
        with answer:
            return str(self.lean.engine.dump(answer))

    def close(self) -> None:
        """Release the contexts."""
        with self._gate:
            self._closed = True
            idle, self._idle = self._idle, {}
            prepared, self._idle_prepared = self._idle_prepared, []
        for contexts in (*idle.values(), *(each.contexts for each in prepared)):
            contexts.close()
