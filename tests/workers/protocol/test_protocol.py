"""The parts without processes: frames, verdicts as JSON, the guess at a header."""

from __future__ import annotations

import json
import socket
import tracemalloc
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from leanhost.errors import ImportFailed, WorkerStartError
from leanhost.lean.core import Import
from leanhost.services.elaboration.header import parse_header
from leanhost.services.session.host import Host
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.results import (
    CheckResult,
    Diagnostic,
    Position,
    Severity,
    Sorry,
    Status,
    Theorem,
)
from leanhost.system.process_limits import Limits
from leanhost.toolchain import Toolchain
from leanhost.workers.jobs.import_profiles import ImportProfile, headerless, importable, profile_of
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.framing import (
    LENGTH,
    MAX_REPLY_BYTES,
    MAX_TEXT_BYTES,
    ProtocolError,
    Unpacker,
    pack,
    pack_reply,
    receive,
)
from leanhost.workers.protocol.messages import (
    Check,
    Config,
    Done,
    Order,
    Reply,
    error_in,
    error_out,
)
from leanhost.workers.supervision.exit_status import UNKNOWN, status_of_exit
from leanhost.workers.values.items import Request
from leanhost.workers.values.verification import Judgement, Refusal


class Anything(Struct):
    """A message that has any JSON in it."""

    of: Any = None


FULL = CheckResult(
    file="a.lean",
    status=Status.REJECTED,
    diagnostics=(
        Diagnostic(Severity.ERROR, "no \ud800 ∀", Position(1, 2), Position(3, 4), "a.lean", "kind"),
        Diagnostic(Severity.INFORMATION, "", Position(5, 0), None, "a.lean"),
    ),
    theorems=(Theorem("t", "theorem", "1 = 1", ("propext",), Position(1, 8)), Theorem("u", "axiom", "x", ())),
    sorries=(Sorry("t"),),
    reasons=("because",),
    elapsed=0.123456789,
    toolchain="some Lean",
    caveats=("careful",),
)


SENT: dict[str, Any] = json.loads(codec.encode(Done("1", FULL)))["result"]


def read(message: Any) -> CheckResult:
    """What a pool makes of *message*, sent as a verdict."""
    done: Done = codec.decode(json.dumps({"type": "done", "id": "1", "result": message}).encode(), Done)
    return done.result


def test_a_verdict_survives_the_way_whole() -> None:
    done = Done("1", FULL)
    (frame,) = Unpacker[Reply](Reply, 1 << 20).feed(pack(done, limit=1 << 20))
    assert isinstance(frame.message, Done)
    assert frame.message.result == FULL == read(SENT)
    # Output and the item's id are added by the pool; everything else must have been non-trivial above.
    empty = CheckResult("", Status.ACCEPTED)
    same = {f.name for f in fields(FULL) if getattr(FULL, f.name) == getattr(empty, f.name)}
    assert same == {"stdout", "stderr", "id"}


@pytest.mark.parametrize("part", list(SENT))
@pytest.mark.parametrize("junk", [None, 3, True, "x", [1], {"a": 1}, [[]], [None]])
def test_no_part_of_a_verdict_is_taken_on_trust(part: str, junk: Any) -> None:
    try:
        result = read({**SENT, part: junk})
    except ProtocolError:
        return
    assert isinstance(result.elapsed, float)
    assert all(isinstance(d, Diagnostic) for d in result.diagnostics)
    assert all(isinstance(r, str) for r in result.reasons + result.caveats)


@pytest.mark.parametrize("message", ["", "\ud800"])
@pytest.mark.parametrize("elapsed", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400])
def test_a_number_is_one_that_can_be_reckoned_with(elapsed: str, message: str) -> None:
    """Python reads more in JSON than JSON has, and whole numbers that no float can hold."""
    sent = json.dumps({**SENT, "reasons": [message], "elapsed": 0.25})
    sent = f'{{"type":"done","id":"1","result":{sent}}}'
    assert codec.decode(sent.encode(), Done).result.elapsed == 0.25
    with pytest.raises(ProtocolError):
        codec.decode(sent.replace("0.25", elapsed).encode(), Done)


@pytest.mark.parametrize(
    "junk", [None, {}, "abc", ["abc"], [["a", "b", "c"]], [{"is": "Refusal", "code": "a", "name": "b"}], [[]]]
)
def test_no_judgement_is_taken_on_trust(junk: Any) -> None:
    judgement = Judgement((Refusal("sorry", "t", "t uses `sorry`"),), ("n",), ("u",))
    sent = codec.encode(judgement, Judgement)
    assert codec.decode(sent, Judgement) == judgement
    message = json.loads(sent)
    for forged in (
        {**message, "refusals": junk},
        {**message, "holes": [junk] if junk != "abc" else junk},
        {**message, "disproved": {"n": junk}},
        junk,
    ):
        with pytest.raises(ProtocolError):
            codec.decode(json.dumps(forged).encode(), Judgement)


@settings(deadline=None, max_examples=50)
@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_whatever_is_sent_as_a_verdict_is_a_verdict_or_an_error(junk: Any) -> None:
    with pytest.raises(ProtocolError):
        read(junk)


@given(
    st.lists(
        st.tuples(
            st.builds(Anything, st.dictionaries(st.text(max_size=5), st.integers(), max_size=3)),
            st.sampled_from([b"", b"[1]"]),
            st.none() | st.text(max_size=5),
        ),
        max_size=5,
    ),
    st.integers(1, 7),
)
def test_frames_are_found_however_the_stream_is_cut(frames: list[tuple[Any, bytes, Any]], size: int) -> None:
    data = b"".join(pack(*frame, limit=1 << 20) for frame in frames)
    unpacker: Unpacker[Any] = Unpacker(Anything, 1 << 20)
    found = [m for i in range(0, len(data), size) for m in unpacker.feed(data[i : i + size])]
    assert found == frames


def test_a_frame_over_the_limit_is_refused_before_it_arrives() -> None:
    with pytest.raises(ProtocolError):
        Unpacker(Reply, 100).feed(LENGTH.pack(101))
    with pytest.raises(ProtocolError):
        pack(Anything("x" * 100), limit=100)


@pytest.mark.parametrize(
    "body", [b"{}{}", b"{} {}", b"{}]", b"{}x", b"{}{}\0text", b'{"id":"1"', b"[]", b"", b"\n{}", b"\xff"]
)
def test_a_frame_is_one_object_and_nothing_else(body: bytes) -> None:
    assert Unpacker(Anything).feed(LENGTH.pack(2) + b"{}") == [(Anything(), b"", None)]
    with pytest.raises(ProtocolError):
        Unpacker(Anything).feed(LENGTH.pack(len(body)) + body)


def test_a_worker_takes_no_frame_over_the_limit() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(pack(Anything("x" * 80), limit=100) + LENGTH.pack(101))
        assert receive(theirs, Anything, 100) == (Anything("x" * 80), b"", None)
        with pytest.raises(ProtocolError, match="over the limit"):
            receive(theirs, Anything, 100)


def test_a_payload_and_a_text_travel_beside_the_rest() -> None:
    for text in ("", '\0 {"a":1}\n' * 3, "∀ 🙂", None):
        for payload in (b"", b'{"a":1}'):
            frame = (Anything("1"), payload, text)
            assert Unpacker(Anything).feed(pack_reply(*frame) + pack(*frame, limit=100)) == [frame, frame]
    with pytest.raises(ProtocolError):
        Unpacker(Anything).feed(LENGTH.pack(4) + b"{}\0\xff")


COSTLY = {
    "empty lists": (b"[", b"[],", 1 << 21),
    "empty objects": (b'{"a":[', b"{},", 1 << 21),
    "numbers": (b"[", b"1.5,", 1 << 21),
    "empty strings": (b"[", b'"",', 1 << 22),
    "one string": (b'"', b"x" * (1 << 20), 17),
    "strings that are never closed": (b'["', b'\\"[,",', 1 << 22),
}


@pytest.mark.parametrize("what", COSTLY)
def test_a_reply_cannot_cost_the_pool_much_more_than_it_cost_to_send(what: str) -> None:
    """Read as JSON these would take from ten to sixty times their size: they are refused unread."""
    head, unit, times = COSTLY[what]
    body = head + unit * times
    frame = LENGTH.pack(len(body)) + body
    unpacker: Unpacker[Any] = Unpacker(Anything)
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match="over the limit"):
            unpacker.feed(frame)
        assert tracemalloc.get_traced_memory()[1] < 6 * len(frame)
    finally:
        tracemalloc.stop()


def test_marks_in_strings_are_no_values() -> None:
    """A goal about a long list is one string."""
    message = Anything(['[1, {"2": 3}],\\"' * (1 << 17)] * 2)
    payload = codec.encode(message)
    assert Unpacker(Anything).feed(pack_reply(message, payload)) == [(message, payload, None)]


def test_a_worker_is_told_what_the_pool_would_not_take() -> None:
    frames: list[tuple[Any, bytes, str | None]] = [
        ({"a": [[]] * (1 << 20)}, b"", None),
        ({"a": "x" * MAX_REPLY_BYTES}, b"", None),
        ({}, b"[" + b"[]," * (1 << 20) + b"[]]", None),
        ({}, b'"' + b"x" * MAX_REPLY_BYTES + b'"', None),
        ({}, b"", "x" * MAX_TEXT_BYTES),
    ]
    for frame in frames:
        with pytest.raises(ProtocolError):
            pack_reply(*frame)


class Text(str):
    """A caller's own kind of text."""


def test_settings_requests_and_errors_survive_the_way() -> None:
    imports = (Import(("A", 1), True, False, True),)
    request = Request("s \ud800", "f", imports, ("ax",), 1.5)
    for each in (request, replace(request, imports=None), replace(request, source=Text("s"), timeout=2)):
        assert codec.decode(codec.encode(Order("1", each, Check())), Order) == Order("1", each, Check())
    options = ElabOptions(timeout=3, lean={"pp.all": True, "maxSynthPendingDepth": 3})
    toolchain = Toolchain("n", "v", "c", "p", "native", None, Path("/l \udcff"), Path("/c"))
    config = Config(
        toolchain, (Path("/a"),), True, options, "import A\n", imports, Limits(1 << 30), 9.5, "auto", "/s"
    )
    assert codec.decode(codec.encode(config), Config) == config
    error = error_in(error_out(ImportFailed("no", hint="yes")))
    assert (type(error), error.message, error.hint) == (ImportFailed, "no", "yes")
    assert type(error_in(error_out(OSError("disk")))) is WorkerStartError


def test_what_cannot_be_sent_is_told_to_whoever_sends_it() -> None:
    for value in (object(), {"a": object()}, {"\ud800": object()}, Check):
        with pytest.raises(ProtocolError):
            codec.encode(value)


@pytest.mark.parametrize(
    ("code", "said", "status"),
    [
        (1, "INTERNAL PANIC: out of memory\n", Status.OUT_OF_MEMORY),
        (1, "INTERNAL PANIC: unreachable\n", Status.CRASHED),
        (-6, "Stack overflow detected. Aborting.\n", Status.CRASHED),
        (-24, "", Status.TIMEOUT),
        (-9, "", Status.CRASHED),
        (0, "", Status.CRASHED),
        (-1000, "", Status.CRASHED),
        (UNKNOWN, "", Status.CRASHED),
    ],
)
def test_no_end_of_a_process_is_an_acceptance(code: int, said: str, status: Status) -> None:
    assert status_of_exit(code, said)[0] is status


HEADERS = [
    "theorem x : 1 = 1 := rfl",
    "import Init.Core\nimport Init.Prelude",
    "/- a /- nested -/ comment -/ import Init.Core -- end\n/- more -/import Init.Prelude\ndef a := 1",
    "module\nprelude\npublic import Init.Prelude\nmeta import Init.Core\nimport all Init.Syntax\n",
    "prelude",
    "prelude import «Init».Core",
    "/-! a module comment ends the header -/\nimport Init.Core",
    "import Init.Core/- glued -/ def a := 1",
    "  \n-- only this\n",
]


@pytest.mark.parametrize("source", HEADERS)
def test_the_guess_is_what_lean_reads(native_host: Host, source: str) -> None:
    lean = native_host._lean
    really, guessed = (
        parse_header(lean, text, "x") for text in (source, profile_of(source, headerless(None)).text)
    )
    assert (guessed.imports, guessed.is_module) == (really.imports, really.is_module)


def test_given_imports_count_where_there_is_no_header() -> None:
    given = (Import(("A",)),)
    assert profile_of("def a := 1", headerless(given)) == ImportProfile("", given, ("A",))
    assert profile_of("import B", headerless(given)).imports is None


@given(st.text(alphabet="import /-\n!. Abmoduleprd«»'", max_size=60))
def test_the_guess_never_fails(source: str) -> None:
    profile_of(source, headerless(None))


def test_no_environment_is_kept_for_a_header_without_measure() -> None:
    few, many = ("".join(f"import A{n:030}\n" for n in range(count)) for count in (500, 1000))
    assert len(profile_of(few, headerless(None)).modules) == 500
    assert profile_of(many, headerless(None)) == ImportProfile()


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("import A", "/- -/ import  A -- b", True),
        ("import A", "import B", False),
        ("import A\nimport B", "import B\nimport A", False),
        ("def a := 1", "def b := 1", True),
        ("prelude\nimport A", "prelude\nimport A", False),
        ("prelude", "prelude", False),
        ("module\nimport A", "module\nimport A", False),
    ],
)
def test_only_sources_that_import_the_same_whole_modules_share_them(
    one: str, other: str, shared: bool
) -> None:
    first, second = (profile_of(source, headerless(None)) for source in (one, other))
    assert first.shared_with(second) == second.shared_with(first) == shared
    assert not headerless(()).shared_with(headerless(()))


def test_only_what_has_files_is_worth_a_process(fixture_core: Path) -> None:
    assert importable(["Init.Core", "Init"], [fixture_core])
    assert not importable(["Init.Core", "Init.Nothing"], [fixture_core])
    assert importable([], [])
