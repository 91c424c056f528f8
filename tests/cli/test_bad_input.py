"""Whatever bytes a file holds, ``leanhost check`` gives it a verdict and lives on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import clean, leanhost, objects

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
    if found["status"] == "rejected":
        assert found["reasons"]


def test_each_theorem_is_judged_on_its_own(verdicts: dict[str, dict[str, Any]]) -> None:
    theorems = {t["name"]: t["axioms"] for t in verdicts["middle"]["theorems"]}
    assert theorems["fine"] == []
    assert theorems["also"] == []


def test_people_see_bad_input_too(native: Sequence[str], folder: Path) -> None:
    """The same through the other printer: excerpts of what is hardly text."""
    names = [f"{name}.lean" for name in CASES if name != "parentheses"]
    done = leanhost("check", *native, *names, cwd=folder)
    clean(done)
    assert done.returncode == 1
    assert all(f"\n{name}: " in f"\n{done.stdout}" for name in names)
    assert "\0" not in done.stdout
