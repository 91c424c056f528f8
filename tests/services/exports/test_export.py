"""Exports: what is in the file, and that the file is the same each time."""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from leanhost.errors import Cancelled, ObjectTooLarge, UsageError
from leanhost.lean import names
from leanhost.services.exports.read.outcome import Replayed
from leanhost.services.exports.write.export import export
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.progress import ProgressEvent
from tests.support.exporting import NAMES, Exporter
from tests.support.exports import File, constants, kernel_says

LIBRARY = ("Nat.div", "Nat.mod")
"""Functions of the real library whose definitions no open equation gives away."""


def _replayed(exporter: Exporter, data: bytes, *trusted: str) -> Replayed:
    outcome = exporter.replay(data, *trusted)
    assert isinstance(outcome, Replayed), outcome
    return outcome


def test_a_development_replays_with_its_axioms(exporter: Exporter) -> None:
    data, report = exporter.report(*NAMES)
    outcome = _replayed(exporter, data)
    assert report.count == len(outcome.names)
    assert report.lines == outcome.lines == data.count(b"\n")
    assert report.bytes == outcome.bytes == len(data)
    assert set(NAMES) <= set(outcome.names)
    axioms = {theorem.name: theorem.axioms for theorem in outcome.theorems}
    assert axioms["bad"] == ("cheat",)
    assert axioms["even_two"] == axioms["big"] == ()
    assert set(report.axioms) | set(report.missing_bodies) == set(outcome.axioms)


def test_the_kernel_holds_what_the_file_says(native: Exporter) -> None:
    data = native.file("Tree.size_leaf", "even_two", "Rose", "pair", "let_it")
    outcome, file = _replayed(native, data), File(data)
    assert outcome.set_aside == ()
    assert {names.parse(name) for name in outcome.names} == set(file.constants)
    for name, said in file.constants.items():
        assert kernel_says(native.lean, outcome, name) == said


def test_exporting_what_was_replayed_gives_the_same_bytes(exporter: Exporter) -> None:
    data = exporter.file(*NAMES)
    outcome = _replayed(exporter, data, *LIBRARY)
    with exporter.lean.empty_environment() as nothing:
        again = Exporter(exporter.lean, nothing, constants(exporter.lean, outcome))
        second = again.file(*NAMES)
    # The replayed environment has never heard of proofs that were not shipped.
    assert second.split(b"\n")[1:] == data.split(b"\n")[1:]


def test_the_same_environment_gives_the_same_bytes(exporter: Exporter) -> None:
    assert exporter.file(*NAMES) == exporter.file(*NAMES)


def test_lines_are_unique_and_numbered_in_order(exporter: Exporter) -> None:
    lines = [json.loads(line) for line in exporter.file(*NAMES).decode().split("\n")[:-1]]
    seen = set()
    counts = {"in": 1, "il": 1, "ie": 0}
    for line in lines:
        for key, expected in counts.items():
            if key in line:
                assert line.pop(key) == expected
                counts[key] += 1
                text = json.dumps(line)
                assert text not in seen
                seen.add(text)


def test_the_first_line_says_who_wrote_what(exporter: Exporter) -> None:
    data, report = exporter.report("even_two")
    meta = json.loads(data.split(b"\n")[0])["meta"]
    assert meta["format"] == {"version": "3.1.0"}
    assert meta["exporter"]["name"] == "leanhost"
    version, commit = exporter.lean.version()
    assert meta["lean"] == {"version": version, "githash": commit}
    assert tuple(meta.get("missingBodies", ())) == report.missing_bodies


def test_proofs_that_were_not_shipped_are_marked(engine: str, exporter: Exporter) -> None:
    data, report = exporter.report("Nat.add_comm")
    outcome = _replayed(exporter, data)
    if engine == "native":
        assert report.complete
        assert outcome.axioms == ()
    else:
        assert report.missing_bodies == outcome.missing_bodies == ("Nat.add_comm",)
        assert outcome.axioms == ("Nat.add_comm",)
        assert report.axioms == ()


def test_quotients_and_choice(exporter: Exporter) -> None:
    outcome = _replayed(exporter, exporter.file("Quot.lift", "Quot.sound", "Classical.choice"))
    assert {"Quot", "Quot.mk", "Quot.lift", "Quot.ind"} <= set(outcome.names)
    assert set(outcome.axioms) == {"Quot.sound", "Classical.choice"}


def test_functions_the_kernel_computes_keep_their_names_where_that_is_right(
    engine: str, exporter: Exporter
) -> None:
    outcome = _replayed(exporter, exporter.file("greeting", "Nat.pow", "Nat.sub", "Nat.beq"))
    assert outcome.set_aside == (() if engine == "native" else LIBRARY)


def test_an_unknown_name_is_a_usage_error(exporter: Exporter) -> None:
    with pytest.raises(UsageError, match=r"Not\.there"):
        exporter.file("Not.there")


def test_a_path_appears_whole_or_not_at_all(exporter: Exporter, tmp_path: Path) -> None:
    target = tmp_path / "out.ndjson"
    wanted = [("even_two",)]
    report = export(exporter.lean, exporter.env, wanted, target)
    assert target.stat().st_size == report.bytes
    target.unlink()
    with pytest.raises(ObjectTooLarge):
        export(exporter.lean, exporter.env, wanted, target, max_objects=3)
    assert list(tmp_path.iterdir()) == []


def test_progress_is_told_and_cancellation_is_heard(exporter: Exporter) -> None:
    events: list[ProgressEvent] = []
    export(exporter.lean, exporter.env, [("even_two",)], io.BytesIO(), progress=events.append)
    assert {event.phase for event in events} == {"collect", "export"}
    written = [event for event in events if event.phase == "export"]
    assert written[-1].current == written[-1].total
    assert [e.current for e in written] == sorted(e.current for e in written)
    token = CancellationToken()
    token.cancel()
    with pytest.raises(Cancelled):
        export(exporter.lean, exporter.env, [("even_two",)], io.BytesIO(), cancellation=token)


def test_unsafe_and_partial_constants_are_left_out(native_extended: Callable[[str], Exporter]) -> None:
    exporter = native_extended("unsafe def risky : Nat := 1\ntheorem fine : True := trivial")
    data, report = exporter.report("risky", "fine")
    assert report.skipped == ("risky",)
    assert "risky" not in _replayed(exporter, data).names


def test_no_handle_is_left_behind(exporter: Exporter) -> None:
    exporter.replay(exporter.file("even_two"))
    gc.collect()
    before = exporter.lean.engine.live
    for _ in range(3):
        exporter.replay(exporter.file("even_two"))
    assert exporter.lean.engine.live <= before
