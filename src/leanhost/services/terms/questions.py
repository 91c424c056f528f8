"""The single questions that ``MetaM`` answers: one table, from which every form of every question is made.

A question has a form for one item and one for many, in this process (:class:`~leanhost.MetaService`) and in a
worker (``WorkerSession.meta``), there with an asynchronous twin. The table below says what is asked, and what kind of
answer comes back; the protocols say what the forms take. :class:`Method` puts a form into a class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, Final, Generic, Literal, Protocol, Self, TypeAlias, TypeVar, overload

from leanhost.engine.expressions import Arg
from leanhost.lean.tables import Table
from leanhost.lean.tables.monads import Six
from leanhost.services.terms.meta_answers import MetaOptions, within
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.progress import ProgressSink

Answer: TypeAlias = Literal["term", "truth", "text"]
Leave: TypeAlias = "tuple[bool, bool, bool] | tuple[()]"
"""What a reduction leaves alone: implicit arguments, types, proofs. Empty for the other questions."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question: what is asked of Lean about one item, and how the answer is read.

    Attributes:
        name: what its methods are called, with ``_many`` for many items.
        summary: one sentence for its docstrings, with the Lean function behind it.
        build: what a version table asks it by, given the terms of an item and the contexts.
        answer: what Lean answers with.
        pair: whether an item is a pair of terms, not a single one.
    """

    name: str
    summary: str
    build: Callable[[Table], Callable[..., Arg]]
    answer: Answer = "term"
    pair: bool = False


def _instantiate(table: Table, expr: Arg, six: Six) -> Arg:
    return table.instantiated(table.meta_mctx(table.get_ref(six.meta_state)), expr)


INFER_TYPE: Final = Question(
    "infer_type", "The type of a term (``Lean.Meta.inferType``).", attrgetter("infer_type")
)
WHNF: Final = Question("whnf", "Weak head normal form (``Lean.Meta.whnf``).", attrgetter("whnf"))
REDUCE: Final = Question("reduce", "Full reduction (``Lean.Meta.reduce``).", attrgetter("reduce"))
SYNTH_INSTANCE: Final = Question(
    "synth_instance", "An instance of a class (``Lean.Meta.synthInstance``).", attrgetter("synth_instance")
)
INSTANTIATE_MVARS: Final = Question(
    "instantiate_mvars",
    "The term with its assigned metavariables replaced (``Lean.instantiateMVars``); a closed term stays as it is.",
    lambda table: partial(_instantiate, table),
)
IS_DEF_EQ: Final = Question(
    "is_def_eq",
    "Whether two terms are definitionally equal (``Lean.Meta.isExprDefEq``).",
    attrgetter("is_def_eq"),
    "truth",
    pair=True,
)
PP_EXPR: Final = Question(
    "pp_expr", "The term as Lean prints it (``Lean.Meta.ppExpr``).", attrgetter("pp_meta"), "text"
)

QUESTIONS: Final[Mapping[str, Question]] = {
    question.name: question
    for question in (INFER_TYPE, WHNF, REDUCE, SYNTH_INSTANCE, INSTANTIATE_MVARS, IS_DEF_EQ, PP_EXPR)
}
"""Every question, by its name."""

T = TypeVar("T", contravariant=True)
R = TypeVar("R", covariant=True)


class AskOne(Protocol[T, R]):
    """A question about one term; *options* are its limits, whose time-out *timeout* overrides."""

    def __call__(
        self,
        expr: T,
        options: MetaOptions | None = None,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> R:
        """Ask it."""


class AskMany(Protocol[T, R]):
    """A question about many terms: one answer each, in order; the limits are for each."""

    def __call__(
        self,
        exprs: Sequence[T],
        options: MetaOptions | None = None,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> R:
        """Ask it of each."""


class AskPair(Protocol[T, R]):
    """A question about two terms; *options* are its limits."""

    def __call__(
        self,
        left: T,
        right: T,
        options: MetaOptions | None = None,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> R:
        """Ask it."""


class AskPairs(Protocol[T, R]):
    """A question about many pairs of terms: one answer each, in order; the limits are for each."""

    def __call__(
        self,
        pairs: Sequence[tuple[T, T]],
        options: MetaOptions | None = None,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> R:
        """Ask it of each."""


class AskReduce(Protocol[T, R]):
    """The question for a reduction of one term; the flags say what is left alone."""

    def __call__(
        self,
        expr: T,
        options: MetaOptions | None = None,
        *,
        explicit_only: bool = True,
        skip_types: bool = True,
        skip_proofs: bool = True,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> R:
        """Ask it."""


class AskReduceMany(Protocol[T, R]):
    """The question for the reduction of many terms: one answer each, in order; the limits are for each."""

    def __call__(
        self,
        exprs: Sequence[T],
        options: MetaOptions | None = None,
        *,
        explicit_only: bool = True,
        skip_types: bool = True,
        skip_proofs: bool = True,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> R:
        """Ask it of each."""


class Asker(Protocol):
    """What puts questions: in this process, or to a worker."""

    def _ask(
        self,
        question: Question,
        item: tuple[Any, ...],
        options: MetaOptions | None,
        cancellation: Cancellation,
        leave: Leave = (),
    ) -> Any:
        """Put *question* about one item."""

    def _ask_many(
        self,
        question: Question,
        items: Sequence[tuple[Any, ...]],
        options: MetaOptions | None,
        cancellation: Cancellation,
        progress: ProgressSink | None,
        leave: Leave = (),
    ) -> Any:
        """Put *question* about many items."""


F = TypeVar("F", covariant=True)


class Method(Generic[F]):
    """A method of the form *F*, given as a function that takes the object first.

    The class gets the function itself, so that a call costs what the call of a written method does.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __set_name__(self, owner: type, name: str) -> None:
        self._function.__name__ = name
        self._function.__qualname__ = f"{owner.__qualname__}.{name}"
        self._function.__module__ = owner.__module__
        setattr(owner, name, self._function)

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> F: ...
    def __get__(self, instance: object, owner: type) -> Any:
        """Never called: :meth:`__set_name__` has put the function in this one's place."""
        raise NotImplementedError


def single(question: Question) -> Callable[..., Any]:
    """Return the form of *question* for one item."""

    def one(
        self: Asker,
        expr: Any,
        options: MetaOptions | None = None,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> Any:
        return self._ask(question, (expr,), within(options, timeout), cancellation)

    def pair(
        self: Asker,
        left: Any,
        right: Any,
        options: MetaOptions | None = None,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> Any:
        return self._ask(question, (left, right), within(options, timeout), cancellation)

    def reduce(
        self: Asker,
        expr: Any,
        options: MetaOptions | None = None,
        *,
        explicit_only: bool = True,
        skip_types: bool = True,
        skip_proofs: bool = True,
        timeout: float | None = None,
        cancellation: Cancellation = None,
    ) -> Any:
        leave = (explicit_only, skip_types, skip_proofs)
        return self._ask(question, (expr,), within(options, timeout), cancellation, leave)

    chosen: Callable[..., Any] = pair if question.pair else reduce if question is REDUCE else one
    chosen.__name__, chosen.__doc__ = question.name, question.summary
    return chosen


def bulk(question: Question) -> Callable[..., Any]:
    """Return the form of *question* for many items."""

    def many(
        self: Asker,
        exprs: Sequence[Any],
        options: MetaOptions | None = None,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> Any:
        return self._ask_many(
            question, [(expr,) for expr in exprs], within(options, timeout), cancellation, progress
        )

    def pairs(
        self: Asker,
        pairs: Sequence[tuple[Any, Any]],
        options: MetaOptions | None = None,
        *,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> Any:
        items = [(left, right) for left, right in pairs]
        return self._ask_many(question, items, within(options, timeout), cancellation, progress)

    def reduce(
        self: Asker,
        exprs: Sequence[Any],
        options: MetaOptions | None = None,
        *,
        explicit_only: bool = True,
        skip_types: bool = True,
        skip_proofs: bool = True,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> Any:
        leave = (explicit_only, skip_types, skip_proofs)
        return self._ask_many(
            question, [(e,) for e in exprs], within(options, timeout), cancellation, progress, leave
        )

    chosen: Callable[..., Any] = pairs if question.pair else reduce if question is REDUCE else many
    chosen.__name__ = f"{question.name}_many"
    chosen.__doc__ = f":meth:`{question.name}` of many: one answer each, in order; the limits are for each."
    return chosen
