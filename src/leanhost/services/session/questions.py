"""What a session answers about terms: elaboration, ``MetaM``, proofs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from leanhost.engine.base import Guard
from leanhost.engine.values import Ref
from leanhost.errors import UsageError
from leanhost.lean.core import Constant, OptionValue
from leanhost.lean.names import NameTuple
from leanhost.services.declarations.service import DeclarationService
from leanhost.services.proofs.answers import TacticFailure
from leanhost.services.proofs.proof_state import ProofState, start
from leanhost.services.proofs.prover import Prover
from leanhost.services.terms.builder import ExprBuilder
from leanhost.services.terms.elaborate import elaborate_terms, limited, term_context
from leanhost.services.terms.expr import Expr, NameLike
from leanhost.services.terms.meta import MetaService
from leanhost.services.terms.meta_answers import DEFAULT, MetaOptions
from leanhost.services.terms.meta_program import Meta, run_program
from leanhost.services.values.cancellation import CancellationToken
from leanhost.services.values.lifecycle import Lifecycle, NotStarted
from leanhost.services.values.options import AllowedAxioms, ElabOptions
from leanhost.services.values.outcomes import ElabFailure, KernelOutcome
from leanhost.services.values.progress import Phase, ProgressSink
from leanhost.services.values.results import Limit

if TYPE_CHECKING:
    from leanhost.services.elaboration.environment import Imported

T = TypeVar("T")
P = ParamSpec("P")


class Questions(Lifecycle):
    """The part of a session that deals in terms. Everything here leaves the session as it is."""

    options: ElabOptions
    _env: Ref
    _imported: Imported
    _known: frozenset[NameTuple]

    @cached_property
    def meta(self) -> MetaService:
        """Bounded ``MetaM``: ``session.meta.infer_type(e)`` and the like."""
        self.check_open()
        service = MetaService(self, self._lean, self._env, self.options)
        self.owned.callback(service.close)
        return service

    @cached_property
    def build(self) -> ExprBuilder:
        """Builds terms: ``session.build.app(f, x)``."""
        return ExprBuilder(self.meta.home)

    @cached_property
    def declarations(self) -> DeclarationService:
        """Queries about declarations: ``session.declarations.get("Nat.add_comm")``."""
        return DeclarationService(self._lean, self._env, self._imported, self.meta)

    def elaborate(
        self,
        term: str,
        expected_type: Expr | str | None = None,
        options: MetaOptions | None = None,
        *,
        namespace: NameLike = (),
        open_namespaces: Sequence[NameLike] = (),
        levels: Sequence[NameLike] = (),
        lean_options: Mapping[str, OptionValue] | None = None,
        cancellation: CancellationToken | None = None,
    ) -> Expr | ElabFailure:
        """Elaborate a term, coerced to *expected_type* if one is given.

        *namespace* and *open_namespaces* decide what short names mean, *levels* are universe names that may be
        used, *lean_options* are ``set_option`` values. Returns an :class:`ElabFailure` with every diagnostic
        when the text does not elaborate, or, with its ``limit`` set, when a limit or a cancellation ended the work.
        """
        return self.elaborate_bulk(
            [term],
            expected_type,
            options,
            namespace=namespace,
            open_namespaces=open_namespaces,
            levels=levels,
            lean_options=lean_options,
            cancellation=cancellation,
        )[0]

    def elaborate_bulk(
        self,
        terms: Sequence[str],
        expected_type: Expr | str | None = None,
        options: MetaOptions | None = None,
        *,
        namespace: NameLike = (),
        open_namespaces: Sequence[NameLike] = (),
        levels: Sequence[NameLike] = (),
        lean_options: Mapping[str, OptionValue] | None = None,
        cancellation: CancellationToken | None = None,
        progress: ProgressSink | None = None,
    ) -> list[Expr | ElabFailure]:
        """Elaborate many terms: one result each, in order; see :meth:`elaborate`.

        Heartbeats are for each term, the wall clock for all of them together, times their number. *progress*
        hears of the phase ``elaborate``, in terms.
        """
        context = term_context(namespace, open_namespaces, levels, lean_options or {})
        try:
            with self.calling("elaborate", cancellation, len(terms)):
                if isinstance(expected_type, str):
                    expected = [expected_type]
                    found = elaborate_terms(self.meta, expected, None, context, options, cancellation)[0]
                    if isinstance(found, ElabFailure):
                        return [found] * len(terms)
                    expected_type = found
                return elaborate_terms(
                    self.meta, terms, expected_type, context, options, cancellation, progress
                )
        except NotStarted:
            return [limited(Limit.CANCELLED)] * len(terms)

    def run_meta(
        self,
        function: Callable[Concatenate[Meta, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call ``function(m, *args, **kwargs)`` inside one ``MetaM`` state and return its value.

        ``m`` (:class:`~leanhost.services.terms.meta_program.Meta`) infers, unifies, opens binders and backtracks.
        Limits are those of :class:`MetaOptions`; use :meth:`run_meta_with` for others. What *function* raises comes out
        as itself; the state is put back in any case.
        """
        return self.run_meta_with(DEFAULT, lambda m: function(m, *args, **kwargs))

    def run_meta_with(
        self,
        options: MetaOptions,
        function: Callable[[Meta], T],
        cancellation: CancellationToken | None = None,
    ) -> T:
        """Like :meth:`run_meta` under the given limits. Raises :class:`~leanhost.errors.Cancelled` when stopped."""
        with self.calling("run_meta", cancellation):
            return run_program(self.meta, function, options, cancellation)

    def prove(
        self,
        statement: str,
        options: MetaOptions | None = None,
        *,
        cancellation: CancellationToken | None = None,
    ) -> ProofState | TacticFailure:
        """Start a proof of *statement* (a type): the state with that one goal.

        Returns a :class:`TacticFailure` when the statement does not elaborate to a closed type.
        """
        prover = Prover(self.meta, options or DEFAULT, self._finish, self._known)
        return start(prover, self._env, statement, cancellation)

    def prove_bulk(
        self,
        statements: Sequence[str],
        options: MetaOptions | None = None,
        *,
        cancellation: CancellationToken | None = None,
        progress: ProgressSink | None = None,
    ) -> list[ProofState | TacticFailure]:
        """Start a proof of each of many statements: one result each, in order; see :meth:`prove`.

        Limits are for each statement. *progress* hears of the phase ``prove``, in statements. After a cancellation
        the rest are :class:`TacticFailure` with that limit.
        """
        if isinstance(statements, str) or not all(isinstance(statement, str) for statement in statements):
            raise UsageError("statements are a sequence of texts", hint="prove(text) takes one statement")
        listening = Phase(progress, "prove", len(statements)) if progress is not None else None
        states: list[ProofState | TacticFailure] = []
        for statement in statements:
            states.append(self.prove(statement, options, cancellation=cancellation))
            if listening is not None:
                listening.at(len(states))
        return states

    def _finish(
        self, added: list[Constant], env: Ref, guard: Guard, allow_axioms: Collection[str]
    ) -> KernelOutcome:
        """Judge a finished proof like any other addition."""
        return self._judge_constants(added, env, AllowedAxioms.of(allow_axioms), guard)

    def _judge_constants(
        self, added: list[Constant], env: Ref, allowed: AllowedAxioms, guard: Guard
    ) -> KernelOutcome:
        raise NotImplementedError
