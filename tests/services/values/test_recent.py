"""The bounded cache of what was used last."""

from __future__ import annotations

from leanhost.services.values.recent import Recent


def test_each_value_that_is_removed_is_dropped_once() -> None:
    gone: list[str] = []
    recent: Recent[str, str] = Recent(2, gone.append)
    for key in ("a", "b", "c"):
        assert recent.put(key, key * 2) == key * 2
    assert (gone, recent.get("a"), recent.get("b")) == (["aa"], None, "bb")
    recent.put("b", recent.get("b") or "")
    assert gone == ["aa"]
    recent.put("b", "other")
    assert gone == ["aa", "bb"]
    recent.clear()
    assert sorted(gone) == ["aa", "bb", "cc", "other"]
    assert recent.get("b") is None


def test_what_is_used_stays_and_what_is_forgotten_is_not_dropped() -> None:
    gone: list[int] = []
    recent: Recent[str, int] = Recent(2, gone.append)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert (gone, recent.values(), "b" in recent) == ([2], (1, 3), False)
    recent.forget("c")
    recent.forget("never there")
    assert (gone, recent.values(), len(recent)) == ([2], (1,), 1)
