"""What an export keeps while it streams: numbers, not terms."""

from __future__ import annotations

import io
import json
import tracemalloc

from leanhost.services.exports.interning import PairTable
from leanhost.services.exports.outcome import Replayed
from tests.evidence.conftest import Exporter
from tests.evidence.reading import constants
from tests.evidence.test_hostile_files import Writer


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


def _peak(exporter: Exporter, data: bytes) -> tuple[int, int]:
    """Export what *data* declares; return the most Python memory that took, and the size of the export."""
    outcome = exporter.replay(data)
    assert isinstance(outcome, Replayed)
    with exporter.lean.empty_environment() as nothing:
        again = Exporter(exporter.lean, nothing, constants(exporter.lean, outcome))
        wanted = outcome.names
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            size = len(again.file(*wanted))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    # The file itself is kept in memory here, in a buffer that grows by an eighth.
    return peak - before - size * 9 // 8, size


def test_memory_grows_by_less_than_the_file(native: Exporter) -> None:
    small, small_size = _peak(native, _big(80))
    large, large_size = _peak(native, _big(320))
    assert large_size > 3 * small_size
    assert large - small < large_size - small_size


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
