"""Which sources may have had Lean run code of their own, so that their process is nobody else's any more.

Code of a source can be unsafe, and unsafe code can write anywhere in its process. What such a process says of its
own past is worth nothing, so the answer is read from the text before it is sent, by three rules:

- a command, attribute or term of Lean's that runs code (``#eval``, macros, ``binder_predicate``, ``native_decide``,
  ``Lean.reduceBool``, ``include_str``, whose path is a term, ``autoParam``, whose tactic is any constant...) has a
  word of its own, and none of these words may be there; of the commands that begin with ``#`` only those may that
  are known to look and not to run;
- attributes are from a list of those that only mark: others are names of handlers, which run;
- the options of a tactic, ``simp (maxSteps := n)``, are terms that Lean *evaluates*: they may only be literals, and
  only where the source defines nothing that a literal could come to mean (its own ``true``, its own ``OfNat``).
"""

from __future__ import annotations

import re

MAX_READ = 1 << 20
"""Characters that are read; what is longer may do anything. Nobody else is served while it is read."""

_RUNS = """
eval run_ macro notation infix prefix postfix syntax binder_pred simproc propagator initialize declare_ register_
aesop_rules linter_ widget suggestion premise plausible slim_check sampl unsafe Unsafe Internal lcProof
lcUnreachable native educeBool educeNat trustCompiler bv_ autoParam include_ idbg prelude implemented_by extern
csimp computed_field verso doc_ unexpander delab parser Parser formatter parenthesizer quot_precheck code_action
"""
_WORDS = tuple(_RUNS.split())
# The first letters are literal, so that the search does not stop at every character.
_OTHERS = (
    re.compile(r"#(?!(?:check|check_failure|exit|help|print|reduce|synth|version|where)\b)[^\W\d]"),
    re.compile(r"elab(?!_as_elim\b|_without_expected_type\b)"),
    re.compile(r"aesop[?!]?\s*\("),
)

_MARKS = frozenset(
    {
        "simp",
        "ext",
        "inline",
        "noinline",
        "always_inline",
        "specialize",
        "reducible",
        "irreducible",
        "semireducible",
        "instance",
        "default_instance",
        "class",
        "match_pattern",
        "elab_as_elim",
        "elab_without_expected_type",
        "induction_eliminator",
        "cases_eliminator",
        "refl",
        "symm",
        "trans",
        "congr",
        "grind",
        "norm_cast",
        "coe",
        "expose",
        "inherit_doc",
        "never_extract",
    }
)
_ATTRIBUTES = (re.compile(r"@\[([^\]]*)"), re.compile(r"attribute\b(?:\s*\[([^\]]*))?"))
_PLAIN = re.compile(r"[\w\s.,=←↓↑→-]*")

_MAKES = "def abbrev instance opaque structure class inductive deriving axiom constant alias where export mk_"
_DEFINES = tuple(_MAKES.split())
_LET_REC = re.compile(r"rec\b")
_OPTION = re.compile(r"\(\s*(?:--|/-|«|config\b|[\w.!?']+(?:«|\s*(?:--|/-|:=\s*)))")
_LITERAL = re.compile(r"(?:true|false|\d+)\s*\)")
# The Leans that were tried read `simp +decide` as the library's own `true`; others may not.
_SWITCH = re.compile(r"[+-](?:«|[^\W\d])")


def may_run(*sources: str) -> bool:
    """Tell whether one of *sources* could make Lean run code that it brings along."""
    if sum(map(len, sources)) > MAX_READ:
        return True
    defines = any(
        any(word in source for word in _DEFINES) or _LET_REC.search(source) is not None for source in sources
    )
    return any(
        any(word in source for word in _WORDS)
        or any(other.search(source) is not None for other in _OTHERS)
        or _has_handlers(source)
        or _has_options(source, defines)
        for source in sources
    )


def _has_handlers(source: str) -> bool:
    """Whether an attribute is more than a mark, or is not to be read for sure."""
    for found in (found for pattern in _ATTRIBUTES for found in pattern.finditer(source)):
        inside = found[1]
        if inside is None or "--" in inside or not _PLAIN.fullmatch(inside):
            return True
        for entry in inside.split(","):
            words = [word for word in entry.lstrip(" \t\r\n-").split() if word not in ("local", "scoped")]
            if words and words[0] not in _MARKS:
                return True
    return False


def _has_options(source: str, defines: bool) -> bool:
    """Whether a tactic may have an option that is not the library's own value."""
    if defines and _SWITCH.search(source):
        return True
    return any(
        defines or not found[0].rstrip().endswith(":=") or not _LITERAL.match(source, found.end())
        for found in _OPTION.finditer(source)
    )
