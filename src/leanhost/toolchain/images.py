"""Files of images in the cache directory: found by name, put in place whole, bounded in number and size.

An image is a Lean as it was after it had imported something, from which another process goes on; what is in one is the
engine's business. They are a cache of the cache: without one, everything takes longer and nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from leanhost.toolchain.cache import cache_dir, remove_stale, sync_dir, temp_dir, try_locked

MAX_IMAGES = 8
MAX_BYTES = 2 * 1024**3

_SUFFIX = ".image"
_SEEN = ".seen"
_PLAIN = re.compile(r"[^\w.]+")


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image in the cache."""

    path: Path
    size: int
    used: float
    """When it was used last."""

    @property
    def label(self) -> str:
        """What it holds, in words."""
        return self.path.name.rpartition("-")[0]


def images_dir(env: Mapping[str, str] | None = None) -> Path:
    """Return the directory of images (not created)."""
    return cache_dir(env) / "images"


def image_path(label: str, key: str, env: Mapping[str, str] | None = None) -> Path:
    """Return where the image of *key* is or would be; *label* is what ``leanhost toolchain list`` shows."""
    return images_dir(env) / f"{_PLAIN.sub('+', label)[:60]}-{key}{_SUFFIX}"


def listed(env: Mapping[str, str] | None = None) -> list[ImageFile]:
    """Return the images in the cache, those used last first."""
    return _listed(images_dir(env))


def _listed(directory: Path) -> list[ImageFile]:
    found = []
    for path in directory.glob(f"*{_SUFFIX}"):
        with suppress(OSError):
            stat = path.stat()
            found.append(ImageFile(path, stat.st_size, stat.st_mtime))
    return sorted(found, key=lambda image: image.used, reverse=True)


def used(path: Path) -> None:
    """Note that an image was used."""
    with suppress(OSError):
        os.utime(path)


def discard(path: Path) -> None:
    """Remove an image that is of no use."""
    with suppress(OSError):
        path.unlink()


def wanted_again(path: Path) -> bool:
    """Note that the image at *path* would have been used; return whether that was noted before."""
    mark = path.with_suffix(_SEEN)
    try:
        if mark.exists():
            return True
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError:
        pass
    return False


@contextmanager
def making(env: Mapping[str, str] | None = None) -> Iterator[bool]:
    """Yield whether this process alone makes images now; not where the cache cannot be written."""
    directory = images_dir(env)
    with ExitStack() as stack:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            ours = stack.enter_context(try_locked(directory / "making.lock"))
        except OSError:
            ours = False
        yield ours


def store(path: Path, write: Callable[[IO[bytes]], None]) -> bool:
    """Have *write* fill the file of an image, and put it in place; return whether that was done.

    Nothing is done where the cache cannot be written, or while another process stores one.
    """
    directory = path.parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with try_locked(directory / "images.lock") as ours:
            if not ours:
                return False
            remove_stale(directory)
            with temp_dir(directory) as work:
                made = work / path.name
                with made.open("xb") as out:
                    os.fchmod(out.fileno(), 0o644)
                    write(out)
                made.replace(path)
            path.with_suffix(_SEEN).unlink(missing_ok=True)
            _make_room(directory)
            sync_dir(directory)
    except OSError:
        return False
    return True


def _make_room(directory: Path) -> None:
    """Remove the images used longest ago, and marks that came to nothing."""
    size = 0
    for count, image in enumerate(_listed(directory)):
        size += image.size
        if count and (count >= MAX_IMAGES or size > MAX_BYTES):
            discard(image.path)
    marks = sorted(directory.glob(f"*{_SEEN}"), key=lambda mark: mark.stat().st_mtime, reverse=True)
    for mark in marks[4 * MAX_IMAGES :]:
        mark.unlink(missing_ok=True)


def remove(env: Mapping[str, str] | None = None) -> int:
    """Remove all images; return how many there were."""
    images = listed(env)
    for image in images:
        discard(image.path)
    for mark in images_dir(env).glob(f"*{_SEEN}"):
        discard(mark)
    return len(images)
