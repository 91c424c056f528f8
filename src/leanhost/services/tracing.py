"""Spans: through OpenTelemetry where its API is installed, else as debug records of ``logging``.

Install ``leanhost[tracing]`` for the first. Without it the logger ``leanhost.trace`` gets one record a span,
when it ends, with the span's name, its milliseconds and its attributes in ``record.span``. Attributes are
numbers, flags and short texts; no part of a source is among them.
"""

from __future__ import annotations

import logging
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

Value: TypeAlias = bool | int | float | str

MAX_TEXT = 200
"""Longest text attribute, in characters; what is longer is cut."""

logger = logging.getLogger("leanhost.trace")

_tracer: Any = None
_looked = False


def _find_tracer() -> Any:
    """Return OpenTelemetry's tracer, or ``None`` without its API; looked for once."""
    global _looked, _tracer
    if not _looked:
        try:
            from opentelemetry.trace import get_tracer
        except ImportError:
            _tracer = None
        else:
            _tracer = get_tracer("leanhost")
        _looked = True
    return _tracer


def _bounded(value: Value) -> Value:
    return value[:MAX_TEXT] if isinstance(value, str) and len(value) > MAX_TEXT else value


class Span:
    """One piece of work, from entering to leaving; use it as a context manager."""

    __slots__ = ("_attributes", "_begun", "_entered", "_span", "name")

    def __init__(self, name: str, attributes: dict[str, Value]) -> None:
        self.name = name
        self._attributes = attributes
        self._begun = 0.0
        self._entered: AbstractContextManager[Any] | None = None
        self._span: Any = None

    def set(self, key: str, value: Value) -> None:
        """Add an attribute."""
        self._attributes[key] = value

    def __enter__(self) -> Span:
        tracer = _find_tracer()
        if tracer is not None:
            # An exception's text can quote the source: only its type is said.
            self._entered = tracer.start_as_current_span(
                self.name, record_exception=False, set_status_on_exception=False
            )
            self._span = self._entered.__enter__()
        self._begun = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._attributes["error"] = kind.__name__
        if self._entered is not None:
            if self._span.is_recording():
                for key, value in self._attributes.items():
                    self._span.set_attribute(f"leanhost.{key}", _bounded(value))
            self._entered.__exit__(kind, error, trace)
        elif logger.isEnabledFor(logging.DEBUG):
            attributes = {key: _bounded(value) for key, value in self._attributes.items()}
            said = " ".join(f"{key}={value!r}" for key, value in attributes.items())
            took = (time.monotonic() - self._begun) * 1e3
            logger.debug("%s %.3f ms %s", self.name, took, said, extra={"span": (self.name, attributes)})


def span(name: str, **attributes: Value) -> Span:
    """Return a span to enter: ``with span("leanhost.import", modules=3) as s: ...``."""
    return Span(name, attributes)
