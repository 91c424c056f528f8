"""Headers that are not parsed again: what is known of one source holds for another that begins alike."""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from leanhost.services.elaboration.header import Headers, first_command, parse_header
from leanhost.services.session.host import Host

PARTS = [
    "import A", "module", "prelude", "public", "meta", "all", "private", "runtime", "import", "theorem", "def t",
    "open", "importx", "import.x", "module_doc", "set_option", "x.y", "@[simp]", "#eval", "«a»", "é", "0", '"', "(",
    "-- c\n", "/- c -/", "/- a /- b -/ c -/", "/-- d -/",
    "/-! m -/", "/-", "-/", "-", "/", "--", "\t", "\n", " ", " ",
]  # fmt: skip
SOURCES = st.lists(st.sampled_from(PARTS), max_size=8).map("".join)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(beginning=SOURCES, rests=st.lists(SOURCES, min_size=2, max_size=3))
@example("import A\n", ["theorem t : True", "theorem /- never closed", "theorem", "theorem\t", "theoremx : "])
@example("", ["meta def f", "meta import A", "public meta def f"])
def test_what_is_known_of_one_source_holds_for_another(host: Host, beginning: str, rests: list[str]) -> None:
    headers = Headers()
    for text in (beginning + rest for rest in (*rests, *rests)):
        assert headers.parse(host._lean, text, "x.lean") == parse_header(host._lean, text, "x.lean"), repr(
            text
        )


def test_a_header_is_parsed_once(host: Host) -> None:
    headers = Headers()
    first, second = (
        headers.parse(host._lean, f"import A\n\ntheorem t{i} : True := trivial\n", "x.lean") for i in range(2)
    )
    assert first is second


def test_known_headers_are_few(host: Host) -> None:
    headers = Headers()
    for i in range(40):
        headers.parse(host._lean, f"import A{i}\ntheorem t : True := trivial\n", "x.lean")
    assert len(headers._known) == 32


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=SOURCES)
@example("\n -- only a comment\n")
@example("/- one -/ /- two -/ theorem t : True := trivial")
def test_commands_begin_where_lean_says(host: Host, text: str) -> None:
    header = parse_header(host._lean, text, "x.lean")
    if not header.written and not header.diagnostics:
        assert first_command(host._lean, text, "x.lean") == header.end
