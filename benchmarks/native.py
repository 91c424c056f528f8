"""The native engine against ``lean FILE``, ``lean --server`` and bare calls. ``python -m benchmarks.native``."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.lean_runner import Server, lean_executable, run_file
from benchmarks.table import ms, p50, ratio, show, us
from leanhost.engine.base import Guard
from leanhost.services.elaboration import new_guard
from leanhost.services.exprs import Expr
from leanhost.services.host import Host
from leanhost.services.proof import ProofState
from leanhost.services.session import Session
from leanhost.toolchain import resolve
from leanhost.toolchain.cache import cache_dir
from tests.support.fixture_core import build_fixture_core

THEOREM = "theorem t{} (a b : Nat) (h : a = b) : b = a := h.symm\n"


def fixture() -> Path:
    """The compiled prelude library the engine imports."""
    return build_fixture_core(cache_dir() / "tests" / "fixture-core")


def checks(host: Host, core: Path) -> None:
    """One-line theorems: a warm session, a process each, a language server."""
    numbers = itertools.count()
    with host.session(["Init"]) as session:
        warm = p50(lambda: session.run(THEOREM.format(next(numbers))), 400)
        judged = p50(lambda: session.kernel_check(THEOREM.format(next(numbers))), 400)
        share = python_share(session, lambda: session.run(THEOREM.format(next(numbers))))
    with lean_executable(host.toolchain.library) as lean, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "T.lean"
        file.write_text(THEOREM.format(0))
        process = p50(lambda: run_file(lean, core, file), 15, 2)
        with Server(lean, core) as server:
            served = p50(lambda: server.check(THEOREM.format(next(numbers))), 100)
    show(
        "One-line theorem, native engine (p50)",
        ["how", "time", "against session.run"],
        [
            ["`session.run`, warm, with diagnostics", ms(warm), "1"],
            ["`session.kernel_check`, warm", ms(judged), ratio(judged / warm)],
            ["one `lean FILE` process a theorem", ms(process), ratio(process / warm)],
            ["`lean --server` over LSP, warm document", ms(served), ratio(served / warm)],
        ],
    )
    print(f"\nPython's own share of a `session.run`: {share:.0%}")


def python_share(session: Session, work: Callable[[], object], rounds: int = 400) -> float:
    """Return the part of a check's processor time that is Python's, not Lean's.

    Measured on the thread that does the work, as if it had been handed over before.
    """
    engine: Any = session._lean.engine
    library = engine._lib
    plain: dict[tuple[str, int], Callable[..., int]] = dict(library._functions)
    inside = 0.0

    def timed(function: Callable[..., int]) -> Callable[..., int]:
        def call(*words: int) -> int:
            nonlocal inside
            started = time.thread_time()
            try:
                return function(*words)
            finally:
                inside += time.thread_time() - started

        return call

    def spent() -> float:
        started = time.thread_time()
        for _ in range(rounds):
            work()
        return time.thread_time() - started

    def measure() -> float:
        total = spent()
        library._functions.update({key: timed(function) for key, function in plain.items()})
        try:
            spent()
        finally:
            library._functions.update(plain)
        return 1 - inside / total

    with new_guard(session._lean, session.options, 120, None).token as token:
        return float(engine.supervise(measure, Guard(token, None)))


def services(host: Host) -> None:
    """Single MetaM questions and tactic steps against the same Lean functions called through bare ctypes."""
    with host.session(["Init"]) as session:
        term = session.elaborate("fun x : Nat => x")
        assert isinstance(term, Expr)
        meta, lean = session.meta, session._lean
        library: Any = lean.engine._lib  # type: ignore[attr-defined]
        contexts = meta.contexts(200_000)
        four = [ref.ptr() for ref in contexts.refs()[2:]]
        word = meta.home.expr(term).ptr()

        def bare(symbol: str, *words: int) -> Callable[[], object]:
            function = library.function(symbol, len(words) + len(four) + 1)

            def call() -> None:
                for each in (*words, *four):
                    library.retain(each)
                library.release(function(*words, *four, 1))

            return call

        rows = []
        for name, ours, theirs in (
            ("infer_type", lambda: meta.infer_type(term), bare("l_Lean_Meta_inferType___boxed", word)),
            ("whnf", lambda: meta.whnf(term), bare("l_Lean_Meta_whnf___boxed", word)),
            (
                "is_def_eq",
                lambda: meta.is_def_eq(term, term),
                bare("l_Lean_Meta_isExprDefEq___boxed", word, word),
            ),
        ):
            mine, other = p50(ours, 5000, 50), p50(theirs, 5000, 50)
            rows.append([f"`meta.{name}`", us(mine), us(other), ratio(mine / other)])

        start = session.prove("∀ (a b : Nat), a = b → b = a")
        assert isinstance(start, ProofState)
        state = start.apply("intro a b h")
        assert isinstance(state, ProofState)
        step = p50(lambda: state.apply("exact h.symm"), 400)
        other = bare_step(session, state)
        rows.append(["tactic step", us(step), us(other), ratio(step / other)])
        show("Services against bare ctypes calls (p50)", ["what", "leanhost", "bare", "ratio"], rows)

        long = (
            "theorem t (a b : Nat) (h : a = b) : b = a := by\n"
            + "  have k : a = b := h\n" * 60
            + "  exact h.symm\n"
        )
        again = p50(lambda: session.run(long), 20)
        cheap = p50(lambda: [session.elaborate("Nat") for _ in range(50)], 20)
        bulk = p50(lambda: session.elaborate_bulk(["Nat"] * 50), 20)
        show(
            "Steps and bulk (p50)",
            ["what", "time", "against"],
            [
                ["one tactic step", us(step), "1"],
                ["the proof's text again from its start (61 steps)", us(again), ratio(again / step)],
                ["50 terms in a loop", us(cheap), "1"],
                ["50 terms in bulk", us(bulk), ratio(bulk / cheap)],
            ],
        )


def bare_step(session: Session, state: ProofState) -> float:
    """A tactic step by the same Lean calls with nothing around them: restore, parse, run."""
    lean, table = session._lean, session._lean.table
    contexts = session.meta.contexts(200_000)
    saved, goal = state._saved, state._ids[0]
    env = lean.engine.eval(table.core_env(saved.core))
    category = lean.engine.eval(lean.name(("tactic",)))
    source = lean.engine.eval("exact h.symm")
    file = lean.engine.eval("<tactic>")

    def step() -> None:
        for ref in lean.engine.eval_all(contexts.restoring(saved)):
            ref.close()
        syntax = lean.engine.eval(table.parse_category(env, category, source, file))
        lean.engine.eval(table.run_tactic(goal, syntax, contexts.strict)).close()

    result = p50(step, 400)
    contexts.restore(contexts.fresh)
    return result


def memory(host: Host, count: int = 20_000) -> None:
    """Many checks in one session: what private memory does."""
    engine = host._lean.engine
    with host.session(["Init"]) as session:
        for i in range(500):
            session.kernel_check(THEOREM.format(i))
        before = engine.private_bytes()
        started = time.perf_counter()
        for i in range(count):
            session.kernel_check(THEOREM.format(i))
        elapsed = time.perf_counter() - started
        grown = engine.private_bytes() - before
    show(
        f"{count} kernel checks in one session",
        ["private memory before", "grown by", "checks a second"],
        [[f"{before / 2**20:.0f} MiB", f"{grown / 2**20:.2f} MiB", f"{count / elapsed:.0f}"]],
    )


def main() -> None:
    """Run every table."""
    core = fixture()
    with Host(resolve("native-runtime"), [core]) as host:
        checks(host, core)
        services(host)
        memory(host)


if __name__ == "__main__":
    main()
