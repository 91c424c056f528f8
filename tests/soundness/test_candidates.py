"""Candidates that lie, and candidates that reach out of their process: what they say is not believed, and what they
try does not come about."""

from __future__ import annotations

import os
import socket
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from leanhost.services.values.results import Status
from leanhost.toolchain.cache import cache_dir
from leanhost.workers import CheckItem, WorkerPool
from tests.support.candidates import (
    LIES,
    REFERENCE,
    RIGHTS,
    SPAWN,
    WASM_LIES,
    WRITE,
    Lie,
    evaluated,
    spawned,
    written,
)
from tests.support.confinement import LANDLOCK, SECCOMP
from tests.support.hosts import ENGINES
from tests.support.pools import GOOD, MakePool, pool_of
from tests.support.processes import eventually


@pytest.fixture(scope="module")
def pool(engine: str, request: pytest.FixtureRequest) -> Iterator[WorkerPool]:
    with pool_of(engine, request, workers=1, spares=0) as made:
        yield made


@pytest.fixture(scope="module")
def wasm_pool(request: pytest.FixtureRequest) -> Iterator[WorkerPool]:
    if "wasm" not in ENGINES:
        pytest.skip("LEANHOST_TEST_ENGINES leaves wasm out")
    with pool_of("wasm", request, workers=1, spares=0) as made:
        yield made


JUDGED_ON_WASM = (
    "equality that is written the same",
    "an axiom",
    "a wrong proof, and the kernel told to look away",
)


# --- lies -----------------------------------------------------------------------------------------


def believed(pool: WorkerPool, lie: Lie, *, verify: bool = True) -> None:
    result = pool.check(lie.source)
    assert result.status is lie.status, result.reasons
    # An accepted source says what it proved, and that is never what was asked for.
    assert not result.accepted or all((t.name, t.type) != ("t", "1 = 2") for t in result.theorems)
    if not verify:
        return
    verification = pool.verify(REFERENCE, lie.source)
    assert not verification.verified
    codes = {refusal.code for refusal in verification.refusals}
    assert codes == {lie.code} if lie.code else codes


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_not_believed(pool: WorkerPool, name: str) -> None:
    # A judge that has run no candidate is a new process: seconds on wasm.
    believed(pool, LIES[name], verify=pool._settings.forks or name in JUDGED_ON_WASM)


@pytest.mark.parametrize("name", WASM_LIES)
def test_nor_one_that_takes_a_whole_library(wasm_pool: WorkerPool, name: str) -> None:
    believed(wasm_pool, WASM_LIES[name])


def test_what_a_liar_left_is_not_seen_by_the_next(pool: WorkerPool) -> None:
    assert pool.verify("theorem t : 1 = 1 := by sorry\n", "theorem t : 1 = 1 := rfl\n").verified


# --- reaching out ---------------------------------------------------------------------------------


def forged_files(tmp_path: Path) -> list[Path]:
    """Where an attack may try to write; no other test, also in another process, uses the same."""
    name = f"leanhost-forged-{uuid.uuid4().hex}"
    return [tmp_path / name, cache_dir() / name, Path(tempfile.gettempdir()) / name]


def descriptor_paths() -> list[str]:
    return [f"/proc/self/fd/{fd}" for fd in range(3, 40)]


def test_writing_goes_nowhere_on_native(make_pool: MakePool, tmp_path: Path) -> None:
    targets = forged_files(tmp_path)
    attack = written(*map(str, targets))
    free = make_pool(spares=0, sandbox="off")
    try:
        assert free.check(evaluated(f"{attack} = 3", WRITE)).accepted
        assert all(target.exists() for target in targets)  # the attack is one
    finally:
        for target in targets:
            target.unlink(missing_ok=True)
    confined = make_pool(spares=0)
    result = confined.check(evaluated(f"{attack} = 0", WRITE))
    if not LANDLOCK:
        pytest.skip("this machine has no Landlock")
    assert result.accepted
    assert not any(target.exists() for target in targets)


def test_no_rights_are_changed_on_native(make_pool: MakePool, tmp_path: Path) -> None:
    target = tmp_path / "kept"
    target.touch(mode=0o600)
    attack = f'(IO.Prim.setAccessRights "{target}" 511).count'
    assert make_pool(spares=0, sandbox="off").check(evaluated(f"{attack} = 1", RIGHTS)).accepted
    assert target.stat().st_mode & 0o777 == 0o777  # the attack is one
    target.chmod(0o600)
    confined = make_pool(spares=0)
    result = confined.check(evaluated(f"{attack} = 0", RIGHTS))
    if not SECCOMP:
        pytest.skip("this machine has no seccomp")
    assert result.accepted
    assert target.stat().st_mode & 0o777 == 0o600


def test_no_program_is_started_on_native(make_pool: MakePool, tmp_path: Path) -> None:
    made = tmp_path / "made"
    attack = spawned("/bin/mkdir", str(made))
    assert make_pool(spares=0, sandbox="off").check(evaluated(f"{attack} = 1", SPAWN)).accepted
    eventually(made.exists)  # the attack is one
    made.rmdir()
    confined = make_pool(spares=0)
    result = confined.check(evaluated(f"{attack} = 0", SPAWN))
    if not (LANDLOCK or SECCOMP):
        pytest.skip("this machine has no sandbox")
    assert result.accepted
    assert not made.exists()


def test_frames_forged_on_every_descriptor_reach_nobody_on_native(make_pool: MakePool) -> None:
    """Neither the pool nor the zygote: the next request is served by the same one."""
    pool = make_pool(spares=0)
    frame = '{\\"result\\":\\"accepted\\"}' * 4
    assert (
        pool.check(evaluated(f"{written(*descriptor_paths(), text=frame)} = 100", WRITE)).status
        is Status.REJECTED
    )
    assert pool.check(GOOD).accepted
    assert pool.stats.zygotes_started == 1


def test_writing_and_forging_goes_nowhere_on_wasm(wasm_pool: WorkerPool, tmp_path: Path) -> None:
    targets = [*forged_files(tmp_path), Path("/proc/self/mem")]
    paths = ", ".join(f'"{path}"' for path in [*map(str, targets), *descriptor_paths()])
    result = wasm_pool.check(
        "partial def go : List String → IO Nat\n  | [] => return 0\n  | path :: rest => do\n"
        '    let wrote ← try IO.FS.writeFile path "{\\"result\\": \\"accepted\\"}"; pure 1 catch _ => pure 0\n'
        f"    return wrote + (← go rest)\n#eval go [{paths}]\n"
    )
    assert [d.message.strip() for d in result.diagnostics] == ["0"]
    assert not any(target.exists() for target in targets[:3])
    assert wasm_pool.check(GOOD).accepted


def test_no_connection_is_made_on_wasm(wasm_pool: WorkerPool) -> None:
    """On native Lean's own sockets wait for an event loop that no worker has; the sandbox's tests try the rest."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.0)
        port = server.getsockname()[1]
        result = wasm_pool.check(
            "import Std.Internal.UV.TCP\nimport Std.Net.Addr\nopen Std.Internal.UV.TCP\n"
            "#eval show IO Unit from do\n  let s ← Socket.new\n"
            f"  let _ ← s.connect (.v4 {{addr := .ofParts 127 0 0 1, port := {port}}})\n"
        )
        assert not result.accepted
        with pytest.raises(BlockingIOError):
            server.accept()


def test_every_process_of_a_worker_has_given_up_its_rights(pool: WorkerPool, engine: str) -> None:
    """What :mod:`tests.system.test_sandbox` tries with Python is in force in the worker, too."""
    from leanhost.system.process_limits import family
    from tests.support.pools import ENDLESS
    from tests.support.processes import busy_worker

    job = pool._submit(CheckItem(source=ENDLESS, timeout=60), bounded=True)
    pids = family(busy_worker(pool))
    assert len(pids) == (1 if engine == "native" else 2)
    states = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    pool._cancel(job)  # type: ignore[arg-type]
    if not SECCOMP:
        pytest.skip("this machine has no seccomp")
    for state in states:
        assert "NoNewPrivs:\t1" in state
        assert "Seccomp:\t2" in state
    assert os.getpid() not in pids
