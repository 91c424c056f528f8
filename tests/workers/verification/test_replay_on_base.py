"""What a candidate added is data: on a clean import it can neither replace the library nor skip the kernel."""

from __future__ import annotations

import io
import json
from contextlib import ExitStack
from typing import Any

import pytest

from leanhost.lean.core import Constant
from leanhost.services.exports.read.outcome import (
    Refused,
    Replayed,
    ReplayOpen,
    ReplayOutcome,
    ReplayRejected,
)
from leanhost.services.exports.write.export import export
from leanhost.services.kernel.equivalence import matches, statement_of
from leanhost.services.session.host import Host
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.results import Limit
from leanhost.workers.verification.replay_on_base import replay_added
from tests.support.exports import find
from tests.support.ndjson import Writer

SOURCE = """
inductive Tree where
  | leaf
  | node (l r : Tree)
def two : Nat := 2
theorem swap (a b : Nat) (h : a = b) : b = a := h.symm
theorem same (p q : Prop) (h : p ↔ q) : p = q := propext h
theorem both (p q : Prop) (h : p ↔ q) : p = q := same p q h
"""


def added(host: Host, source: str) -> list[dict[str, Any]]:
    """The lines of an export of what *source* adds, without the library."""
    buffer = io.BytesIO()
    with host.session(["Init"]) as base, base.extend(source) as session:
        names = [constant.name for constant in session._added]
        export(session._lean, session._lean.empty_environment(), names, buffer, added=session._added)
    return [json.loads(line) for line in buffer.getvalue().splitlines()]


def replayed(host: Host, lines: list[dict[str, Any]], imports: tuple[str, ...] = ("Init",)) -> ReplayOutcome:
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    with host.session(imports) as base:
        return replay_added(data, base._lean, base._env, options=ElabOptions())


def test_what_was_added_is_checked_on_the_imports(host: Host) -> None:
    lines = added(host, SOURCE)
    outcome = replayed(host, lines)
    assert isinstance(outcome, Replayed)
    axioms = {theorem.name: theorem.axioms for theorem in outcome.theorems}
    assert axioms["swap"] == ()
    assert axioms["same"] == axioms["both"] == ("propext",)
    assert {"Tree", "Tree.leaf", "Tree.rec", "two"} <= set(outcome.names)
    # Nothing of the library is in it.
    assert {name.split(".")[0] for name in outcome.names} == {"Tree", "two", "swap", "same", "both"}


def test_without_the_imports_it_is_nothing(native_host: Host) -> None:
    outcome = replayed(native_host, added(native_host, SOURCE), ("Fixture.Logic",))
    assert isinstance(outcome, ReplayRejected | Refused)


def test_a_wrong_proof_is_the_kernels_to_refuse(native_host: Host) -> None:
    lines = added(native_host, SOURCE)
    first, *_, last = [line["thm"] for line in lines if "thm" in line]
    last["value"] = first["value"]
    assert isinstance(replayed(native_host, lines), ReplayRejected)


@pytest.mark.parametrize("name", ["Nat", "id", "propext", "And", "Eq", "sorryAx"])
def test_what_the_library_has_cannot_be_declared_again(native_host: Host, name: str) -> None:
    lines = added(native_host, "axiom other : 1 = 2\n")
    for line in lines:
        if "str" in line and line["str"]["str"] == "other":
            line["str"]["str"] = name
    assert isinstance(replayed(native_host, lines), ReplayRejected | Refused)


@pytest.mark.parametrize("name", ["gcd", "log2", "add"])
def test_what_the_kernel_computes_is_the_librarys_to_declare(native_host: Host, name: str) -> None:
    """Also where the library has no such function: the kernel would compute it all the same."""
    lines = added(native_host, "def Nat.other (a b : Nat) : Nat := a\n")
    for line in lines:
        if "str" in line and line["str"]["str"] == "other":
            line["str"]["str"] = name
    outcome = replayed(native_host, lines)
    assert isinstance(outcome, Refused)
    assert f"Nat.{name}" in outcome.reason


@pytest.mark.parametrize("mark", [{"safety": "unsafe"}, {"safety": "partial"}])
def test_nothing_unsafe_comes_in(native_host: Host, mark: dict[str, str]) -> None:
    lines = added(native_host, SOURCE)
    for line in lines:
        if "def" in line:
            line["def"].update(mark)
    assert isinstance(replayed(native_host, lines), Refused)


def test_compiled_code_is_not_run(host: Host) -> None:
    if host.toolchain.engine == "native":
        pytest.skip("the fixture library has nothing that runs compiled code")
    outcome = replayed(host, added(host, "theorem t : 2 ^ 10 = 1024 := by native_decide\n"))
    assert isinstance(outcome, Refused)
    assert "compiled code" in outcome.reason


def test_literals_need_the_types_they_have(native_host: Host) -> None:
    lines = added(native_host, 'def n : Nat := 37\ndef s := "abc"\n')
    assert isinstance(replayed(native_host, lines), Replayed)
    outcome = replayed(native_host, lines, ())
    assert isinstance(outcome, ReplayRejected | Refused)


def test_literals_are_nothing_where_their_types_are_not_leans(native_host: Host) -> None:
    """The kernel gives a literal the type of that name, whatever the imports have under it: here none has a value."""
    numbers, strings = Writer(), Writer()
    numbers.definition("n", numbers.const("Nat"), numbers.expr(natVal="37"))
    strings.definition("s", strings.const("String"), strings.expr(strVal="abc"))
    empty = "axiom Nat : Type\naxiom String : Type\n"
    other = f"{empty}axiom Nat.zero : String\naxiom Nat.succ : (n : Nat) → Nat\n"
    right = f"{empty}axiom Nat.zero : Nat\naxiom Nat.succ : (n : Nat) → Nat\n"
    with ExitStack() as stack:
        base = stack.enter_context(native_host.session(()))
        wrong, odd, half = (stack.enter_context(base.extend(source)) for source in (empty, other, right))
        for session, writer, says in (
            (odd, numbers, "Nat is not imported"),
            (base, numbers, "Nat is mentioned before it is declared"),
            (wrong, numbers, "Nat is not imported"),
            (half, numbers, ""),
            (wrong, strings, "String.ofList is not imported"),
            (half, strings, "String.ofList is not imported"),
        ):
            outcome = replay_added(writer.data(), session._lean, session._env, options=ElabOptions())
            assert isinstance(outcome, Refused) if says else isinstance(outcome, Replayed), outcome
            assert not says or says in outcome.reason  # type: ignore[union-attr]


def test_junk_is_refused_by_line(native_host: Host) -> None:
    with native_host.session(["Init"]) as base:
        for data in (b"", b"{}\n", b"\xff\n", b'{"in": 1}\n'):
            outcome = replay_added(data, base._lean, base._env, options=ElabOptions())
            assert isinstance(outcome, Refused)
            assert outcome.line <= 2


def test_a_cancellation_leaves_it_open(native_host: Host) -> None:
    data = "".join(json.dumps(line) + "\n" for line in added(native_host, SOURCE)).encode()
    token = CancellationToken()
    token.cancel()
    with native_host.session(["Init"]) as base:
        outcome = replay_added(data, base._lean, base._env, options=ElabOptions(), cancellation=token)
    assert isinstance(outcome, ReplayOpen)
    assert outcome.limit is Limit.CANCELLED


def test_a_term_that_is_exponential_as_a_tree_is_read_as_it_is_written(native_host: Host) -> None:
    """Rebuilding, checking, comparing and exporting follow shared parts once: otherwise this would never end."""
    w = Writer()
    type_, proof = w.const("True"), w.const("True.intro")
    conjunction, intro = w.const("And"), w.const("And.intro")
    for _ in range(60):
        proof = w.app(intro, type_, type_, proof, proof)
        type_ = w.app(conjunction, type_, type_)
    w.theorem("big", type_, proof)
    with native_host.session(["Init"]) as base:
        lean, found = base._lean, []
        for _ in range(2):
            outcome = replay_added(w.data(), lean, base._env, options=ElabOptions())
            assert isinstance(outcome, Replayed)
            found.append((find(lean, outcome.kernel_env, ("big",)), outcome.kernel_env))
        (one, env), (other, _) = found
        assert matches(lean, env, statement_of(lean, one), statement_of(lean, other), ElabOptions()).syntactic
        buffer = io.BytesIO()
        big = Constant(("big",), "theorem", one)
        export(lean, lean.empty_environment(), [("big",)], buffer, added=[big])
        assert len(buffer.getvalue()) < 20_000


@pytest.mark.parametrize("field", ["k", "numMotives", "name"])
def test_a_recursor_is_the_kernels_own(native_host: Host, field: str) -> None:
    lines = added(native_host, "inductive Two where\n  | a\n  | b\n")
    for line in lines:
        for recursor in line.get("inductive", {}).get("recs", ()):
            recursor[field] = {"k": True, "numMotives": 2, "name": recursor["all"][0]}[field]
    outcome = replayed(native_host, lines)
    assert isinstance(outcome, ReplayRejected)
    assert "the kernel made another recursor" in outcome.text
