"""Lake projects: manifests of every version, build directories, and what is wrong with a project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leanhost.errors import ProjectError
from leanhost.toolchain import lean_path, load_project

GIT = {"type": "git", "url": "https://example.org/x", "rev": "0" * 40, "subDir": None, "inherited": False}


def manifest(root: Path, packages: list[Any], **more: Any) -> None:
    content = {
        "version": "1.1.0",
        "packagesDir": ".lake/packages",
        "packages": packages,
        "name": "demo",
    } | more
    (root / "lake-manifest.json").write_text(json.dumps(content))


def built(package: Path, library: str = ".lake/build/lib/lean") -> Path:
    (package / library).mkdir(parents=True)
    return package / library


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "demo"
    root.mkdir()
    (root / "lakefile.toml").write_text('name = "demo"\n')
    (root / "lean-toolchain").write_text("leanprover/lean4:v4.35.0\n")
    return root


def test_project_without_dependencies(root: Path) -> None:
    manifest(root, [])
    library = built(root)
    project = load_project(root)
    assert (project.root, project.name, project.search_path) == (root, "demo", (library,))
    assert project.toolchain == "leanprover/lean4:v4.35.0"
    assert project.unbuilt == ()


def test_found_from_a_file_inside(root: Path) -> None:
    manifest(root, [])
    built(root)
    (root / "Demo").mkdir()
    (root / "Demo" / "Basic.lean").write_text("")
    assert load_project(root / "Demo").root == root
    assert load_project(root / "Demo" / "Basic.lean").root == root


def test_dependencies_in_order(root: Path) -> None:
    manifest(
        root,
        [
            GIT | {"name": "mathlib", "scope": "leanprover-community"},
            GIT | {"name": "«doc-gen4»"},
            GIT | {"name": "inner", "subDir": "lean"},
            {"type": "path", "name": "near", "dir": "../near", "inherited": True},
        ],
    )
    packages = root / ".lake" / "packages"
    expected = (
        built(root),
        built(packages / "mathlib"),
        built(packages / "doc-gen4"),
        built(packages / "inner" / "lean"),
        built(root.parent / "near"),
    )
    assert load_project(root).search_path == expected


def test_unbuilt_dependency_is_named(root: Path) -> None:
    manifest(root, [GIT | {"name": "batteries"}])
    (root / ".lake" / "packages" / "batteries").mkdir(parents=True)
    built(root)
    project = load_project(root)
    assert len(project.search_path) == 1
    assert project.unbuilt == ("batteries",)


def test_scratch_project_with_only_its_dependencies_built(root: Path) -> None:
    manifest(root, [GIT | {"name": "mathlib"}])
    library = built(root / ".lake" / "packages" / "mathlib")
    project = load_project(root)
    assert project.search_path == (library,)
    assert project.unbuilt == ("demo",)


@pytest.mark.parametrize("library", [".lake/build/lib", "build/lib"])
def test_older_build_directories(root: Path, library: str) -> None:
    manifest(root, [])
    assert load_project_path(root, built(root, library))


def load_project_path(root: Path, library: Path) -> bool:
    return load_project(root).search_path == (library,)


def test_build_directory_of_the_configuration(root: Path) -> None:
    (root / "lakefile.toml").write_text('name = "demo"\nbuildDir = "out"\nleanLibDir = "oleans"\n')
    manifest(root, [])
    assert load_project_path(root, built(root, "out/oleans"))


def test_manifests_of_older_lakes(root: Path) -> None:
    entry = {"git": {"name": "std", "url": "u", "rev": "r", "subDir?": None, "inputRev?": "main"}}
    manifest(
        root, [entry, {"path": {"name": "near", "dir": "./near"}}], version=5, packagesDir="lake-packages"
    )
    expected = (built(root, "build/lib"), built(root / "lake-packages" / "std"), built(root / "near"))
    assert load_project(root).search_path == expected


def test_package_overrides(root: Path) -> None:
    manifest(root, [GIT | {"name": "std"}])
    library = built(root)
    local = built(root.parent / "local-std")
    (root / ".lake" / "package-overrides.json").write_text(
        json.dumps({"version": "1.1.0", "packages": [{"type": "path", "name": "std", "dir": "../local-std"}]})
    )
    assert load_project(root).search_path == (library, local)


# --- what is wrong --------------------------------------------------------------------------------


def test_not_built(root: Path) -> None:
    manifest(root, [])
    with pytest.raises(ProjectError, match="not built") as caught:
        load_project(root)
    assert "lake build" in caught.value.hint


def test_no_lakefile(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no Lake project"):
        load_project(tmp_path)


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no project directory"):
        load_project(tmp_path / "nowhere")


def test_no_manifest(root: Path) -> None:
    with pytest.raises(ProjectError, match=r"no lake-manifest\.json") as caught:
        load_project(root)
    assert "lake build" in caught.value.hint


def test_dependency_not_fetched(root: Path) -> None:
    manifest(root, [GIT | {"name": "mathlib"}])
    built(root)
    with pytest.raises(ProjectError, match=r"'mathlib' .* was not fetched"):
        load_project(root)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "\x00", "[" * 100_000, '{"packages": []}', '{"version": true}', '{"version": "one"}',
        '{"version": "1.1.0", "packages": {}}', '{"version": "1.1.0", "packages": [1]}',
        '{"version": "1.1.0", "packages": [{"type": "git"}]}',
        '{"version": "1.1.0", "packages": [{"type": "svn", "name": "x"}]}',
        '{"version": "1.1.0", "packages": [{"type": "git", "name": "../../x"}]}',
        '{"version": "1.1.0", "packages": [{"type": "git", "name": "/x"}]}',
        '{"version": "1.1.0", "packages": [{"type": "path", "name": "x", "dir": 1}]}',
        '{"version": "1.1.0", "packages": [{"type": "path", "name": "x", "dir": "a\\u0000"}]}',
        '{"version": "1.1.0", "packagesDir": 1}',
    ],
)  # fmt: skip
def test_malformed_manifest(root: Path, text: str) -> None:
    (root / "lake-manifest.json").write_text(text)
    built(root)
    with pytest.raises(ProjectError, match=r"lake-manifest\.json"):
        load_project(root)


@pytest.mark.parametrize(("version", "hint"), [("2.0.0", "newer leanhost"), (4, "lake update")])
def test_manifest_version(root: Path, version: object, hint: str) -> None:
    manifest(root, [], version=version)
    with pytest.raises(ProjectError, match="manifest version") as caught:
        load_project(root)
    assert hint in caught.value.hint


def test_bad_toolchain_file(root: Path) -> None:
    manifest(root, [])
    built(root)
    (root / "lean-toolchain").write_text("")
    with pytest.raises(ProjectError, match="lean-toolchain"):
        load_project(root)


def test_lean_path() -> None:
    assert lean_path({"LEAN_PATH": "/a::/b c"}) == (Path("/a"), Path("/b c"))
    assert lean_path({}) == ()
