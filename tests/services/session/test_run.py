"""``Session.run`` and ``Session.extend``: what was said and declared, where, and in which order."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from leanhost.errors import ElaborationError, UsageError
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.outcomes import Checked, Rejected
from leanhost.services.values.results import Declared, Limit, Position, Severity
from tests.support.hosts import open_host
from tests.support.sources import GOOD

Lend = Callable[[ElabOptions], Session]


def test_a_good_source_declares_and_says_nothing(session: Session) -> None:
    result = session.run(GOOD)
    assert result.ok
    assert result.declarations == (Declared("good", "theorem", Position(1, 8)),)
    assert result.diagnostics == ()
    assert result.limits == ()
    assert result.heartbeats > 0


def test_nothing_carries_over_between_runs(session: Session) -> None:
    assert session.run(GOOD).ok
    assert session.run(GOOD).ok  # not "already declared"
    assert [d.message for d in session.run("#check good").errors]


@pytest.mark.parametrize(
    "source", ["", "  \n\n", "-- only this", "/- a /- nested -/ one -/\n", "\n-- import nothing"]
)
def test_space_and_comments_are_a_source_without_commands(session: Session, source: str) -> None:
    result = session.run(source)
    assert result.ok
    assert result.declarations == ()
    assert result.diagnostics == ()


def test_a_source_may_begin_with_comments(session: Session) -> None:
    result = session.run("-- one\n/- two -/\n\n/-- doc -/ theorem t : 1 = 1 := rfl")
    assert result.ok
    assert result.declarations == (Declared("t", "theorem", Position(4, 19)),)


def test_an_import_inside_a_session_is_an_error(session: Session) -> None:
    result = session.run("import Init\ntheorem t : 1 = 1 := rfl")
    assert not result.ok


def test_declarations_come_in_source_order(session: Session) -> None:
    source = """\
theorem zeta : True := True.intro
inductive Mid
  | late
  | early
def alpha : Nat := 1
namespace N
private theorem hidden : True := zeta
end N
theorem «odd name» : True := zeta
"""
    result = session.run(source)
    assert result.ok
    placed = [(d.name, d.position) for d in result.declarations if d.position is not None]
    assert placed == [
        ("zeta", Position(1, 8)),
        ("Mid", Position(2, 10)),
        ("Mid.late", Position(3, 4)),
        ("Mid.early", Position(4, 4)),
        ("alpha", Position(5, 4)),
        ("N.hidden", Position(7, 16)),
        ("«odd name»", Position(9, 8)),
    ]
    names = [d.name for d in result.declarations]
    assert names.index("Mid") < names.index("Mid.rec") < names.index("alpha")
    assert next(d for d in result.declarations if d.name == "Mid.rec").position is None


def test_evidence_and_theorems_come_in_source_order(session: Session, host: Host) -> None:
    names = [f"t{i}" for i in (3, 1, 2, 9, 7, 5, 8, 0)]
    source = "".join(f"theorem {name} : True := True.intro\n" for name in names)
    match session.kernel_check(source):
        case Checked(evidence, everything):
            assert evidence.name == "t0"
            assert [e.name for e in everything] == names
        case other:
            pytest.fail(repr(other))
    checked = host.check_source(source)
    assert [(t.name, t.position) for t in checked.theorems] == [
        (name, Position(i + 1, 8)) for i, name in enumerate(names)
    ]


def test_positions_are_lines_from_one_and_columns_in_code_points(session: Session) -> None:
    result = session.run("theorem 𝔸 : True := True.intro\n/- 𝔸𝔸 -/ #check 𝔹𝔹")
    (error,) = result.errors
    assert error.position == Position(2, 16)
    assert error.end == Position(2, 18)
    assert error.severity is Severity.ERROR


def test_crlf_counts_as_one_line_end(session: Session) -> None:
    result = session.run("theorem a : True := True.intro\r\n\r\n#check b\r\n")
    (error,) = result.errors
    assert error.position == Position(3, 7)
    assert result.declarations[0].position == Position(1, 8)


def test_messages_keep_their_severity_and_file(session: Session) -> None:
    result = session.run("#check Nat\ntheorem s : 1 = 2 := sorry\n#check nope", file="My.lean")
    severities = [d.severity for d in result.diagnostics]
    assert severities == [Severity.INFORMATION, Severity.WARNING, Severity.ERROR]
    assert {d.file for d in result.diagnostics} == {"My.lean"}


def test_sorry_is_found_in_the_environment(session: Session) -> None:
    result = session.run("theorem s : 1 = 2 := sorry\ntheorem t : 1 = 1 := rfl\ndef f : Nat := sorry")
    assert result.ok
    assert [s.declaration for s in result.sorries] == ["s", "f"]


@pytest.mark.parametrize(
    "source", ["\ufefftheorem t : True := True.intro", "theorem t : \ud800 := 1"], ids=["bom", "surrogate"]
)
def test_what_is_no_lean_text_is_a_diagnostic(session: Session, source: str) -> None:
    result = session.run(source)
    assert not result.ok
    assert result.errors[0].kind.startswith("leanhost.source.")


@pytest.mark.parametrize("source", [b"theorem", None, 3])
def test_a_source_is_text(session: Session, source: object) -> None:
    with pytest.raises(UsageError, match="a source is a str"):
        session.run(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("file", [b"a", None, 3])
def test_a_file_label_is_text(session: Session, host: Host, file: object) -> None:
    with pytest.raises(UsageError, match="a file label is a str"):
        session.run(GOOD, file=file)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a file label is a str"):
        host.check_source(GOOD, file=file)  # type: ignore[arg-type]


@pytest.mark.parametrize("file", ["a\0b", "no\udcffutf8", "\ud800", "", "x" * 10_000, "日本"])
def test_any_text_is_a_file_label(session: Session, host: Host, file: str) -> None:
    (error,) = session.run("#check nope", file=file).errors
    assert error.file == file
    assert host.check_source(GOOD, file=file).file == file


def test_five_megabytes(engine: str, request: pytest.FixtureRequest) -> None:
    # On a host of its own: the shared one's memory holds what every test imported, and on wasm it is small.
    with open_host(engine, request) as host, host.session(["Init"]) as session:
        result = session.run("-- " + "x" * 5_000_000 + "\n" + GOOD)
        assert result.ok
        assert result.declarations == (Declared("good", "theorem", Position(2, 8)),)
        result = session.run("/-" + "\n" * 5_000_000 + "-/ #check nope")
        assert [d.position for d in result.errors] == [Position(5_000_001, 10)]


def test_nul_bytes_are_lean_s_to_judge(session: Session) -> None:
    assert session.run(GOOD + "\0" + GOOD).errors
    assert session.run("/- \0 -/ " + GOOD).ok


# --- extend ---------------------------------------------------------------------------------------


def test_extend_and_extend_again(session: Session) -> None:
    with session.extend(GOOD) as one, one.extend("theorem better : 1 = 1 := good 1 1 rfl") as two:
        assert two.run("#check good\n#check better").ok
        assert not one.run("#check better").ok
        assert not session.run("#check good").ok
        outcome = two.kernel_check("theorem best : 1 = 1 := better")
        assert isinstance(outcome, Checked)
        # What the session was extended by is not declared again by what is checked in it.
        assert [e.name for e in outcome.all] == ["best"]


def test_an_extension_outlives_what_it_extends(host: Host) -> None:
    base = host.session(["Init"])
    one = base.extend(GOOD)
    base.close()
    two = one.extend("theorem better : 1 = 1 := good 1 1 rfl")
    one.close()
    with two:
        assert isinstance(two.kernel_check("theorem t : 1 = 1 := better"), Checked)


def test_extending_by_comments_only(session: Session) -> None:
    with session.extend("-- nothing") as same:
        assert isinstance(same.kernel_check(GOOD), Checked)


def test_open_and_variable_end_with_the_source(session: Session) -> None:
    with session.extend("namespace A\ntheorem inner : True := True.intro\nend A\nopen A") as grown:
        assert grown.run("#check A.inner").ok
        assert not grown.run("#check inner").ok


def test_a_faulty_extension_raises_with_the_result(session: Session) -> None:
    with pytest.raises(ElaborationError, match=r"(?i)unknown") as caught:
        session.extend("theorem t : True := nope")
    assert getattr(caught.value.result, "errors", None)
    assert session.run(GOOD).ok


def test_an_extension_with_sorry_taints_what_uses_it(session: Session) -> None:
    with session.extend("theorem gap : 1 = 2 := sorry") as grown:
        assert isinstance(grown.kernel_check(GOOD), Checked)
        outcome = grown.kernel_check("theorem t : 1 = 2 := gap")
        assert isinstance(outcome, Rejected)
        assert outcome.failure.code == "sorry"


# --- options --------------------------------------------------------------------------------------


def test_options_reach_lean(lend: Lend) -> None:
    with lend(ElabOptions(lean={"pp.all": True})) as session:
        assert "@Eq" in session.run("#check (rfl : 1 = 1)").diagnostics[0].message


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"no.such.option": True}, "no option named"),
        ({"pp.all": 3}, "pp.all takes bool"),
        ({"maxSynthPendingDepth": -1}, "natural number"),
    ],
)
def test_wrong_options_are_refused_before_the_import(
    host: Host, values: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        host.session(["No.Such.Module"], ElabOptions(lean=values))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["Elab.async", "maxHeartbeats", "maxRecDepth"])
def test_options_with_a_place_of_their_own_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        ElabOptions(lean={name: 0})


def test_asynchronous_elaboration_hides_no_gap(engine: str, session: Session) -> None:
    """A source can turn it on for itself, and Lean then keeps what it says; the environment still tells."""
    result = session.run("set_option Elab.async true\ntheorem t : 1 = 2 := by decide\n#check t")
    assert result.errors or [s.declaration for s in result.sorries] == ["t"]


def test_dropped_diagnostics_are_a_limit_that_keeps_errors(lend: Lend) -> None:
    with lend(ElabOptions(diagnostic_bytes=40)) as session:
        result = session.run("#check Nat\n" * 50 + "#check nope")
        assert Limit.DIAGNOSTIC_BYTES in result.limits
        assert sum(len(d.message.encode()) for d in result.diagnostics) <= 40
        assert [d.position.line for d in result.errors] == [51]
        assert not result.ok
        good = session.run("#check Nat\n" * 50)
        assert good.ok
