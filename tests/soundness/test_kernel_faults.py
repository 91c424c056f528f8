"""Inputs that show published faults of Lean's kernel: a Lean accepts one exactly if the table says that it does.

``tests/support/faults`` has exports, each named after its fault, and the sources they were made from on a Lean that has
it.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from leanhost.services.exports.read.outcome import Refused, Replayed, ReplayRejected
from leanhost.services.session.host import Host

FAULTS = sorted((Path(__file__).parents[1] / "support" / "faults").glob("*.ndjson"))
PARAMETER = next(file for file in FAULTS if file.stem == "14576")


@pytest.mark.parametrize("file", FAULTS, ids=lambda file: file.stem)
def test_the_table_says_who_accepts_it(host: Host, file: Path) -> None:
    has_it = f"#{file.stem}" in {fault.name for fault in host.toolchain.known_faults}
    outcome = host.replay(file)
    assert isinstance(outcome, Replayed if has_it else ReplayRejected), outcome


@pytest.mark.parametrize("kind", ["const", "proj"])
def test_what_only_the_kernel_declares_is_not_there(host: Host, kind: str) -> None:
    """#14616: while it checks a family, a kernel has types of its own making."""
    lines = [json.loads(line) for line in PARAMETER.read_text().splitlines()]
    family = lines.pop()
    (constructor,) = family["inductive"]["ctors"]
    arrow = next(line for line in lines if line.get("ie") == constructor["type"])["forallE"]
    applied = next(line for line in lines if line.get("ie") == arrow["type"])["app"]
    wrong = next(line for line in lines if line.get("ie") == applied["arg"])["app"]
    name = max(line.get("in", 0) for line in lines)
    expr = max(line.get("ie", 0) for line in lines)
    lines += [
        {"in": name + 1, "str": {"pre": 0, "str": "_nested"}},
        {"in": name + 2, "str": {"pre": name + 1, "str": "Leaf_1"}},
        {"ie": expr + 1, "app": {"fn": applied["fn"], "arg": wrong["arg"]}},
        {
            "ie": expr + 2,
            **{
                "const": {"const": {"name": name + 2, "us": []}},
                "proj": {"proj": {"typeName": name + 2, "idx": 0, "struct": wrong["arg"]}},
            }[kind],
        },
        {"ie": expr + 3, "forallE": arrow | {"type": expr + 2}},
        {"ie": expr + 4, "forallE": arrow | {"type": expr + 1, "body": expr + 3}},
    ]
    constructor |= {"type": expr + 4, "numFields": 2}
    file = "".join(json.dumps(line) + "\n" for line in [*lines, family])
    outcome = host.replay(io.BytesIO(file.encode()))
    assert isinstance(outcome, Refused)
    assert outcome.reason == "_nested.Leaf_1 is mentioned before it is declared"
