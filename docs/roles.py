"""Cross-references of docstrings, as this site shows them.

Docstrings name classes and methods by the roles that Python's own documentation uses (``:class:`` and the like).
Markdown has no roles: each becomes the bare name, and a link where the reference describes what it names.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

import leanhost

ROLE = re.compile(r":(?:class|meth|func|data|attr|mod|exc):`(~?)([\w.]+)`")


def identifier(name: str, obj: griffe.Object) -> str:
    """Return the full name of what *name* means in the docstring of *obj*."""
    first, _, rest = name.removeprefix("leanhost.").partition(".")
    if name.startswith("leanhost."):
        home = leanhost._HOME.get(first)
        return name if home is None else ".".join(filter(None, ("leanhost", home, first, rest)))
    scope: griffe.Object | griffe.Alias | None = obj
    while scope is not None:
        if first in scope.all_members if scope.is_class else first in scope.members:
            found = scope.all_members[first] if scope.is_class else scope.members[first]
            path = found.target_path if found.is_alias and not scope.is_class else found.canonical_path
            return ".".join(filter(None, (path, rest)))
        scope = scope.parent
    return name


def shown(text: str, obj: griffe.Object) -> str:
    """Return *text* with the bare name for every role: a link where there is something to link to."""

    def link(match: re.Match[str]) -> str:
        tilde, name = match.groups()
        short = name.rpartition(".")[2] if tilde else name.removeprefix("leanhost.")
        if name.startswith("leanhost.errors."):  # they have a page, and no place of their own on it
            return f'<a href="../errors/"><code>{short}</code></a>'
        return f'<autoref optional identifier="{identifier(name, obj)}"><code>{short}</code></autoref>'

    return ROLE.sub(link, text)


class Roles(griffe.Extension):
    """Rewrites the docstrings before they are rendered."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Take one object, when its package has been read."""
        if obj.docstring is not None:
            obj.docstring.value = shown(obj.docstring.value, obj)
