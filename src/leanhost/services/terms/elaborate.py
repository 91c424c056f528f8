"""Elaborating single terms into handles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from leanhost.engine.base import Guard
from leanhost.engine.expressions import Arg
from leanhost.engine.values import Thrown
from leanhost.lean.core import OptionValue
from leanhost.lean.monads import Contexts, Scope
from leanhost.services.elaboration.commands import Messages, parser_diagnostic
from leanhost.services.terms.expr import Expr, Name, NameLike
from leanhost.services.terms.meta_answers import DEFAULT, Failed, MetaOptions, MetaUnsupported
from leanhost.services.terms.meta_runner import MetaRunner
from leanhost.services.values.limits import WORDS, CallContext
from leanhost.services.values.options import check_lean_options, many_times
from leanhost.services.values.outcomes import ElabFailure
from leanhost.services.values.progress import phase
from leanhost.services.values.results import Diagnostic, Limit, Position, Severity
from leanhost.services.values.text import prepare
from leanhost.services.values.validate import many, texts

_FILE = "<term>"


_SHORT = 512


def is_short(text: str) -> bool:
    """Tell whether *text* may be parsed on the caller's thread.

    Lean's parser recurses without looking at the stack, at a few kilobytes for each nested bracket.
    """
    return len(text) <= _SHORT


@dataclass(frozen=True, slots=True)
class TermContext:
    """What a term is read in."""

    scope: Scope | None = None
    lean_options: frozenset[tuple[str, OptionValue]] = frozenset()


def term_context(
    namespace: NameLike,
    open_namespaces: Sequence[NameLike],
    levels: Sequence[NameLike],
    lean: Mapping[str, OptionValue],
) -> TermContext:
    """Build a context from what callers write."""
    for what, given in (("open_namespaces", open_namespaces), ("levels", levels)):
        many(what, given)
    check_lean_options(lean, ("maxRecDepth",))
    scope = Scope(
        Name(namespace).parts,
        tuple(Name(n).parts for n in open_namespaces),
        tuple(Name(n).parts for n in levels),
    )
    return TermContext(None if scope == Scope() else scope, frozenset(lean.items()))


def elaborate_terms(
    service: MetaRunner,
    terms: Sequence[str],
    expected: Expr | str | None,
    context: TermContext,
    options: MetaOptions | None,
    call: CallContext,
) -> list[Expr | ElabFailure]:
    """Elaborate *terms* one after another, each from the same fresh state, in one supervised call.

    A text as *expected* type is elaborated first; where it cannot be, its failure is that of every term.
    """
    if isinstance(expected, str):
        quiet = replace(call, progress=None)
        (found,) = elaborate_terms(service, [expected], None, context, options, quiet)
        if isinstance(found, ElabFailure):
            return [found] * len(terms)
        expected = found
    texts("terms", terms, hint="elaborate(text) takes one term")
    chosen = options or DEFAULT
    # One limit for the call as a whole would make a bulk call fail where single ones succeed.
    chosen = replace(chosen, timeout=many_times(chosen.timeout, len(terms)))
    wanted = None if expected is None else service.home.expr(expected)

    def work(contexts: Contexts, guard: Guard) -> list[Expr | ElabFailure]:
        lean, table = service.lean, service.lean.table
        engine = lean.engine
        category = engine.eval(lean.name(("term",)))

        def one(term: str) -> Expr | ElabFailure:
            if guard.limit is not None:
                return limited(guard.limit)
            text = prepare(term, _FILE)
            if isinstance(text, Diagnostic):
                return ElabFailure("source", text.message, (text,))
            try:
                syntax = engine.eval(table.parse_category(service.env, category, text, _FILE))
            except Thrown as thrown:
                return _parse_failure(str(engine.dump(thrown.error)))
            with contexts.scope():
                try:
                    if wanted is None:
                        result = engine.eval(table.elab_term(syntax, None, contexts.six))
                    else:
                        result = engine.eval(table.elab_term_ensuring_type(syntax, wanted, contexts.six))
                        engine.eval(table.synthesize_no_postponing(contexts.six)).close()
                    mctx = table.meta_mctx(table.get_ref(contexts.six.meta_state))
                    instantiated: Arg = table.instantiated(mctx, result)
                    result = engine.eval(instantiated)
                except Thrown as thrown:
                    match service.failure(thrown, guard, chosen.diagnostic_bytes):
                        case Failed(message, truncated):
                            fault = Diagnostic(Severity.ERROR, message, Position(1, 0), None, _FILE)
                            return ElabFailure("elaboration", message, (fault,), truncated)
                        case MetaUnsupported(message):
                            return ElabFailure("unsupported", message)
                        case stopped:
                            return limited(stopped.limit)
                log = engine.eval(table.core_messages(table.get_ref(contexts.six.core_state)))
                if lean.number(table.has_errors(log)):
                    messages = Messages(lean, _FILE, chosen.diagnostic_bytes, text=text)
                    messages.take(engine.eval(table.message_list(log)))
                    errors = [d for d in messages.found if d.is_error]
                    if beyond := next((why for d in errors if (why := lean.beyond(d.message))), ""):
                        return ElabFailure("unsupported", beyond, tuple(messages.found))
                    truncated = Limit.DIAGNOSTIC_BYTES in messages.limits
                    return ElabFailure("elaboration", errors[0].message, tuple(messages.found), truncated)
            return Expr(service.home, result)

        return [one(term) for term in phase(guard, "elaborate", len(terms)).over(terms)]

    return service.supervised(
        work,
        chosen,
        call.cancellation,
        brief=len(terms) == 1 and is_short(terms[0]),
        scope=context.scope,
        lean_options=context.lean_options,
        progress=call.progress,
    )


def limited(limit: Limit) -> ElabFailure:
    """Say that *limit* ended an elaboration."""
    return ElabFailure("limit", WORDS[limit], limit=limit)


def _parse_failure(text: str) -> ElabFailure:
    fault = parser_diagnostic(text, _FILE)
    return ElabFailure("elaboration", fault.message, (fault,))
