"""What an export keeps while it streams: numbers, not terms."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any, BinaryIO, cast

from leanhost.services.exports.interning import PairTable
from leanhost.services.exports.read.outcome import Replayed
from leanhost.services.exports.write.export import export
from tests.support.exporting import Exporter
from tests.support.exports import constants
from tests.support.ndjson import Writer


def _big(definitions: int) -> bytes:
    """Definitions of some hundred terms each that occur nowhere else."""
    w = Writer()
    w.axiom("N", w.sort(w.level(succ=0)))
    n = w.const("N")
    w.axiom("z", n)
    w.axiom("f", w.pi(n, w.pi(n, n)))
    f, z = w.const("f"), w.const("z")
    last = z
    for i in range(definitions):
        for _ in range(50):
            last = w.app(f, last, z)
        w.definition(f"d{i}", n, last)
        last = w.const(f"d{i}")
    return w.data()


class Sink(io.RawIOBase):
    """A file that keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def write(self, data: Any, /) -> int:
        self.size += len(data)
        return len(data)


def _peak(exporter: Exporter, data: bytes) -> tuple[int, int]:
    """Export what *data* declares; return the most Python memory that took, and the size of the export."""
    outcome = exporter.replay(data)
    assert isinstance(outcome, Replayed)
    lean, sink = exporter.lean, Sink()
    with lean.empty_environment() as nothing:
        added = constants(lean, outcome)
        tracemalloc.start()
        try:
            export(lean, nothing, [c.name for c in added], cast(BinaryIO, sink), added=added)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    return peak, sink.size


def test_memory_does_not_hold_the_terms(native: Exporter) -> None:
    small, small_size = _peak(native, _big(100))
    large, large_size = _peak(native, _big(400))
    assert large_size > 3 * small_size
    # Copies of the terms would take six times the file.
    assert large - small < 2 * (large_size - small_size)


def test_pairs_are_numbered_in_order_and_known_again() -> None:
    table = PairTable()
    pairs = [(i % 97, i * i % 10_007) for i in range(20_000)]
    known: dict[tuple[int, int], int] = {}
    for first, second in pairs:
        number = table.number(first, second)
        if (first, second) in known:
            assert number == known[first, second]
        else:
            assert ~number == len(known)
            known[first, second] = ~number
    assert len(table) == len(known)


def test_a_big_file_round_trips(native: Exporter) -> None:
    data = _big(30)
    outcome = native.replay(data)
    assert isinstance(outcome, Replayed)
    with native.lean.empty_environment() as nothing:
        again = Exporter(native.lean, nothing, constants(native.lean, outcome))
        file = io.BytesIO(again.file(*outcome.names))
    second = native.replay(file.getvalue())
    assert isinstance(second, Replayed)
    assert set(second.names) == set(outcome.names)
    assert sum("def" in json.loads(line) for line in file) == 30
