"""What can be asked of a pool, and what of it can be answered without a worker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from leanhost.errors import UsageError
from leanhost.lean import names
from leanhost.lean.core import Import
from leanhost.services.elaboration.environment import parse_imports
from leanhost.services.values.results import CheckResult, Diagnostic, Status
from leanhost.services.values.text import MAX_SOURCE_BYTES, decode_source
from leanhost.services.values.validate import many, seconds, text


@dataclass(frozen=True, slots=True)
class CheckItem:
    """One source to check: its text, or a path it is read from when its turn comes.

    Attributes:
        source: the text; exactly one of *source* and *path* is given.
        path: the file to read.
        file: the label diagnostics carry; the path, or ``<input>``, when left out.
        imports: used by a source without a header of its own; ``None`` for the pool's.
        allow_axioms: axioms allowed on top of the pool's: names, ``"name : type"``, or ``"native_decide"``. In a
            reference a name alone is for axioms that the library declares.
        timeout: seconds for elaboration and kernel check; ``None`` for the pool's.
        id: anything of the caller's own to know its result by: that has the same ``id``.
    """

    source: str | None = None
    path: str | Path | None = None
    file: str = ""
    imports: Sequence[str | Import] | None = None
    allow_axioms: Iterable[str] = ()
    timeout: float | None = None
    id: object = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if (self.source is None) == (self.path is None):
            raise UsageError("a CheckItem has either a source or a path")
        if self.source is not None:
            text("a source", self.source)
        if self.timeout is not None:
            seconds("timeout", self.timeout)
        many("allow_axioms", self.allow_axioms)
        if not self.file:
            object.__setattr__(self, "file", "<input>" if self.path is None else str(self.path))
        object.__setattr__(self, "allow_axioms", tuple(self.allow_axioms))
        for what, texts in (("a file label", (self.file,)), ("an allowed axiom", self.allow_axioms)):
            if not all(isinstance(text, str) for text in texts):
                raise UsageError(f"{what} is a str, not {texts!r:.80}")
        if self.imports is not None:
            object.__setattr__(self, "imports", parse_imports(self.imports))


def with_timeout(item: CheckItem | str, timeout: float | None) -> CheckItem | str:
    """Return *item* with *timeout* in the place of its own, if one is given; what is not an item is refused later."""
    if timeout is None or not isinstance(item, str | CheckItem):
        return item
    return (
        CheckItem(source=item, timeout=timeout) if isinstance(item, str) else replace(item, timeout=timeout)
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a reference a candidate is asked for; see :class:`Reference`."""

    theorems: tuple[str, ...] | None = None
    definitions: tuple[str, ...] | None = None
    permitted_axioms: tuple[str, ...] | None = None
    disproofs: bool = False
    """Whether a theorem may be answered by its negation."""


@dataclass(frozen=True, slots=True)
class Reference(CheckItem):
    """A reference for ``verify`` of which only a part is asked for; a plain :class:`CheckItem` asks for all of it.

    Attributes:
        theorems: the theorems to prove; what else the reference declares is compared only where these, or
            *definitions*, mention it. ``None`` for all that it declares.
        definitions: the holes: definitions that the candidate gives a value of its own, whatever the reference
            has there. ``None`` for those that are ``sorry`` in the reference, and, like ``[]``, for none of them
            where *theorems* are named.
        permitted_axioms: all axioms that may be rested on, in the place of the standard three, of those the reference
            declares, and of *allow_axioms*. ``None`` for these.
    """

    theorems: Iterable[str] | None = None
    definitions: Iterable[str] | None = None
    permitted_axioms: Iterable[str] | None = None

    def __post_init__(self) -> None:
        CheckItem.__post_init__(self)
        for word in ("theorems", "definitions", "permitted_axioms"):
            given: Iterable[str] | None = getattr(self, word)
            if given is not None:
                many(word, given)
                found = tuple(given)
                for name in found:
                    names.parse(name)  # a UsageError for anything but a name
                object.__setattr__(self, word, found)
        if self.theorems is not None and self.definitions is None:
            object.__setattr__(self, "definitions", ())

    @property
    def asked(self) -> Asked:
        """What is asked for, apart from the text."""
        return Asked(_kept(self.theorems), _kept(self.definitions), _kept(self.permitted_axioms))


def _kept(given: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)


@dataclass(frozen=True, slots=True)
class Request:
    """An item with its text at hand, as a worker gets it."""

    source: str
    file: str
    imports: tuple[Import, ...] | None
    allow_axioms: tuple[str, ...]
    timeout: float
    id: object = field(default=None, compare=False)
    """The item's own; no worker sees it."""
    asked: Asked = Asked()
    """What a candidate is asked for, if this is a reference."""


def prepare_item(
    item: CheckItem | str,
    *,
    imports: tuple[Import, ...] | None,
    allow_axioms: tuple[str, ...],
    timeout: float,
    toolchain: str,
) -> Request | CheckResult:
    """Read an item; an unreadable one has its answer already. A plain string is a source."""
    if isinstance(item, str):
        item = CheckItem(source=item)
    if not isinstance(item, CheckItem):
        raise UsageError(f"an item to check is a CheckItem or a source text, not {type(item).__name__}")
    prepared = _prepared(item, imports, allow_axioms, timeout, toolchain)
    return prepared if item.id is None else replace(prepared, id=item.id)


def _prepared(
    item: CheckItem,
    imports: tuple[Import, ...] | None,
    allow_axioms: tuple[str, ...],
    timeout: float,
    toolchain: str,
) -> Request | CheckResult:
    text = item.source
    if text is None:
        assert item.path is not None
        path = Path(item.path)
        try:
            if path.stat().st_size > MAX_SOURCE_BYTES:
                why = f"the file has more than {MAX_SOURCE_BYTES} bytes"
                return CheckResult(item.file, Status.REFUSED, reasons=(why,), toolchain=toolchain)
            data = path.read_bytes()
        except OSError as error:
            why = f"cannot read {path}: {error.strerror or error}"
            return CheckResult(item.file, Status.REFUSED, reasons=(why,), toolchain=toolchain)
        except ValueError as error:  # a NUL in the name
            return CheckResult(
                item.file, Status.REFUSED, reasons=(f"no file name: {error}",), toolchain=toolchain
            )
        decoded = decode_source(data, item.file)
        if isinstance(decoded, Diagnostic):
            return CheckResult(
                item.file, Status.REJECTED, (decoded,), reasons=(decoded.message,), toolchain=toolchain
            )
        text = decoded
    elif len(text) > MAX_SOURCE_BYTES or (4 * len(text) > MAX_SOURCE_BYTES < _utf8_size(text)):
        why = f"the source has more than {MAX_SOURCE_BYTES} bytes"
        return CheckResult(item.file, Status.REFUSED, reasons=(why,), toolchain=toolchain)
    wanted = imports if item.imports is None else parse_imports(item.imports)
    return Request(
        text,
        item.file,
        wanted,
        (*allow_axioms, *item.allow_axioms),
        float(timeout if item.timeout is None else item.timeout),
        asked=item.asked if isinstance(item, Reference) else Asked(),
    )


def _utf8_size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
