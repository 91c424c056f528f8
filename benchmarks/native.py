"""The native engine against ``lean FILE``, ``lean --server`` and bare calls. ``python -m benchmarks.native``."""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.lean_runner import Server, lean_executable, run_file
from benchmarks.library import big_library
from benchmarks.table import ms, p50, ratio, show, us
from leanhost.engine.base import Guard
from leanhost.services.proofs.proof_state import ProofState
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.terms.expr import Expr
from leanhost.services.values.limits import CallContext
from leanhost.toolchain import resolve
from leanhost.toolchain.cache import cache_dir
from tests.support.fixture_core import build_fixture_core

THEOREM = "theorem t{} (a b : Nat) (h : a = b) : b = a := h.symm\n"


def fixture() -> Path:
    """The compiled prelude library the engine imports."""
    return build_fixture_core(cache_dir() / "tests" / "fixture-core")


def checks(host: Host, module: str, what: str, rounds: int = 24) -> None:
    """One-line theorems: a warm session, a process each, a language server; in turn, since clocks drift."""
    numbers = itertools.count()
    path = Path(os.pathsep.join(map(str, host.search_path)))
    header = f"import {module}\n"

    def theorem() -> str:
        return THEOREM.format(next(numbers))

    with (
        host.session([module]) as session,
        lean_executable(host.toolchain.library) as lean,
        tempfile.TemporaryDirectory() as folder,
        Server(lean, path) as server,
    ):
        file = Path(folder) / "T.lean"
        file.write_text(header + THEOREM.format(0))
        ways: dict[str, tuple[Callable[[], object], int]] = {
            "`session.run`, warm, with diagnostics": (lambda: session.run(theorem()), 40),
            "`session.kernel_check`, warm": (lambda: session.kernel_check(theorem()), 40),
            "one `lean FILE` process a theorem": (lambda: run_file(lean, path, file), 1),
            "`lean --server` over LSP, warm document": (lambda: server.check(header + theorem()), 2),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, (work, count) in ways.items():
                times[way].append(p50(work, count, 1))
        share = python_share(session, lambda: session.run(theorem()))
    first, *_ = times.values()
    rows = []
    for way, measured in times.items():
        against = sorted(mine / other for mine, other in zip(measured, first, strict=True))
        low, middle, high = (against[round(q * (len(against) - 1))] for q in (0.1, 0.5, 0.9))
        rows.append([way, ms(statistics.median(measured)), ratio(middle), f"{ratio(low)} to {ratio(high)}"])
    show(
        f"One-line theorem over {what}, native engine (median of {rounds} rounds)",
        ["how", "time", "against `session.run`", "a tenth below and above"],
        rows,
    )
    print(f"\nPython's own share of a `session.run`: {share:.0%}")


def python_share(session: Session, work: Callable[[], object], rounds: int = 15, calls: int = 60) -> float:
    """Return the part of a check's time that is Python's, not Lean's: the median of *rounds*.

    On the thread that does the work, as if it had been handed over before. Lean's part is timed call by call, in
    turn with the same work untimed; what reading the clock takes is not Lean's.
    """
    lean: Any = session._lean
    library = lean.engine._lib
    plain: dict[tuple[str, int], Callable[..., int]] = dict(library._functions)
    clock = time.perf_counter
    inside, entered = 0.0, 0

    def timed(function: Callable[..., int]) -> Callable[..., int]:
        def call(*words: int) -> int:
            nonlocal inside, entered
            started = clock()
            try:
                return function(*words)
            finally:
                inside += clock() - started
                entered += 1

        return call

    def spent() -> float:
        for _ in range(3):  # steps are written anew
            work()
        nonlocal inside, entered
        inside, entered = 0.0, 0
        started = clock()
        for _ in range(calls):
            work()
        return clock() - started

    def use(functions: dict[tuple[str, int], Callable[..., int]]) -> None:
        library._functions.clear()
        library._functions.update(functions)
        lean._steps.clear()

    def measure() -> float:
        started = clock()
        for _ in range(10_000):
            clock()
        reading = (clock() - started) / 10_000
        shares = []
        try:
            for _ in range(rounds):
                use(plain)
                before = spent()
                use({key: timed(function) for key, function in plain.items()})
                spent()
                leans = inside - entered * reading
                use(plain)
                shares.append(1 - leans / ((before + spent()) / 2))
        finally:
            use(plain)
        return statistics.median(shares)

    with CallContext(120).guard(session._lean, session.options).token as token:
        return float(lean.engine.supervise(measure, Guard(token, None)))


def services(host: Host) -> None:
    """Single MetaM questions and tactic steps against the same Lean functions called through bare ctypes."""
    with host.session(["Init"]) as session:
        term = session.elaborate("fun x : Nat => x")
        assert isinstance(term, Expr)
        meta, lean, runner = session.meta, session._lean, session._runner
        library: Any = lean.engine._lib  # type: ignore[attr-defined]
        contexts = runner.capture(200_000)
        four = [ref.ptr() for ref in contexts.refs()[2:]]
        word = runner.home.expr(term).ptr()

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
            rows.append(compared(f"`meta.{name}`", ours, theirs, 400))

        start = session.prove("∀ (a b : Nat), a = b → b = a")
        assert isinstance(start, ProofState)
        state = start.apply("intro a b h")
        assert isinstance(state, ProofState)
        with bare_step(session, state) as bare_tactic:
            rows.append(compared("tactic step", lambda: state.apply("exact h.symm"), bare_tactic, 40))
        show("Services against bare ctypes calls (p50)", ["what", "leanhost", "bare", "ratio"], rows)

        long = (
            "theorem t (a b : Nat) (h : a = b) : b = a := by\n"
            + "  have k : a = b := h\n" * 60
            + "  exact h.symm\n"
        )
        terms, types = ["Nat"] * 50, [term] * 50
        pairs = [
            (
                "the proof's text again (61 steps) against one tactic step",
                lambda: session.run(long),
                lambda: state.apply("exact h.symm"),
                4,
            ),
            (
                "50 x `elaborate` against `elaborate_many`",
                lambda: [session.elaborate(t) for t in terms],
                lambda: session.elaborate_many(terms),
                4,
            ),
            (
                "50 x `meta.infer_type` against its bulk form",
                lambda: [meta.infer_type(t) for t in types],
                lambda: meta.infer_type_many(types),
                20,
            ),
            (
                "50 x `meta.whnf` against its bulk form",
                lambda: [meta.whnf(t) for t in types],
                lambda: meta.whnf_many(types),
                20,
            ),
        ]
        show(
            "Steps and bulk (p50)",
            ["what", "the one", "the other", "ratio"],
            [compared(*pair) for pair in pairs],
        )


def compared(what: str, ours: Callable[[], object], theirs: Callable[[], object], count: int) -> list[str]:
    """Return a row with the medians of both, measured in turn, and the median of their ratios."""
    rounds = [(p50(ours, count, 3), p50(theirs, count, 3)) for _ in range(15)]
    mine, other = (statistics.median(column) for column in zip(*rounds, strict=True))
    return [what, us(mine), us(other), ratio(statistics.median(a / b for a, b in rounds))]


@contextmanager
def bare_step(session: Session, state: ProofState) -> Iterator[Callable[[], object]]:
    """A tactic step by the same Lean calls with nothing around them: restore, parse, run."""
    lean, table = session._lean, session._lean.table
    contexts = session._runner.capture(200_000)
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

    try:
        yield step
    finally:
        contexts.restore(contexts.fresh)


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
    toolchain = resolve("native-runtime")
    with Host(toolchain, big_library()) as host:
        checks(host, "Big", "100,000 declarations")
    with Host(toolchain, [core]) as host:
        checks(host, "Init", "a core library of 1,200 lines")
        services(host)
        memory(host)


if __name__ == "__main__":
    main()
