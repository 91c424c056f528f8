"""What needs library code that is missing is unsupported; what can be elaborated and is wrong is rejected."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from leanhost.services.session.host import Host
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.results import Status
from leanhost.workers import WorkerPool
from leanhost.workers.values.items import Request
from leanhost.workers.verification import judge
from tests.support.hosts import ENGINES
from tests.support.pools import pool_of

pytestmark = pytest.mark.skipif("wasm" not in ENGINES, reason="LEANHOST_TEST_ENGINES leaves wasm out")

STATED = "theorem t : True := by sorry\n"
PROVED = "theorem t : True := trivial\n"

MISSING = {
    "a map over attached elements": """inductive Tr | node : List Tr → Tr
def Tr.sz : Tr → Nat
  | .node l => 1 + (l.attach.map fun ⟨c, _⟩ => c.sz).sum
""",
    "the same over an array": """inductive Tr | node : Array Tr → Tr
def Tr.sz : Tr → Nat
  | .node l => 1 + (l.attach.map fun ⟨c, _⟩ => c.sz).sum
""",
    "an evaluation": "#eval (List.range 10).map (· + 1)\n",
}
WRONG = {
    "a recursion without end": "def f (n : Nat) : Nat := f (n + 1)\n",
    "a name that a compiler might make": "theorem x : 1 = 1 := foo._redArg\n",
    "a false statement": "theorem x : 1 = 2 := by decide\n",
}
HOLES = {"mkMVar ⟨`hole⟩", "mkFVar ⟨`hole⟩", "mkSort (.mvar ⟨`hole⟩)", "mkBVar 0"}
ADDS = """import Lean
open Lean
elab "go" : term => do
  addDecl (.{kind} {{ name := `odd, levelParams := [], type := {type}, value := {value}{more} }})
  return mkConst ``True
set_option debug.skipKernelTC true in
theorem x : go := trivial
"""
KINDS = {"thmDecl": "", "opaqueDecl": ", isUnsafe := false, all := [`odd]"}


@pytest.fixture(scope="module")
def wasm_pool(request: pytest.FixtureRequest) -> Iterator[WorkerPool]:
    with pool_of("wasm", request, workers=1, spares=0) as made:
        yield made


def exported(host: Host, source: str) -> Status:
    return judge.export_added(
        host, Request(source, "<test>", None, (), 60.0), ElabOptions(timeout=60), None, whole=False
    )[0].status


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_told(embedded_host: Host, name: str) -> None:
    checked = embedded_host.check_source(MISSING[name] + PROVED)
    assert checked.status is Status.UNSUPPORTED
    assert "does not ship" in checked.reasons[0]
    assert exported(embedded_host, MISSING[name] + PROVED) is Status.UNSUPPORTED


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_rejected(embedded_host: Host, name: str) -> None:
    assert embedded_host.check_source(WRONG[name] + PROVED).status is Status.REJECTED
    assert exported(embedded_host, WRONG[name] + PROVED) is Status.REJECTED


@pytest.mark.parametrize("kind", KINDS)
def test_a_declaration_with_a_hole_is_rejected(embedded_host: Host, kind: str) -> None:
    for hole in sorted(HOLES):
        more, true, proof = KINDS[kind], "mkConst ``True", "mkConst ``True.intro"
        for type_, value in ((true, hole), (hole, proof)):
            source = ADDS.format(kind=kind, type=type_, value=value, more=more)
            assert embedded_host.check_source(source).status is Status.REJECTED, source
            if "BVar" not in hole:  # which can be written, and is refused where it is read
                assert exported(embedded_host, source) is Status.REJECTED, source


def test_a_pool_says_the_same(wasm_pool: WorkerPool) -> None:
    missing = MISSING["a map over attached elements"]
    candidate = wasm_pool.verify(STATED, missing + PROVED)
    assert candidate.status is Status.UNSUPPORTED
    assert [refusal.code for refusal in candidate.refusals] == ["elaboration"]
    reference = wasm_pool.verify(missing + STATED, PROVED)
    assert reference.status is Status.UNSUPPORTED
    assert [refusal.code for refusal in reference.refusals] == ["reference"]
    assert "does not ship" in reference.refusals[0].message
