"""A verdict of ``verify`` takes a second kernel: it agrees, disagrees, comes to no answer, or is started again."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leanhost.errors import ToolchainNotFound, UsageError
from leanhost.services.values.results import Status
from leanhost.toolchain import Toolchain
from leanhost.toolchain.faults import is_caveat
from leanhost.workers import WorkerPool
from leanhost.workers.kernels import choice
from leanhost.workers.kernels.choice import Program, choose
from tests.support.fixture_core import compile_module
from tests.support.pools import GOOD, pool_of

FAULTS = Path(__file__).parents[2] / "support" / "faults"
STATED = GOOD.replace("h.symm", "by sorry")
NEWEST = ["native-runtime"]

HONEST = {
    "omega": ("theorem t (a b : Nat) (h : a < b) : a + 1 ≤ b := ", "by omega"),
    "a string": ('theorem t : "ab".length = 2 := ', "by decide"),
    "numbers": ("theorem t : 12345 % 1000 = 345 ∧ Nat.gcd 12 18 = 6 := ", "⟨rfl, rfl⟩"),
    "recursion and a nested type": (
        "inductive Rose | node (l : List Rose)\n"
        "def size : List Nat → Nat | [] => 0 | x :: xs => x + size xs\n"
        "theorem t : size [1, 2] = 3 := ",
        "rfl",
    ),
    "classical": ("theorem t (p : Prop) : p ∨ ¬p := ", "Classical.em p"),
    "a quotient": (
        "theorem t (r : Nat → Nat → Prop) (a b : Nat) (h : r a b) : Quot.mk r a = Quot.mk r b := ",
        "Quot.sound h",
    ),
}


@pytest.fixture(scope="module")
def embedded(request: pytest.FixtureRequest) -> Iterator[WorkerPool]:
    """The embedded Lean, whose verdicts take the native runtime's by default."""
    with pool_of("wasm", request, spares=0) as made:
        yield made


@pytest.mark.parametrize("kind", HONEST)
def test_two_kernels_agree(embedded: WorkerPool, kind: str) -> None:
    stated, proof = HONEST[kind]
    verification = embedded.verify(f"{stated}by sorry\n", f"{stated}{proof}\n")
    assert verification.verified, verification.refusals
    first, second = verification.kernels
    assert (first.name, first.answer) == ("embedded", "accepted")
    assert (second.name, second.version, second.answer) == ("native-runtime", "4.35.0", "accepted")
    assert len(second.commit) == 40
    # Every published fault of the first is covered.
    assert not any(map(is_caveat, verification.caveats))


@pytest.mark.parametrize(
    ("fault", "stated", "proof"),
    [
        ("14613", "theorem boom : False := ", ""),
        ("14807", "theorem boom : False := ", ""),
        ("14576", "theorem boom : 1 = 1 := ", "rfl"),
    ],
)
def test_what_only_the_first_kernel_accepts_is_refused(
    embedded: WorkerPool, fault: str, stated: str, proof: str
) -> None:
    source = (FAULTS / f"{fault}.lean").read_text()
    if proof:
        source += f"\n{stated}{proof}\n"
    verification = embedded.verify(f"import Lean\n{stated}by sorry\n", source)
    assert verification.status is Status.REJECTED
    (refusal,) = verification.refusals
    assert refusal.code == "kernels-disagree"
    assert [kernel.answer for kernel in verification.kernels] == ["accepted", "rejected"]
    for kernel in verification.kernels:
        assert str(kernel) in refusal.message
    assert verification.kernels[1].message in refusal.message


def test_a_kernel_that_starts_again_is_sent_everything_again(embedded: WorkerPool) -> None:
    assert embedded.verify(STATED, GOOD).verified
    (kernel,) = embedded._kernels._lean.values()
    (worker,) = (worker for worker in kernel.supervisor._workers if worker.process.pid)
    os.kill(worker.process.pid, signal.SIGKILL)
    verification = embedded.verify(STATED, GOOD)
    assert verification.verified, verification
    assert len(verification.kernels) == 2


OTHER_IMPORTS = {
    "an import more": ("", "import Std\n", "theorem "),
    "modules": ("module\n", "module\npublic import Std.Data.HashSet.Lemmas\n", "public theorem "),
}


@pytest.mark.parametrize("kind", OTHER_IMPORTS)
def test_what_the_candidate_imports_is_what_the_second_kernel_has(embedded: WorkerPool, kind: str) -> None:
    ours, theirs, word = OTHER_IMPORTS[kind]
    stated = f'{word}t : 12345 % 1000 = 345 ∧ "ab".length = 2 := '
    ours, theirs = f"{ours}{stated}by sorry\n", f"{theirs}{{}}{stated}{{}}\n"
    honest = theirs.format("theorem h (m : Std.HashSet Nat) : m = m := rfl\n", "⟨rfl, rfl⟩")
    verification = embedded.verify(ours, honest)
    assert verification.verified, verification.refusals
    assert [kernel.answer for kernel in verification.kernels] == ["accepted", "accepted"]
    assert (embedded.verify(ours, theirs.format("", "sorry")).status) is Status.REJECTED


@pytest.fixture(scope="module")
def modules(
    native_toolchain: Toolchain, fixture_core: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerPool]:
    """Native workers with a module beside the core library, whose verdicts take another process of the same kernel."""
    out = tmp_path_factory.mktemp("modules")
    compile_module(fixture_core, "theorem t : 1 = 1 := rfl\n", "Proved", out)
    with WorkerPool(toolchain=native_toolchain, search_path=[out, fixture_core], kernels=NEWEST) as made:
        yield made


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("theorem t : 1 = 1 := by sorry\n", "import Proved\n"),
        ("theorem u : 1 = 1 := by sorry\n", "import Proved\ntheorem u : 1 = 1 := t\n"),
        ("import Proved\ntheorem u : 1 = 1 := by sorry\n", "theorem u : 1 = 1 := rfl\n"),
    ],
)
def test_both_kernels_have_what_the_candidate_imports(modules: WorkerPool, ours: str, theirs: str) -> None:
    for _ in range(2):  # the second time on top of the library that the first one left
        verification = modules.verify(ours, theirs)
        assert verification.verified, verification.refusals
        assert len(verification.kernels) == 2


def test_a_program_gets_what_is_imported_and_asked_for(modules: WorkerPool, tmp_path: Path) -> None:
    checker = command(tmp_path, "assert json.loads(lines[-1])['thm']['name'], lines\n")
    verification = modules.verify("theorem t : 1 = 1 := by sorry\n", "import Proved\n", kernels=[checker])
    assert verification.verified, verification.refusals


def test_from_nothing_on(native_pool: WorkerPool) -> None:
    verification = native_pool.verify(STATED, GOOD, from_scratch=True, kernels=NEWEST)
    assert (verification.verified, verification.from_scratch) == (True, True)
    assert len(verification.kernels) == 2


def test_many_at_once(native_pool: WorkerPool) -> None:
    pairs = [(STATED.replace("good", f"g{i}"), GOOD.replace("good", f"g{i}")) for i in range(12)]
    verifications = list(native_pool.verify_many(pairs, kernels=NEWEST))
    assert [each.verified for each in verifications] == [True] * 12
    assert {len(each.kernels) for each in verifications} == {2}


def test_the_newest_has_no_second(native_pool: WorkerPool) -> None:
    verification = native_pool.verify(STATED, GOOD)
    assert [kernel.name for kernel in verification.kernels] == ["native-runtime"]
    assert native_pool._kernels._lean.keys() <= set(
        choose(NEWEST, native_pool._settings.toolchain).toolchains
    )


# --- checks ---


def test_a_check_takes_a_second_kernel_if_asked(embedded: WorkerPool) -> None:
    stated, proof = HONEST["recursion and a nested type"]
    sources = [f"{stated}{proof}\n", GOOD.replace("h.symm", "h"), (FAULTS / "14613.lean").read_text()]
    honest, wrong, cheat = embedded.check_many(sources, second_kernel=True)
    assert honest.accepted, honest
    # Every published fault of the first is covered.
    assert not any(map(is_caveat, honest.caveats))
    assert wrong.status is Status.REJECTED
    assert cheat.status is Status.REJECTED
    assert cheat.diagnostics[-1].kind == "leanhost.kernels_disagree"
    assert (
        "embedded (Lean 4.28.0-pre) accepted it, and native-runtime (Lean 4.35.0) did not" in cheat.reasons[0]
    )


def test_a_check_from_nothing_on(native_toolchain: Toolchain, fixture_core: Path) -> None:
    prelude = "prelude\ninductive N : Type where\n  | z : N\n  | s : N → N\ndef two : N := N.s (N.s N.z)\n"
    with WorkerPool(toolchain=native_toolchain, search_path=[fixture_core], kernels=NEWEST) as pool:
        for source in (GOOD, prelude):
            assert pool.check(source, second_kernel=True).accepted
        assert pool.check("theorem t : 1 = 2 := rfl\n", second_kernel=True).status is Status.REJECTED
    with WorkerPool(toolchain=native_toolchain, search_path=[fixture_core]) as pool:
        assert pool.check(GOOD, second_kernel=True).accepted  # it is the newest itself


# --- programs ---


def command(tmp_path: Path, script: str) -> str:
    path = tmp_path / "checker.py"
    path.write_text(
        "import os, sys, json, time, socket\nlines = open(sys.argv[1]).read().splitlines()\n" + script
    )
    return f"{shlex.quote(sys.executable)} -I {shlex.quote(str(path))} {{file}}"


def test_a_program_gets_all_of_it(native_pool: WorkerPool, tmp_path: Path) -> None:
    """What the candidate rests on of the library is in the file, too."""
    checker = command(
        tmp_path,
        "names = {line['in']: line['str']['str'] for line in map(json.loads, lines) if 'str' in line}\n"
        "assert 'meta' in json.loads(lines[0]) and {'good', 'Eq', 'Nat', 'symm'} <= set(names.values())\n"
        "assert 'thm' in json.loads(lines[-1])\n",
    )
    verification = native_pool.verify(STATED, GOOD, kernels=[checker])
    assert verification.verified, verification.refusals
    _, program = verification.kernels
    assert (program.name, program.version, program.answer) == (choice._program(checker).name, "", "accepted")


def test_a_program_that_rejects_disagrees(native_pool: WorkerPool, tmp_path: Path) -> None:
    checker = command(tmp_path, "sys.exit('not this one')")
    verification = native_pool.verify(STATED, GOOD, kernels=[checker])
    assert verification.status is Status.REJECTED
    (refusal,) = verification.refusals
    assert refusal.code == "kernels-disagree"
    assert "exit status 1" in refusal.message
    assert "not this one" in refusal.message


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("time.sleep(1000)", Status.TIMEOUT),
        ("os.kill(os.getpid(), 9)", Status.CRASHED),
        ("while True: print('flood' * 1000)", Status.TIMEOUT),
    ],
)
def test_a_program_without_an_answer_accepts_nothing(
    native_toolchain: Toolchain, fixture_core: Path, tmp_path: Path, script: str, status: Status
) -> None:
    from leanhost.services.values.options import ElabOptions

    with WorkerPool(
        toolchain=native_toolchain,
        search_path=[fixture_core],
        options=ElabOptions(timeout=5),
        kernels=[command(tmp_path, script)],
    ) as pool:
        verification = pool.verify(STATED, GOOD)
    assert verification.status is status
    assert [refusal.code for refusal in verification.refusals] == ["limit"]
    assert [kernel.answer for kernel in verification.kernels] == ["accepted", "limit"]


def test_a_program_is_confined(native_pool: WorkerPool, tmp_path: Path) -> None:
    if not native_pool.sandbox and not native_pool.check(GOOD).accepted:
        pytest.fail("no worker")
    place = tmp_path / "written"
    checker = command(
        tmp_path,
        "def works(act):\n"
        "    try:\n        act()\n    except OSError:\n        return False\n    return True\n"
        f"written = works(lambda: open({str(place)!r}, 'w'))\n"
        "sys.exit(written or works(socket.socket) or 'SECRET' in os.environ)",
    )
    verification = native_pool.verify(STATED, GOOD, kernels=[checker])
    assert verification.verified, verification.refusals
    assert not place.exists()


def test_a_program_that_is_not_there(native_pool: WorkerPool) -> None:
    verification = native_pool.verify(STATED, GOOD, kernels=["/nowhere/checker {file}"])
    assert verification.status is Status.CRASHED
    (refusal,) = verification.refusals
    assert (refusal.code, "cannot start /nowhere/checker" in refusal.message) == ("limit", True)


# --- which kernels ---


def test_what_can_be_chosen(native_toolchain: Toolchain, embedded_toolchain: Toolchain) -> None:
    assert not choose(None, native_toolchain)
    assert choose(None, embedded_toolchain).toolchains == (native_toolchain,)
    assert not choose(["none"], embedded_toolchain)
    assert choose(["nanoda_bin {file}"], native_toolchain).programs == (Program(("nanoda_bin", "{file}")),)
    both = choose(["embedded", native_toolchain, "embedded"], native_toolchain)
    assert both.toolchains == (embedded_toolchain, native_toolchain)
    for wrong in ("embedded", ["none", "embedded"], ["{file}"], ["a '{file}"], [1]):
        with pytest.raises(UsageError):
            choose(wrong, native_toolchain)  # type: ignore[arg-type]
    with pytest.raises(ToolchainNotFound):
        WorkerPool(toolchain=native_toolchain, kernels=["no/such/kernel"])


def test_without_the_wheel_the_verdict_says_so(
    embedded_toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(_: object) -> Toolchain:
        raise ToolchainNotFound("the wheel is not installed")

    monkeypatch.setattr(choice, "resolve", absent)
    chosen = choose(None, embedded_toolchain)
    assert (bool(chosen), chosen.missing) == (False, "the wheel is not installed")
