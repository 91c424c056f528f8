"""Where workers write: what is counted, what is removed, and whose directory it is meanwhile."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from leanhost.engine.wasm.mounts import Scratch as Writable
from leanhost.system import removal, scratch
from leanhost.system.removal import remove_tree
from leanhost.system.scratch import PREFIX, Scratch
from tests.support.pools import descriptors
from tests.support.processes import claimed, limited, parent
from tests.support.processes import scratch as directory_of_parents

__all__ = ["directory_of_parents"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of temporary files, where everything may be swept at once."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "FRESH_S", -1.0)
    return tmp_path


@pytest.fixture
def places(place: Path) -> Iterator[Scratch]:
    made = Scratch()
    yield made
    made.remove()


def dig(place: Path, depth: int, name: str = "d") -> None:
    """Make directories in each other."""
    place.mkdir(parents=True, exist_ok=True)
    here = os.open(place, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT, dir_fd=here))
    os.close(here)


# --- removing -------------------------------------------------------------------------------------


def test_directories_of_any_depth_are_removed(places: Scratch, place: Path) -> None:
    """Deeper than Python calls itself, and than a path can say: from one worker, and from a pool that was killed."""
    left = place / f"{PREFIX}left"
    for above, depth, name in ((places.path / "7", 1100, "d"), (left / "7", 20, "d" * 255)):
        dig(above, depth, name)
        dig(above / "also", 1)
    before = descriptors()
    places.clean(7)
    assert not list(places.path.iterdir())
    Scratch().remove()
    assert list(place.iterdir()) == [places.path]
    assert descriptors() == before


def test_the_directory_of_an_engine_that_closes_is_removed_at_any_depth() -> None:
    own = Writable(None)
    dig(own.path, 1100)
    own.remove()
    assert not own.path.exists()


def test_links_lead_nowhere_when_they_are_removed(places: Scratch, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    dig(kept, 1)
    (places.path / "7" / "below").mkdir(parents=True)
    (places.path / "7" / "below" / "directory").symlink_to(kept)
    (places.path / "7" / "file").symlink_to(kept / "d" / "file")
    (tmp_path / f"{PREFIX}link").symlink_to(kept)
    places.clean(7)
    Scratch().remove()
    remove_tree(str(tmp_path / f"{PREFIX}link"))
    assert not (places.path / "7").exists()
    assert (kept / "d" / "file").exists()


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that every user can reach; those above pytest's are root's alone."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def test_what_its_owner_may_not_look_into_is_counted_and_removed(reachable: Path) -> None:
    """By rights that root has anyway."""
    done = limited(f"""
    from pathlib import Path
    from leanhost.system.scratch import Scratch
    import tempfile
    tempfile.tempdir = {str(reachable)!r}
    if os.geteuid() == 0:
        os.chown(tempfile.tempdir, 65534, 65534)
        os.setuid(65534)
    places = Scratch()
    for mode in (0o000, 0o300, 0o500):
        (places.path / "7" / "hidden").mkdir(parents=True)
        (places.path / "7" / "hidden" / "file").touch()
        (places.path / "7" / "hidden").chmod(mode)
        print(places.overfull(7))
        places.clean(7)
        print(os.listdir(places.path))
    places.remove()
    print(os.listdir(tempfile.tempdir))
    """)
    hidden = "the check made a directory that nobody may look into"
    assert done.stdout.splitlines() == [hidden, "[]", hidden, "[]", "None", "[]", "[]"], done.stderr


def test_what_cannot_be_removed_keeps_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk that fails, or with rights of file systems that nobody here may change."""
    unlink, opened = os.unlink, removal._opened

    def fail(name: str, *rest: object, **more: object) -> None:
        if name == "kept":
            raise PermissionError
        unlink(name, *rest, **more)  # type: ignore[arg-type]

    def refuse(name: str, above: int | None = None) -> int:
        if name == "closed":
            raise PermissionError
        return opened(name, above)

    monkeypatch.setattr(os, "unlink", fail)
    monkeypatch.setattr(removal, "_opened", refuse)
    place = tmp_path / "place"
    for above in (place, place / "1", place / "1" / "2"):
        dig(above, 1)
        for name in ("closed", "other"):
            dig(above / name, 1)
        for number in range(3):
            (above / f"file{number}").touch()
    (place / "1" / "2" / "kept").touch()
    remove_tree(str(place))
    left = sorted(str(path.relative_to(place)) for path in place.rglob("*") if "closed" not in path.parts)
    assert left == ["1", "1/2", "1/2/kept"]


def test_a_directory_that_is_moved_meanwhile_takes_nothing_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that was not killed: what is above it then is not what it was entered from."""
    place, outside = tmp_path / "place", tmp_path / "outside"
    (place / "a" / "b").mkdir(parents=True)
    (outside / "a").mkdir(parents=True)
    (outside / "deep").mkdir()
    swept = removal._Walk._swept

    def move(walk: removal._Walk) -> list[str]:
        if len(walk._way) == 2:
            (place / "a" / "b").rename(outside / "deep" / "b")
        return swept(walk)

    monkeypatch.setattr(removal._Walk, "_swept", move)
    remove_tree(str(place))
    assert (outside / "a").is_dir()
    assert (outside / "deep").is_dir()


# --- counting -------------------------------------------------------------------------------------


def test_what_a_link_leads_to_is_not_counted(
    places: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "MAX_BYTES", 1 << 19)
    (tmp_path / "large").write_bytes(bytes(1 << 20))
    (places.path / "7").mkdir()
    (places.path / "7" / "link").symlink_to(tmp_path / "large")
    assert places.overfull(7) is None


def test_bytes_are_added_up_over_files(places: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "MAX_BYTES", 1 << 19)
    dig(places.path / "7", 2)
    for name in ("one", "d/two", "d/d/three"):
        assert places.overfull(7) is None
        (places.path / "7" / name).write_bytes(bytes(200 << 10))
    assert "bytes" in str(places.overfull(7))


def test_files_below_what_a_path_can_say_are_not_hidden(places: Scratch) -> None:
    dig(places.path / "7", 20, "d" * 255)
    assert "beyond what a path can say" in str(places.overfull(7))


def test_a_directory_that_goes_meanwhile_hides_nothing(
    places: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "MAX_FILES", 3)
    for name in ("going", "staying"):
        dig(places.path / "7" / name, 1)
    scandir = os.scandir
    gone: list[str] = []

    def look(path: str) -> object:
        """Remove the directory that is looked into first."""
        if not gone and path != str(places.path / "7"):
            gone.append(path)
            remove_tree(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", look)
    assert "files" in str(places.overfull(7))
    assert gone


# --- whose it is ----------------------------------------------------------------------------------


def test_a_claim_lasts_until_it_is_given_up_and_what_is_not_ones_own_stays(places: Scratch) -> None:
    assert claimed(places.path)
    places.abandon()
    assert not claimed(places.path)
    places.abandon()
    places.remove()
    assert places.path.is_dir()


def test_a_fork_keeps_no_claim_and_takes_none_away() -> None:
    """What its parent leaves could not be removed while the fork runs."""
    body = """
    place = str(pool._supervisor._launcher.scratch)
    pid = os.fork()
    if pid == 0:
        held = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if int(fd) > 2
                and os.path.exists(f"/proc/self/fd/{fd}")]
        print(place in held, flush=True)
        pool.close()
        os._exit(0)
    os.waitpid(pid, 0)
    from tests.support.processes import claimed
    print(claimed(place), pool.check("accept").status, flush=True)
    """
    with parent(body) as process:
        out, err = process.communicate(timeout=60)
    assert out.splitlines() == ["False", "True accepted"], err


def test_no_directory_by_that_name_stops_a_pool(place: Path) -> None:
    """Nobody writes to this pipe: to open it is to wait."""
    os.mkfifo(place / f"{PREFIX}pipe")
    (place / f"{PREFIX}file").touch()
    done = threading.Event()

    def make() -> None:
        Scratch().remove()
        done.set()

    threading.Thread(target=make, daemon=True).start()
    assert done.wait(60)


def test_nothing_stays_open_of_what_was_swept(place: Path) -> None:
    before = descriptors()
    living = Scratch()
    for number in range(3):
        (place / f"{PREFIX}{number}").mkdir()
    Scratch().remove()
    assert list(place.iterdir()) == [living.path]
    living.remove()
    assert descriptors() == before
