"""What the kernel computes by name, in files that declare it: the library's own is computed, anything else is not."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from leanhost.services.exports.read.outcome import Replayed, ReplayOpen, ReplayRejected
from leanhost.services.exports.write.export import export
from leanhost.services.session.host import Host
from leanhost.services.values.options import ElabOptions
from tests.support.hosts import ENGINES

pytestmark = pytest.mark.skipif("wasm" not in ENGINES, reason="LEANHOST_TEST_ENGINES leaves wasm out")

SOURCE = """
theorem rest : 1000000 % 7 = 1 := by decide
theorem gcd : Nat.gcd 12 18 = 6 := by decide
theorem bits : 12 &&& 10 = 8 := rfl
theorem letters : "ab".length = 2 := rfl
theorem quotient : 17 / 5 = 3 := rfl
theorem remainder : 17 % 5 = 2 := rfl
"""


class Files:
    """Exports of theorems of ``SOURCE``, and their replays."""

    def __init__(self, host: Host) -> None:
        self.host = host
        with host.session(["Init"], ElabOptions(timeout=60)) as base:
            self.session = base.extend(SOURCE)

    def lines(self, *theorems: str) -> list[Any]:
        file = io.BytesIO()
        session = self.session
        export(session._lean, session._env, [(name,) for name in theorems], file, added=session._added)
        return [json.loads(line) for line in file.getvalue().splitlines()]

    def replay(self, lines: list[Any]) -> Any:
        data = "\n".join(map(json.dumps, lines)).encode()
        # A kernel that does not compute them unfolds for long.
        return self.host.replay(io.BytesIO(data), options=ElabOptions(max_heartbeats=2_000), timeout=60)


@pytest.fixture(scope="module")
def files(embedded_host: Host) -> Iterator[Files]:
    made = Files(embedded_host)
    yield made
    made.session.close()


def test_the_librarys_own_are_computed(files: Files) -> None:
    outcome = files.replay(files.lines("rest", "gcd", "bits", "letters", "quotient", "remainder"))
    assert isinstance(outcome, Replayed)
    assert outcome.set_aside == ()
    assert len(outcome.theorems) == 6


def named(lines: list[Any]) -> dict[str, int]:
    """Where a file declares what."""
    names = {0: ""}
    found: dict[str, int] = {}
    for i, line in enumerate(lines):
        if "in" in line:
            part = line.get("str") or line["num"]
            prefix = names[part["pre"]]
            last = str(part.get("str", part.get("i")))
            names[line["in"]] = f"{prefix}.{last}" if prefix else last
        for word in ("def", "thm", "axiom"):
            if word in line:
                found[names[line[word]["name"]]] = i
    return found


def test_another_function_is_not_computed(files: Files) -> None:
    """``Nat.mod`` with the value of ``Nat.div``: of the same type, and as good to every other check."""
    lines = files.lines("quotient", "remainder")
    places = named(lines)
    first, second = sorted((places["Nat.div"], places["Nat.mod"]))
    values = [lines[at]["def"]["value"] for at in (first, second)]
    lines[second]["def"]["value"] = values[0]
    outcome = files.replay(lines)
    assert isinstance(outcome, ReplayRejected | ReplayOpen), outcome
    whole = [line for i, line in enumerate(lines) if i not in (places["quotient"], places["remainder"])]
    rest = files.replay(whole)
    assert isinstance(rest, Replayed)
    aside = "Nat.mod" if places["Nat.mod"] == second else "Nat.div"
    assert aside in rest.set_aside


def test_nor_is_one_that_rests_on_another_definition(files: Files) -> None:
    """The function is the library's, word for word, and what a word in it means is not."""
    lines = files.lines("rest")
    at = named(lines)["Nat.modCore"]
    body = lines[at]["def"]
    # The fuel comes to nothing where the first argument is what is given back.
    lines[at:at] = made = _constantly_first(lines, body["type"])
    lines[at + len(made)]["def"]["value"] = made[-1]["ie"]
    outcome = files.replay([line for line in lines if "thm" not in line])
    assert isinstance(outcome, Replayed)
    assert "Nat.mod" in outcome.set_aside


def _constantly_first(lines: list[Any], type_: int) -> list[Any]:
    """The lines of ``fun (n m : Nat) => n``, for a type ``Nat → Nat → Nat``, under numbers nothing else has."""
    exprs = {line["ie"]: line for line in lines if "ie" in line}
    nat = exprs[type_]["forallE"]["type"]
    name = exprs[type_]["forallE"]["name"]
    big = 1 << 40
    binder = {"name": name, "type": nat, "binderInfo": "default"}
    return [
        {"ie": big, "bvar": 1},
        {"ie": big + 1, "lam": binder | {"body": big}},
        {"ie": big + 2, "lam": binder | {"body": big + 1}},
    ]
