"""``leanhost replay``: the kernel's verdict on an export, exit statuses, and files that can be read only once."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.command import COMMAND, ROOT, clean, environment, leanhost, objects
from tests.support.ndjson import Writer

TOOLCHAINS = {"native": "native-runtime", "wasm": "embedded"}
NATIVE = ("--toolchain", "native-runtime")


def export(*, right: bool = True) -> bytes:
    """A theorem from an axiom and, if that is not *right*, one that does not follow."""
    file = Writer()
    prop = file.sort()
    file.axiom("P", prop)
    file.axiom("Q", prop)
    p, q = file.const("P"), file.const("Q")
    file.axiom("p", p)
    file.theorem("again", p, file.const("p"))
    if not right:
        file.theorem("wrong", q, file.const("p"))
    return file.data()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.ndjson"
    path.write_bytes(export())
    return path


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    path = tmp_path / "wrong.ndjson"
    path.write_bytes(export(right=False))
    return path


def test_accepted(engine: str, embedded_toolchain: object, good: Path) -> None:
    done = leanhost("replay", "--toolchain", TOOLCHAINS[engine], good)
    assert (done.returncode, done.stderr) == (0, "")
    verdict, axioms, *notes = done.stdout.splitlines()
    assert verdict.startswith(f"{good}: accepted; 1 theorems, 4 declarations; ")
    assert axioms == "axioms: P, Q, p"
    assert len(notes) == (engine == "wasm")
    assert all(note.startswith("note: known soundness faults: Lean 4.28.0-pre has #") for note in notes)


def test_strict_asks_for_a_kernel_without_known_faults(engine: str, good: Path) -> None:
    done = leanhost("replay", "--toolchain", TOOLCHAINS[engine], "--strict", "--json", good)
    (answer,) = objects(done.stdout)
    refused = engine == "wasm"
    assert done.returncode == (2 if refused else 0)
    assert answer["status"] == ("refused" if refused else "accepted")
    assert answer["code"] == ("known-faults" if refused else "")
    assert ("#14613" in answer["message"]) is refused


def test_rejected_by_the_kernel(wrong: Path) -> None:
    done = leanhost("replay", *NATIVE, wrong)
    assert (done.returncode, done.stderr) == (1, "")
    verdict, why, *_ = done.stdout.splitlines()
    assert verdict.startswith(f"{wrong}: rejected; ")
    assert why.startswith("  kernel wrong line ")
    assert "type mismatch" in why
    done = leanhost("replay", *NATIVE, "--json", wrong)
    (answer,) = objects(done.stdout)
    assert (answer["code"], answer["name"], answer["axioms"]) == ("kernel", "wrong", [])
    assert answer["line"] == len(export(right=False).splitlines())


def test_what_is_no_export(tmp_path: Path) -> None:
    path = tmp_path / "no\x1b[2J.ndjson"
    path.write_bytes(b"theorem\n")
    done = leanhost("replay", *NATIVE, path)
    clean(done)
    assert (done.returncode, done.stderr) == (1, "")
    assert "rejected" in done.stdout
    assert "\n  export line 1: " in done.stdout
    assert "\x1b" not in done.stdout


def test_standard_input_and_pipes(good: Path, wrong: Path, tmp_path: Path) -> None:
    env = environment(TMPDIR=str(tmp_path))
    before = set(tmp_path.iterdir())
    done = leanhost("replay", *NATIVE, "--json", "-", stdin=good.read_bytes(), env=env)
    (answer,) = objects(done.stdout)
    assert (done.returncode, answer["file"], answer["status"]) == (0, "<stdin>", "accepted")
    reading, writing = os.pipe()
    os.write(writing, wrong.read_bytes())
    os.close(writing)
    try:
        ran = subprocess.run(
            [*COMMAND, "replay", *NATIVE, "--json", f"/dev/fd/{reading}"],
            pass_fds=[reading],
            capture_output=True,
            cwd=ROOT,
            env=env,
            timeout=60,
        )
    finally:
        os.close(reading)
    assert (ran.returncode, json.loads(ran.stdout)["code"]) == (1, "kernel")
    assert set(tmp_path.iterdir()) == before


def endless() -> bytes:
    """A theorem that takes the kernel 2^60 steps, and that is right."""
    file = Writer()
    type_ = file.sort(file.level(succ=0))
    file.axiom("A", type_)
    a = file.const("A")
    arrow, var = file.pi(a, a), file.expr(bvar=0)
    file.definition("step0", arrow, file.pi(a, var, "lam"))
    for n in range(60):
        before = file.const(f"step{n}")
        twice = file.app(before, file.app(before, var))
        file.definition(f"step{n + 1}", arrow, file.pi(a, twice, "lam"))
    file.axiom("T", file.pi(a, file.sort()))
    file.axiom("a", a)
    start = file.const("a")
    file.axiom("h", file.app(file.const("T"), start))
    end = file.app(file.const("step60"), start)
    file.theorem("t", file.app(file.const("T"), end), file.const("h"))
    return file.data()


def test_limits(tmp_path: Path) -> None:
    path = tmp_path / "endless.ndjson"
    path.write_bytes(endless())
    done = leanhost("replay", *NATIVE, "--timeout", "0.5", path, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")
    assert ": timeout; " in done.stdout
    assert "\n  limit" in done.stdout


def test_trusted_names(good: Path) -> None:
    done = leanhost("replay", *NATIVE, "--trusted", "Nat.gcd", "--json", good)
    (answer,) = objects(done.stdout)
    assert (done.returncode, answer["set_aside"]) == (0, [])
    done = leanhost("replay", *NATIVE, "--trusted", "Nat.mine", good)
    assert (done.returncode, done.stdout) == (2, "")
    assert "only functions the kernel computes can be trusted, not Nat.mine" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("/nowhere/at/all",), (str(ROOT),), (), ("--timeout", "0", "x"), ("--memory-limit", "0", "x")],
    ids=["missing", "directory", "nothing", "timeout", "memory"],
)
def test_trouble(arguments: tuple[str, ...]) -> None:
    done = leanhost("replay", *NATIVE, *arguments)
    clean(done)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_trouble_with_the_toolchain(good: Path) -> None:
    done = leanhost("replay", "--toolchain", "leanprover/lean4:v0.0.0", good)
    assert (done.returncode, done.stdout) == (2, "")
    assert "next step" in done.stderr
