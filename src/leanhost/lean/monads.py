"""Running ``MetaM`` and ``TermElabM`` functions from outside: captured contexts, states saved and restored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from leanhost.engine.base import Step
from leanhost.engine.expressions import Arg, Ctor, Field
from leanhost.engine.values import Ref
from leanhost.lean.core import Lean
from leanhost.lean.names import NameTuple
from leanhost.lean.tables import Table
from leanhost.lean.tables.monads import TRANSPARENCIES, Six

_UNIT_RESULT = Ctor(0, (0,))

_STALE_QUERIES = 16
"""After how many ``MetaM`` queries the caches they filled are dropped."""


@dataclass(frozen=True, slots=True)
class Saved:
    """The three elaboration states at one moment (``Term.SavedState`` without the messages' history).

    A program in Python gets one from :meth:`leanhost.Meta.save`, to give it back.
    """

    term: Ref
    meta: Ref
    core: Ref


@dataclass(frozen=True, slots=True)
class Scope:
    """What a term is read in: the current namespace, open namespaces and declared universe names."""

    namespace: NameTuple = ()
    opened: tuple[NameTuple, ...] = ()
    levels: tuple[NameTuple, ...] = ()


class Contexts:
    """The six context and state pointers of a ``TermElabM`` action, captured over an environment.

    They stay usable after the capture. Every operation between :meth:`save` and :meth:`restore` leaves no trace.
    """

    def __init__(
        self, lean: Lean, env: Ref, options: Ref, token: Ref, file: str = "<meta>", scope: Scope | None = None
    ) -> None:
        self.lean = lean
        engine, table = lean.engine, lean.table
        caught: list[Ref] = []

        def capture(*refs: Ref) -> Arg:
            caught.extend(refs[:6])
            return _UNIT_RESULT

        start = table.command_state(env, options)
        if scope is not None:
            opened = [lean.name(name) for name in scope.opened]
            levels = [lean.name(name) for name in scope.levels]
            start = table.state_with_scope(start, lean.name(scope.namespace), opened, levels)
        state = engine.eval(table.new_ref(start))
        file_map = table.input_file_map(table.input_context("", file, 0))
        context = table.command_context(file, file_map, 0, token)
        with engine.lock:  # there is one closure for all captures
            engine.eval(table.lift_term(lean.capture_closure(capture), context, state)).close()
            lean.forget_capture()
        self._refs = tuple(caught)
        self.six = Six(*caught)
        strict = engine.eval(table.without_error_recovery(self.six.term))
        self.strict = self.six._replace(term=strict)
        self.env = env
        self.token = token
        self._heartbeats = lean.number(table.heartbeats())
        self._transparent: dict[str, Six] = {"default": self.six}
        self.fresh = self.save()
        # Built once: the cheap services are called in tight loops.
        self._reset = table.set_heartbeats(self._heartbeats)
        self._stale = 0

    def refs(self) -> tuple[Ref, ...]:
        """The owned pointers, for closing."""
        return self._refs

    def at(self, transparency: str) -> Six:
        """Return the pointers with another transparency (see ``TransparencyMode``)."""
        found = self._transparent.get(transparency)
        if found is None:
            mode = TRANSPARENCIES.index(transparency)
            table = self.lean.table
            meta = self.lean.engine.eval(table.with_transparency(self.six.meta, mode))
            found = self._transparent[transparency] = self.six._replace(meta=meta)
        return found

    def save(self) -> Saved:
        """Copy the three states (three pointers; nothing is duplicated)."""
        six = self.six
        return Saved(*self.lean.step(_save)(six.term_state, six.meta_state, six.core_state))

    def restoring(self, saved: Saved) -> list[Arg]:
        """Return the expressions that put *saved* back."""
        six, old = self.six, (saved.term, saved.meta, saved.core)
        return [*_restore(self.lean.table, six.term_state, six.meta_state, six.core_state, *old)]

    def restore(self, saved: Saved) -> None:
        """Put *saved* back."""
        self._stale = 0
        six = self.six
        self.lean.step(_restore)(
            six.term_state, six.meta_state, six.core_state, saved.term, saved.meta, saved.core
        )

    def meta(self, action: Arg) -> Ref:
        """Run one ``MetaM`` query whose effects do not matter: caches and unused metavariables.

        They are forgotten after every few queries, so that nothing grows. The heartbeat limit is measured from
        the moment of the capture, so the counter first goes back to what it was then. :class:`Thrown` may come
        out.
        """
        return self._query(lambda: [self.lean.engine.eval(_after(self._reset, action))])

    def prepare(self, build: Callable[..., Arg], six: Six) -> Step:
        """Return the step of the query ``build(*values, six)``, to :meth:`ask` again and again."""
        reset = self._reset
        return self.lean.engine.prepare(lambda *values: (_after(reset, build(*values, six)),))

    def prepare_each(self, build: Callable[..., Arg], six: Six) -> Step:
        """Return the step of the query ``build(*values, six)``, to :meth:`ask_each` for many values."""
        return self.lean.engine.prepare(lambda *values: (build(*values, six),))

    def ask(self, query: Step, values: Sequence[Arg]) -> Ref:
        """Run a prepared query like :meth:`meta`."""
        return self._query(lambda: query(*values))

    def ask_each(self, query: Step, rows: Sequence[Sequence[Arg]]) -> list[Ref]:
        """Run a query that :meth:`prepare_each` prepared, for many values in one step.

        They share the heartbeats of one query, and the first that throws ends them all: whoever asks puts the
        questions again one by one then.
        """
        try:
            with self.lean.engine.lock:
                self.begin()
                return [answer for (answer,) in query.each(rows)]
        finally:
            self.restore(self.fresh)

    def _query(self, run: Callable[[], list[Ref]]) -> Ref:
        self._stale += 1
        try:
            (answer,) = run()
        except BaseException:
            self.restore(self.fresh)
            raise
        if self._stale >= _STALE_QUERIES:
            self.restore(self.fresh)
        return answer

    def _freshen(self) -> None:
        if self._stale:
            self.restore(self.fresh)

    def begin(self) -> None:
        """Let the heartbeat limit count from now."""
        self.lean.engine.eval(self._reset).close()

    @contextmanager
    def scope(self, start: Saved | None = None) -> Iterator[None]:
        """Run several actions from *start* (default: the fresh state); the state is put back afterwards."""
        if start is None:
            self._freshen()
            self.begin()
        else:
            six = self.six
            self.lean.step(_restart)(
                self._heartbeats,
                six.term_state,
                six.meta_state,
                six.core_state,
                start.term,
                start.meta,
                start.core,
            )
        try:
            yield
        finally:
            self.restore(self.fresh)

    def close(self) -> None:
        """Release the contexts."""
        for six in self._transparent.values():
            if isinstance(six.meta, Ref):
                six.meta.close()
        assert isinstance(self.strict.term, Ref)
        for ref in (*self._refs, self.strict.term, self.fresh.term, self.fresh.meta, self.fresh.core):
            ref.close()


def _save(table: Table, term: Arg, meta: Arg, core: Arg) -> tuple[Arg, ...]:
    return (table.get_ref(term), table.get_ref(meta), table.get_ref(core))


def _restore(
    table: Table, term: Arg, meta: Arg, core: Arg, old_term: Arg, old_meta: Arg, old_core: Arg
) -> tuple[Arg, ...]:
    return (table.set_ref(term, old_term), table.set_ref(meta, old_meta), table.set_ref(core, old_core))


def _restart(table: Table, heartbeats: Arg, *states: Arg) -> tuple[Arg, ...]:
    return (table.set_heartbeats(heartbeats), *_restore(table, *states))


def _after(first: Arg, action: Arg) -> Arg:
    """*action*, with *first* evaluated before it."""
    return Field(Ctor(0, (first, action)), 1)
