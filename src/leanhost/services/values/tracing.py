"""Spans: through OpenTelemetry where its API is installed, else as debug records of ``logging``.

Install ``leanhost[tracing]`` for the first. Without it the logger ``leanhost.trace`` gets one record a span,
when it ends, with the span's name, its milliseconds and its attributes in ``record.span``. Attributes are
numbers, flags and short texts; no part of a source is among them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, TypeAlias

Value: TypeAlias = bool | int | float | str

MAX_TEXT = 200
"""Longest text attribute, in characters; what is longer is cut."""

logger = logging.getLogger("leanhost.trace")


@dataclass(frozen=True, slots=True)
class _Telemetry:
    tracer: Any
    use: Callable[..., AbstractContextManager[Any]]


@cache
def _find() -> _Telemetry | None:
    """Return what is needed of OpenTelemetry, or ``None`` without its API; looked for once."""
    try:
        from opentelemetry.trace import get_tracer, use_span
    except ImportError:
        return None
    return _Telemetry(get_tracer("leanhost"), use_span)


def _bounded(value: object) -> Value:
    if isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT]


class Span:
    """One piece of work, from entering to leaving; use it as a context manager."""

    __slots__ = ("_attributes", "_begun", "_entered", "_span", "name")

    def __init__(self, name: str, attributes: dict[str, object]) -> None:
        self.name = name
        self._attributes = attributes
        self._begun = 0.0
        self._entered: AbstractContextManager[Any] | None = None
        self._span: Any = None

    def set(self, key: str, value: object) -> None:
        """Add an attribute; anything but a number is turned into text, and only while the span is recorded."""
        self._attributes[key] = value

    def __enter__(self) -> Span:
        telemetry = _find()
        if telemetry is not None:
            started = telemetry.tracer.start_span(self.name)
            # Without a provider nothing records; making such a span current would only cost.
            if started.is_recording():
                # An exception's text can quote the source: only its type is said.
                self._entered = telemetry.use(
                    started, end_on_exit=True, record_exception=False, set_status_on_exception=False
                )
                self._entered.__enter__()
                self._span = started
        self._begun = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._attributes["error"] = kind.__name__
        if self._entered is not None:
            for key, value in self._attributes.items():
                self._span.set_attribute(f"leanhost.{key}", _bounded(value))
            self._entered.__exit__(kind, error, trace)
        elif logger.isEnabledFor(logging.DEBUG):
            attributes = {key: _bounded(value) for key, value in self._attributes.items()}
            said = " ".join(f"{key}={value!r}" for key, value in attributes.items())
            took = (time.monotonic() - self._begun) * 1e3
            logger.debug("%s %.3f ms %s", self.name, took, said, extra={"span": (self.name, attributes)})


class _Unheard(Span):
    """The span used when nothing records."""

    __slots__ = ()

    def set(self, key: str, value: object) -> None:
        pass

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


_unheard: _Unheard | None = None


def span(name: str, **attributes: object) -> Span:
    """Return a span to enter: ``with span("leanhost.import", modules=3) as s: ...``."""
    return _unheard or Span(name, attributes)


def stay_silent() -> None:
    """Turn spans off in this process: a worker's would not be collected, and looking for a collector takes time."""
    global _unheard
    _unheard = _Unheard("", {})
