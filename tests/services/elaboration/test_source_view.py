"""Goals, types and references at positions."""

from __future__ import annotations

import pytest

from leanhost.errors import ClosedError, ElaborationError, UsageError
from leanhost.services.session.session import Session
from leanhost.services.values.results import Position

SOURCE = """theorem foo (p q : Prop) (h : p ∧ q) : q ∧ p := by
  constructor
  exact h.2
  exact h.1

theorem bar (p : Prop) (hp : p) : p ∧ p := ⟨hp, hp⟩

theorem baz : True ∧ True := bar True trivial
"""


def test_goals_at_many_positions_from_one_elaboration(session: Session) -> None:
    first, second, outside = session.goals_at(SOURCE, [(2, 2), (4, 2), (6, 3)])
    assert first == ("p q : Prop\nh : p ∧ q\n⊢ q ∧ p",)
    assert second == ("case right\np q : Prop\nh : p ∧ q\n⊢ p",)
    assert outside == ()


def test_types_and_references(session: Session) -> None:
    with session.view(SOURCE) as view:
        assert view.result.ok
        found = view.type_at(3, 8)
        assert found is not None
        assert (found.term, found.type) == ("h", "p ∧ q")
        assert (found.start, found.end) == (Position(3, 8), Position(3, 9))
        assert view.references(3, 8) == (Position(1, 26), Position(3, 8), Position(4, 8))
        assert Position(8, 29) in view.references(8, 30)
        assert view.type_at(5, 0) is None


def test_positions_count_code_points(session: Session) -> None:
    source = "theorem «𝔸» (p : Prop) (h : p) : p := by\n  exact h\n"
    with session.view(source) as view:
        assert view.goals_at(2, 2)
        found = view.type_at(2, 8)
        assert found is not None
        assert found.start == Position(2, 8)


def test_a_place_outside_the_source_is_refused(session: Session) -> None:
    with session.view(SOURCE) as view:
        for place in [(0, 0), (99, 0), (2, 99), (2, -1)]:
            with pytest.raises(UsageError):
                view.goals_at(*place)


def test_a_broken_source_still_answers_where_it_elaborated(session: Session) -> None:
    with session.view(SOURCE.replace("exact h.1", "exact nonsense")) as view:
        assert not view.result.ok
        assert view.goals_at(2, 2)


def test_what_is_no_text_cannot_be_inspected(session: Session) -> None:
    with pytest.raises(ElaborationError):
        session.view("\ud800")


def test_a_position_is_two_whole_numbers(session: Session) -> None:
    with session.view("theorem t : True := by trivial") as view:
        for line, column in [("1", 0), (1, 0.5), (None, 0)]:
            with pytest.raises(UsageError, match="whole numbers"):
                view.goals_at(line, column)  # type: ignore[arg-type]


def test_a_closed_view_says_so(session: Session) -> None:
    with session.view("theorem t : True := by trivial") as view:
        assert view.goals_at(1, 23)
        assert repr(view) == "<SourceView of 1 lines: 1 declarations>"
    view.close()
    assert repr(view) == "<SourceView of 1 lines: closed>"
    for ask in (view.goals_at, view.type_at, view.references):
        with pytest.raises(ClosedError, match="view"):
            ask(1, 23)
