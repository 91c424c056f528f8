"""``leanhost check`` on the native engine: verdicts, output, exit statuses."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from leanhost.cli import check
from leanhost.cli.parser import build_parser
from leanhost.errors import UsageError
from leanhost.services.elaboration.environment import parse_imports
from leanhost.toolchain import Toolchain
from leanhost.workers import WorkerPool
from tests.support.command import ENDLESS, ROOT, clean, environment, leanhost, objects
from tests.support.fixture_core import compile_module


def test_accepted(native: Sequence[str], good: Path) -> None:
    done = leanhost("check", *native, good)
    assert (done.returncode, done.stderr) == (0, "")
    verdict, summary = done.stdout.splitlines()
    assert verdict.startswith(f"{good}: accepted (1 theorem; no axioms; ")
    assert summary.startswith("1 file: 1 accepted in ")
    assert "\x1b" not in done.stdout


def test_rejected_with_excerpt_and_carets(native: Sequence[str], bad: Path) -> None:
    done = leanhost("check", *native, bad)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    at = lines.index("    2 | theorem wrong : 1 = 2 := rfl")
    assert lines[at + 1] == "      |                          ^^^"
    assert lines[0].startswith(f"{bad}:2:25: error: ")
    assert any(line.startswith(f"{bad}: rejected (") for line in lines)
    assert "\x1b" not in done.stdout


def test_mixed_files_in_order(native: Sequence[str], good: Path, bad: Path, tmp_path: Path) -> None:
    """Missing files and directories are named, and everything else is checked all the same."""
    missing, folder = tmp_path / "missing.lean", tmp_path
    done = leanhost("check", *native, "-j", "2", "--json", bad, missing, good, folder, bad, good)
    clean(done)
    assert done.returncode == 2
    found = [(o["file"], o["status"]) for o in objects(done.stdout)]
    expected = [(bad, "rejected"), (good, "accepted"), (bad, "rejected"), (good, "accepted")]
    assert found == [(str(path), status) for path, status in expected]
    assert done.stderr.splitlines() == [
        f"leanhost: error: cannot read {missing}: No such file or directory",
        f"leanhost: error: cannot read {folder}: Is a directory",
    ]


def test_what_cannot_be_looked_at_is_refused_and_the_rest_is_checked(
    native: Sequence[str], good: Path, bad: Path, tmp_path: Path
) -> None:
    huge, bytes_ = tmp_path / "huge.lean", tmp_path / "bytes.lean"
    huge.touch()
    os.truncate(huge, (64 << 20) + 1)  # without a block on the disk
    bytes_.write_bytes(b"theorem \xff")
    done = leanhost(
        "check", *native, "-j", "3", "--json", huge, bad, bytes_, "-", good, stdin=good.read_bytes()
    )
    clean(done)
    assert (done.returncode, done.stderr) == (2, "")
    found = objects(done.stdout)
    assert [(o["file"], o["status"]) for o in found] == [
        (str(huge), "refused"),
        (str(bad), "rejected"),
        (str(bytes_), "rejected"),
        ("<stdin>", "accepted"),
        (str(good), "accepted"),
    ]
    assert found[0]["reasons"] == ["the file has more than 67108864 bytes"]


def test_nothing_readable(tmp_path: Path) -> None:
    done = leanhost("check", tmp_path / "missing.lean", "--json")
    clean(done)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable(good: Path) -> None:
    good.chmod(0)
    done = leanhost("check", good)
    clean(done)
    assert done.returncode == 2
    assert "Permission denied" in done.stderr


def documented_keys(table: int) -> list[str]:
    """Return the keys of one of the guide's tables about ``--json``, in its order."""
    text = (ROOT / "docs" / "guides" / "command-line.md").read_text(encoding="utf-8")
    rows = text.split("| key | value |\n")[1 + table].partition("\n\n")[0].splitlines()[1:]
    return [key for row in rows for key in re.findall(r"`(\w+)`", row.split("|")[1])]


def test_json_schema(native: Sequence[str], tmp_path: Path) -> None:
    source = tmp_path / "s.lean"
    source.write_text(
        "theorem one : 1 + 1 = 2 := rfl\n#check one\ntheorem two : 1 = 2 := sorry\n"
        "axiom given : 1 = 2\ntheorem three : 1 = 2 := given\n"
    )
    done = leanhost("check", *native, "--json", source)
    assert (done.returncode, done.stderr) == (1, "")
    (line,) = done.stdout.splitlines()
    assert line.isascii()
    found = json.loads(line)
    assert [*found] == documented_keys(0)
    assert all([*d] == documented_keys(1) for d in found["diagnostics"])
    assert all([*t] == documented_keys(2) for t in found["theorems"])
    assert found["file"] == str(source)
    assert found["status"] == "rejected"
    assert found["sorries"] == ["two"]
    assert found["elapsed_s"] > 0
    assert "native-runtime" in found["toolchain"]
    theorems = {t["name"]: t for t in found["theorems"]}
    assert {"name": "one", "kind": "theorem", "type": "1 + 1 = 2", "axioms": []}.items() <= theorems[
        "one"
    ].items()
    assert theorems["two"]["axioms"] == ["sorryAx"]
    assert theorems["three"]["axioms"] == ["given"]
    assert theorems["given"]["kind"] == "axiom"
    (info,) = [d for d in found["diagnostics"] if d["severity"] == "information"]
    assert (info["line"], info["column"], info["message"]) == (2, 0, "one : 1 + 1 = 2")
    assert info["file"] == str(source)


def test_standard_input_axioms_and_imports(native: Sequence[str]) -> None:
    source = b"axiom given : 1 = 2\ntheorem resting : 1 = 2 := given\n"
    done = leanhost("check", *native, "--json", "-", stdin=source)
    assert done.returncode == 1
    assert objects(done.stdout)[0]["file"] == "<stdin>"
    done = leanhost(
        "check", *native, "--allow-axiom", "given", "--imports", "Init.Core,Init", "-", stdin=source
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "axioms: given" in done.stdout
    done = leanhost("check", *native, "--imports", "Init.Nowhere", "-", stdin=source)
    clean(done)
    assert done.returncode == 1
    assert "Init.Nowhere" in done.stdout
    done = leanhost("check", *native, "-", "-", stdin=source)
    assert done.returncode == 2
    assert "only once" in done.stderr


def test_sources_that_can_be_read_once(native: Sequence[str], tmp_path: Path) -> None:
    """A pipe has no name that a child process could open, and its excerpts come from what was read."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # A daemon: the pipe might never be read.
    threading.Thread(target=pipe.write_bytes, args=[b"theorem wrong : 1 = 2 := rfl\n"], daemon=True).start()
    done = leanhost("check", *native, pipe, "-", stdin=b"-- \xff\n")
    clean(done)
    assert done.returncode == 1
    assert "    1 | theorem wrong : 1 = 2 := rfl" in done.stdout
    assert "<stdin>:1:3: error: the file is not valid UTF-8" in done.stdout


def test_names_of_files(native: Sequence[str], good: Path) -> None:
    """Bytes that are no UTF-8, a line end, a dash, spaces: a name is what the file system lets it be."""
    names = [b"no\xffutf8.lean", b"two\nlines.lean", b"-x.lean", b"a b.lean"]
    for name in names:
        (good.parent / os.fsdecode(name)).write_bytes(good.read_bytes())
    arguments = ["check", *native, "--", *map(os.fsdecode, names)]
    done = leanhost(*arguments, cwd=good.parent)
    clean(done)
    assert done.returncode == 0, done.stdout
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()][:4] == [
        r"no\udcffutf8.lean", "two␊lines.lean", "-x.lean", "a b.lean",
    ]  # fmt: skip
    done = leanhost(*arguments[:-5], "--json", *arguments[-5:], cwd=good.parent)
    assert [os.fsencode(o["file"]) for o in objects(done.stdout)] == names


def test_messages_without_end_are_cut_for_people(native: Sequence[str], tmp_path: Path) -> None:
    source = tmp_path / "long.lean"
    source.write_text(f'#check "{"x" * 100_000}"\n')
    done = leanhost("check", *native, source)
    assert done.returncode == 0
    assert "characters left out" in done.stdout
    assert len(done.stdout) < 12_000
    assert (
        len(objects(leanhost("check", *native, "--json", source).stdout)[0]["diagnostics"][0]["message"])
        > 100_000
    )


def test_every_option_reaches_the_pool(native_toolchain: Toolchain, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("first", "second")]
    for path in paths:
        path.mkdir()
    options = [
        *("--timeout", "7.5", "--max-heartbeats", "11", "--max-rec-depth", "13", "--imports", " A.B, C ,"),
        *(argument for path in paths for argument in ("--search-path", str(path))),
        *(argument for name in ("x", "y") for argument in ("--allow-axiom", name)),
    ]
    with check._pool(build_parser().parse_args(["check", "f", *options]), native_toolchain, 5) as pool:
        settings = pool._settings
    limits = settings.options
    assert (limits.timeout, limits.max_heartbeats, limits.max_rec_depth) == (7.5, 11, 13)
    assert (settings.workers, settings.allow_axioms) == (5, ("x", "y"))
    assert settings.search_path[:2] == tuple(paths)
    assert settings.imports == parse_imports(["A.B", "C"])


@pytest.mark.parametrize(("jobs", "workers"), [((), 1), (("-j", "2"), 2), (("--jobs", "9"), 3)])
def test_no_more_workers_than_files_and_jobs(
    native: Sequence[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    jobs: Sequence[str],
    workers: int,
) -> None:
    """What comes through a pipe and is not text has its verdict already, and needs no worker."""
    asked: list[int] = []

    def pool(*, workers: int, **_: object) -> WorkerPool:
        asked.append(workers)
        raise UsageError("far enough")

    monkeypatch.setattr(check, "WorkerPool", pool)
    files = [tmp_path / name for name in ("a.lean", "b.lean", "c.lean")]
    for file in files:
        file.touch()
    reading, writing = os.pipe()
    os.write(writing, b"\xff")
    os.close(writing)
    try:
        named = [f"/dev/fd/{reading}", *map(str, files)]
        with pytest.raises(UsageError, match="far enough"):
            check.run(build_parser().parse_args(["check", *native, *named, *jobs]))
    finally:
        os.close(reading)
    assert asked == [workers]


def test_limits_of_an_elaboration(native: Sequence[str], tmp_path: Path) -> None:
    deep, long = tmp_path / "deep.lean", tmp_path / "long.lean"
    deep.write_text("theorem t : True := " + "(" * 60 + "True.intro" + ")" * 60 + "\n")
    long.write_text(ENDLESS)
    assert leanhost("check", *native, deep).returncode == 0
    done = leanhost("check", *native, "--max-rec-depth", "40", deep)
    assert done.returncode == 1
    assert "maximum recursion depth" in done.stdout
    done = leanhost("check", *native, "--max-heartbeats", "3", long)
    assert done.returncode == 1
    assert "maximum number of heartbeats (3)" in done.stdout
    done = leanhost("check", *native, "--max-heartbeats", "0", "--timeout", "0.5", "--json", long)
    assert (done.returncode, objects(done.stdout)[0]["status"]) == (1, "timeout")


def test_quiet(native: Sequence[str], good: Path, bad: Path) -> None:
    done = leanhost("check", *native, "-q", good)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = leanhost("check", *native, "-q", good, bad)
    assert done.returncode == 1
    assert str(good) not in done.stdout
    assert f"{bad}: rejected" in done.stdout


def test_colours_only_when_wanted(native: Sequence[str], bad: Path) -> None:
    forced = leanhost("check", *native, bad, env=environment(FORCE_COLOR="1", TERM="xterm"))
    assert "\x1b[" in forced.stdout
    refused = leanhost("check", *native, bad, env=environment(FORCE_COLOR="1", NO_COLOR="1", TERM="xterm"))
    assert "\x1b[31m" not in refused.stdout
    assert "\x1b[1;31m" not in refused.stdout


def test_hostile_text_stays_text(native: Sequence[str], tmp_path: Path) -> None:
    source = tmp_path / "h\x1b[31m.lean"
    source.write_bytes(b'#check "\x1b[2J" \x1b]0;owned\x07\n')
    done = leanhost("check", *native, source)
    clean(done)
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("check",),
        ("nope",),
        ("check", "x.lean", "--timeout", "-1"),
        ("check", "x.lean", "--timeout", "nan"),
        ("check", "x.lean", "-j", "0"),
        ("check", "x.lean", "--max-heartbeats", "many"),
        ("check", "x.lean", "--search-path", "/nowhere"),
        ("check", "x.lean", "--imports", ","),
        ("check", "x.lean", "--tool", "embedded"),
        ("toolchain",),
    ],
)
def test_usage(arguments: Sequence[str]) -> None:
    done = leanhost(*arguments)
    clean(done)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: leanhost")


def test_a_lake_project_with_dependencies(native: Sequence[str], fixture_core: Path, tmp_path: Path) -> None:
    root, path, git = (
        tmp_path / "project",
        tmp_path / "beside",
        tmp_path / "project" / ".lake" / "packages" / "far",
    )
    for package, module, source in (
        (path, "Beside", "theorem beside : 1 + 1 = 2 := rfl\n"),
        (git, "Far.Away", "theorem far : 2 + 2 = 4 := rfl\n"),
        (root, "Project", "import Init\ndef own := 3\n"),
    ):
        built = package / ".lake" / "build" / "lib" / "lean"
        built.mkdir(parents=True)
        compile_module(fixture_core, source, module, built)
    (root / "lakefile.toml").write_text('name = "project"\n')
    packages = [
        {"type": "path", "name": "beside", "dir": "../beside"},
        {"type": "git", "name": "far", "url": "https://nowhere", "rev": "0", "subDir": None},
    ]
    (root / "lake-manifest.json").write_text(
        json.dumps(
            {"version": "1.1.0", "packagesDir": ".lake/packages", "packages": packages, "name": "project"}
        )
    )
    main = root / "Main.lean"
    main.write_text(
        "import Beside\nimport Far.Away\nimport Project\n"
        "theorem all : own = 3 ∧ 2 + 2 = 4 := ⟨rfl, far⟩\ntheorem more : 1 + 1 = 2 := beside\n"
    )
    done = leanhost("check", *native, "--project", root, main)
    clean(done)
    assert done.returncode == 0, done.stdout + done.stderr
    done = leanhost("verify", *native, "--project", root, main, main)
    assert done.returncode == 0, done.stdout + done.stderr
    # Its lean-toolchain holds where nothing else is said.
    (root / "lean-toolchain").write_text("leanprover/lean4:v4.99.0\n")
    for command in (("check", main), ("verify", main, main)):
        done = leanhost(*command, "--project", root)
        assert done.returncode == 2
        assert f"{root}/lean-toolchain names the toolchain 'leanprover/lean4:v4.99.0'" in done.stderr
        assert "next step: elan toolchain install leanprover/lean4:v4.99.0" in done.stderr


def test_toolchain_trouble(good: Path, tmp_path: Path) -> None:
    for arguments in (
        ["--toolchain", str(tmp_path)],
        ["--toolchain", "v4.0.0"],
        ["--project", str(tmp_path)],
    ):
        done = leanhost("check", good, *arguments)
        clean(done)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("leanhost: error: ")
        assert "next step: " in done.stderr


def test_strict_gives_no_acceptance_with_known_faults(engine: str, native: Sequence[str], good: Path) -> None:
    which = native if engine == "native" else ("--toolchain", "embedded")
    done = leanhost("check", *which, "--strict", "--json", good)
    (answer,) = objects(done.stdout)
    told = [d["kind"] for d in answer["diagnostics"] if d["severity"] == "error"]
    if engine == "native":
        assert (done.returncode, answer["status"], answer["caveats"], told) == (0, "accepted", [], [])
    else:
        assert (done.returncode, answer["status"], told) == (2, "refused", ["leanhost.known_faults"])
        assert any("#14613" in caveat for caveat in answer["caveats"])
