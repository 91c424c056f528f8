"""Images of a Lean that has imported something: started from where there is one, kept where one would be used again."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from leanhost.engine import find_image, keep_image, keeps_images, lacks_image
from leanhost.lean.olean import module_file
from leanhost.services.elaboration.environment import Imported, ImportKey
from leanhost.services.opening import selftest_cache
from leanhost.toolchain.images import making as making_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leanhost.engine.wasm.image import Image
    from leanhost.lean.core import Lean
    from leanhost.services.opening.selftest_cache import Record
    from leanhost.toolchain import Toolchain

_ENVIRONMENT = "environment"
_OPTIONS = "options"
_IDENTITY = "identity"


def find(toolchain: Toolchain, table: str, key: ImportKey) -> Image | None:
    """Open the image of *key* over the version table named *table*, if there is one that this leanhost made."""
    return find_image(toolchain, str(key), _what(table, key)) if keeps_images(toolchain) else None


def expect(toolchain: Toolchain, record: Record, key: ImportKey) -> None:
    """Have an image of *key* made the next time it is looked for."""
    if keeps_images(toolchain):
        lacks_image(toolchain, str(key), _what(record.table, key))


@contextmanager
def making(toolchain: Toolchain, record: Record, key: ImportKey) -> Iterator[bool]:
    """Yield whether the caller should make the image of *key*: it was looked for before, and nobody else makes it.

    Nobody else makes one inside of the context.
    """
    if not keeps_images(toolchain) or not lacks_image(toolchain, str(key), _what(record.table, key)):
        yield False
        return
    with making_image() as ours:
        # Another process may have made it a moment ago.
        yield ours and lacks_image(toolchain, str(key), _what(record.table, key))


def keep(lean: Lean, toolchain: Toolchain, imported: Imported) -> bool:
    """Keep *lean*, which has rehearsed over *imported* and has run nobody's code; return whether that was possible."""
    what = _what(lean.table.version, imported.key)
    roots = {_ENVIRONMENT: imported.env}
    notes = {_OPTIONS: lean.option_types, _IDENTITY: imported.identity}
    return keep_image(lean.engine, toolchain, str(imported.key), what, roots, notes)


def taken_over(lean: Lean, key: ImportKey) -> Imported | None:
    """Return the environment that came with the image *lean* was started from; its user is the caller."""
    env = lean.engine.roots.pop(_ENVIRONMENT, None)
    if env is None:
        return None
    lean.option_types.update(lean.engine.notes[_OPTIONS])
    return Imported(lean, key, env, lean.engine.notes[_IDENTITY])


def is_core(key: ImportKey, search_path: Sequence[Path], core: Path | None) -> bool:
    """Whether *key* imports nothing but the toolchain's own library, which an image stands for as a whole."""
    if core is None or not key.imports:
        return False
    files = [module_file(i.module, search_path) for i in key.imports]
    return all(file is not None and file.is_relative_to(core) for file in files)


def _what(table: str, key: ImportKey) -> str:
    return f"{_IDENTITY}\0{selftest_cache.sources()}\0{table}\0{key!r}"
