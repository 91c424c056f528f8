"""Bounded ``MetaM``: typed answers to single questions, and to many at once."""

from __future__ import annotations

from leanhost.services.terms.expr import Expr
from leanhost.services.terms.meta_answers import MetaResponse
from leanhost.services.terms.meta_runner import MetaRunner
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
    Method,
    bulk,
    single,
)


class MetaService:
    """Single ``MetaM`` questions over one session's environment (``session.meta``).

    Every call starts from the same fresh state and leaves none behind, and counts its heartbeats from zero: a
    session never tires and never grows. Answers are a :data:`MetaResponse`, never an exception, except that a
    closed session, a lost engine and an argument that is no term of this host raise.

    A ``_many`` form gives one answer an item, in the order of the items; limits are for each item. *progress*
    receives the phase that has the question's name, in items. A cancelled call answers what is left with
    ``TimeoutOrHeartbeat(Limit.CANCELLED)``.
    """

    def __init__(self, runner: MetaRunner) -> None:
        self._ask = runner.ask
        self._ask_many = runner.ask_many

    infer_type: Method[AskOne[Expr, MetaResponse[Expr]]] = Method(single(INFER_TYPE))
    infer_type_many: Method[AskMany[Expr, list[MetaResponse[Expr]]]] = Method(bulk(INFER_TYPE))
    whnf: Method[AskOne[Expr, MetaResponse[Expr]]] = Method(single(WHNF))
    whnf_many: Method[AskMany[Expr, list[MetaResponse[Expr]]]] = Method(bulk(WHNF))
    reduce: Method[AskReduce[Expr, MetaResponse[Expr]]] = Method(single(REDUCE))
    reduce_many: Method[AskReduceMany[Expr, list[MetaResponse[Expr]]]] = Method(bulk(REDUCE))
    synth_instance: Method[AskOne[Expr, MetaResponse[Expr]]] = Method(single(SYNTH_INSTANCE))
    synth_instance_many: Method[AskMany[Expr, list[MetaResponse[Expr]]]] = Method(bulk(SYNTH_INSTANCE))
    instantiate_mvars: Method[AskOne[Expr, MetaResponse[Expr]]] = Method(single(INSTANTIATE_MVARS))
    instantiate_mvars_many: Method[AskMany[Expr, list[MetaResponse[Expr]]]] = Method(bulk(INSTANTIATE_MVARS))
    is_def_eq: Method[AskPair[Expr, MetaResponse[bool]]] = Method(single(IS_DEF_EQ))
    is_def_eq_many: Method[AskPairs[Expr, list[MetaResponse[bool]]]] = Method(bulk(IS_DEF_EQ))
    pp_expr: Method[AskOne[Expr, MetaResponse[str]]] = Method(single(PP_EXPR))
    pp_expr_many: Method[AskMany[Expr, list[MetaResponse[str]]]] = Method(bulk(PP_EXPR))
