"""The ``MetaM`` runner of a session, made when it is first wanted."""

from __future__ import annotations

from leanhost.services.session.state import SessionState
from leanhost.services.terms.meta_runner import MetaRunner
from leanhost.services.values.lifecycle import Lifecycle


class Runners:
    """Makes one runner over the environment of a session; it does not refer to the session, which has it."""

    __slots__ = ("_lifecycle", "_made", "_state")

    def __init__(self, state: SessionState, lifecycle: Lifecycle) -> None:
        self._state = state
        self._lifecycle = lifecycle
        self._made: MetaRunner | None = None

    def get(self) -> MetaRunner:
        """Return the runner; raises where the session is closed before there is one."""
        if self._made is None:
            self._lifecycle.check_open()
            state = self._state
            self._made = MetaRunner(self._lifecycle, state.lean, state.env, state.options)
            self._lifecycle.owned.callback(self._made.close)
        return self._made
