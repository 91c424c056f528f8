"""A host put back to a snapshot: what it has learned since is forgotten, with what any source did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import leanhost
from leanhost.errors import ClosedError, EngineLost, UsageError
from leanhost.services.session.host import Host
from leanhost.toolchain import Toolchain

GOOD = "theorem good (n : Nat) : n + 0 = n := by simp\n"
CLASSICAL = "theorem em (p : Prop) : p ∨ ¬p := Classical.em p\n"


@pytest.fixture(scope="module")
def host(embedded_toolchain: Toolchain) -> Iterator[Host]:
    with leanhost.open(toolchain=embedded_toolchain) as opened:
        assert opened.check_source(GOOD).accepted
        opened.snapshot()
        yield opened


def test_what_was_found_out_since_is_forgotten(host: Host) -> None:
    (imported,) = [found for key, found in host._kept.items() if key == host._first]
    before = imported.axioms.copy()
    kept, options, headers = (each.items() for each in (host._kept, host._options, host._headers._known))
    assert host.check_source(CLASSICAL).accepted
    assert host.check_source('def s : String := "text"\n' + CLASSICAL).accepted
    host.session(["Init"], leanhost.ElabOptions(max_heartbeats=12345)).close()
    imported.axioms.spelling.sound = not before.spelling.sound
    assert imported.axioms != before
    host.reset()
    assert imported.axioms == before
    assert (host._options.items(), host._headers._known.items()) == (options, headers)
    assert dict(host._kept.items()).keys() >= dict(kept).keys()
    assert host.check_source(GOOD).accepted


def test_sessions_end_with_a_reset(host: Host) -> None:
    session = host.session(["Init"])
    grown = session.extend(GOOD)
    evidence = grown.kernel_check("theorem t : 1 = 1 := rfl\n")
    host.reset()
    for ended in (session, grown):
        with pytest.raises(ClosedError):
            ended.run(GOOD)
        ended.close()
    del evidence
    with host.session(["Init"]) as again:
        assert again.run(GOOD).ok


def test_an_import_before_any_code_belongs_to_the_snapshot(host: Host) -> None:
    host.reset()
    source = "import Std.Data.HashMap\n#check Std.HashMap\n"
    assert not any(d.is_error for d in host.check_source(source).diagnostics)
    host.reset()
    assert any("HashMap" in str(key) for key, _ in host._kept.items())
    with host.session(["Init"]) as session:
        session.run("#eval 1\n")
        host.session(["Init", "Std.Data.HashSet"]).close()  # code has run before
    host.reset()
    assert not any("HashSet" in str(key) for key, _ in host._kept.items())


def test_a_lost_lean_has_no_snapshot(embedded_toolchain: Toolchain, native_toolchain: Toolchain) -> None:
    with leanhost.open(toolchain=embedded_toolchain) as opened:
        with pytest.raises(UsageError, match="no snapshot"):
            opened.reset()
        opened.snapshot()
        opened._lean.engine.close()
        with pytest.raises((UsageError, EngineLost)):
            opened.reset()
        assert opened.check_source(GOOD).accepted
    with leanhost.open(toolchain=native_toolchain) as native, pytest.raises(UsageError, match="fork"):
        native.snapshot()
