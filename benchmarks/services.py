"""Bulk forms, progress sinks and 20,000 mixed operations on the native engine. ``python -m benchmarks.services``."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Generator

from benchmarks.native import THEOREM, fixture
from benchmarks.table import p50, ratio, show, us
from leanhost.services.proofs.proof_state import ProofState
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.terms.expr import Expr
from leanhost.toolchain import resolve

ITEMS = 256


def bulk(session: Session) -> None:
    """Each bulk form against the loop that asks one by one."""
    meta, declarations = session.meta, session.declarations
    term = session.elaborate("fun x : Nat => x")
    assert isinstance(term, Expr)
    terms, pairs, texts = [term] * ITEMS, [(term, term)] * ITEMS, ["Nat"] * ITEMS
    names = [item.name for item, _ in zip(declarations.iterate(), range(ITEMS), strict=False)]
    sources = [THEOREM.format(i) for i in range(32)]
    rows = []
    for what, count, many, loop in (
        (
            "meta.infer_type",
            ITEMS,
            lambda: meta.infer_type_many(terms),
            lambda: [meta.infer_type(t) for t in terms],
        ),
        ("meta.whnf", ITEMS, lambda: meta.whnf_many(terms), lambda: [meta.whnf(t) for t in terms]),
        (
            "meta.is_def_eq",
            ITEMS,
            lambda: meta.is_def_eq_many(pairs),
            lambda: [meta.is_def_eq(a, b) for a, b in pairs],
        ),
        ("meta.pp_expr", ITEMS, lambda: meta.pp_expr_many(terms), lambda: [meta.pp_expr(t) for t in terms]),
        (
            "elaborate",
            ITEMS,
            lambda: session.elaborate_many(texts),
            lambda: [session.elaborate(t) for t in texts],
        ),
        (
            "declarations.kind",
            len(names),
            lambda: declarations.kind_many(names),
            lambda: [declarations.kind(n) for n in names],
        ),
        (
            "declarations.get",
            len(names),
            lambda: declarations.get_many(names, fields=("type",)),
            lambda: [found.type for n in names if (found := declarations.get(n))],
        ),
        (
            "kernel_check",
            len(sources),
            lambda: session.kernel_check_many(sources),
            lambda: [session.kernel_check(s) for s in sources],
        ),
    ):
        alone, together = p50(loop, 9) / count, p50(many, 9) / count
        rows.append([f"`{what}`", us(alone), us(together), ratio(alone / together)])
    show("Bulk forms, an item (p50)", ["what", "in a loop", "in bulk", "cheaper"], rows)


def sinks(session: Session) -> None:
    """The same calls without and with somebody who listens."""
    meta = session.meta
    term = session.elaborate("Nat")
    assert isinstance(term, Expr)
    terms = [term] * 4096
    source = "".join(THEOREM.format(i) for i in range(20))
    rows = []
    for what, without, listening in (
        (
            "`meta.infer_type_many`, 4,096 terms",
            lambda: meta.infer_type_many(terms),
            lambda: meta.infer_type_many(terms, progress=lambda _: None),
        ),
        (
            "`run`, 20 commands",
            lambda: session.run(source),
            lambda: session.run(source, progress=lambda _: None),
        ),
    ):
        silent, heard = alternating(without, listening)
        rows.append([what, us(silent), us(heard), ratio(heard / silent)])
    show("Progress (p50)", ["what", "no sink", "a sink that does nothing", "ratio"], rows)


def alternating(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """Return the medians of two pieces of work that take turns."""
    rounds = [(p50(first, 3, 1), p50(second, 3, 1)) for _ in range(15)]
    return sorted(a for a, _ in rounds)[7], sorted(b for _, b in rounds)[7]


def mixed(host: Host, count: int = 20_000) -> None:
    """Operations of every kind in one session: what handles and private memory do."""
    engine = host._lean.engine
    with host.session(["Init"]) as session:
        steps = operations(session)
        for _ in range(1000):
            next(steps)
        gc.collect()
        engine.drain()
        live, before = engine.live, engine.private_bytes()
        started = time.perf_counter()
        for _ in range(count):
            next(steps)
        elapsed = time.perf_counter() - started
        gc.collect()
        engine.drain()
        grown, handles = engine.private_bytes() - before, engine.live - live
        steps.close()
    show(
        f"{count} mixed operations in one session",
        ["private memory before", "grown by", "handles more", "operations a second"],
        [[f"{before / 2**20:.0f} MiB", f"{grown / 2**20:.2f} MiB", str(handles), f"{count / elapsed:.0f}"]],
    )


def operations(session: Session) -> Generator[None, None, None]:
    """Do one operation after another, of ten kinds in turn."""
    numbers = itertools.count()
    term = session.elaborate("fun x : Nat => x")
    start = session.prove("∀ (a b : Nat), a = b → b = a")
    assert isinstance(term, Expr)
    assert isinstance(start, ProofState)
    state = start.apply("intro a b h")
    assert isinstance(state, ProofState)
    kinds: tuple[Callable[[], object], ...] = (
        lambda: session.meta.infer_type(term),
        lambda: session.meta.whnf(term),
        lambda: session.meta.pp_expr(term),
        lambda: session.elaborate("Nat.succ Nat.zero"),
        lambda: state.apply("exact h.symm"),
        lambda: state.apply("exact h"),
        lambda: session.declarations.get_many(["Nat", "Nat.succ"], fields=("type", "attributes")),
        lambda: session.run_meta(
            lambda m: m.is_def_eq(m.fresh_mvar(m.elaborate("Nat")), m.elaborate("Nat.zero"))
        ),
        lambda: session.kernel_check(THEOREM.format(next(numbers))),
        lambda: session.run("#check Nat\n#check nope"),
    )
    for work in itertools.cycle(kinds):
        work()
        yield


def main() -> None:
    """Run every table."""
    with Host(resolve("native-runtime"), [fixture()]) as host:
        with host.session(["Init"]) as session:
            bulk(session)
            sinks(session)
        mixed(host)


if __name__ == "__main__":
    main()
