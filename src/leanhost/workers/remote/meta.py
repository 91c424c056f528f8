"""``MetaM`` questions to workers, one at a time and many at once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias, TypeVar

from leanhost.services.terms.meta_answers import DEFAULT, MetaOptions
from leanhost.services.terms.questions import (
    INFER_TYPE,
    INSTANTIATE_MVARS,
    IS_DEF_EQ,
    PP_EXPR,
    REDUCE,
    SYNTH_INSTANCE,
    WHNF,
    AskMany,
    AskOne,
    AskPair,
    AskPairs,
    AskReduce,
    AskReduceMany,
    Leave,
    Method,
    Question,
    bulk,
    single,
)
from leanhost.services.values.cancellation import Cancellation
from leanhost.services.values.options import many_times
from leanhost.services.values.progress import ProgressSink
from leanhost.workers.remote.rpc import RemoteContext, async_twin, blocking, first
from leanhost.workers.remote.terms import QUESTIONS, TERM_TIMES, Items, MetaAnswer, TermText, texts_out

T = TypeVar("T")
_Later: TypeAlias = Coroutine[Any, Any, MetaAnswer[T]]
_LaterAll: TypeAlias = Coroutine[Any, Any, list[MetaAnswer[T]]]


def _one(question: Question) -> Callable[..., Any]:
    return blocking(single(question))


def _many(question: Question) -> Callable[..., Any]:
    return blocking(bulk(question))


def _aone(question: Question) -> Callable[..., Any]:
    return async_twin(_one(question))


def _amany(question: Question) -> Callable[..., Any]:
    return async_twin(_many(question))


class WorkerMeta:
    """Single ``MetaM`` questions in a worker (``session.meta``), as :class:`~leanhost.MetaService` puts them.

    Terms are given as text, read as :meth:`WorkerSession.elaborate` reads them (``open Nat in succ 1`` opens a
    namespace), and come back as :class:`TermText`. Where a text is no term the answer is the
    :class:`~leanhost.ElabFailure`. A worker has twice ``options.timeout`` for each item, to read, answer and print.
    """

    __slots__ = ("_context",)

    def __init__(self, context: RemoteContext) -> None:
        self._context = context

    def _ask(
        self,
        question: Question,
        item: Sequence[str],
        options: MetaOptions | None,
        cancellation: Cancellation,
        leave: Leave = (),
    ) -> MetaAnswer[Any]:
        return first(self._ask_many(question, [item], options, cancellation, None, leave))

    def _ask_many(
        self,
        question: Question,
        items: Sequence[Sequence[str]],
        options: MetaOptions | None,
        cancellation: Cancellation,
        progress: ProgressSink | None,
        leave: Leave = (),
    ) -> list[MetaAnswer[Any]]:
        options = options or DEFAULT
        asked = Items(tuple(texts_out(item) for item in items), options, tuple(leave))
        return self._context.ask(
            QUESTIONS[question.name],
            asked,
            seconds=many_times(TERM_TIMES * options.timeout, len(items)),
            items=len(items),
            cancellation=cancellation,
            progress=progress,
        )

    infer_type: Method[AskOne[str, MetaAnswer[TermText]]] = Method(_one(INFER_TYPE))
    infer_type_many: Method[AskMany[str, list[MetaAnswer[TermText]]]] = Method(_many(INFER_TYPE))
    ainfer_type: Method[AskOne[str, _Later[TermText]]] = Method(_aone(INFER_TYPE))
    ainfer_type_many: Method[AskMany[str, _LaterAll[TermText]]] = Method(_amany(INFER_TYPE))
    whnf: Method[AskOne[str, MetaAnswer[TermText]]] = Method(_one(WHNF))
    whnf_many: Method[AskMany[str, list[MetaAnswer[TermText]]]] = Method(_many(WHNF))
    awhnf: Method[AskOne[str, _Later[TermText]]] = Method(_aone(WHNF))
    awhnf_many: Method[AskMany[str, _LaterAll[TermText]]] = Method(_amany(WHNF))
    reduce: Method[AskReduce[str, MetaAnswer[TermText]]] = Method(_one(REDUCE))
    reduce_many: Method[AskReduceMany[str, list[MetaAnswer[TermText]]]] = Method(_many(REDUCE))
    areduce: Method[AskReduce[str, _Later[TermText]]] = Method(_aone(REDUCE))
    areduce_many: Method[AskReduceMany[str, _LaterAll[TermText]]] = Method(_amany(REDUCE))
    synth_instance: Method[AskOne[str, MetaAnswer[TermText]]] = Method(_one(SYNTH_INSTANCE))
    synth_instance_many: Method[AskMany[str, list[MetaAnswer[TermText]]]] = Method(_many(SYNTH_INSTANCE))
    asynth_instance: Method[AskOne[str, _Later[TermText]]] = Method(_aone(SYNTH_INSTANCE))
    asynth_instance_many: Method[AskMany[str, _LaterAll[TermText]]] = Method(_amany(SYNTH_INSTANCE))
    instantiate_mvars: Method[AskOne[str, MetaAnswer[TermText]]] = Method(_one(INSTANTIATE_MVARS))
    instantiate_mvars_many: Method[AskMany[str, list[MetaAnswer[TermText]]]] = Method(
        _many(INSTANTIATE_MVARS)
    )
    ainstantiate_mvars: Method[AskOne[str, _Later[TermText]]] = Method(_aone(INSTANTIATE_MVARS))
    ainstantiate_mvars_many: Method[AskMany[str, _LaterAll[TermText]]] = Method(_amany(INSTANTIATE_MVARS))
    is_def_eq: Method[AskPair[str, MetaAnswer[bool]]] = Method(_one(IS_DEF_EQ))
    is_def_eq_many: Method[AskPairs[str, list[MetaAnswer[bool]]]] = Method(_many(IS_DEF_EQ))
    ais_def_eq: Method[AskPair[str, _Later[bool]]] = Method(_aone(IS_DEF_EQ))
    ais_def_eq_many: Method[AskPairs[str, _LaterAll[bool]]] = Method(_amany(IS_DEF_EQ))
    pp_expr: Method[AskOne[str, MetaAnswer[str]]] = Method(_one(PP_EXPR))
    pp_expr_many: Method[AskMany[str, list[MetaAnswer[str]]]] = Method(_many(PP_EXPR))
    app_expr: Method[AskOne[str, _Later[str]]] = Method(_aone(PP_EXPR))
    app_expr_many: Method[AskMany[str, _LaterAll[str]]] = Method(_amany(PP_EXPR))
