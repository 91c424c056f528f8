"""What a worker keeps between two calls: found again only by all it stands on, and no more than so much of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from leanhost.services.elaboration.environment import parse_imports
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.options import ElabOptions
from leanhost.workers.protocol.messages import Spec
from leanhost.workers.remote import session_cache
from leanhost.workers.remote.session_cache import CachedSession, SessionCache

DEFINED = ("def mine : Nat := Nat.zero\n", "a.lean")
USED = ("def more : Nat := mine\n", "a.lean")

Cached = Callable[..., CachedSession]


@pytest.fixture
def cached(host: Host) -> Iterator[Cached]:
    everything = SessionCache(host)

    def get(
        imports: Sequence[str] = ("Init",),
        options: ElabOptions | None = None,
        grown: Sequence[tuple[str, str]] = (),
    ) -> CachedSession:
        spec = Spec(parse_imports(imports), options or ElabOptions(), tuple(grown))
        return everything.entry(spec, 60.0, CancellationToken())

    yield get
    everything._entries.clear()


@pytest.mark.parametrize(
    "other",
    [
        {"imports": ["Init.Core"]},
        {"options": ElabOptions(max_heartbeats=7)},
        {"options": ElabOptions(lean={"pp.all": True})},
        {"grown": [DEFINED]},
    ],
)
def test_a_session_is_found_again_by_all_it_stands_on(cached: Cached, other: dict[str, object]) -> None:
    plain, changed = cached(), cached(**other)
    assert plain is not changed
    assert plain.session is not changed.session
    assert cached() is plain
    assert cached(**other) is changed


def test_an_extension_stands_on_each_source_once_and_in_order(cached: Cached) -> None:
    base = cached()
    grown = cached(grown=[DEFINED, USED])  # over the base
    cached(grown=[DEFINED])
    further = cached(grown=[DEFINED, ("def more : Nat := Nat.succ mine\n", "a.lean")])  # over the one before
    for each in (grown, further):
        assert [constant.name for constant in each.session._added] == [("mine",), ("more",)]
    assert grown.session.run("example : more = Nat.zero := rfl\n").ok
    assert further.session.run("example : more = Nat.succ Nat.zero := rfl\n").ok
    assert not base.session._added


def test_what_lies_between_is_not_kept(cached: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Session] = []
    extend = Session.extend

    def noted(self: Session, source: str, **more: Any) -> Session:
        made.append(extend(self, source, **more))
        return made[-1]

    monkeypatch.setattr(Session, "extend", noted)
    base, grown = cached(), cached(grown=[DEFINED, USED])
    assert [session.closed for session in made] == [True, False]
    assert grown.session is made[-1]
    assert not base.session.closed


def test_only_the_sessions_used_last_are_kept(cached: Cached) -> None:
    first, second = (cached(options=ElabOptions(max_heartbeats=n)) for n in range(2))
    for n in range(2, session_cache.SESSIONS):
        cached(options=ElabOptions(max_heartbeats=n))
    assert cached(options=ElabOptions(max_heartbeats=0)) is first  # it has been used now
    cached(options=ElabOptions(max_heartbeats=session_cache.SESSIONS))
    assert second.session.closed
    assert not first.session.closed


def test_what_was_made_in_a_session_goes_with_it_and_views_before(cached: Cached) -> None:
    made = cached()
    views = [
        made.session.view(f"theorem t{n} : True := True.intro\n") for n in range(session_cache.VIEWS + 1)
    ]
    for number, view in enumerate(views):
        made.views.put(number, view)
    made.states.put("state", made.session.prove("True"))  # type: ignore[arg-type]
    made.evidence.put("evidence", made.session.kernel_check("theorem t : True := True.intro\n"))  # type: ignore[arg-type]
    assert ["closed" in repr(view) for view in views] == [True, *[False] * session_cache.VIEWS]
    made.close()
    assert all("closed" in repr(view) for view in views)
    assert made.states.get("state") is None
    assert made.evidence.get("evidence") is None
