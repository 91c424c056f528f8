"""Candidates that hang, flood or overgrow Lean in WebAssembly: the worker is replaced, the next request served."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from leanhost.services.results import Status
from leanhost.workers import CheckItem, WorkerPool
from tests.conftest import ENGINES
from tests.workers.conftest import GOOD, children, pool_of

pytestmark = pytest.mark.skipif("wasm" not in ENGINES, reason="LEANHOST_TEST_ENGINES leaves wasm out")

FAULTS = {
    "endless evaluation": "partial def f (n : Nat) : Nat := f (n + 1)\n#eval f 0\n",
    "endless output": 'partial def f : IO Unit := do IO.println "x"; IO.eprintln "y"; f\n#eval f\n',
    "allocation": 'partial def f (s : String) : String := f (s ++ s)\n#eval f "x"\n',
}


@pytest.fixture(scope="module")
def pool(request: pytest.FixtureRequest) -> Iterator[WorkerPool]:
    before = children()
    with pool_of("wasm", request, workers=1, spares=0, grace=0.5, memory_limit=2 << 30) as made:
        yield made
    assert children() <= before


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_costs_its_own_request(pool: WorkerPool, name: str) -> None:
    result = pool.check(CheckItem(source=FAULTS[name], timeout=4))
    assert result.status in (Status.TIMEOUT, Status.OUT_OF_MEMORY, Status.CRASHED)
    assert len(result.stdout) + len(result.stderr) < 1 << 18


def test_and_the_next_is_served(pool: WorkerPool) -> None:
    assert pool.check(GOOD).accepted


REACH = """
def tries : List String := ["/tmp/leanhost-forged", "forged", "/etc/leanhost-forged", "/proc/self/mem"]
def fds : List String := (List.range 32).map fun n => s!"/proc/self/fd/{n}"
#eval show IO Unit from do
  for path in tries ++ fds do
    try
      IO.FS.writeFile path "{\\"result\\": \\"accepted\\"}"
    catch _ => pure ()
theorem wrong : 1 = 2 := by decide
"""


def test_writing_everywhere_forges_nothing(pool: WorkerPool) -> None:
    assert pool.check(REACH).status in (Status.REJECTED, Status.CRASHED)
    assert pool.check(GOOD).accepted
