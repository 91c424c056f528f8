"""Hosts and workers of the embedded Lean start from an image, and as well without one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import leanhost
from leanhost.toolchain import embedded, images
from leanhost.workers import WorkerPool

SOURCES = {
    "theorem t (a b : Nat) (h : a < b) : a + 1 ≤ b := by omega\n": True,
    "theorem t : 1 + 1 = 3 := rfl\n": False,
    "#eval (List.range 4).foldl (· + ·) 0\ntheorem t (xs : List Nat) : xs ++ [] = xs := by simp\n": True,
}


def from_image() -> bool:
    """Open a host, try it, and tell whether it came from an image."""
    with leanhost.open(toolchain="embedded") as host:
        found = host._kept_from_image is not None
        for source, holds in SOURCES.items():
            assert host.check_source(source).accepted == holds
        assert not any(d.is_error for d in host.check_source("import Std\n#check Std.HashMap\n").diagnostics)
    return found


def test_an_image_is_made_used_and_made_again(cache_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEANHOST_CACHE", str(cache_copy))
    assert from_image()  # made by the one who waited for the self-test
    (image,) = images.listed()
    assert image.label == "Init"
    content = image.path.read_bytes()

    # A damaged one is as good as none. It goes, and is made again when it was missed once.
    image.path.unlink()
    image.path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert not from_image()
    assert images.listed() == []
    assert not from_image()
    assert from_image()
    (again,) = images.listed()
    assert again.path == image.path

    # Workers use those of their own imports.
    for _ in range(2):
        with WorkerPool(toolchain="embedded", imports=["Init", "Std"], workers=1, spares=0) as pool:
            assert pool.check("theorem t : 1 = 1 := rfl\n").accepted
            assert not any(d.is_error for d in pool.check("#check Std.HashMap\n").diagnostics)
    assert {found.label for found in images.listed()} == {"Init", "Init+Std"}

    # Where no image can be written, everything works without.
    shutil.rmtree(images.images_dir())
    images.images_dir().write_text("in the way")
    for _ in range(2):
        assert not from_image()
    assert embedded.remove()
