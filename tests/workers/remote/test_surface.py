"""What a session offers, a session in workers offers too, or the documentation says why not."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from leanhost import DeclarationService, MetaService, ProofState, Session, SourceView
from leanhost.workers import (
    WorkerDeclarations,
    WorkerMeta,
    WorkerProofState,
    WorkerSession,
    WorkerSourceView,
)

PAIRS: list[tuple[type[Any], type[Any]]] = [
    (Session, WorkerSession),
    (MetaService, WorkerMeta),
    (DeclarationService, WorkerDeclarations),
    (ProofState, WorkerProofState),
    (SourceView, WorkerSourceView),
]
GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "worker-sessions.md"


def public(cls: type[Any]) -> set[str]:
    listed = {*dir(cls), *(name for base in cls.__mro__ for name in inspect.get_annotations(base))}
    return {name for name in listed if not name.startswith("_")}


def excused() -> list[str]:
    """The names in the first column of the guide's table."""
    section = GUIDE.read_text(encoding="utf-8").partition("## What stays in this process")[2]
    table = section.partition("\n#")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    assert all(row[2].strip() for row in rows)
    return [name for row in rows for name in re.findall(r"`([\w.]+)`", row[1])]


def test_what_is_not_offered_is_listed_with_its_reason() -> None:
    missing = {f"{ours.__name__}.{name}" for ours, theirs in PAIRS for name in public(ours) - public(theirs)}
    listed = excused()
    assert len(listed) == len(set(listed))
    assert missing <= set(listed), "offer these in a worker, or list them with the reason why not"
    assert set(listed) <= {f"{ours.__name__}.{name}" for ours, _ in PAIRS for name in public(ours)}
    assert not {f"{ours.__name__}.{name}" for ours, theirs in PAIRS for name in public(theirs)} & set(listed)


@pytest.mark.parametrize("cls", [theirs for _, theirs in PAIRS])
def test_every_call_has_a_documented_twin_with_the_same_parameters(cls: type[Any]) -> None:
    calls = {
        name: value
        for name, value in vars(cls).items()
        if getattr(value, "__wrapped__", None) and name[0] != "_"
    }
    blocking = {name for name, value in calls.items() if not inspect.iscoroutinefunction(value)}
    assert blocking
    assert {f"a{name}" for name in blocking} == calls.keys() - blocking
    for name in blocking:
        twin = calls[f"a{name}"]
        assert inspect.signature(twin) == inspect.signature(calls[name])
        assert calls[name].__doc__
        assert f":meth:`{name}`" in twin.__doc__
        assert twin.__name__ == f"a{name}"


def test_a_parameter_of_the_operation_is_a_parameter_in_a_worker() -> None:
    for ours, theirs in PAIRS:
        for name in public(ours) & public(theirs):
            if not inspect.isfunction(getattr(ours, name, None)):
                continue
            wanted = set(inspect.signature(getattr(ours, name)).parameters)
            given = set(inspect.signature(getattr(theirs, name)).parameters)
            assert wanted <= given, f"{ours.__name__}.{name}"
