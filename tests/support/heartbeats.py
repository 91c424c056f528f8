"""Spending heartbeats on purpose, for tests of limits."""

from __future__ import annotations

from leanhost import CancellationToken, MetaOptions, Session
from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg
from leanhost.engine.values import Thrown
from leanhost.lean.monads import Contexts
from leanhost.services.terms.meta_answers import MetaResponse, Ok
from leanhost.services.terms.meta_runner import CANCELLED
from leanhost.services.values.lifecycle import NotStarted


def burn(
    session: Session, options: MetaOptions, cancellation: CancellationToken | None = None
) -> MetaResponse[int]:
    """Allocate until a limit stops it; never ``Ok`` while a limit is on."""
    runner = session._runner
    engine, table = runner.lean.engine, runner.lean.table

    def work(contexts: Contexts, guard: Guard) -> MetaResponse[int]:
        contexts.begin()
        # Every step allocates and then asks Lean whether a limit was hit.
        prop = engine.eval(table.sort(table.level_zero()))
        name = runner.lean.name("x")
        steps = 0
        try:
            while steps < 1_000_000:
                steps += 1
                term: Arg = prop
                for _ in range(64):
                    term = table.forall(name, prop, term, 0)
                engine.eval(term).close()
                engine.eval(table.check_system("burn", contexts.six)).close()
        except Thrown as thrown:
            return runner.failure(thrown, guard, options.diagnostic_bytes)
        return Ok(steps)

    try:
        with runner.owner.calling("meta.burn", cancellation):
            return runner.supervised(work, options, cancellation, brief=True)
    except NotStarted:
        return CANCELLED
