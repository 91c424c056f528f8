"""Names, levels and terms: built, taken apart, compared by Lean's equality."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanhost.errors import ClosedError, UsageError
from leanhost.lean import names
from leanhost.services.session.session import Session
from leanhost.services.terms.expr import (
    App,
    BVar,
    Const,
    Expr,
    Forall,
    Lam,
    Let,
    Level,
    Lit,
    Name,
    Proj,
    Sort,
)
from leanhost.services.terms.meta_answers import Ok

_part = st.one_of(
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="«»\0"), min_size=1, max_size=8
    ).filter(lambda t: not any(c.isspace() for c in t)),
    st.integers(0, 10**6),
)


@given(st.lists(_part, max_size=5))
def test_a_name_reads_back_what_it_shows(parts: list[str | int]) -> None:
    assert Name(str(Name(tuple(parts)))) == Name(tuple(parts))


@pytest.mark.parametrize("text", ["a..b", ".a", "a.", "«a", "a b", "a\0"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Name(text)


def test_lean_and_python_agree_on_names(session: Session) -> None:
    engine, lean = session._lean.engine, session._lean
    for parts in [("Nat", "add_comm"), ("a b", 3, "x'"), ("λ", "₁"), ("_private", "M", 0, "x"), ("ünï", "𝔸")]:
        assert names.decode(engine.eval_data(lean.name(parts))) == parts


def _term(session: Session, depth: int, draw: st.DataObject) -> Expr:
    build = session.build
    kinds = ["bvar", "const", "sort", "nat", "str"] + ["app", "lam", "forall", "let", "proj"] * (depth > 0)
    kind = draw.draw(st.sampled_from(kinds))

    def sub() -> Expr:
        return _term(session, depth - 1, draw)

    name = draw.draw(st.sampled_from(["x", "y", "h.1", "«a b»"]))
    match kind:
        case "bvar":
            return build.bvar(draw.draw(st.integers(0, 3)))
        case "const":
            levels = [build.level(draw.draw(st.integers(0, 2))), build.level("u")]
            return build.const(name, levels)
        case "sort":
            return build.sort(build.imax(build.level("u"), build.succ(build.level(1))))
        case "nat":
            return build.lit(draw.draw(st.integers(0, 10**40)))
        case "str":
            return build.lit(draw.draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=5)))
        case "app":
            return build.app(sub(), sub())
        case "lam":
            return build.lam(
                name, sub(), sub(), draw.draw(st.sampled_from(["default", "implicit", "inst_implicit"]))
            )
        case "forall":
            return build.forall(name, sub(), sub())
        case "let":
            return build.let(name, sub(), sub(), sub())
        case _:
            return build.proj("Prod", draw.draw(st.integers(0, 5)), sub())


def _rebuilt(session: Session, expr: Expr) -> Expr:
    build = session.build
    match expr.view:
        case BVar(index):
            return build.bvar(index)
        case Const(name, levels):
            return build.const(name, levels)
        case Sort(level):
            return build.sort(level)
        case Lit(value):
            return build.lit(value)
        case App(fn, arg):
            return build.app(_rebuilt(session, fn), _rebuilt(session, arg))
        case Lam(name, type_, body, binder):
            return build.lam(name, _rebuilt(session, type_), _rebuilt(session, body), binder)
        case Forall(name, type_, body, binder):
            return build.forall(name, _rebuilt(session, type_), _rebuilt(session, body), binder)
        case Let(name, type_, value, body):
            return build.let(name, *(_rebuilt(session, e) for e in (type_, value, body)))
        case Proj(structure, index, inner):
            return build.proj(structure, index, _rebuilt(session, inner))
        case other:
            raise AssertionError(other)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_term_taken_apart_and_rebuilt_is_the_same_term(session: Session, data: st.DataObject) -> None:
    term = _term(session, 3, data)
    again = _rebuilt(session, term)
    assert again.same(term)
    assert again == term
    assert hash(again) == hash(term)


def test_equality_is_alpha_equivalence(session: Session) -> None:
    build = session.build
    nat = build.const("Nat")
    x, y = build.lam("x", nat, build.bvar(0)), build.lam("y", nat, build.bvar(0))
    assert x == y
    assert not x.same(y)
    assert hash(x) == hash(y)
    assert x != nat
    assert {x: 1}[y] == 1


def test_levels_are_values_too(session: Session) -> None:
    build = session.build
    assert build.level(2) == build.succ(build.succ(build.level(0)))
    assert str(build.max(build.level("u"), build.level(1))) == "max u 1"
    assert build.level("u").args == (Name("u"),)
    assert isinstance(build.imax(build.level(0), build.level("v")).args[1], Level)
    with pytest.raises(UsageError):
        build.level(-1)


def test_what_is_printed_elaborates_to_the_same_term(session: Session) -> None:
    for text in [
        "∀ (n : Nat), n = n",
        "∀ (p q : Prop), p ∧ q → ¬(p = q)",
        "∃ n : Nat, n = 2",
        "1 + 2 * 3",
    ]:
        term = session.elaborate(text)
        assert isinstance(term, Expr)
        again = session.elaborate(str(term))
        assert isinstance(again, Expr), again
        assert session.meta.is_def_eq(term, again) == Ok(True)


def test_a_closed_handle_says_so(session: Session) -> None:
    term = session.build.const("Nat")
    term.close()
    term.close()
    assert repr(term) == "<Expr closed>"
    with pytest.raises(ClosedError):
        str(term)
    with pytest.raises(ClosedError):
        session.meta.infer_type(term)


def test_flags(session: Session) -> None:
    build = session.build
    assert build.fvar("x").has_fvar
    assert not build.const("Nat").has_fvar
    assert not build.const("Nat").has_mvar


_PARTS = st.one_of(st.integers(0, 99), st.text("ab.«» \u200b1α_", max_size=4))


@given(st.lists(_PARTS, max_size=4).map(tuple), st.lists(_PARTS, max_size=4).map(tuple))
def test_the_text_of_a_name_is_its_own(one: names.NameTuple, other: names.NameTuple) -> None:
    """Allow-lists and verdicts speak of names as text."""
    assert names.parse(names.show(one)) == one
    assert (names.show(one) == names.show(other)) == (one == other)
