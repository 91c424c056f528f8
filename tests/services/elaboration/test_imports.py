"""What a source imports: its header exactly as written, and files that are missing, damaged or another Lean's."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import leanhost
from leanhost.engine.wasm.engine import WasmEngine
from leanhost.errors import ClosedError, ImportFailed, UsageError
from leanhost.services.elaboration.header import parse_header
from leanhost.services.session.host import Host
from leanhost.services.values.results import Position, Status
from leanhost.toolchain import Toolchain
from tests.support.fixture_core import compile_module
from tests.support.hosts import open_host
from tests.support.sources import GOOD

Compile = Callable[..., Path]


@pytest.fixture(scope="module")
def host(engine: str, request: pytest.FixtureRequest) -> Iterator[Host]:
    """A host of their own: on wasm every import stays in Lean's memory until the process ends."""
    with open_host(engine, request) as opened:
        yield opened


FACT = "inductive {0}.Fact : Prop where | proved\ntheorem {0}.fact : {0}.Fact := .proved\n"


# --- headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "is_module", "imports"),
    [
        ("", False, []),
        ("-- a comment\n/- and /- another -/ -/\n", False, []),
        ("import A.B", False, [("A.B", False, True, False)]),
        ("/- c -/ import A -- d\nimport «odd name».C\n", False, [
            ("A", False, True, False), ("«odd name».C", False, True, False),
        ]),
        ("import Init\r\nimport A\r\n", False, [("Init", False, True, False), ("A", False, True, False)]),
        ("prelude", False, []),
        ("prelude import A", False, [("A", False, True, False)]),
        ("-- c\nmodule\nprelude\nimport A", True, [("A", False, False, False)]),
        ("module prelude public import A", True, [("A", False, True, False)]),
        ("module prelude meta import A", True, [("A", False, False, True)]),
        ("module prelude public meta import A", True, [("A", False, True, True)]),
        ("module prelude import all A", True, [("A", True, False, False)]),
    ],
)  # fmt: skip
def test_the_import_set_is_the_written_one(
    host: Host, header: str, is_module: bool, imports: list[tuple[str, bool, bool, bool]]
) -> None:
    found = parse_header(host._lean, f"{header}\ntheorem t : 1 = 1 := rfl\n".replace("\r\n", "\n"), "x.lean")
    assert found.diagnostics == ()
    assert found.is_module is is_module
    # What Lean imports unasked comes first: `Init`, in some versions for `meta` as well.
    unasked = () if "prelude" in header else parse_header(host._lean, "", "x.lean").imports
    assert {i.text for i in unasked} == (set() if "prelude" in header else {"Init"})
    assert found.imports[: len(unasked)] == unasked
    assert [(i.text, i.all_, i.exported, i.meta) for i in found.imports[len(unasked) :]] == imports


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("public import Init\n", 1, "without `module`"),
        ("import Init\nmeta import Init\n", 2, "without `module`"),
        ("import all Init\n", 1, "without `module`"),
        ("import\n" + GOOD, 1, "expected identifier"),
        ("import 3\n" + GOOD, 1, "expected identifier"),
        ("import Init /- never closed\n" + GOOD, 3, "unterminated comment"),
        ("/- never closed\n" + GOOD, 3, "unterminated comment"),
        ("\0import Init\n" + GOOD, 1, "expected token"),
        ("import Init\0\n" + GOOD, 1, "expected token"),
        ("\ufeffimport Init\n" + GOOD, 1, "byte order mark"),
        (GOOD + "import Init\n", 2, "beginning of the file"),
    ],
)
def test_a_header_that_is_none(host: Host, source: str, line: int, said: str) -> None:
    checked = host.check_source(source, file="h.lean")
    assert checked.status is Status.REJECTED
    assert checked.reasons
    first = next(d for d in checked.diagnostics if said in d.message)
    assert (first.position.line, first.is_error, first.file) == (line, True, "h.lean")


@pytest.fixture(scope="module")
def modules(engine: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with modules ``Head.One`` and ``Head.Two``, where the engine can compile such a thing."""
    folder = tmp_path_factory.mktemp("modules")
    if engine == "native":
        core: Path = request.getfixturevalue("fixture_core")
        one = (
            "module\nprelude\npublic section\n"
            + FACT.format("One")
            + "end\ntheorem One.own : One.Fact := One.fact\n"
        )
        compile_module(core, one, "Head.One", folder)
        compile_module(core, "module\nprelude\npublic import Head.One\n", "Head.Two", folder)
    return folder


def test_module_headers_are_checked_as_they_stand(
    engine: str, host: Host, modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "search_path", (modules, *host.search_path))
    if engine == "native":
        head, all_, rest = "module\nprelude\n", "import all Head.One\n", "public import Head.Two\n"
        good, hidden = "theorem t : One.Fact := One.fact\n", "theorem t : One.Fact := One.own\n"
    else:
        head, all_, rest = (
            "module\n",
            "import all Init.Core\n",
            "public import Init\nmeta import Init.Prelude\n",
        )
        good, hidden = "theorem t : 1 + 1 = 2 := by decide\n", ""
    for imports in (rest, all_, all_ + rest):
        checked = host.check_source(head + imports + good)
        assert checked.accepted, checked.diagnostics
        assert [t.name for t in checked.theorems] == ["t"]
    if hidden:
        assert host.check_source(head + all_ + hidden).accepted
        assert host.check_source(head + rest + hidden).status is Status.REJECTED


def test_a_module_cannot_import_what_is_none(
    host: Host, compiled: Compile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "search_path", (compiled("PlainOne").parent, *host.search_path))
    checked = host.check_source("module\nprelude\nimport PlainOne\n" + GOOD)
    assert checked.status is Status.REJECTED
    assert "cannot import PlainOne: " in checked.reasons[0]


# --- .olean files ---------------------------------------------------------------------------------


@pytest.fixture
def compiled(host: Host, tmp_path: Path) -> Compile:
    """Compile a small module that imports *over*; return its file in a directory of the test's own."""

    def compile_(module: str, over: str = "") -> Path:
        lean = host._lean
        engine = lean.engine
        place = engine.scratch() if isinstance(engine, WasmEngine) else tmp_path
        with host.session([over] if over else []) as base, base.extend(FACT.format(module)) as grown:
            env = lean.engine.eval(lean.table.set_main_module(grown._env, lean.name(module)))
            lean.io(lean.table.write_module(env, str(place / f"{module}.olean"), False)).close()
        file = tmp_path / "lib" / f"{module}.olean"
        file.parent.mkdir(exist_ok=True)
        shutil.move(place / file.name, file)
        return file

    return compile_


def failure(host: Host, module: str) -> str:
    """Return why an import failed; a whole source says the same, and the host goes on."""
    with pytest.raises(ImportFailed) as caught:
        host.session([module])
    assert caught.value.hint
    checked = host.check_source(f"prelude\nimport {module}\n{GOOD}")
    assert checked.status is Status.REJECTED
    assert [d.kind for d in checked.diagnostics] == ["leanhost.lean.import"]
    assert caught.value.message in checked.reasons[0]
    assert host.check_source(GOOD).accepted
    return caught.value.message


@pytest.fixture
def visible(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "search_path", (tmp_path / "lib", *host.search_path))


@pytest.mark.usefixtures("visible")
def test_a_compiled_module_is_imported(host: Host, compiled: Compile) -> None:
    compiled("Sound")
    assert host.check_source("prelude\nimport Sound\ntheorem t : Sound.Fact := Sound.fact\n").accepted


@pytest.mark.usefixtures("visible")
@pytest.mark.parametrize(
    "name", ["Nowhere", "Init.Nowhere", "«../x».Y", "«a/b»", "«»", "x" * 300, "A." + "y" * 300]
)
def test_an_unknown_module(host: Host, name: str) -> None:
    assert failure(host, name).startswith(f"unknown module {name}: no such .olean in ")


def test_an_unknown_module_is_reported_where_it_is_imported(host: Host) -> None:
    for source, start, end in [
        ("/- α -/ import Init import Nowhere\n", (1, 20), (1, 34)),
        ("module\nimport Init\npublic import «α».Nowhere\nexample : True := trivial", (3, 0), (3, 25)),
        ("import «α».Nowhere -- Init", (1, 0), (1, 18)),
    ]:
        (fault,) = host.check_source(source).diagnostics
        assert (fault.position, fault.end) == (Position(*start), Position(*end)), source
    (implicit,) = host.check_source("theorem t : True := trivial", imports=["Nowhere"]).diagnostics
    assert (implicit.position, implicit.end) == (Position(1, 0), None)


def test_a_toolchain_without_a_library_says_so(native_toolchain: Toolchain) -> None:
    with Host(native_toolchain) as bare:
        for module in ("Init", "Std.Nowhere"):
            with pytest.raises(ImportFailed) as caught:
                bare.session([module])
            assert "no core library" in caught.value.hint
        with pytest.raises(ImportFailed) as caught:
            bare.session(["Nowhere"])
        assert "check the name" in caught.value.hint


def test_a_search_path_is_looked_at_first(
    native_toolchain: Toolchain, fixture_core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAN_PATH", str(tmp_path))
    with leanhost.open(toolchain=native_toolchain, search_path=[str(fixture_core)]) as opened:
        assert opened.search_path == (fixture_core, tmp_path)
        assert opened.check_source(GOOD).accepted


def test_one_directory_is_no_search_path(native_toolchain: Toolchain, tmp_path: Path) -> None:
    for one in (str(tmp_path), tmp_path):
        for opening in (leanhost.open, leanhost.WorkerPool):
            with pytest.raises(UsageError, match=f"write \\['{tmp_path}'\\]"):
                opening(toolchain=native_toolchain, search_path=one)  # type: ignore[arg-type]


@pytest.mark.usefixtures("visible")
def test_a_module_whose_import_has_gone(host: Host, compiled: Compile) -> None:
    below = compiled("Below")
    compiled("Above", over="Below")
    below.unlink()
    assert "unknown module Below (imported by Above)" in failure(host, "Above")


@pytest.mark.usefixtures("visible")
def test_a_directory_is_no_module(host: Host, tmp_path: Path) -> None:
    (tmp_path / "lib" / "Folder.olean").mkdir(parents=True)
    assert "unknown module Folder" in failure(host, "Folder")


@pytest.mark.usefixtures("visible")
@pytest.mark.parametrize(
    "kept", ["nothing", "magic", "header", "first words", "half", "all but a word", "all but a byte"]
)
def test_a_truncated_file(host: Host, compiled: Compile, kept: str) -> None:
    file = compiled("Cut")
    data = file.read_bytes()
    sizes = {"nothing": 0, "magic": 5, "header": 80, "first words": 100, "half": len(data) // 2}
    size = sizes.get(kept, len(data) - (8 if kept.endswith("word") else 1))
    file.write_bytes(data[:size])
    assert str(file) in failure(host, "Cut")


@pytest.mark.usefixtures("visible")
@pytest.mark.parametrize("suffix", [".olean.server", ".olean.private", ".ir", ".ir.sig"])
@pytest.mark.parametrize("kept", [0, 88, 200])
def test_a_truncated_part_of_a_module(host: Host, compiled: Compile, suffix: str, kept: int) -> None:
    """Lean maps these as well, some of them only when it is asked for what is in them."""
    file = compiled("Parts")
    part = file.with_name("Parts" + suffix)
    data, word = file.read_bytes(), host._lean.engine.word
    # As Lean lays it out: at addresses of its own.
    moved = b"".join(
        (int.from_bytes(data[at : at + word], "little") + (1 << 24)).to_bytes(word, "little")
        for at in (80, 80 + word)
    )
    part.write_bytes((data[:80] + moved + data[80 + 2 * word :])[:kept])
    assert str(part) in failure(host, "Parts")


@pytest.mark.usefixtures("visible")
@pytest.mark.parametrize("content", [b"no olean at all", b"\x7fELF" + bytes(200), b"olean" + bytes(200)])
def test_something_else_under_its_name(host: Host, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "lib" / "Other.olean"
    file.parent.mkdir()
    file.write_bytes(content)
    assert str(file) in failure(host, "Other")


@pytest.mark.usefixtures("visible")
def test_pointers_that_lead_nowhere(host: Host, compiled: Compile) -> None:
    file = compiled("Wild", over="Init")
    data, word = file.read_bytes(), host._lean.engine.word
    base = int.from_bytes(data[80 : 80 + word], "little")
    root = int.from_bytes(data[80 + word : 80 + 2 * word], "little") - base
    imports = int.from_bytes(data[root + 8 : root + 8 + word], "little") - base
    first = int.from_bytes(data[imports + 8 + 2 * word : imports + 8 + 3 * word], "little") - base
    name = int.from_bytes(data[first + 8 : first + 8 + word], "little") - base
    for at, value in ((root + 8, 0), (imports + 8, 1 << 30), (first + 8, base - 64), (name + 8, base + name)):
        file.write_bytes(data[:at] + value.to_bytes(word, "little") + data[at + word :])
        assert str(file) in failure(host, "Wild")


@pytest.mark.usefixtures("visible")
def test_a_file_of_another_build(host: Host, compiled: Compile) -> None:
    file = compiled("Foreign")
    data = file.read_bytes()
    file.write_bytes(data[:7] + b"4.99.0".ljust(33, b"\0") + b"0123456789" * 4 + data[80:])
    said = failure(host, "Foreign")
    assert "was compiled by Lean 4.99.0 (012345678901), not by the Lean in use" in said
    assert host.toolchain.commit[:12] in said


@pytest.mark.usefixtures("visible")
def test_the_other_engine_s_file(host: Host, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Another version, and pointers of another size."""
    core: Path = request.getfixturevalue("fixture_core")
    if host._lean.engine.word == 8:
        core = request.getfixturevalue("embedded_toolchain").core
    (tmp_path / "lib").mkdir()
    shutil.copyfile(core / "Init" / "Core.olean", tmp_path / "lib" / "Elsewhere.olean")
    assert "was compiled by Lean 4." in failure(host, "Elsewhere")


@pytest.mark.parametrize("imports", ["Init", [3], [None], [""], ["A..B"], ["A\0"], ["Init", "Init"]])
def test_what_is_no_list_of_modules(host: Host, imports: object) -> None:
    with pytest.raises(UsageError):
        host.session(imports)  # type: ignore[arg-type]


def test_an_environment_is_shared_until_its_last_user_lets_it_go(native_host: Host) -> None:
    imported = native_host._import_fresh(native_host._lean, native_host._import_key(["Init.Core"]))
    assert imported.share() is imported
    imported.close()
    assert imported.env.word
    imported.close()
    assert not imported.env.word
    with pytest.raises(ClosedError):
        imported.share()
