"""What a second kernel adds to ``verify``, once it has the library. ``python -m benchmarks.kernels``.

The same pool verifies with and without, in turns. The embedded Lean judges over its own ``Init``, with the native
runtime's kernel beside it; the native runtime judges over a library of 100,000 theorems, with a second process of its
own kernel.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.library import big_library
from benchmarks.table import alternate, ms, show
from leanhost.toolchain import resolve
from leanhost.workers import WorkerPool

THEOREMS = {
    "one line": ("theorem bench{0} (a b : Nat) (h : a = b) : b = a := ", "h.symm"),
    "`omega`": ("theorem bench{0} (a b : Nat) (h : a < b) : a + 1 ≤ b := ", "by omega"),
}
_numbers = itertools.count()


def verified(pool: WorkerPool, kind: str, kernels: Sequence[str]) -> None:
    """Verify a theorem like no other."""
    stated, proof = (text.format(next(_numbers)) for text in THEOREMS[kind])
    verification = pool.verify(f"{stated}by sorry\n", f"{stated}{proof}\n", kernels=kernels)
    assert verification.verified, verification
    assert len(verification.kernels) == 1 + (kernels != ["none"])


def table(title: str, kinds: Sequence[str], rounds: int, **settings: Any) -> None:
    """Compare for each kind of theorem."""
    rows = []
    with WorkerPool(**settings) as pool:
        for kind in kinds:
            verified(pool, kind, ["none"])
            started = time.perf_counter()
            verified(pool, kind, ["native-runtime"])
            first = time.perf_counter() - started
            works = {
                "one kernel": lambda kind=kind: verified(pool, kind, ["none"]),
                "two kernels": lambda kind=kind: verified(pool, kind, ["native-runtime"]),
            }
            seconds = alternate(works, rounds, 1)
            one, two = (statistics.median(seconds[name]) for name in works)
            rows.append([kind, ms(one), ms(two), f"{two / one:.2f}x", ms(first)])
    show(title, ["theorem", "one kernel", "two kernels", "ratio", "the first with two"], rows)


def main() -> None:
    """Run every table."""
    table("`verify` on the embedded Lean (p50)", list(THEOREMS), 3, toolchain=resolve("embedded"), spares=0)
    table(
        "`verify` over 100,000 declarations, native (p50)",
        ["one line"],
        3,
        toolchain=resolve("native-runtime"),
        search_path=big_library(),
        imports=["Big"],
    )


if __name__ == "__main__":
    main()
