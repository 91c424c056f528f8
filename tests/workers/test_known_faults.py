"""Published faults of the Lean in use are told with each acceptance, or prevent it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from leanhost.errors import UsageError
from leanhost.services.session.host import Host
from leanhost.services.values.results import CheckResult, Status
from leanhost.toolchain import Toolchain
from leanhost.toolchain.faults import is_caveat, known_faults
from leanhost.workers import Verification, WorkerPool
from leanhost.workers.values.known_faults import FaultNotice
from tests.support.pools import BAD, GOOD, pool_of

STATED = GOOD.replace("h.symm", "by sorry")
HAS_FAULTS = {"native": False, "wasm": True}


@pytest.fixture(scope="module")
def strict_pool(engine: str, request: pytest.FixtureRequest) -> Iterator[WorkerPool]:
    with pool_of(engine, request, spares=0, known_faults="refuse", kernels=["none"]) as made:
        yield made


def told(caveats: tuple[str, ...]) -> list[str]:
    return [caveat for caveat in caveats if is_caveat(caveat)]


def test_a_check_in_this_process_tells_in_one_line(host: Host, engine: str) -> None:
    accepted, rejected = host.check_source(GOOD), host.check_source(BAD)
    assert (accepted.status, rejected.status) == (Status.ACCEPTED, Status.REJECTED)
    lines = told(accepted.caveats)
    assert len(lines) == HAS_FAULTS[engine]
    for fault in host.toolchain.known_faults:
        assert fault.name in lines[0]
    assert told(rejected.caveats) == []


def test_a_check_is_refused_where_faults_are(strict_pool: WorkerPool, engine: str) -> None:
    accepted, rejected = strict_pool.check_many([GOOD, BAD])
    assert rejected.status is Status.REJECTED
    if not HAS_FAULTS[engine]:
        assert (accepted.status, told(accepted.caveats)) == (Status.ACCEPTED, [])
        return
    (line,) = told(accepted.caveats)
    assert accepted.status is Status.REFUSED
    (fault,) = accepted.diagnostics
    assert (fault.kind, fault.is_error) == ("leanhost.known_faults", True)
    assert accepted.reasons == (fault.message,)
    assert line in fault.message
    assert "#14484" in line


def test_a_verification_is_refused_where_faults_are(strict_pool: WorkerPool, engine: str) -> None:
    accepted, rejected = strict_pool.verify_many([(STATED, GOOD), (STATED, BAD)])
    assert rejected.status is Status.REJECTED
    if not HAS_FAULTS[engine]:
        assert (accepted.verified, accepted.caveats) == (True, ())
        return
    assert not accepted.verified
    assert accepted.status is Status.REFUSED
    assert [refusal.code for refusal in accepted.refusals] == ["known-faults"]
    (line,) = accepted.caveats
    assert "#14576" in line
    # What no export can carry does not reach the judge.
    assert "#14484" not in line


def test_the_process_that_was_opened_knows_its_version(
    native_toolchain: Toolchain, fixture_core: Path
) -> None:
    """A library that lies somewhere has no version until it is opened."""
    nameless = replace(native_toolchain, version="", commit="")
    assert len(nameless.known_faults) > 10
    with WorkerPool(toolchain=nameless, search_path=[fixture_core], known_faults="refuse") as pool:
        result = pool.check(GOOD)
        assert (result.status, result.caveats) == (Status.ACCEPTED, ())


def test_what_a_worker_says_of_itself_does_not_count() -> None:
    mine = "known soundness faults: none at all"
    result = CheckResult("a.lean", Status.ACCEPTED, caveats=("other", mine))
    old, new = (FaultNotice(version, "x86_64-linux", "tell") for version in ("4.30.0", "4.35.0"))
    assert new.on_check(result).caveats == ("other",)
    said, line = old.on_check(result).caveats
    assert said == "other"
    assert line != mine
    assert "#14613" in line


def test_kernels_that_agree_cover_each_other() -> None:
    notice = FaultNotice("4.28.0-pre", "wasm32", "refuse")
    accepted = CheckResult("a.lean", Status.ACCEPTED)
    verification = Verification(Status.ACCEPTED, (), accepted)
    assert notice.on_check(accepted, ["4.35.0"]) == accepted
    assert notice.on_verification(verification, ["4.35.0"]) == verification
    left = notice.on_verification(verification, ["4.33.0"])
    assert left.status is Status.REFUSED
    assert "#14806" in left.caveats[0]
    assert "#14613" not in left.caveats[0]
    unknown = FaultNotice("", "", "tell").on_check(accepted)
    assert all(fault.name in unknown.caveats[0] for fault in known_faults(""))


def test_there_are_two_policies(native_toolchain: Toolchain) -> None:
    with pytest.raises(UsageError, match="one of tell, refuse"):
        WorkerPool(toolchain=native_toolchain, known_faults="ignore")  # type: ignore[arg-type]
