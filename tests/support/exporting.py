from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from leanhost.engine.values import Ref
from leanhost.lean import names
from leanhost.lean.core import Constant, Lean
from leanhost.services.exports.read.outcome import ReplayOutcome
from leanhost.services.exports.read.replay import replay_export
from leanhost.services.exports.write.export import ExportReport, export
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.options import ElabOptions
from tests.support.sources import EVEN_ODD, ROSE

DEVELOPMENT = (
    """\
universe u v
inductive Tree (α : Type u) where
  | leaf : Tree α
  | node : Tree α → α → Tree α → Tree α
"""
    + EVEN_ODD
    + ROSE
    + """\
def Tree.size {α : Type u} : Tree α → Nat
  | .leaf => 0
  | .node l _ r => Tree.size l + Tree.size r + 1
theorem Tree.size_leaf {α : Type u} : Tree.size (Tree.leaf : Tree α) = 0 := rfl
theorem even_two : Even 2 := .succ (.succ .zero)
opaque hidden : Nat := 5
abbrev Two : Nat := 2
def greeting : String := "grüß\\n\\t\\"😀\\\\"
theorem big : 123456789012345678901234567890 + 1 = 123456789012345678901234567891 := rfl
axiom cheat : False
theorem bad : 1 = 2 := cheat.elim
theorem let_it (n : Nat) : (let m := n; m) = n := rfl
theorem pair {α : Type u} {β : Type v} (x : α × β) : x.1 = x.fst := rfl
"""
)
"""Every kind of declaration and of term, without the core library's quotients."""

NAMES = [
    "Tree",
    "Even",
    "Rose",
    "Tree.size_leaf",
    "even_two",
    "hidden",
    "Two",
    "greeting",
    "big",
    "bad",
    "let_it",
    "pair",
]


@dataclass(slots=True)
class Exporter:
    """Exports from, and replays on, one engine."""

    lean: Lean
    env: Ref
    added: Sequence[Constant] = ()

    def report(self, *wanted: str) -> tuple[bytes, ExportReport]:
        file = io.BytesIO()
        report = export(self.lean, self.env, [names.parse(name) for name in wanted], file, added=self.added)
        return file.getvalue(), report

    def file(self, *wanted: str) -> bytes:
        return self.report(*wanted)[0]

    def replay(self, data: bytes, *trusted: str) -> ReplayOutcome:
        return replay_export(io.BytesIO(data), self.lean, timeout=60, trusted=trusted)


@pytest.fixture(scope="module")
def session(host: Host) -> Iterator[Session]:
    with (
        host.session(["Init"], ElabOptions(timeout=120)) as opened,
        opened.extend(DEVELOPMENT) as grown,
    ):
        yield grown


@pytest.fixture(scope="module")
def exporter(session: Session) -> Exporter:
    return Exporter(session._lean, session._env)


@pytest.fixture(scope="module")
def native_extended(native_host: Host) -> Iterator[Callable[[str], Exporter]]:
    """Make an exporter over the fixture library grown by a source, on the native engine."""
    opened: list[Session] = []

    def extended(source: str) -> Exporter:
        with native_host.session(["Init"]) as base:
            opened.append(base.extend(source))
        return Exporter(opened[-1]._lean, opened[-1]._env)

    yield extended
    for session in opened:
        session.close()


@pytest.fixture(scope="module")
def native(native_extended: Callable[[str], Exporter]) -> Exporter:
    return native_extended(DEVELOPMENT)
