"""``Reference``: only what is named is asked for, and what it rests on; comparator's configurations are read so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leanhost.errors import UsageError
from leanhost.services.session.host import Host
from leanhost.workers import ComparatorConfig, Reference, WorkerPool
from leanhost.workers.values.items import Asked
from tests.support.judging import judged

STATED = (
    "def n : Nat := sorry\ndef k : Nat := 1\ndef unused : Nat := 3\naxiom ax : 1 = 2\n"
    "theorem t : n + k = 3 := sorry\ntheorem u : 1 = 2 := sorry\n"
)
K = "def k : Nat := 1\n"
T = "theorem t : n + k = 3 := rfl\n"


def of(theorems: list[str], definitions: list[str] = [], permitted: list[str] | None = None) -> Asked:  # noqa: B006
    return Asked(tuple(theorems), tuple(definitions), None if permitted is None else tuple(permitted))


def found(host: Host, candidate: str, asked: Asked, reference: str = STATED, whole: bool = False) -> set[str]:
    judgement = judged(host, reference, candidate, asked=asked, whole=whole)
    return {f"{r.code} {r.name}".strip() for r in judgement.refusals}


def test_only_what_is_named_is_asked_for(host: Host) -> None:
    filled = "def n : Nat := 2\n" + K + T
    assert judged(host, STATED, filled, asked=of(["t"], ["n"])).holes == ("n",)
    assert found(host, filled, of(["t"], ["n"])) == set()
    assert "missing u" in found(host, filled, Asked())
    assert found(host, "", of(["t"], ["n"])) == {"missing t", "missing n", "missing k"}
    assert "definition k" in found(host, "def n : Nat := 1\ndef k : Nat := 2\n" + T, of(["t"], ["n"]))
    assert "kind n" in found(
        host, filled.replace("def n", "opaque n").replace(":= rfl", ":= sorry"), of(["t"], ["n"])
    )
    # Nothing is a hole that is not named.
    assert found(host, filled, of(["t"])) >= {"definition n"}


def test_what_is_named_may_have_any_value_of_the_type(host: Host) -> None:
    """Also where the reference gives one, and whether Lean compiles it or not: as comparator has it."""
    reference = "def n : Nat := 1\ntheorem t : n = n := sorry\n"
    candidate = "noncomputable def n : Nat := Classical.choice ⟨3⟩\ntheorem t : n = n := rfl\n"
    assert found(host, candidate, of(["t"], ["n"]), reference) == set()
    assert found(host, candidate, of(["t"]), reference) == {"definition n"}
    other = "def n : Bool := true\ntheorem t : n = n := rfl\n"
    assert "definition n" in found(host, other, of(["t"], ["n"]), reference)
    assert found(host, candidate, of(["t"], ["n"], []), reference) == {"axiom n", "axiom t"}


def test_what_is_no_theorem_or_definition_cannot_be_asked_for(native_host: Host) -> None:
    for asked in (of(["v"]), of(["k"]), of(["t"], ["m"]), of(["t"], ["u"]), of([])):
        assert {code.split()[0] for code in found(native_host, K, asked)} == {"reference"}
    reference = "unsafe def n : Nat := 1\ntheorem t : 1 = 1 := sorry\n"
    candidate = "theorem t : 1 = 1 := rfl\n"
    assert found(native_host, candidate, of(["t"], ["n"]), reference) == {"reference"}


def test_permitted_axioms_are_all_there_are(native_host: Host) -> None:
    reference = (
        "axiom ax : 1 = 2\ntheorem t (p q : Prop) (h : p ↔ q) : p = q := sorry\ntheorem u : 1 = 2 := sorry\n"
    )
    candidate = reference.replace("p = q := sorry", "p = q := propext h").replace(":= sorry", ":= ax")
    for permitted, refused in {
        ("propext", "ax"): set(),
        ("propext",): {"axiom u"},
        ("ax", "Quot.sound"): {"axiom t"},
        (): {"axiom t", "axiom u"},
    }.items():
        assert found(native_host, candidate, of(["t", "u"], [], list(permitted)), reference) == refused
    own = "axiom mine : 1 = 2\ntheorem u : 1 = 2 := mine\n"
    # What neither the library nor the reference declares is nobody's to permit by its name.
    assert found(native_host, own, of(["u"], [], ["mine"]), reference) == {"axiom u"}


def test_a_theorem_that_the_candidate_imports(native_pool: WorkerPool) -> None:
    """What a solution imports is its own, where the library is compared as well."""
    reference = "prelude\nimport Fixture.Logic\ntheorem trivial : True := .intro\n"
    found = native_pool.verify(Reference(source=reference, theorems=["trivial"]), "import Init.Core\n")
    assert found.refusals == ()
    assert (found.verified, found.from_scratch) == (True, True)
    assert [r.code for r in native_pool.verify(reference, "import Init.Core\n").refusals] == ["missing"]


def test_names_are_names() -> None:
    for wrong in ({"theorems": "t"}, {"definitions": "n"}, {"permitted_axioms": "a"}, {"theorems": ["a b"]}):
        with pytest.raises(UsageError):
            Reference(source="", **wrong)
    assert Reference(source="", theorems=["A.t"]).asked == Asked(("A.t",), (), None)
    assert Reference(source="").asked == Asked()


# --- comparator's configurations ---

CONFIG: dict[str, Any] = {
    "challenge_module": "Deep.Challenge",
    "solution_module": "Solution",
    "theorem_names": ["t"],
    "definition_names": ["n"],
    "permitted_axioms": ["propext", "Quot.sound", "Classical.choice"],
    "enable_nanoda": False,
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "lakefile.toml").touch()
    for folder in ("Deep", "configs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "Deep" / "Challenge.lean").write_text(STATED)
    (tmp_path / "Solution.lean").write_text("def n : Nat := 2\n" + K + T)
    return tmp_path


def written(folder: Path, **changed: object) -> Path:
    path = folder / "config.json"
    values = {key: value for key, value in (CONFIG | changed).items() if value is not ...}
    path.write_text(json.dumps(values))
    return path


def test_a_configuration_is_a_reference_and_a_candidate(native_pool: WorkerPool, project: Path) -> None:
    for folder in (project, project / "configs"):
        config = ComparatorConfig.load(written(folder, unknown=1))
        verification = native_pool.verify(config.reference(), config.candidate())
        assert (verification.verified, verification.holes) == (True, ("n",))
    without = ComparatorConfig.load(written(project, definition_names=...))
    refusals = native_pool.verify(without.reference(), without.candidate()).refusals
    assert [(r.code, r.name) for r in refusals] == [("definition", "n")]
    elsewhere = ComparatorConfig.load(written(project / "Deep"))
    assert elsewhere.source("Solution", project) == project / "Solution.lean"
    with pytest.raises(UsageError, match="no source of the module Solution"):
        elsewhere.source("Solution", project / "Deep")


def test_odd_module_names_are_found(project: Path) -> None:
    (project / "Deep" / "12.34").mkdir()
    (project / "Deep" / "12.34" / "5.lean").touch()
    config = ComparatorConfig.load(written(project, challenge_module="Deep.«12.34».«5»"))
    assert config.source(config.challenge_module) == project / "Deep" / "12.34" / "5.lean"


@pytest.mark.parametrize(
    ("kernels", "commands"),
    [
        ({}, ()),
        ({"external_kernels": {"a": ["b", "--c", "d e"]}}, ("b --c 'd e' {file}",)),
        ({"external_kernels": {"a": ["b"]}, "enable_nanoda": False}, ("b {file}",)),
    ],
)
def test_kernels_are_commands(project: Path, kernels: dict[str, object], commands: tuple[str, ...]) -> None:
    assert ComparatorConfig.load(written(project, **kernels)).kernels == commands


def test_nanoda_as_comparator_calls_it_is_refused(project: Path) -> None:
    config = ComparatorConfig.load(written(project, enable_nanoda=True))
    with pytest.raises(UsageError, match="has enable_nanoda, which is not supported"):
        _ = config.kernels


@pytest.mark.parametrize(
    "wrong",
    [
        {"challenge_module": ...},
        {"challenge_module": 1},
        {"challenge_module": ""},
        {"challenge_module": "«..».a"},
        {"solution_module": "«a/b»"},
        {"solution_module": "a b"},
        {"theorem_names": ...},
        {"theorem_names": "t"},
        {"theorem_names": [1]},
        {"theorem_names": ["a b"]},
        {"definition_names": "n"},
        {"permitted_axioms": ...},
        {"enable_nanoda": "yes"},
        {"external_kernels": []},
        {"external_kernels": {"a": []}},
        {"external_kernels": {"a": "b"}},
        {"external_kernels": {"a": ["b"]}, "enable_nanoda": True},
    ],
)
def test_what_is_no_configuration(project: Path, wrong: dict[str, object]) -> None:
    path = written(project, **wrong)
    with pytest.raises(UsageError, match="is no configuration of comparator's"):
        ComparatorConfig.load(path)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b" " * (1 << 20) + b"{}"])
def test_junk_is_no_configuration(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="is no configuration of comparator's"):
        ComparatorConfig.load(path)
