"""What sessions answer about terms, taken for what a test expects it to be."""

from __future__ import annotations

from leanhost.services.proofs.answers import TacticFailure
from leanhost.services.proofs.proof_state import ProofState
from leanhost.services.session.session import Session
from leanhost.services.terms.expr import Expr
from leanhost.services.values.outcomes import ElabFailure


def good(found: Expr | ElabFailure) -> Expr:
    assert isinstance(found, Expr), found
    return found


def bad(found: Expr | ElabFailure) -> ElabFailure:
    assert isinstance(found, ElabFailure), found
    return found


def term(session: Session, text: str) -> Expr:
    return good(session.elaborate(text))


def state(found: ProofState | TacticFailure) -> ProofState:
    assert isinstance(found, ProofState), found
    return found


def failure(found: ProofState | TacticFailure) -> TacticFailure:
    assert isinstance(found, TacticFailure), found
    return found
