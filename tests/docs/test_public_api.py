"""``import leanhost``: every public name is there, and nothing is loaded before it is needed."""

from __future__ import annotations

import builtins
import inspect
import subprocess
import sys
from importlib import metadata

import pytest

import leanhost
from leanhost import errors
from leanhost.services.terms.questions import QUESTIONS
from tests.support.command import environment


def modules_after(statement: str) -> set[str]:
    """Return the modules a fresh interpreter has loaded after *statement*."""
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment())
    return set(out.stdout.decode().split())


def test_import_loads_nothing_heavy() -> None:
    loaded = modules_after("import leanhost; leanhost.__version__; dir(leanhost)")
    assert not loaded & {
        "ctypes", "_ctypes", "rich", "asyncio", "json", "subprocess", "socket", "selectors", "typing", "pathlib",
        "dataclasses", "inspect", "argparse", "platformdirs", "hashlib", "multiprocessing",
    } - modules_after("")  # fmt: skip
    assert {name for name in loaded if name.startswith("leanhost")} == {"leanhost", "leanhost.version"}


def test_no_engine_is_loaded_by_looking_at_types() -> None:
    loaded = modules_after("import leanhost\nfor name in leanhost.__all__: getattr(leanhost, name)")
    assert "ctypes" not in loaded
    assert "rich" not in loaded
    assert not {name for name in loaded if name.startswith(("leanhost.engine.native", "leanhost.cli"))}


def test_a_worker_loads_nothing_that_acts_in_each_fork() -> None:
    loaded = modules_after("import leanhost.workers.worker_process.zygote_main")
    assert "leanhost.workers.worker_process.request_loop" in loaded
    assert not loaded & {"random", "tempfile", "secrets", "platformdirs", "subprocess", "asyncio", "anyio"}


def test_a_worker_has_no_spans() -> None:
    """Not even where those who could record them are installed: it does not look for them."""
    span = "from leanhost.services.values.tracing import span\nwith span('one', a=1) as s: s.set('b', 2)"
    assert "opentelemetry" in modules_after(span)
    before = (
        "from types import SimpleNamespace\n"
        "from leanhost.workers.worker_process.confine import settle_in\n"
        "settle_in(SimpleNamespace(scratch='/'))"
    )
    assert "opentelemetry" not in modules_after(f"{before}\n{span}")


def test_the_version_is_that_of_the_distribution() -> None:
    assert leanhost.__version__ == metadata.version("leanhost")


def test_every_name_is_there() -> None:
    for name in (*leanhost.__all__, *leanhost._UNSTARRED):
        assert getattr(leanhost, name) is not None
        assert name in dir(leanhost)
    assert len(set(leanhost.__all__)) == len(leanhost.__all__)


def test_an_import_of_all_names_hides_no_builtin() -> None:
    modules_after("from leanhost import *\nimport builtins\nassert open is builtins.open\nassert Host")
    assert callable(leanhost.open)
    assert not set(leanhost.__all__) & set(dir(builtins))


CLASSES = [each for each in (getattr(leanhost, name) for name in leanhost.__all__) if isinstance(each, type)]
CALL = ("timeout", "cancellation", "progress")

# What takes long, and which of the three it has. What is not there would mean nothing: one item has no progress but
# that of its source or its import; an import cannot be stopped once it runs; the items of a batch have time-outs of
# their own.
ALL = CALL
STOPPED = ("timeout", "cancellation")
UNTIMED = ("cancellation", "progress")
LONG: dict[str, dict[str, tuple[str, ...]]] = {
    "Host": {
        "session": UNTIMED,
        **dict.fromkeys(("check_file", "check_source", "replay"), ALL),
    },
    "SessionPool": {"acquire": UNTIMED},
    "Session": {
        **dict.fromkeys(
            (
                "run", "run_many", "extend", "kernel_check", "kernel_check_many", "view", "goals_at", "export",
                "elaborate_many", "prove_many", "recheck_many", "matches_many",
            ),
            ALL,
        ),
        **dict.fromkeys(("elaborate", "prove", "recheck", "matches", "run_meta_with"), STOPPED),
    },
    "MetaService": {
        **dict.fromkeys(QUESTIONS, STOPPED),
        **dict.fromkeys((f"{name}_many" for name in QUESTIONS), ALL),
    },
    "SourceView": dict.fromkeys(("goals_at", "type_at", "references"), STOPPED),
    "ProofState": {
        "apply_many": ALL,
        **dict.fromkeys(("apply", "have", "finish", "local_context"), STOPPED),
    },
    "DeclarationService": {
        **dict.fromkeys(
            ("get_many", "inspect_many", "exists_many", "kind_many", "type_many", "iterate", "search"), ALL
        ),
        **dict.fromkeys(("get", "inspect", "exists", "kind", "type"), STOPPED),
    },
    "WorkerPool": {
        **dict.fromkeys(("check", "verify", "replay"), STOPPED),
        **dict.fromkeys(("check_many", "verify_many"), UNTIMED),
    },
    "WorkerDeclarations": {
        **dict.fromkeys(
            (
                "inspect_many", "exists_many", "kind_many", "type_many", "axioms_many", "used_constants_many",
                "listing", "search",
            ),
            ALL,
        ),
        **dict.fromkeys(("inspect", "exists", "kind", "type", "axioms", "used_constants"), STOPPED),
    },
}  # fmt: skip
LONG["WorkerSession"] = {
    name: had for name, had in LONG["Session"].items() if name not in ("export", "run_meta_with")
}
LONG["WorkerMeta"] = LONG["MetaService"]
LONG["WorkerSourceView"] = LONG["SourceView"]
LONG["WorkerProofState"] = {
    name: had for name, had in LONG["ProofState"].items() if name != "local_context"
}  # its goals are values
SAME_FOR_ALL = {"replay"}
"""What has no twin for asyncio and trio though its class has."""


def methods(owner: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(value)
        for name, value in inspect.getmembers(owner, inspect.isfunction)
        if not name.startswith("_")
    }


def test_what_bounds_and_watches_a_call_is_keyword_only() -> None:
    for owner in CLASSES:
        for name, signature in methods(owner).items():
            for each in set(CALL) & set(signature.parameters):
                kind = signature.parameters[each].kind
                assert kind is inspect.Parameter.KEYWORD_ONLY, (owner, name, each)


@pytest.mark.parametrize("owner", LONG)
def test_what_takes_long_can_be_bounded_stopped_and_watched(owner: str) -> None:
    found = methods(getattr(leanhost, owner))
    for name, expected in LONG[owner].items():
        twin = [f"a{name}"] if owner.startswith("Worker") and name not in SAME_FOR_ALL else []
        for each in (name, *twin):
            assert tuple(one for one in CALL if one in found[each].parameters) == expected, each


def test_bulk_forms_and_statistics_have_one_spelling() -> None:
    for owner in CLASSES:
        names = methods(owner)
        for name in names:
            assert not name.endswith(("_bulk", "_all", "_batch")), (owner, name)
            assert name.removesuffix("_many") in names, (owner, name)
        assert not callable(getattr(owner, "stats", None)), owner


def test_every_error_is_public() -> None:
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == errors.__name__
    }
    assert defined <= set(leanhost.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        leanhost.nope  # type: ignore[attr-defined]  # noqa: B018


def test_command_line_starts_light() -> None:
    loaded = modules_after("import leanhost.cli")
    assert not loaded & {"ctypes", "rich", "asyncio", "subprocess", "json"}
