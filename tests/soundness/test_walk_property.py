"""The walk against a kernel that lacks the axiom: what rests on it is exactly what that kernel does not accept."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from leanhost.lean.core import Lean
from leanhost.lean.names import show
from leanhost.services.exports.read.outcome import Refused, Replayed, ReplayRejected
from leanhost.services.exports.read.replay import replay_export
from leanhost.services.session.host import Host
from tests.support.preludes import PLACES, USES, prelude, tainted
from tests.support.surfaces import OPTION, OPTIONS, exported

_WORDS = ("axiom", "def", "thm", "opaque", "inductive", "quot")
_LITERAL_USES = ("in a type", "in a value", "in a let", "in a projection", "in a motive", "under a recursor")


@dataclass(frozen=True)
class Small:
    """A source, the axiom somewhere in it."""

    places: frozenset[str]
    steps: int
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return prelude(self.places, self.steps) + OPTION + "\n".join(self.lines)


@st.composite
def environments(draw: st.DrawFn) -> Small:
    """Definitions, structures, families and theorems over a prelude, each of which may mention earlier ones."""
    small = Small(draw(st.frozensets(st.sampled_from(PLACES), max_size=2)), draw(st.integers(0, 3)))
    values, types, props = ["Nat.zero"], ["Nat"], ["True'"]
    small.lines.append("def True' : Prop := ∀ p : Prop, p → p\ntheorem proof0 : True' := fun _ h => h")
    proofs = ["proof0"]
    for i in range(draw(st.integers(1, 6))):
        value, type_, proof = (draw(st.sampled_from(each)) for each in (values, types, proofs))
        direct = draw(st.integers(0, 4)) == 0
        match draw(st.sampled_from(["def", "structure", "family", "theorem", "literal", "literal"])):
            case "def":
                body = tainted("Nat", f"({value})", small.steps) if direct else value
                small.lines.append(f"noncomputable def value{i} : Nat := Nat.succ ({body})")
                values.append(f"value{i}")
            case "structure":
                body = tainted("Type", f"({type_})", small.steps) if direct else type_
                small.lines.append(f"structure S{i} : Type where\n  field : {body}")
                types.append(f"S{i}")
            case "family":
                body = tainted("Type", "Nat", small.steps) if direct else type_
                small.lines.append(f"inductive T{i} : Type where\n  | leaf (n : {body})\n  | node (t : T{i})")
                types.append(f"T{i}")
            case "theorem":
                said = draw(st.sampled_from([f"Is Nat ({value})", f"∀ x : {type_}, Is {type_} x", *props]))
                by = "fun _ _ h => h" if said.startswith("∀") else "fun _ h => h"
                small.lines.append(f"theorem proof{i + 1} : {said} := let _p := {proof}; {by}")
                proofs.append(f"proof{i + 1}")
            case _:
                use = USES[draw(st.sampled_from(_LITERAL_USES))]
                small.lines.append(use.replace("theorem boom", f"theorem proof{i + 1}").rstrip())
                proofs.append(f"proof{i + 1}")
    return small


def rests_on(lean: Lean, data: bytes) -> dict[str, bool]:
    """What a replay says of each constant: whether it rests on the axiom."""
    outcome = replay_export(io.BytesIO(data), lean, options=OPTIONS)
    assert isinstance(outcome, Replayed), outcome
    return {show(name): ("bad",) in axioms for name, axioms in outcome.rests.items()}


def accepted_without(lean: Lean, data: bytes) -> set[str]:
    """What a kernel accepts of an export that has no ``bad``: what it does not is left out, one by one."""
    lines = [json.loads(line) for line in data.splitlines()]
    lines = [line for line in lines if not _declares_bad(lines, line)]
    while True:
        text = "".join(json.dumps(line) + "\n" for line in lines).encode()
        outcome = replay_export(io.BytesIO(text), lean, options=OPTIONS)
        if isinstance(outcome, Replayed):
            return set(outcome.names)
        assert isinstance(outcome, ReplayRejected | Refused), outcome
        gone = lines.pop(outcome.line - 1)
        assert any(word in gone for word in _WORDS), (outcome, gone)


def _declares_bad(lines: list[dict[str, Any]], line: dict[str, Any]) -> bool:
    return "axiom" in line and {"in": line["axiom"]["name"], "str": {"pre": 0, "str": "bad"}} in lines


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(small=environments())
def test_the_walk_says_what_a_kernel_without_the_axiom_does(host: Host, small: Small) -> None:
    note(small.text)
    body = small.text.replace("prelude\n", "", 1)
    with host.session(()) as empty, empty.extend(body) as grown:
        data = exported(grown)
        walked = rests_on(grown._lean, data)
        accepted = accepted_without(grown._lean, data)
        assert {name for name, rests in walked.items() if not rests} == accepted
        found = grown.declarations.get_many(list(walked), fields=["axioms"])
        for name, declared in zip(walked, found, strict=True):
            assert declared is not None
            assert ("bad" in map(str, declared.axioms.names)) == walked[name], name
