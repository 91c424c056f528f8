"""``verify`` where reference and candidate import different modules: both trusted, but not the same library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from leanhost.services.session.host import Host
from leanhost.toolchain import Toolchain
from tests.support.fixture_core import compile_module
from tests.support.judging import codes, refusals

MODULES = {
    "Ours": "def Good : Prop := False\ndef two : Nat := 2\nopaque hidden : Nat := 1\n",
    "Theirs": "def Good : Prop := True\ndef two : Nat := 2\nopaque hidden : Nat := 2\n",
    "Above": "import Ours\ndef three : Nat := two + 1\n",
    "Proved": "theorem t : 1 = 1 := rfl\n",
    "Wished": "axiom wish (p : Prop) : p\ntheorem t : 1 = 2 := wish _\ntheorem u : 1 = 2 := wish _\n",
    "Left": "theorem t : 1 = 2 := sorry\n",
    "Axiom": "axiom law : 1 = 1\n",
    "OtherLaw": "axiom law : 1 = 2\n",
}


@pytest.fixture(scope="module")
def library(
    native_toolchain: Toolchain, fixture_core: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    out = tmp_path_factory.mktemp("modules")
    for module, source in MODULES.items():
        compile_module(fixture_core, source, module, out)
    with Host(native_toolchain, [out, fixture_core]) as host:
        yield host


ACCEPTED = {
    "one import more": ("", "import Ours\n", ""),
    "a module above the reference's": ("import Ours\n", "import Above\n", ""),
    "a module below the reference's": ("import Above\n", "import Ours\n", ""),
    "written out instead of imported": (
        "import Ours\n",
        "",
        "def Good : Prop := False\ndef two : Nat := 2\n",
    ),
    "another module that says the same": ("import Ours\n", "import Theirs\n", ""),
    "a theorem that is imported": ("", "import Proved\n", None),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_honest_candidates_with_other_imports(library: Host, name: str) -> None:
    ours, theirs, written = ACCEPTED[name]
    statement = "theorem t : 1 = 1 := " if written is None or not ours else "theorem t : two = 2 := "
    candidate = theirs if written is None else theirs + written + statement + "rfl\n"
    assert refusals(library, ours + statement + "by sorry\n", candidate) == []


REFUSED = {
    "a definition of another module": (
        "import Ours\ntheorem t : Good := by sorry\n",
        "import Theirs\ntheorem t : Good := True.intro\n",
        {("library", "Good"), ("statement", "t")},
    ),
    "another definition, written": (
        "import Ours\ntheorem t : Good := by sorry\n",
        "def Good : Prop := True\ntheorem t : Good := True.intro\n",
        {("library", "Good"), ("statement", "t")},
    ),
    "another value that nothing unfolds": (
        "import Ours\ntheorem t : hidden = hidden := by sorry\n",
        "import Theirs\ntheorem t : hidden = hidden := rfl\n",
        {("library", "hidden")},
    ),
    "an imported theorem that rests on an axiom": (
        "theorem t : 1 = 2 := by sorry\n",
        "import Wished\n",
        {("axiom", "t")},
    ),
    "an imported theorem that rests on sorry": (
        "theorem t : 1 = 2 := by sorry\n",
        "import Left\n",
        {("sorry", "t")},
    ),
    "a proof by an imported axiom": (
        "theorem t : 1 = 2 := by sorry\n",
        "import Wished\ntheorem t' : 1 = 2 := u\n",
        {("axiom", "t")},
    ),
    "nothing": ("import Ours\ntheorem t : two = 2 := by sorry\n", "import Theirs\n", {("missing", "t")}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_dishonest_candidates_with_other_imports(library: Host, name: str) -> None:
    reference, candidate, expected = REFUSED[name]
    assert codes(library, reference, candidate) & expected


def test_an_axiom_of_the_library_is_allowed_as_what_it_is_there(library: Host) -> None:
    reference = "import Axiom\ntheorem t : 1 = 2 := by sorry\n"
    candidate = "import OtherLaw\ntheorem t : 1 = 2 := law\n"
    found = refusals(library, reference, candidate, allow_axioms=("law",))
    assert {(r.code, r.name) for r in found} == {("library", "law")}
    same = "import Axiom\nimport Ours\n"
    honest = ("theorem t : 1 = 1 := ", "by sorry\n", "law\n")
    assert refusals(library, "import Axiom\n" + honest[0] + honest[1], same + honest[0] + honest[2]) != []
    allowed = refusals(
        library, "import Axiom\n" + honest[0] + honest[1], same + honest[0] + honest[2], allow_axioms=("law",)
    )
    assert allowed == []


def test_what_a_candidate_says_it_imports_does_not_have_to_be_so(library: Host) -> None:
    """It exports what it made on top of one library, and the judge has another."""
    reference = "import Ours\ntheorem t : two = 2 := by sorry\n"
    candidate = "import Above\ntheorem t : two = 2 := rfl\ntheorem more : three = 3 := rfl\n"
    assert refusals(library, reference, candidate) == []
    judged = refusals(library, reference, candidate, start="import Theirs\n")
    assert {r.code for r in judged} == {"export"}
