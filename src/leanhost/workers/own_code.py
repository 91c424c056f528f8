"""Which sources may have had Lean run code of their own, so that their process is nobody else's any more.

Code of a source (``#eval``, macros, notation, tactics of its own...) can be unsafe, and unsafe code can write
anywhere in its process. It is run where the source uses a command or a term of Lean's that runs code; each of those
has a word of its own, and what the source defines itself needs one of them first.
"""

from __future__ import annotations

import re

_WORDS = re.compile(
    r"#guard|eval|run_|elab|macro|notation|infix|prefix|postfix|syntax|simproc|initialize|declare_|register_"
    r"|unsafe|Unsafe|Internal|lcProof|lcUnreachable|native|implemented_by|extern|csimp"
    r"|unexpander|delab|parser|formatter|parenthesizer|code_action"
    r"|\[[^\]]*\b(?:init|export|tactic)\b"
)


def may_run(*sources: str) -> bool:
    """Tell whether one of *sources* has a word that could make Lean run code which it brings along."""
    return any(_WORDS.search(source) is not None for source in sources)
