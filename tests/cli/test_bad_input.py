"""Whatever bytes a file holds, ``leanhost check`` gives it a verdict and lives on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import clean, leanhost, objects

FINE = b"theorem fine : 1 + 1 = 2 := rfl\n"
ANY = {"accepted", "rejected", "timeout", "out_of_memory", "crashed"}

CASES: dict[str, tuple[bytes, set[str], str]] = {
    "crlf": (b"-- a\r\ntheorem fine :\r\n    1 + 1 = 2 := rfl\r\n", {"accepted"}, ""),
    "empty": (b"", {"accepted"}, ""),
    "comment": (b"-- nothing else", {"accepted"}, ""),
    "bom": (b"\xef\xbb\xbf" + FINE, {"rejected"}, "byte order mark"),
    "latin1": (FINE + b"-- caf\xe9\n", {"rejected"}, "not valid UTF-8"),
    "utf16": (FINE.decode().encode("utf-16"), {"rejected"}, "not valid UTF-8"),
    "surrogate": (FINE + b"-- \xed\xa0\x80\n", {"rejected"}, "not valid UTF-8"),
    "nul": (FINE + b"\0" + FINE, {"rejected"}, ""),
    "nul_in_comment": (b"/- \0 -/ " + FINE, ANY, ""),
    "binary": (bytes(range(256)) * 64, {"rejected"}, "not valid UTF-8"),
    "open_comment": (FINE + b"/- never closed\n", {"rejected"}, "unterminated comment"),
    "open_string": (FINE + b'#check "never closed\n', {"rejected"}, "unterminated string"),
    "middle": (FINE + b"theorem wrong : 1 = 2 := rfl\ntheorem also : 2 = 2 := rfl\n", {"rejected"}, ""),
    "unknown_module": (b"import Nowhere.AtAll\n" + FINE, {"rejected"}, "Nowhere.AtAll"),
    "parentheses": (
        b"example : Nat := " + b"(" * 20_000 + b"0" + b")" * 20_000 + b"\n",
        ANY - {"accepted"},
        "",
    ),
    "megabytes": (b"-- " + b"x" * 5_000_000 + b"\n" + FINE, {"accepted"}, ""),
    "lines": (b"/-" + b"\n" * 5_000_000 + b"-/\ntheorem wrong : 1 = 2 := rfl\n", {"rejected"}, ""),
    "string": (b'#check "' + b"x" * 5_000_000 + b'"\n' + FINE, {"accepted"}, "more than 1048576 bytes"),
    "exit": (FINE + b"#exit\n ((( \xe2\x88\x80 nonsense\n", {"accepted"}, "exit"),
    "exit_open": (FINE + b"theorem wrong : 1 = 2 := rfl\n#exit\n/- never closed", {"rejected"}, ""),
    "long_module": (b"import " + b"x" * 300 + b"\n" + FINE, {"rejected"}, "unknown module"),
    "garbage": (b"))))) ]] theorem theorem := := \xe2\x88\x80", {"rejected"}, ""),
    "last": (FINE, {"accepted"}, ""),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bad_input")
    for name, (data, _, _) in CASES.items():
        (made / f"{name}.lean").write_bytes(data)
    return made


@pytest.fixture(scope="module", params=["native", "wasm"])
def verdicts(request: pytest.FixtureRequest, folder: Path) -> dict[str, dict[str, Any]]:
    """One run over everything: a file that ends its worker costs the others nothing."""
    chosen = ["--toolchain", "embedded"]
    if request.param == "native":
        native: Sequence[str] = request.getfixturevalue("native")
        chosen = [*native, "-j", "2"]
    else:
        request.getfixturevalue("embedded_toolchain")
    done = leanhost(
        "check", *chosen, "--json", "--timeout", "20", *(f"{name}.lean" for name in CASES), cwd=folder
    )
    clean(done)
    assert done.returncode == 1, done.stderr
    found = objects(done.stdout)
    assert [o["file"] for o in found] == [f"{name}.lean" for name in CASES]
    return {o["file"].removesuffix(".lean"): o for o in found}


@pytest.mark.parametrize("name", CASES)
def test_every_file_gets_its_verdict(name: str, verdicts: dict[str, dict[str, Any]]) -> None:
    _, statuses, said = CASES[name]
    found = verdicts[name]
    assert found["status"] in statuses, found
    if said:
        assert any(said in d["message"] for d in found["diagnostics"]), found["diagnostics"]
    assert bool(found["reasons"]) == (found["status"] != "accepted")
    if found["status"] in ("out_of_memory", "crashed"):
        assert found["elapsed_s"] > 0
        assert "mainModule" not in found["reasons"][0]  # what the embedded Lean says about itself


def test_each_theorem_is_judged_on_its_own(verdicts: dict[str, dict[str, Any]]) -> None:
    theorems = {t["name"]: t["axioms"] for t in verdicts["middle"]["theorems"]}
    assert theorems["fine"] == []
    assert theorems["also"] == []


def test_the_place_of_an_error_far_down(verdicts: dict[str, dict[str, Any]]) -> None:
    places = {(d["line"], d["column"]) for d in verdicts["lines"]["diagnostics"]}
    assert (5_000_002, 25) in places


SPIN = {
    "native": """partial def spin (n : Nat) : Nat := spin (n + 1)
syntax (name := spinning) "run_spin" : term
@[macro spinning] def runSpin : Lean.Macro := fun _ => if spin 0 = 0 then `(0) else `(1)
example : Nat := run_spin
""",
    "wasm": "partial def spin (n : Nat) : Nat := spin (n + 1)\n#eval spin 0\n",
}
"""Code of the source's own that does not end; the fixture library has no ``#eval``, but its macros run."""

FLOOD = {
    "native": """inductive Result (α : Type) | ok (a : α) | error (a : α)
structure Stream where
  flush : Unit → Result Unit
  read : Unit → Result Unit
  write : Unit → Result Unit
  getLine : Unit → Result Unit
  putStr : String → Unit → Result Unit
def done : Unit → Result Unit := fun _ => .ok ()
instance : Inhabited Stream := ⟨⟨done, done, done, done, fun _ => done⟩⟩
@[extern "lean_get_stdout"] opaque IO.getStdout (world : Unit) : Stream
@[extern "lean_get_stderr"] opaque IO.getStderr (world : Unit) : Stream
@[noinline] def put (out : Stream) (n : Nat) : Nat :=
  match out.putStr (if n = 0 then "first\\n" else "more\\n") () with
  | .ok _ => 1
  | .error _ => 2
partial def flood (n : Nat) : Nat := flood (put (IO.getStdout ()) n + put (IO.getStderr ()) n)
syntax (name := flooding) "run_flood" : term
@[macro flooding] def runFlood : Lean.Macro := fun _ => if flood 0 = 0 then `(0) else `(1)
example : Nat := run_flood
""",
    "wasm": """partial def flood : IO Unit := do IO.println "more"; IO.eprintln "more"; flood
#eval flood
""",
}


@pytest.mark.parametrize("engine", ["native", "wasm"])
def test_code_that_does_not_end(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """It costs the file its time and nothing else; what it prints goes nowhere."""
    names = {"spin.lean": SPIN[engine], "flood.lean": FLOOD[engine], "fine.lean": FINE.decode()}
    for name, source in names.items():
        (tmp_path / name).write_text(source, encoding="utf-8")
    chosen = ["--toolchain", "embedded"]
    if engine == "native":
        chosen = request.getfixturevalue("native")
    else:
        request.getfixturevalue("embedded_toolchain")
    done = leanhost("check", *chosen, "--json", "--timeout", "2", *names, cwd=tmp_path)
    clean(done)
    assert (done.returncode, done.stderr) == (1, "")
    found = {o["file"]: o["status"] for o in objects(done.stdout)}
    assert found == {"spin.lean": "timeout", "flood.lean": "timeout", "fine.lean": "accepted"}


def test_people_see_bad_input_too(native: Sequence[str], folder: Path) -> None:
    """The same through the other printer: excerpts of what is hardly text."""
    names = [f"{name}.lean" for name in CASES if name not in ("parentheses", "lines")]
    done = leanhost("check", *native, *names, cwd=folder)
    clean(done)
    assert done.returncode == 1
    assert all(f"\n{name}: " in f"\n{done.stdout}" for name in names)
    assert "\0" not in done.stdout
    assert len(done.stdout) < 100_000
