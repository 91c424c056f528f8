"""What writer and reader of the export format share: its version, and its words.

The format is lean4export's NDJSON, published as ``format_ndjson.md`` in ``leanprover/lean4export``: one JSON
object a line; names, levels and expressions are numbered from 1, 1 and 0 (name 0 is anonymous, level 0 is zero)
and refer to earlier lines only; declarations refer to them and to each other by name.
"""

from __future__ import annotations

from typing import Final

from leanhost.lean.tables.exprs import BINDER_KINDS

FORMAT_VERSION: Final = "3.1.0"
"""The version of the format that is written; every ``3.1`` is read."""

_BINDER_WORDS: Final = {"strict_implicit": "strictImplicit", "inst_implicit": "instImplicit"}
BINDERS: Final = tuple(_BINDER_WORDS.get(kind, kind) for kind in BINDER_KINDS)
"""``Lean.BinderInfo`` in the format's words, by tag."""
