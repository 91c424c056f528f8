"""Comparing statements, and asking the kernel again."""

from __future__ import annotations

import pytest

from leanhost.engine.values import Ref
from leanhost.lean import names
from leanhost.lean.core import Constant
from leanhost.services.kernel.equivalence import Match, Statement, matches, recheck, statement_of
from leanhost.services.session.session import Session
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.limits import CallContext
from leanhost.services.values.results import Limit
from tests.support.exporting import Exporter

SOURCE = """\
theorem plain (a b : Nat) (h : a = b) : b = a := h.symm
theorem renamed (x y : Nat) (e : x = y) : y = x := e.symm
theorem unfolded (a b : Nat) (h : a = b) : id (b = a) := h.symm
theorem other (a b : Nat) (h : a = b) : a = b := h
theorem in_uv.{u, v} (α : Sort u) (β : Sort v) (a : α) (_ : β) : a = a := rfl
theorem in_xy.{x, y} (α : Sort x) (β : Sort y) (a : α) (_ : β) : a = a := rfl
theorem in_yx.{y, x} (α : Sort x) (β : Sort y) (a : α) (_ : β) : a = a := rfl
theorem in_one.{u} (α : Sort u) (β : Sort u) (a : α) (_ : β) : a = a := rfl
inductive Colour where
  | red | green
theorem Colour.uses (c : Colour) : c = c := rfl
"""


@pytest.fixture(scope="module")
def grown(session: Session) -> Session:
    return session.extend(SOURCE)


@pytest.fixture
def kernel_env(grown: Session) -> Ref:
    return grown._lean.engine.eval(grown._lean.table.kernel_env(grown._env))


def _constant(grown: Session, name: str) -> Constant:
    return next(c for c in grown._added if c.name == names.parse(name))


def _statement(grown: Session, name: str) -> Statement:
    return statement_of(grown._lean, _constant(grown, name).info)


@pytest.mark.parametrize(
    ("name", "syntactic", "definitional"),
    [
        ("plain", True, True),
        ("renamed", True, True),
        ("unfolded", False, True),
        ("other", False, False),
        ("in_uv", False, False),
    ],
)
def test_matches(grown: Session, kernel_env: Ref, name: str, syntactic: bool, definitional: bool) -> None:
    found = matches(
        grown._lean, kernel_env, _statement(grown, "plain"), _statement(grown, name), grown.options
    )
    assert (found.syntactic, found.definitional) == (syntactic, definitional)
    assert bool(found) == (syntactic or definitional)
    assert found.limit is None
    assert bool(found.message) == (not definitional)


def test_universes_are_renamed_in_order(grown: Session, kernel_env: Ref) -> None:
    def match(name: str) -> Match:
        theirs = _statement(grown, name)
        return matches(grown._lean, kernel_env, _statement(grown, "in_uv"), theirs, grown.options)

    assert match("in_xy") == Match(True, True)
    assert not match("in_yx")
    fewer = "there are 2 universe parameters, in the reference 1"
    assert match("in_one") == Match(False, False, message=fewer)


def test_a_constant_is_rechecked_with_what_it_needs(session: Session, grown: Session) -> None:
    lean = grown._lean
    base = lean.engine.eval(lean.table.kernel_env(session._state.imported.env))
    for name in ("plain", "Colour.uses", "Colour.rec", "even_two", "Tree.size_leaf", "big"):
        assert recheck(lean, base, _constant(grown, name), grown._added, grown.options).status == "checked", (
            name
        )
    # Without what came with it, it means nothing.
    alone = recheck(lean, base, _constant(grown, "Colour.uses"), (), grown.options)
    assert alone.status == "rejected"
    assert "Colour" in alone.message


def test_a_cancelled_recheck_is_no_verdict(session: Session, grown: Session) -> None:
    lean = grown._lean
    base = lean.engine.eval(lean.table.kernel_env(session._state.imported.env))
    token = CancellationToken()
    token.cancel()
    call = CallContext(cancellation=token)
    found = recheck(lean, base, _constant(grown, "plain"), grown._added, grown.options, call)
    assert found.status in ("checked", "unavailable")
    if found.status == "unavailable":
        assert found.limit is Limit.CANCELLED


def test_what_was_added_exports_without_an_environment_of_its_own(session: Session, grown: Session) -> None:
    exporter = Exporter(grown._lean, session._state.imported.env, grown._added)
    assert exporter.file("Colour.uses") == Exporter(grown._lean, grown._env).file("Colour.uses")
