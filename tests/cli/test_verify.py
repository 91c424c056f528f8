"""``leanhost verify``: verdicts, refusals, output, exit statuses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from leanhost.cli import verify
from leanhost.cli.parser import build_parser
from leanhost.errors import UsageError
from leanhost.services.elaboration.environment import parse_imports
from leanhost.services.values.results import CheckResult, Status
from leanhost.toolchain import Toolchain
from leanhost.workers import Verification, WorkerPool
from leanhost.workers.jobs.settings import Settings
from tests.support.command import ENDLESS, clean, leanhost

STATED = "def two : Nat := 2\ntheorem swap (a b : Nat) (h : a = b) : b = a := by sorry\n"
PROVED = STATED.replace("by sorry", "h.symm")


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = tmp_path / "reference.lean"
    path.write_text(STATED)
    return path


def candidate(reference: Path, source: str) -> Path:
    path = reference.with_name("candidate.lean")
    path.write_text(source)
    return path


def answer(text: str) -> dict[str, Any]:
    (line,) = text.splitlines()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def test_proved(native: Sequence[str], reference: Path) -> None:
    path = candidate(reference, PROVED)
    done = leanhost("verify", *native, reference, path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{path}: proves {reference} (accepted; ")
    assert len(done.stdout.splitlines()) == 1


def test_refusals_have_code_name_and_message(native: Sequence[str], reference: Path) -> None:
    path = candidate(reference, STATED.replace("Nat := 2", "Nat := 3"))
    done = leanhost("verify", *native, reference, path)
    clean(done)
    assert (done.returncode, done.stderr) == (1, "")
    verdict, *refusals = done.stdout.splitlines()
    assert verdict.startswith(f"{path}: does not prove {reference} (rejected; ")
    assert sorted(refusals) == [
        "  definition two: two is not what it is in the reference",
        "  sorry swap: swap uses `sorry`",
    ]


def test_names_move_no_cursor(native: Sequence[str], reference: Path) -> None:
    reference.write_text("theorem «a\x1b[2Jb» : 1 = 1 := by sorry\n")
    path = candidate(reference, "")
    done = leanhost("verify", *native, reference, path)
    assert done.returncode == 1
    _, refusal = done.stdout.splitlines()
    assert refusal.startswith("  missing «a␛[2Jb»: «a␛[2Jb» is not declared")
    assert "\x1b" not in done.stdout
    path = reference.with_name("c\x1b[2J\n.lean")
    path.write_text("theorem t : «\x1b[2Jwrong» := 1\n")
    done = leanhost("verify", *native, reference, path)
    assert done.returncode == 1
    where = str(path).replace("\x1b", "␛").replace("\n", "␊")
    assert f"{where}:1:27: error: " in done.stdout
    assert "␛[2Jwrong" in done.stdout
    assert f"\n{where}: does not prove " in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("status", Status)
def test_each_status_has_its_exit_status(
    native: Sequence[str], reference: Path, monkeypatch: pytest.MonkeyPatch, status: Status
) -> None:
    """Also those that no Lean at hand produces on demand: only a judgement is an answer to the question."""
    verdict = Verification(status, (), CheckResult("candidate.lean", status))
    monkeypatch.setattr(WorkerPool, "verify_many", lambda *_, **__: iter([verdict]))
    files = str(reference), str(candidate(reference, ""))
    arguments = build_parser().parse_args(["verify", *native, *files])
    expected = {Status.ACCEPTED: 0, Status.UNSUPPORTED: 2, Status.REFUSED: 2}
    assert verify.run(arguments) == expected.get(status, 1)


def test_a_candidate_that_does_not_elaborate(native: Sequence[str], reference: Path) -> None:
    path = candidate(reference, PROVED + '#eval "\x1b[2J"\ntheorem wrong : 1 = 2 := rfl\n')
    done = leanhost("verify", *native, reference, path)
    clean(done)
    assert done.returncode == 1
    assert f"{path}:4:25: error: " in done.stdout
    assert "\n  elaboration: " in done.stdout
    assert "\x1b" not in done.stdout
    path.write_bytes(b"\xff")
    done = leanhost("verify", *native, reference, path)
    assert done.returncode == 1
    assert "  elaboration: the file is not valid UTF-8" in done.stdout


def test_json(native: Sequence[str], reference: Path) -> None:
    path = candidate(reference, "def two : Nat := 2\n")
    done = leanhost("verify", *native, "--json", reference, path)
    assert (done.returncode, done.stderr) == (1, "")
    found = answer(done.stdout)
    assert found.pop("elapsed_s") > 0
    assert "native-runtime" in found.pop("toolchain")
    assert found == {
        "reference": str(reference),
        "candidate": str(path),
        "verified": False,
        "status": "rejected",
        "refusals": [{"code": "missing", "name": "swap", "message": "swap is not declared by the candidate"}],
        "holes": [],
        "disproved": [],
        "from_scratch": False,
        "kernels": [],
        "caveats": [],
        "diagnostics": [],
    }


def test_many_candidates(native: Sequence[str], reference: Path, tmp_path: Path) -> None:
    sources = {"good": PROVED, "bad": STATED, "better": PROVED.replace("h.symm", "Eq.symm h")}
    paths = {name: tmp_path / f"{name}.lean" for name in sources}
    for name, source in sources.items():
        paths[name].write_text(source)
    done = leanhost("verify", *native, "-j", "2", "--json", reference, *paths.values())
    assert (done.returncode, done.stderr) == (1, "")
    found = [answer(line) for line in done.stdout.splitlines()]
    assert [(each["candidate"], each["verified"]) for each in found] == [
        (str(path), name != "bad") for name, path in paths.items()
    ]
    times = [each["elapsed_s"] for each in found]
    assert times == sorted(times)
    missing, wrong = tmp_path / "missing.lean", tmp_path / "wrong.lean"
    wrong.write_bytes(b"\xff")
    done = leanhost("verify", *native, reference, missing, paths["good"], wrong)
    assert done.returncode == 2
    assert done.stderr == f"leanhost: error: cannot read {missing}: No such file or directory\n"
    good, error, bad, refusal = done.stdout.splitlines()
    assert good.startswith(f"{paths['good']}: proves {reference} (accepted; ")
    assert error.startswith(f"{wrong}:1:0: error: the file is not valid UTF-8")
    assert bad.startswith(f"{wrong}: does not prove {reference} (rejected; ")
    assert refusal.startswith("  elaboration: the file is not valid UTF-8")


def test_axioms_imports_standard_input_and_from_scratch(native: Sequence[str], tmp_path: Path) -> None:
    stated = tmp_path / "stated.lean"
    stated.write_text("theorem t : 1 = 2 := by sorry\n")
    proof = b"axiom given : 1 = 2\ntheorem t : 1 = 2 := given\n"
    done = leanhost("verify", *native, "--json", stated, "-", stdin=proof)
    assert done.returncode == 1
    assert [r["code"] for r in answer(done.stdout)["refusals"]] == ["axiom"]
    done = leanhost(
        "verify",
        *native,
        *("--allow-axiom", "given : 1 = 2", "--imports", "Init.Core,Init", "--from-scratch", "--json"),
        stated,
        "-",
        stdin=proof,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = answer(done.stdout)
    assert found["candidate"] == "<stdin>"
    assert found["from_scratch"]
    done = leanhost("verify", *native, "-", "-")
    assert done.returncode == 2
    assert "only once" in done.stderr


def test_holes_and_disproofs_are_told_apart(native: Sequence[str], reference: Path) -> None:
    reference.write_text("def n : Nat := sorry\ntheorem t : n = 2 := sorry\ntheorem u : 1 = 0 := sorry\n")
    filled = "def n : Nat := 2\ntheorem t : n = 2 := rfl\n"
    path = candidate(reference, filled + "theorem u : ¬ 1 = 0 := fun h => Nat.noConfusion h\n")
    wrong = reference.with_name("wrong.lean")
    wrong.write_text(filled + "theorem u : 1 = 1 := rfl\n")
    done = leanhost("verify", *native, "--disproofs", reference, path)
    assert (done.returncode, done.stderr) == (3, "")
    verdict, hole, disproved = done.stdout.splitlines()
    assert verdict.startswith(f"{path}: disproves {reference} (accepted; ")
    assert hole == "  hole n: filled by the candidate"
    assert disproved == "  disproved u: the candidate proves its negation"
    done = leanhost("verify", *native, "--disproofs", "--json", reference, path, wrong)
    assert (done.returncode, done.stderr) == (1, "")
    found, other = (json.loads(line) for line in done.stdout.splitlines())
    assert (found["status"], found["verified"]) == ("accepted", False)
    assert (found["holes"], found["disproved"], found["refusals"]) == (["n"], ["u"], [])
    assert [refusal["code"] for refusal in other["refusals"]] == ["statement"]
    assert (other["holes"], other["disproved"]) == ([], [])
    done = leanhost("verify", *native, reference, path)
    assert done.returncode == 1
    assert done.stdout.splitlines()[1:] == ["  statement u: u does not say what the reference says"]


def test_comparators_configuration(native: Sequence[str], tmp_path: Path) -> None:
    stated = "def n : Nat := sorry\ntheorem t : n = 2 := sorry\ntheorem other : 1 = 2 := sorry\n"
    values = {
        "challenge_module": "Challenge",
        "solution_module": "Solution",
        "theorem_names": ["t"],
        "definition_names": ["n"],
        "permitted_axioms": ["propext"],
    }
    config, files = (
        tmp_path / "config.json",
        {name: tmp_path / f"{name}.lean" for name in ["Challenge", "Solution"]},
    )
    config.write_text(json.dumps(values))
    files["Challenge"].write_text(stated)
    files["Solution"].write_text("def n : Nat := 2\ntheorem t : n = 2 := rfl\n")
    done = leanhost("verify", *native, "--config", config)
    assert (done.returncode, done.stderr) == (0, "")
    verdict, hole = done.stdout.splitlines()
    assert verdict.startswith(f"{files['Solution']}: proves {files['Challenge']} (accepted; ")
    assert hole == "  hole n: filled by the candidate"
    lazy = tmp_path / "lazy.lean"
    lazy.write_text("def n : Nat := 3\ntheorem t : n = 2 := sorry\n")
    done = leanhost(
        "verify", *native, "--config", config, "--json", files["Challenge"], lazy, files["Solution"]
    )
    assert done.returncode == 1
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert [(r["code"], r["name"]) for r in first["refusals"]] == [("sorry", "t")]
    assert second["verified"]
    for word, status, said in (("meta", 0, "accepted"), ("nothing of it", 1, "rejected")):
        config.write_text(json.dumps(values | {"external_kernels": {"own": ["grep", "-q", word]}}))
        done = leanhost("verify", *native, "--config", config, "--json")
        own, other = answer(done.stdout)["kernels"]
        assert (own["name"], own["answer"]) == ("native-runtime", "accepted")
        assert (other["name"].startswith("grep -q "), other["answer"]) == (True, said)
        assert done.returncode == status
    config.write_text(json.dumps(values | {"theorem_names": ["nothing"]}))
    done = leanhost("verify", *native, "--config", config)
    assert done.returncode == 2
    assert "  reference: the reference has no theorem nothing" in done.stdout
    for wrong, why in {
        json.dumps(values | {"enable_nanoda": True}): "has enable_nanoda, which is not supported",
        json.dumps(values | {"solution_module": "Nowhere"}): "there is no source of the module Nowhere",
        "[]": "is no configuration of comparator's: it is no JSON object",
    }.items():
        config.write_text(wrong)
        done = leanhost("verify", *native, "--config", config)
        clean(done)
        assert (done.returncode, done.stdout) == (2, "")
        assert why in done.stderr
    config.unlink()
    done = leanhost("verify", *native, "--config", config)
    assert (done.returncode, done.stderr) == (2, f"leanhost: error: No such file or directory: {config}\n")


def test_a_candidate_that_takes_too_long(native: Sequence[str], reference: Path) -> None:
    path = candidate(reference, ENDLESS)
    done = leanhost("verify", *native, "--timeout", "0.5", "--json", reference, path)
    clean(done)
    assert done.returncode == 1
    found = answer(done.stdout)
    assert (found["status"], [r["code"] for r in found["refusals"]]) == ("timeout", ["elaboration"])
    assert "wall-clock limit" in found["refusals"][0]["message"]


def test_every_option_reaches_the_pool(
    native_toolchain: Toolchain, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / name for name in ("first", "second")]
    for path in paths:
        path.mkdir()
    seen: list[Settings] = []
    programs: list[str] = []

    class Pool(WorkerPool):
        def verify_many(self, *asked: object, **how: object) -> Iterator[Verification]:
            seen.append(self._settings)
            programs.extend(program.name for program in self._kernels.chosen(None).programs)
            raise UsageError("far enough")

    monkeypatch.setattr(verify, "WorkerPool", Pool)
    options = [
        *(
            "--toolchain",
            "native-runtime",
            "--timeout",
            "7.5",
            "--imports",
            "A,B",
            "--kernel",
            "checker {file}",
        ),
        *(argument for path in paths for argument in ("--search-path", str(path))),
    ]
    arguments = build_parser().parse_args(["verify", str(reference), str(reference), *options])
    with pytest.raises(UsageError, match="far enough"):
        verify.run(arguments)
    (settings,) = seen
    assert settings.toolchain == native_toolchain
    assert settings.options.timeout == 7.5
    assert programs == ["checker '{file}'"]
    assert settings.imports == parse_imports(["A", "B"])
    assert settings.search_path[:2] == tuple(paths)


def test_a_reference_that_states_nothing_is_a_question_not_put(
    native: Sequence[str], reference: Path
) -> None:
    path = candidate(reference, PROVED)
    for source in (b"", b"theorem t : nonsense := 1\n", b"\xff"):
        reference.write_bytes(source)
        done = leanhost("verify", *native, reference, path)
        clean(done)
        assert done.returncode == 2
        assert "\n  reference: " in done.stdout


def test_trouble(native: Sequence[str], reference: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.lean"
    done = leanhost("verify", *native, missing, tmp_path)
    clean(done)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"leanhost: error: cannot read {missing}: No such file or directory",
        f"leanhost: error: cannot read {tmp_path}: Is a directory",
    ]
    done = leanhost("verify", "--toolchain", "v4.0.0", reference, reference)
    assert (done.returncode, done.stdout) == (2, "")
    assert "next step: " in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("one.lean",),
        ("a", "b", "-j", "0"),
        ("a", "b", "--timeout", "0"),
        ("--config", "c.json", "one.lean"),
        ("--config", "c.json", "--allow-axiom", "a"),
    ],
)
def test_usage(arguments: Sequence[str]) -> None:
    done = leanhost("verify", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: leanhost")


@pytest.mark.usefixtures("embedded_toolchain")
def test_the_embedded_toolchain(reference: Path) -> None:
    reference.write_text("theorem sum (a b : Nat) : a + b = b + a := by sorry\n")
    path = candidate(reference, "theorem sum (a b : Nat) : a + b = b + a := by omega\n")
    done = leanhost("verify", "--toolchain", "embedded", reference, path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "proves" in done.stdout
    assert "kernels: embedded (Lean 4.28.0-pre), native-runtime (Lean 4.35.0)" in done.stdout


def test_known_faults_are_told_once_and_strict_refuses(
    embedded_toolchain: Toolchain, reference: Path
) -> None:
    path = candidate(reference, PROVED)
    alone = ("--toolchain", "embedded", "--kernel", "none")
    done = leanhost("verify", *alone, reference, path, path)
    assert (done.returncode, done.stderr) == (0, "")
    notes = [line for line in done.stdout.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1
    assert "#14613" in notes[0]
    done = leanhost("verify", *alone, "--strict", "--json", reference, path)
    found = answer(done.stdout)
    assert (done.returncode, found["verified"], found["status"]) == (2, False, "refused")
    assert [refusal["code"] for refusal in found["refusals"]] == ["known-faults"]
    assert found["caveats"]
