"""The pages of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


DOCS = ROOT / "docs"


_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples(page: Path) -> list[tuple[str, str]]:
    blocks = [(m[1], m[2]) for m in _FENCE.finditer(page.read_text(encoding="utf-8"))]
    shown = [*blocks, ("", "")]
    return [
        (text, shown[at + 1][1] if shown[at + 1][0] == "text" else "")
        for at, (language, text) in enumerate(blocks)
        if language == "python"
    ]
