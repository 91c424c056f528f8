"""What a pool promises about one item, on both engines: the verdict of a host, from another process."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from leanhost.errors import UsageError
from leanhost.services.session.host import Host
from leanhost.services.values.results import CheckResult, Status
from leanhost.workers import CheckItem, WorkerPool
from tests.support.fixture_core import corpus
from tests.support.pools import BAD, GOOD


def comparable(result: CheckResult) -> CheckResult:
    return replace(result, elapsed=0.0, stdout="", stderr="", toolchain="")


@pytest.mark.parametrize(
    "source", [GOOD, BAD, "", "theorem x : 1 = 1 := by sorry\n", "/- open", "#check Nat\n"]
)
def test_the_verdict_is_the_hosts(pool: WorkerPool, host: Host, source: str) -> None:
    assert comparable(pool.check(source)) == comparable(host.check_source(source))


def test_the_corpus_gets_the_verdicts_it_asks_for(native_pool: WorkerPool) -> None:
    cases = list(corpus())
    results = list(native_pool.check_many(CheckItem(source=case.source, file=case.name) for case in cases))
    assert [r.file for r in results] == [case.name for case in cases]
    wrong = [r for r, case in zip(results, cases, strict=True) if r.accepted != case.accepted]
    assert not wrong


def test_a_file_is_read_and_labelled(pool: WorkerPool, tmp_path: Path) -> None:
    file = tmp_path / "Bad.lean"
    file.write_text(BAD)
    result = pool.check(CheckItem(path=file))
    assert result.status is Status.REJECTED
    assert {d.file for d in result.diagnostics} == {str(file)} == {result.file}
    assert pool.check(CheckItem(path=file, file="label")).diagnostics[0].file == "label"


def test_what_cannot_be_read_is_refused_and_not_raised(pool: WorkerPool, tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.lean", tmp_path, "a\0b"):
        assert pool.check(CheckItem(path=path)).status is Status.REFUSED


def test_bytes_that_are_no_text_are_rejected(pool: WorkerPool, tmp_path: Path) -> None:
    file = tmp_path / "a.lean"
    file.write_bytes(b"theorem \xff")
    assert pool.check(CheckItem(path=file)).diagnostics[0].kind == "leanhost.source.utf8"
    assert pool.check("def a := \ud800").diagnostics[0].kind == "leanhost.source.surrogate"


def test_a_header_decides_the_imports(pool: WorkerPool) -> None:
    assert pool.check("-- a comment\nimport Init.Core\n\n" + GOOD).status is Status.ACCEPTED
    unknown = pool.check("import Nowhere.To.Be.Found\n" + GOOD)
    assert unknown.status is Status.REJECTED
    assert "Nowhere.To.Be.Found" in unknown.reasons[0]


def test_imports_are_for_sources_without_a_header(pool: WorkerPool) -> None:
    assert pool.check(CheckItem(source=GOOD, imports=["Init.Prelude"])).status is Status.REJECTED
    assert (
        pool.check(CheckItem(source="import Init\n" + GOOD, imports=["Init.Prelude"])).status
        is Status.ACCEPTED
    )


def test_axioms_are_allowed_by_name(pool: WorkerPool) -> None:
    source = "axiom mine : 1 = 2\ntheorem t : 1 = 2 := mine\n"
    assert pool.check(source).status is Status.REJECTED
    assert pool.check(CheckItem(source=source, allow_axioms=["mine"])).status is Status.ACCEPTED
    assert pool.check(source).status is Status.REJECTED


def test_nothing_of_one_request_is_seen_by_the_next(pool: WorkerPool) -> None:
    assert pool.check("theorem left_behind : 1 = 1 := rfl\n").accepted
    assert not pool.check("theorem again : 1 = 1 := left_behind\n").accepted


def test_what_is_no_item_is_a_usage_error(pool: WorkerPool) -> None:
    with pytest.raises(UsageError):
        CheckItem()
    with pytest.raises(UsageError):
        CheckItem(source="", path="a")
    with pytest.raises(UsageError):
        CheckItem(source="", timeout=0)
    with pytest.raises(UsageError):
        CheckItem(source="", allow_axioms="mine")
    with pytest.raises(UsageError):
        pool.check(3)  # type: ignore[arg-type]


def test_the_current_directory_and_environment_stay(pool: WorkerPool) -> None:
    before = os.getcwd(), dict(os.environ)  # noqa: PTH109
    assert pool.check(GOOD).accepted
    assert before == (os.getcwd(), dict(os.environ))  # noqa: PTH109
