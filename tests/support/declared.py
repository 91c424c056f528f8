from __future__ import annotations

from collections.abc import Iterator

import pytest

from leanhost.services.declarations.service import DeclarationService
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session

OWN = """
namespace Probe
universe u
/-- Twice a number. -/
def twice (n : Nat) : Nat := n + n
theorem twice_eq (n : Nat) : twice n = n + n := rfl
@[simp] theorem twice_simp (n : Nat) : twice n = n + n := rfl
@[reducible] def short (n : Nat) : Nat := n
class Shape (α : Type u) where
  size : α → Nat
instance natShape : Shape Nat := ⟨fun n => n⟩
protected theorem guarded : True := True.intro
private def hidden : Nat := 0
axiom wrong : Nat.zero = Nat.succ Nat.zero
theorem uses_wrong : Nat.zero = Nat.succ Nat.zero := wrong
opaque sealed : Nat
inductive Colour where
  | red
  | green
def «odd name!?é» : Nat := 3
end Probe
"""


def service(session: Session) -> DeclarationService:
    return DeclarationService(session._lean, session._env, session._state.imported, session._runner)


@pytest.fixture(scope="module")
def session(host: Host) -> Iterator[Session]:
    with host.session(["Init"]) as opened, opened.extend(OWN) as extended:
        yield extended


@pytest.fixture(scope="module")
def declarations(session: Session) -> DeclarationService:
    """Questions about the core library and the declarations of ``OWN`` on top of it."""
    return service(session)
