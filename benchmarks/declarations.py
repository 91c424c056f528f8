"""Listing, searching and bulk questions over a large environment, as ratios within one run.

    python -m benchmarks.declarations [THEOREMS]

Compiles a library of that many theorems first (100,000 unless told, which takes about two minutes; it is kept
for the next run), on the native engine. A *bare walk* copies every name out of the header's module data and decodes
it; nothing that lists constants can do less.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.library import THEOREMS, big_library
from leanhost.engine.expressions import Index, Size
from leanhost.lean.names import decode
from leanhost.services.declarations.queries import FIELDS
from leanhost.services.declarations.service import DeclarationService
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.toolchain import resolve

SAMPLE = 5_000


def main(theorems: int) -> None:
    search_path = big_library(theorems)
    with Host(resolve("native-runtime"), search_path) as host, host.session(["Big"]) as session:
        measure(session, search_path[0])


def measure(session: Session, library: Path) -> None:
    declarations = DeclarationService(session._lean, session._env, session._state.imported, session._runner)
    engine = session._lean.engine
    total = bare(session)
    print(f"{total} constants from {library}")
    walk = best(lambda: bare(session)) / total
    print(f"{'bare walk':28} {walk * 1e6:8.2f} us an item")

    def against_walk(what: str, run: Callable[[], object]) -> None:
        seconds = best(run) / total
        print(f"{what:28} {seconds * 1e6:8.2f} us an item {seconds / walk:6.2f} x the bare walk")

    before = engine.private_bytes()
    against_walk("iterate", lambda: sum(1 for _ in declarations.iterate()))
    grown = (engine.private_bytes() - before) / 2**20
    against_walk(
        "iterate, with progress", lambda: sum(1 for _ in declarations.iterate(progress=lambda _: None))
    )
    against_walk("iterate, theorems only", lambda: sum(1 for _ in declarations.iterate(kinds="theorem")))
    against_walk("iterate, by type", lambda: sum(1 for _ in declarations.iterate(mentions=["Nat"])))
    against_walk("search", lambda: declarations.search("9_9"))
    print(f"{'memory grown by iterate':28} {grown:8.2f} MiB")
    names = [item.name for item, _ in zip(declarations.iterate(kinds="theorem"), range(SAMPLE), strict=False)]

    def against_loop(what: str, bulk: Callable[[], object], loop: Callable[[], object]) -> None:
        one, many = best(loop) / len(names), best(bulk) / len(names)
        print(f"{what:28} {many * 1e6:8.2f} us an item {one / many:6.2f} x cheaper than the loop")

    against_loop(
        "exists",
        lambda: declarations.exists_many(names),
        lambda: [declarations.exists_many([n]) for n in names],
    )
    against_loop(
        "kinds", lambda: declarations.kind_many(names), lambda: [declarations.kind(n) for n in names]
    )
    against_loop(
        "types", lambda: declarations.type_many(names), lambda: [declarations.type_many([n]) for n in names]
    )
    for field in FIELDS:
        if field == "axioms":  # a walk over all that a constant rests on, not a look at it
            continue

        def bulk(wanted: str = field) -> None:
            declarations.get_many(names, fields=(wanted,))

        def loop(wanted: str = field) -> None:
            for name in names:
                getattr(declarations.get(name), wanted)

        against_loop(f"get_many, {field}", bulk, loop)


def bare(session: Session) -> int:
    """Copy and decode every imported name."""
    lean, table, count = session._lean, session._lean.table, 0
    with lean.engine.eval(table.module_data(session._env)) as data:
        for i in range(lean.number(Size(data))):
            copied = lean.engine.eval_data(table.module_constant_names(Index(data, i)), 10_000_000)
            assert isinstance(copied, list)
            count += len([decode(name) for name in copied])
    return count


def best(run: Callable[[], object], times: int = 3) -> float:
    """Return the least seconds of a few runs: what other work on the machine adds is not of interest."""
    least = float("inf")
    for _ in range(times):
        begun = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - begun)
    return least


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else THEOREMS)
