"""A library that a kernel is sent in parts, and what is replayed on top of it."""

from __future__ import annotations

import io

import pytest

from leanhost.lean import names
from leanhost.lean.names import show
from leanhost.services.exports.read.kernel_library import KernelLibrary, Lacking, grow, replay_over
from leanhost.services.exports.read.outcome import Refused, Replayed
from leanhost.services.exports.write.export import export
from leanhost.services.exports.write.statements import digest
from leanhost.services.session.host import Host
from leanhost.services.values.options import ElabOptions
from tests.support.preludes import USES, prelude

BOOM = ("boom",)
OPTIONS = ElabOptions(timeout=60)
SOURCE = "theorem t (a b : Nat) (h : a = b) : b = a := h.symm\ndef two : Nat := 2\n"


def added(host: Host, source: str) -> bytes:
    """What a source adds, as an export without the library."""
    buffer = io.BytesIO()
    with host.session() as base, base.extend(source) as session:
        wanted = [constant.name for constant in session._added]
        export(host._lean, host._lean.empty_environment(), wanted, buffer, added=session._added)
    return buffer.getvalue()


def part(host: Host, wanted: tuple[names.NameTuple, ...], library: KernelLibrary) -> bytes:
    buffer = io.BytesIO()
    with host.session() as base:
        export(host._lean, base._env, list(wanted), buffer, known=library.rests.keys())
    return buffer.getvalue()


def test_it_grows_by_what_is_lacking(host: Host) -> None:
    library = KernelLibrary.empty(host._lean)
    candidate = added(host, SOURCE)
    lacking = replay_over(library, candidate, host._lean, options=OPTIONS)
    assert isinstance(lacking, Lacking)
    assert {"Eq", "Eq.symm", "Nat"} <= set(map(show, lacking.names))
    first = part(host, lacking.names, library)
    assert isinstance(grow(library, first, host._lean, options=OPTIONS, timeout=60), Replayed)
    size = len(library.rests)
    outcome = replay_over(library, candidate, host._lean, options=OPTIONS)
    assert isinstance(outcome, Replayed)
    assert {"t", "two"} <= set(outcome.names)
    assert outcome.rests.keys() == set(map(names.parse, outcome.names))
    # Two candidates that lack the same are answered side by side.
    assert isinstance(grow(library, first, host._lean, options=OPTIONS, timeout=60), Replayed)
    assert isinstance(replay_over(library, candidate, host._lean, options=OPTIONS), Replayed)
    assert len(library.rests) == size
    more = replay_over(
        library, added(host, "theorem u (p : Prop) : p → p ∨ p := Or.inl\n"), host._lean, options=OPTIONS
    )
    assert isinstance(more, Lacking)
    assert set(map(show, more.names)) <= {"Or", "Or.inl"}
    assert len(part(host, more.names, library)) < len(first)
    library.close()


def test_what_a_candidate_imports_has_to_be_there(host: Host) -> None:
    library = KernelLibrary.empty(host._lean)
    nothing, symm = added(host, ""), ("Eq", "symm")
    lacking = replay_over(library, nothing, host._lean, imported=[symm], options=OPTIONS)
    assert isinstance(lacking, Lacking)
    assert lacking.names == (symm,)
    grown = grow(library, part(host, lacking.names, library), host._lean, options=OPTIONS, timeout=60)
    assert isinstance(grown, Replayed)
    outcome = replay_over(library, nothing, host._lean, imported=lacking.names, options=OPTIONS)
    assert isinstance(outcome, Replayed)
    assert (outcome.names, dict(outcome.rests)) == ((), {symm: frozenset()})
    library.close()


def test_a_candidate_declares_nothing_of_the_librarys(host: Host) -> None:
    library = KernelLibrary.empty(host._lean)
    whole = part(host, (("Nat",), ("Eq",)), library)
    assert isinstance(grow(library, whole, host._lean, options=OPTIONS, timeout=60), Replayed)
    assert isinstance(replay_over(library, whole, host._lean, options=OPTIONS), Refused)
    # Nor what the kernel knows by name, before the library has sent it.
    fresh = KernelLibrary.empty(host._lean)
    refused = replay_over(fresh, whole, host._lean, options=OPTIONS)
    assert isinstance(refused, Refused)
    assert "only the library can declare it" in refused.reason


@pytest.mark.parametrize("use", ["in a type", "in a value"])
def test_a_literal_rests_on_what_the_kernel_unfolds_it_to(host: Host, use: str) -> None:
    library, parts = KernelLibrary.empty(host._lean), []
    base, text = host._session_for(prelude(("String.ofList",)) + USES[use])
    with base, base.extend(text) as session:
        others = [constant.name for constant in session._added if constant.name != BOOM]
        for wanted, known in ((others, ()), ([BOOM], others)):
            buffer = io.BytesIO()
            export(host._lean, base._env, wanted, buffer, added=session._added, known=known)
            parts.append(buffer.getvalue())
    assert isinstance(grow(library, parts[0], host._lean, options=OPTIONS, timeout=60), Replayed)
    outcome = replay_over(library, parts[1], host._lean, options=OPTIONS)
    assert isinstance(outcome, Replayed), outcome
    assert dict(outcome.rests) == {BOOM: {("bad",)}}
    library.close()


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (SOURCE.replace("h.symm", "h ▸ rfl"), True),
        (SOURCE.replace("Nat := 2", "Nat := 3"), False),
        (SOURCE.replace("(a b : Nat)", "(a b : Bool)"), False),
        (SOURCE.replace("theorem t", "axiom cheat : False\ntheorem t"), False),
    ],
)
def test_the_digest_is_of_what_is_said(host: Host, other: str, same: bool) -> None:
    digests = []
    for source in (SOURCE, other):
        with host.session() as base, base.extend(source) as session:
            wanted = sorted((c.name for c in session._added), key=str)
            with host._lean.engine.eval(host._lean.table.kernel_env(session._env)) as kernel_env:
                digests.append(digest(host._lean, kernel_env, wanted))
    assert (digests[0] == digests[1]) == same
