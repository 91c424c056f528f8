"""``leanhost toolchain``: list, install, remove and locate toolchains."""

from __future__ import annotations

import argparse
import json
from contextlib import suppress
from typing import Any

import leanhost
from leanhost.cli.entry import ACCEPTED
from leanhost.cli.text import visible
from leanhost.errors import LeanHostError
from leanhost.toolchain import Toolchain, embedded, images, list_toolchains, resolve
from leanhost.toolchain.progress import megabytes


def run(arguments: argparse.Namespace) -> int:
    """Do what ``arguments.action`` names and return the exit status."""
    match arguments.action:
        case "list":
            _list(as_json=arguments.json)
        case "install":
            installed = embedded.install(force=arguments.force)
            # The self-test, and an image of Lean to start from: whatever goes wrong there is for its first use to say.
            with suppress(LeanHostError), leanhost.open(toolchain=installed):
                pass
            print(visible(str(place(installed))))
        case "remove":
            where = embedded.path()
            print(f"removed {where}" if embedded.remove() else f"nothing to remove: there is no {where}")
        case "path":
            print(place(resolve(arguments.name, install=False)))
    return ACCEPTED


def place(toolchain: Toolchain) -> str:
    """Return where a toolchain is: its root, or its library when it is nothing but that."""
    return str(toolchain.sysroot or toolchain.library)


def describe(toolchain: Toolchain) -> dict[str, Any]:
    """Return a toolchain as JSON-ready values."""
    return {
        "name": toolchain.name,
        "version": toolchain.version,
        "commit": toolchain.commit,
        "platform": toolchain.platform,
        "engine": toolchain.engine,
        "path": place(toolchain),
        "library": str(toolchain.library),
        "core": str(toolchain.core) if toolchain.core else None,
        "origin": toolchain.origin,
        "verified": toolchain.verified,
    }


def _list(*, as_json: bool) -> None:
    found = list_toolchains()
    kept = images.listed()
    if as_json:
        print(
            json.dumps([{**describe(toolchain), "images": _images(toolchain, kept)} for toolchain in found])
        )
        return
    if not found:
        print("no toolchain can be named; `leanhost toolchain install` fetches the embedded one")
    rows = [(t.name, t.version or "?", t.platform, t.engine, place(t)) for t in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
        print(visible("  ".join([*cells, row[-1]])))
    for image in kept:
        print(visible(f"  image of {image.label}, {megabytes(image.size)}: {image.path}"))


def _images(toolchain: Toolchain, kept: list[images.ImageFile]) -> list[dict[str, Any]]:
    """Return the images of *toolchain*: those in the cache are the embedded one's."""
    if toolchain.name != embedded.NAME:
        return []
    return [{"of": image.label, "bytes": image.size, "path": str(image.path)} for image in kept]
