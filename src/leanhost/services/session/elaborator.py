"""Elaborating a source in a session: one way in for every call that takes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from leanhost.engine.base import Guard
from leanhost.engine.values import Ref
from leanhost.services.elaboration.commands import elaborate, summarise
from leanhost.services.elaboration.header import first_command
from leanhost.services.kernel.judge import Additions
from leanhost.services.session.state import SessionState
from leanhost.services.values.lifecycle import Lifecycle
from leanhost.services.values.limits import CallContext
from leanhost.services.values.results import CommandResult, Diagnostic
from leanhost.services.values.text import prepare

T = TypeVar("T")

Watch = Callable[[int, int, Ref], None]
"""Receives for each command its first byte, the byte behind it, and the state after it."""


@dataclass(slots=True)
class Elaboration:
    """A finished elaboration with its handles, inside its guard."""

    result: CommandResult
    env: Ref
    added: Additions
    guard: Guard


@dataclass(frozen=True, slots=True)
class Elaborator:
    """Elaborates sources over the environment of a session."""

    state: SessionState
    lifecycle: Lifecycle

    def run(
        self,
        operation: str,
        source: str,
        call: CallContext,
        then: Callable[[Elaboration], T],
        unreadable: Callable[[Diagnostic], T],
        *,
        start: int = 0,
        watch: Watch | None = None,
    ) -> T:
        """Elaborate *source* as one call named *operation*, and return what *then* makes of it, under its guard.

        A source that is not Lean text is answered by *unreadable*. *start* is the byte of the first command, if the
        header was read already. Raises :class:`~leanhost.services.values.lifecycle.NotStarted` when a cancellation
        came first.
        """
        state = self.state
        lean, options = state.lean, state.options
        text = prepare(source, call.file)
        with self.lifecycle.calling(operation, call.cancellation) as said:
            if isinstance(text, Diagnostic):
                return unreadable(text)
            said.set("source_chars", len(text))
            guard = call.guard(lean, options)

            def work() -> T:
                done = elaborate(
                    lean,
                    state.env,
                    text,
                    lean_options=state.lean_options,
                    options=options,
                    file=call.file,
                    guard=guard,
                    start=start or first_command(lean, text, call.file),
                    watch=watch,
                )
                result, added = summarise(lean, done, state.known, call.file)
                said.set("declarations", len(result.declarations))
                said.set("errors", len(result.errors))
                return then(Elaboration(result, done.env, added, guard))

            try:
                return lean.engine.supervise(work, guard)
            finally:
                if guard.limit is not None:
                    said.set("stopped", guard.limit)
                guard.token.close()
