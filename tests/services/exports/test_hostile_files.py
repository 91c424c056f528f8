"""Files that are out for something: nothing false is accepted, nothing crashes, everything has a reason."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leanhost.errors import UsageError
from leanhost.lean import names
from leanhost.services.exports.read.lines import ReplayLimits
from leanhost.services.exports.read.outcome import Refused, Replayed, ReplayOpen, ReplayRejected
from leanhost.services.exports.read.replay import replay_export
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.progress import ProgressEvent
from leanhost.services.values.results import Limit
from tests.support.exporting import Exporter
from tests.support.exports import File, kernel_says
from tests.support.ndjson import META, Writer


def bodies(data: bytes) -> list[bytes]:
    return data.split(b"\n")[:-1]


def joined(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


# --- what the format forbids ---


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"7", "not a JSON object"),
        (b"{}", "no line of the format"),
        (b'{"in":1}', "no line of the format"),
        (b"\xff", "not UTF-8"),
        (b'{"in":1,"str":{"pre":0,"str":"\\ud800"}}', "surrogate"),
        (b'{"in":0,"str":{"pre":0,"str":"a"}}', "the number 0 is given to a second name"),
        (b'{"in":2,"str":{"pre":2,"str":"a"}}', "there is no name 2 yet"),
        (b'{"in":true,"str":{"pre":0,"str":"a"}}', "a natural number is wanted"),
        (b'{"in":-1,"str":{"pre":0,"str":"a"}}', "out of range"),
        (b'{"in":9223372036854775808,"str":{"pre":0,"str":"a"}}', "out of range"),
        (b'{"il":0,"succ":0}', "the number 0 is given to a second level"),
        (b'{"ie":7,"app":{"fn":7,"arg":7}}', "there is no expression 7 yet"),
        (b'{"in":1,"in":1,"str":{"pre":0,"str":"a"}}', "a key occurs twice"),
        (b'{"in":1,"str":{"pre":1,"str":"a"}}', "there is no name 1 yet"),
        (b'{"in":1,"str":{"pre":-1,"str":"a"}}', "there is no name -1 yet"),
        (b'{"in":1,"str":{"pre":0,"str":1}}', "a string is wanted"),
        (b'{"in":1,"str":{"pre":0}}', "the keys are pre, not pre, str"),
        (b'{"in":1,"str":{"pre":0,"str":"_leanhost"}}', "leanhost's own"),
        (b'{"in":1,"num":{"pre":0,"i":-1}}', "out of range"),
        (b'{"in":1,"num":{"pre":0,"i":99999999999999999999}}', "out of range"),
        (b'{"in":1,"num":{"pre":0,"i":9999999999999999999999999999}}', "out of range"),
        (b'{"in":1,"num":{"pre":0,"i":1.5}}', "natural numbers only"),
        (b'{"in":1,"num":{"pre":0,"i":NaN}}', "natural numbers only"),
        (b'{"il":1,"max":[0]}', "not a pair"),
        (b'{"il":1,"succ":1}', "there is no level 1 yet"),
        (b'{"ie":0,"bvar":70000}', "out of range"),
        (b'{"ie":0,"natVal":"-1"}', "decimal digits"),
        (b'{"ie":0,"natVal":"01"}', "begins with a zero"),
        (b'{"ie":0,"natVal":1}', "decimal digits"),
        ('{"ie":0,"natVal":"١"}'.encode(), "decimal digits"),
        (b'{"ie":0,"app":{"fn":0,"arg":0}}', "there is no expression 0 yet"),
        (b'{"ie":0,"const":{"name":0,"us":0}}', "not an array"),
        (b'{"axiom":{"name":0,"levelParams":[],"type":0,"isUnsafe":false}}', "anonymous"),
        (b'{"meta":{}}', "no line of the format"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_a_malformed_line_is_refused(native: Exporter, line: bytes, reason: str) -> None:
    outcome = native.replay(META + line + b"\n")
    assert isinstance(outcome, Refused)
    assert outcome.line == 2
    assert reason in outcome.reason


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"{}\n",
        b'{"meta":{}}\n',
        b'{"meta":{"format":{"version":"3.0.0"}}}\n',
        b'{"meta":{"format":{"version":31}}}\n',
        META.strip() * 2,
    ],
)
def test_another_format_is_refused(native: Exporter, first: bytes) -> None:
    assert isinstance(native.replay(first), Refused)


def test_limits_are_kept(native: Exporter) -> None:
    data = native.file("Nat.add_comm")
    for limits in (
        ReplayLimits(line_bytes=100),
        ReplayLimits(file_bytes=1000),
        ReplayLimits(lines=20),
        ReplayLimits(depth=5),
    ):
        outcome = replay_export(io.BytesIO(data), native.lean, limits=limits)
        assert isinstance(outcome, Refused), limits
    with pytest.raises(UsageError):
        ReplayLimits(depth=0)


def test_a_level_that_is_exponential_as_a_tree_is_refused(native: Exporter) -> None:
    w = Writer()
    level = 0
    for _ in range(40):
        level = w.level(max=[level, level])
    outcome = native.replay(w.data())
    assert isinstance(outcome, Refused)
    assert "level" in outcome.reason


def test_deep_terms_are_checked_or_refused(native: Exporter) -> None:
    for depth in (2_900, 100_000):
        w = Writer()
        prop = w.sort()
        type_ = prop
        for _ in range(depth):
            type_ = w.pi(prop, type_)
        w.axiom("deep", type_)
        outcome = native.replay(w.data())
        assert isinstance(outcome, Replayed if depth < 3_000 else Refused)


def test_a_kernel_that_does_not_come_to_an_end_is_stopped(native_extended: Any) -> None:
    exporter = native_extended(
        "def g : Nat → Nat → Nat\n  | 0, m => m\n  | n+1, m => g n (2*m) + g n (2*m+1)\n"
        "theorem t : g 3 0 = 28 := rfl\n"
    )
    data = exporter.file("t")
    assert isinstance(exporter.replay(data), Replayed)
    endless = data.replace(b'"natVal":"3"', b'"natVal":"60"')
    assert endless != data
    outcome = replay_export(io.BytesIO(endless), exporter.lean, options=ElabOptions(max_heartbeats=500))
    assert isinstance(outcome, ReplayOpen)
    assert outcome.limit is Limit.HEARTBEATS
    assert outcome.line > 1


def test_progress_is_told_in_bytes(native: Exporter) -> None:
    events: list[ProgressEvent] = []
    data = native.file("Nat.add_comm")
    replay_export(io.BytesIO(data), native.lean, progress=events.append)
    assert {event.phase for event in events} == {"replay"}
    assert events[-1].current == len(data)


def test_a_text_file_is_a_usage_error(native: Exporter) -> None:
    with pytest.raises(UsageError, match="binary"):
        replay_export(io.StringIO("{}"), native.lean)  # type: ignore[arg-type]


# --- what would prove False ---


def test_number_literals_need_the_natural_numbers(native: Exporter) -> None:
    w = Writer()
    w.axiom("Nat", w.sort(w.level(succ=0)))
    outcome = native.replay(w.data())
    assert isinstance(outcome, Refused)
    assert "Nat is something else" in outcome.reason
    w = Writer()
    w.axiom("T", w.sort(w.level(succ=0)))
    w.definition("two", w.const("T"), w.expr(natVal="2"))
    outcome = native.replay(w.data())
    assert isinstance(outcome, Refused)
    assert "before Nat is declared" in outcome.reason


def test_an_empty_type_of_strings_has_no_literals(native: Exporter) -> None:
    data = native.file("Nat.add")
    count = max(json.loads(line).get("in", 0) for line in bodies(data))
    exprs = max(json.loads(line).get("ie", 0) for line in bodies(data))
    type_level = {"il": 1 + max(json.loads(line).get("il", 0) for line in bodies(data)), "succ": 0}
    extra = [
        {"in": count + 1, "str": {"pre": 0, "str": "String"}},
        {"in": count + 2, "str": {"pre": 0, "str": "text"}},
        type_level,
        {"ie": exprs + 1, "sort": type_level["il"]},
        {"axiom": {"name": count + 1, "levelParams": [], "type": exprs + 1, "isUnsafe": False}},
        {"ie": exprs + 2, "const": {"name": count + 1, "us": []}},
        {"ie": exprs + 3, "strVal": "a"},
        {
            "def": {"name": count + 2, "levelParams": [], "type": exprs + 2, "value": exprs + 3}
            | {"hints": "abbrev", "safety": "safe", "all": [count + 2]}
        },
    ]
    outcome = native.replay(data + b"".join(json.dumps(x).encode() + b"\n" for x in extra))
    assert isinstance(outcome, Refused)
    assert "string literal" in outcome.reason


def test_a_false_addition_is_not_what_the_kernel_computes(native_extended: Any) -> None:
    # Under the name Nat.add the kernel would compute 2 + 2 = 4, whatever the definition says.
    exporter = native_extended(
        "def left (a b : Nat) : Nat := a\n"
        "theorem four : (4 : Nat) = 4 := rfl\n"
        "theorem two : left 2 2 = 2 := rfl\n"
    )
    data = exporter.file("four", "two")
    true = _rename(data, "left", "Nat", "add")
    outcome = exporter.replay(true)
    assert isinstance(outcome, Replayed), outcome
    assert outcome.set_aside == ("Nat.add",)
    false = _rename(_says_four(data), "left", "Nat", "add")
    assert isinstance(exporter.replay(false), ReplayRejected)
    # To vouch for such a function is at the caller's own risk.
    assert isinstance(exporter.replay(false, "Nat.add"), Replayed)
    assert isinstance(exporter.replay(true, "Nat.add"), ReplayRejected)


def _says_four(data: bytes) -> bytes:
    """Make the right side of the last theorem that of the one before."""
    lines = bodies(data)
    values = [json.loads(line) for line in lines]
    exprs = {value["ie"]: i for i, value in enumerate(values) if "ie" in value}
    four, two = [value["thm"]["type"] for value in values if "thm" in value][-2:]
    at = exprs[two]
    values[at]["app"]["arg"] = values[exprs[four]]["app"]["arg"]
    lines[at] = json.dumps(values[at]).encode()
    return joined(lines)


def _rename(data: bytes, old: str, prefix: str, new: str) -> bytes:
    """Rename a constant of one part to ``prefix.new``; *prefix* must be a name before it."""
    lines = bodies(data)
    pre = next(
        json.loads(line)["in"]
        for line in lines
        if b'"in"' in line and json.loads(line).get("str") == {"pre": 0, "str": prefix}
    )
    for i, line in enumerate(lines):
        value = json.loads(line)
        if value.get("str") == {"pre": 0, "str": old}:
            assert value["in"] > pre
            value["str"] = {"pre": pre, "str": new}
            lines[i] = json.dumps(value).encode()
    return joined(lines)


def test_compiled_code_is_not_run(native: Exporter) -> None:
    w = Writer()
    w.axiom("Lean.reduceBool", w.sort())
    assert isinstance(native.replay(w.data()), Replayed)
    w.axiom("uses_it", w.const("Lean.reduceBool"))
    outcome = native.replay(w.data())
    assert isinstance(outcome, Refused)
    assert "compiled code" in outcome.reason


def test_quotient_names_are_the_quotients_own(native: Exporter) -> None:
    w = Writer()
    w.axiom("Quot.lift", w.sort())
    outcome = native.replay(w.data())
    assert isinstance(outcome, Refused)


def test_a_name_is_declared_once(native: Exporter) -> None:
    w = Writer()
    prop = w.sort()
    w.axiom("a", prop)
    w.axiom("a", prop)
    outcome = native.replay(w.data())
    assert isinstance(outcome, Refused)
    assert "declared twice" in outcome.reason


def test_a_wrong_proof_is_the_kernels_to_reject(native: Exporter) -> None:
    w = Writer()
    prop = w.sort()
    for name in ("p", "q"):
        w.axiom(name, prop)
    w.axiom("h", w.const("p"))
    w.theorem("t", w.const("q"), w.const("h"))
    outcome = native.replay(w.data())
    assert isinstance(outcome, ReplayRejected)
    assert outcome.name == "t"
    assert outcome.line == w.data().count(b"\n")
    assert "type mismatch" in outcome.text


def test_loose_variables_are_refused(native: Exporter) -> None:
    w = Writer()
    w.axiom("a", w.expr(bvar=0))
    outcome = native.replay(w.data())
    assert isinstance(outcome, Refused)
    assert "loose" in outcome.reason


def test_recursors_and_constructors_have_to_be_the_kernels(native: Exporter) -> None:
    lines = bodies(native.file("Nat"))
    at = next(i for i, line in enumerate(lines) if line.startswith(b'{"inductive"'))
    value = json.loads(lines[at])

    def changed(change: Any) -> object:
        copy = json.loads(lines[at])
        change(copy["inductive"])
        return native.replay(joined([*lines[:at], json.dumps(copy).encode(), *lines[at + 1 :]]))

    def bump(part: str, key: str) -> Any:
        def change(family: Any) -> None:
            old = family[part][0][key]
            family[part][0][key] = (not old) if isinstance(old, bool) else old + 1

        return change

    for part, rows in value["inductive"].items():
        for key, old in rows[0].items():
            if isinstance(old, bool | int) and key not in ("name", "induct"):
                assert not isinstance(changed(bump(part, key)), Replayed), (part, key)
    for drop in ("recs", "ctors", "types"):
        assert not isinstance(changed(lambda family, drop=drop: family[drop].pop()), Replayed)
    assert not isinstance(changed(lambda family: family["recs"][0]["rules"].reverse()), Replayed)
    assert not isinstance(changed(lambda family: family["types"][0]["ctors"].reverse()), Replayed)


def test_cancellation_leaves_the_question_open(native: Exporter) -> None:
    from leanhost.services.values.cancellation import CancellationToken

    token = CancellationToken()
    token.cancel()
    outcome = replay_export(io.BytesIO(native.file("Nat.add_comm")), native.lean, cancellation=token)
    assert isinstance(outcome, ReplayOpen)
    assert outcome.limit is Limit.CANCELLED


# --- flips and edits: accepted means what the file says ---


def _sound(exporter: Exporter, data: bytes) -> object:
    """Replay; what is accepted must be in the kernel as the file has it, axioms included."""
    outcome = exporter.replay(data)
    assert isinstance(outcome, Replayed | ReplayRejected | Refused | ReplayOpen)
    if isinstance(outcome, Replayed):
        file = File(data)
        assert {names.parse(name) for name in outcome.names} == set(file.constants)
        assert {names.parse(name) for name in outcome.axioms} == {
            name for name, kind in file.kinds.items() if kind == "axiom"
        }
        for theorem in outcome.theorems:
            name = names.parse(theorem.name)
            assert set(map(names.parse, theorem.axioms)) == file.axioms(name)
            if not outcome.set_aside:
                assert kernel_says(exporter.lean, outcome, name) == file.constants[name]
    return outcome


def _term_lines(data: bytes) -> list[int]:
    """Where the lines of terms are that have no names of binders in them, and no text."""
    words = (b'{"app"', b'{"bvar"', b'{"const"', b'"sort"', b'"natVal"')
    return [i for i, line in enumerate(bodies(data)) if any(word in line[:20] for word in words)]


def test_a_flipped_bit_in_a_term_never_passes_for_the_same_theorem(native: Exporter) -> None:
    data = native.file("even_two")
    lines = bodies(data)
    original = File(data)
    rng = random.Random(20)
    accepted = 0
    for _ in range(100):
        at = rng.choice(_term_lines(data))
        line = bytearray(lines[at])
        line[rng.randrange(len(line))] ^= 1 << rng.randrange(8)
        if b"\n" in line or b"\r" in line:
            continue
        flipped = joined([*lines[:at], bytes(line), *lines[at + 1 :]])
        outcome = _sound(native, flipped)
        if isinstance(outcome, Replayed):
            accepted += 1
            # A valid file, then, and one that says something else.
            assert File(flipped).constants != original.constants
    assert accepted < 10


_edits = st.lists(
    st.tuples(
        st.sampled_from(("drop", "double", "swap", "cut", "number", "byte", "insert")),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=4,
)


def _edited(data: bytes, edits: list[tuple[str, int, int]]) -> bytes:
    lines = bodies(data)
    for kind, a, b in edits:
        at = a % len(lines)
        line = bytearray(lines[at])
        match kind:
            case "drop" if len(lines) > 1:
                del lines[at]
                continue
            case "double":
                lines.insert(at, lines[at])
                continue
            case "swap":
                other = b % len(lines)
                lines[at], lines[other] = lines[other], lines[at]
                continue
            case "cut":
                line = line[: b % (len(line) + 1)]
            case "number":
                digits = [i for i, c in enumerate(line) if 48 <= c < 58]
                if digits:
                    line[digits[b % len(digits)]] = 48 + b % 10
            case "byte" if line:
                line[b % len(line)] = b % 256
            case _:
                line.insert(b % (len(line) + 1), b % 256)
        lines[at] = bytes(line)
    return joined(lines)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=_edits)
def test_edited_files_never_surprise(native: Exporter, edits: list[tuple[str, int, int]]) -> None:
    data = _edited(native.file("Nat.add"), edits)
    outcome = native.replay(data)
    assert isinstance(outcome, Replayed | ReplayRejected | Refused | ReplayOpen)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_noise_is_refused(native: Exporter, data: bytes) -> None:
    assert isinstance(native.replay(data), Refused)
    noise = data.replace(b"\n", b"")
    outcome = native.replay(META + noise)
    assert isinstance(outcome, Refused) == bool(noise) or isinstance(outcome, Replayed)
