"""Terms in workers: source text goes in, what Lean prints comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast

from msgspec import Struct

from leanhost.errors import UsageError
from leanhost.lean.core import OptionValue
from leanhost.lean.names import NameTuple
from leanhost.services.terms import questions
from leanhost.services.terms.elaborate import limited, term_context
from leanhost.services.terms.expr import Expr, Name, NameLike
from leanhost.services.terms.meta_answers import (
    DEFAULT,
    Failed,
    MetaOptions,
    MetaResponse,
    MetaUnsupported,
    Ok,
    TimeoutOrHeartbeat,
)
from leanhost.services.terms.questions import Answer, Leave, Question
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.options import many_times
from leanhost.services.values.outcomes import ElabFailure
from leanhost.services.values.progress import ProgressSink
from leanhost.services.values.results import Limit
from leanhost.services.values.validate import many
from leanhost.workers.remote.operation import Operation, Task
from leanhost.workers.remote.rpc import RemoteContext

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TermText:
    """A term as Lean prints it, and its type."""

    text: str
    type: str

    def __str__(self) -> str:
        return self.text


MetaAnswer: TypeAlias = MetaResponse[T] | ElabFailure
"""What a question about terms given as text comes to; an ``ElabFailure`` where a text is not a term."""

TERM_TIMES = 2
"""Times the time-out of a question that a worker has for it: it reads the terms first, and writes the answer."""


class Elaborate(Struct, frozen=True):
    """Terms to elaborate, and the names they are read with."""

    terms: tuple[str, ...]
    expected_type: str | None
    options: MetaOptions
    namespace: NameTuple
    open_namespaces: tuple[NameTuple, ...]
    levels: tuple[NameTuple, ...]
    lean_options: Mapping[str, OptionValue]


class Items(Struct, frozen=True):
    """What a question of ``MetaM`` is about, each item one or two terms, and what a reduction leaves."""

    items: tuple[tuple[str, ...], ...]
    options: MetaOptions
    leave: tuple[bool, ...]


def _written(task: Task[Elaborate] | Task[Items], terms: Sequence[Expr]) -> list[MetaResponse[TermText]]:
    """Print terms with their types, each within the limits of a question."""
    meta, options, token = task.session.meta, task.arguments.options, task.cancellation
    types = meta.infer_type_many(terms, options, cancellation=token)
    wanted = [e for term, t in zip(terms, types, strict=True) if isinstance(t, Ok) for e in (term, t.value)]
    printed = iter(meta.pp_expr_many(wanted, options, cancellation=token))
    found: list[MetaResponse[TermText]] = []
    for type_ in types:
        if not isinstance(type_, Ok):
            found.append(type_)
            continue
        match next(printed), next(printed):
            case Ok(term), Ok(said):
                found.append(Ok(TermText(term, said)))
            case (Failed() | TimeoutOrHeartbeat() | MetaUnsupported()) as other, _:
                found.append(other)
            case _, (Failed() | TimeoutOrHeartbeat() | MetaUnsupported()) as other:
                found.append(other)
    return found


def _elaborate(task: Task[Elaborate]) -> list[TermText | ElabFailure]:
    a = task.arguments
    found = task.session.elaborate_many(
        a.terms,
        a.expected_type,
        a.options,
        namespace=a.namespace,
        open_namespaces=a.open_namespaces,
        levels=a.levels,
        lean_options=a.lean_options,
        cancellation=task.cancellation,
        progress=task.progress,
    )
    texts = iter(_written(task, [term for term in found if isinstance(term, Expr)]))
    return [term if isinstance(term, ElabFailure) else _text_of(next(texts)) for term in found]


def _text_of(answer: MetaResponse[TermText]) -> TermText | ElabFailure:
    """Say of a term that was elaborated and could not be printed why that is."""
    match answer:
        case Ok(text):
            return text
        case Failed(message, truncated):
            return ElabFailure("elaboration", message, truncated=truncated)
        case TimeoutOrHeartbeat(limit):
            return limited(limit)
        case MetaUnsupported(message):
            return ElabFailure("unsupported", message)


def _meta(question: Question, task: Task[Items]) -> list[MetaAnswer[Any]]:
    """Put one question of ``MetaM`` about many items, each one or two terms."""
    items = task.arguments.items
    meta, options, token = task.session.meta, task.arguments.options, task.cancellation
    read = iter(
        task.session.elaborate_many([t for item in items for t in item], None, options, cancellation=token)
    )
    terms = [[next(read) for _ in item] for item in items]
    failures = [next((t for t in item if isinstance(t, ElabFailure)), None) for item in terms]
    good = [[t for t in item if isinstance(t, Expr)] for item in terms]
    good = [item for item, failure in zip(good, failures, strict=True) if failure is None]
    found = meta._ask_many(question, good, options, token, task.progress, cast("Leave", task.arguments.leave))
    texts = iter(_written(task, [a.value for a in found if isinstance(a, Ok) and isinstance(a.value, Expr)]))
    answers = iter(next(texts) if isinstance(a, Ok) and isinstance(a.value, Expr) else a for a in found)
    return [next(answers) if failure is None else failure for failure in failures]


ELABORATE: Operation[Elaborate, list[TermText | ElabFailure]] = Operation(
    "elaborate",
    Elaborate,
    list[TermText | ElabFailure],
    _elaborate,
    each=True,
    cancelled=lambda: limited(Limit.CANCELLED),
)


_ANSWERS: Mapping[Answer, Any] = {
    "term": list[MetaAnswer[TermText]],
    "truth": list[MetaAnswer[bool]],
    "text": list[MetaAnswer[str]],
}


def _question(question: Question) -> Operation[Items, list[MetaAnswer[Any]]]:
    return Operation(
        f"meta.{question.name}",
        Items,
        _ANSWERS[question.answer],
        partial(_meta, question),
        each=True,
        cancelled=lambda: TimeoutOrHeartbeat(Limit.CANCELLED),
    )


QUESTIONS: Mapping[str, Operation[Items, list[MetaAnswer[Any]]]] = {
    question.name: _question(question) for question in questions.QUESTIONS.values()
}
OPERATIONS: tuple[Operation[Any, Any], ...] = (ELABORATE, *QUESTIONS.values())


def elaborating(
    context: RemoteContext,
    terms: Sequence[str],
    expected_type: str | None,
    options: MetaOptions | None,
    namespace: NameLike,
    open_namespaces: Sequence[NameLike],
    levels: Sequence[NameLike],
    lean_options: Mapping[str, OptionValue] | None,
    cancellation: Cancellation,
    progress: ProgressSink | None = None,
) -> list[TermText | ElabFailure]:
    """Describe the elaboration of *terms*."""
    term_context(namespace, open_namespaces, levels, lean_options or {})  # the same rules as in this process
    if expected_type is not None and not isinstance(expected_type, str):
        raise UsageError(
            f"an expected type is given to a worker as text, not as {type(expected_type).__name__}"
        )
    options = options or DEFAULT
    arguments = Elaborate(
        texts_out(terms),
        expected_type,
        options,
        Name(namespace).parts,
        tuple(Name(name).parts for name in open_namespaces),
        tuple(Name(name).parts for name in levels),
        dict(lean_options or {}),
    )
    return context.ask(
        ELABORATE,
        arguments,
        seconds=many_times(TERM_TIMES * options.timeout, len(terms)),
        items=len(terms),
        cancellation=cancellation,
        progress=progress,
    )


def texts_out(terms: Sequence[str]) -> tuple[str, ...]:
    """Return terms given as text; :class:`~leanhost.errors.UsageError` for anything but text."""
    many("terms", terms, "texts")
    for term in terms:
        if not isinstance(term, str):
            raise UsageError(
                f"a worker takes a term as text, not {type(term).__name__}",
                hint="pass its text: str() of an Expr, .text of a TermText",
            )
    return tuple(terms)
