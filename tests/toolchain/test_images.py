"""Files of images in the cache: put in place whole, bounded, listed and removed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import pytest

from leanhost.toolchain import images


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEANHOST_CACHE", str(tmp_path))
    return tmp_path


def written(path: Path, size: int = 10) -> bool:
    def write(out: IO[bytes]) -> None:
        out.write(b"x" * size)

    return images.store(path, write)


def test_images_are_listed_by_use_and_removed() -> None:
    first, second = images.image_path("Init", "aa"), images.image_path("Init Std/../x", "bb")
    assert images.listed() == []
    assert written(first)
    assert written(second, 20)
    os.utime(second, (1, 1))
    assert [(image.label, image.size) for image in images.listed()] == [("Init", 10), ("Init+Std+..+x", 20)]
    os.utime(first, (0, 0))
    images.used(second)
    assert [image.path for image in images.listed()] == [second, first]
    assert second.parent == images.images_dir()
    assert images.remove() == 2
    assert images.listed() == []
    assert images.remove() == 0


def test_the_oldest_go_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [images.image_path("Init", f"{n:02}") for n in range(images.MAX_IMAGES + 3)]
    for n, path in enumerate(paths):
        assert written(path)
        os.utime(path, (n, n))
    kept = [image.path for image in images.listed()]
    assert paths[-1] in kept
    assert len(kept) <= images.MAX_IMAGES + 1
    assert paths[0] not in kept
    monkeypatch.setattr(images, "MAX_BYTES", 25)
    assert written(images.image_path("Init", "new"))
    assert len(images.listed()) == 2


def test_one_that_cannot_be_written_leaves_nothing() -> None:
    path = images.image_path("Init", "aa")

    def fail(out: IO[bytes]) -> None:
        out.write(b"half")
        raise OSError("no space")

    assert not images.store(path, fail)

    def interrupted(out: IO[bytes]) -> None:
        out.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        images.store(path, interrupted)
    assert images.listed() == []
    assert [entry.name for entry in path.parent.iterdir()] == ["images.lock"]


def test_one_is_wanted_when_it_was_missed_before() -> None:
    path = images.image_path("Init", "aa")
    assert not images.wanted_again(path)
    assert images.wanted_again(path)
    assert written(path)
    path.unlink()
    assert not images.wanted_again(path)


def test_a_cache_that_cannot_be_written_is_no_error(cache: Path) -> None:
    (cache / "images").write_text("in the way")
    path = images.image_path("Init", "aa")
    assert not written(path)
    assert not images.wanted_again(path)
    assert images.listed() == []
    assert images.remove() == 0
    with images.making() as ours:
        assert not ours


def test_one_process_makes_images_at_a_time() -> None:
    with images.making() as first, images.making() as second:
        assert (first, second) == (True, False)
    with images.making() as again:
        assert again
