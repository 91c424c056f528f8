"""``import leanhost``: every public name is there, and nothing is loaded before it is needed."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

import leanhost
from leanhost import errors
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
    before = "from leanhost.workers.worker_process.confine import settle_in\nsettle_in({'scratch': '/'})"
    assert "opentelemetry" not in modules_after(f"{before}\n{span}")


def test_the_version_is_that_of_the_distribution() -> None:
    assert leanhost.__version__ == metadata.version("leanhost")


def test_every_name_is_there() -> None:
    for name in leanhost.__all__:
        assert getattr(leanhost, name) is not None
        assert name in dir(leanhost)
    assert len(set(leanhost.__all__)) == len(leanhost.__all__)


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
