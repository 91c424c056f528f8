"""The steps of the self-test, each a question whose answer is known; they run in its child process.

A step returns what it saw, or raises. The sources are in prelude mode, so that every toolchain can elaborate
them, also one that has no core library. Hosts and sessions are used as everybody uses them.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from leanhost.engine import open_engine
from leanhost.engine.base import Engine, Guard
from leanhost.engine.expressions import ListOf
from leanhost.engine.values import Ref, Thrown
from leanhost.lean.core import Lean
from leanhost.lean.monads import Contexts
from leanhost.lean.names import decode as names_of
from leanhost.lean.tables import TABLES, Table
from leanhost.lean.tables.exprs import EXPRS
from leanhost.services.opening.open import Opened, put_under_test
from leanhost.services.session.host import Host
from leanhost.services.session.session import Session
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.outcomes import Checked, KernelOutcome, Rejected
from leanhost.services.values.results import Limit, Position, Severity
from leanhost.toolchain import Toolchain

BASE = """universe u
inductive Truth : Prop where | sure
inductive Same {α : Sort u} (a : α) : α → Prop where | refl : Same a a
inductive Bit where | zero | one
inductive Num where | z | s (n : Num)
inductive Path where | top | left (p : Path) | right (p : Path)
noncomputable def both (a b : Bit) : Bit := Bit.rec Bit.zero b a
noncomputable def walk (n : Num) : Path → Bit :=
  Num.rec (fun _ => Bit.one) (fun _ r p => both (r (Path.left p)) (r (Path.right p))) n
theorem identity (P : Prop) (h : P) : P := h
theorem quick : Same (walk (Num.s (Num.s Num.z)) Path.top) Bit.one := Same.refl
theorem sure : Truth := Truth.sure
"""
"""``walk n`` visits 2^n paths that are all different, so no cache shortens it, at a depth of n."""

WRONG = "theorem right : Truth := sure\ntheorem wrong (P Q : Prop) (h : P) : Q := h\n"

AXIOMS = """axiom given : Truth
theorem resting : Truth := given
theorem still : Truth := identity Truth resting
theorem free : Truth := sure
"""

SORRY = """axiom sorryAx (α : Sort u) (synthetic : Bit) : α
theorem hollow : Truth := sorryAx Truth Bit.one
"""

ENDLESS = "theorem endless : Same (walk {} Path.top) Bit.one := Same.refl\n"

CORE = """theorem by_omega (a b : Nat) : a + b = b + a := by omega
theorem by_propext (a b : Prop) (h : a ↔ b) : a = b := propext h
"""

CORE_WRONG = "theorem by_nothing (a b : Nat) : a + b = a := by omega\n"

_ENDLESS_DEPTH = 40
_SECONDS = 120.0
_CANCEL_AFTER = 0.5
_GRACE = 60.0
_MODULE = "LeanhostProbe"

Steps = Iterator[tuple[str, Callable[[], str], bool]]


class Probe:
    """A toolchain under test, with a *scratch* directory to write to.

    *table* is a table's version, ``""`` to ask for Lean's version only.
    """

    def __init__(self, toolchain: Toolchain, table: str, scratch: Path) -> None:
        self._toolchain = toolchain
        self._table: type[Table] = next((t for t in TABLES if t.version == table), Table)
        self._only_version = not table
        self._scratch = scratch
        # Deep terms and no heartbeats: the steps must not depend on Lean's own limits.
        self._options = ElabOptions(max_heartbeats=0, max_rec_depth=4000, timeout=_SECONDS, grace=_GRACE)
        self._lean: Lean | None = None
        self._host: Host | None = None
        self._sessions: list[Session] = []
        self._before = 0
        self.version = ""
        self.commit = ""

    def steps(self) -> Steps:
        """Name every step, how it is done, and whether the rest makes no sense without it."""
        yield "start", self._start, True
        if self._only_version:
            yield "version", self._ask_version, True
            return
        yield "symbols", self._symbols, True
        yield "version", self._ask_version, True
        yield "elaborate", self._elaborate, True
        yield "reject", self._reject, False
        yield "kernel", self._kernel, False
        yield "axioms", self._axioms, False
        yield "import", self._import, False
        yield "meta", self._meta, False
        yield "cancel", self._cancel, False
        if self._toolchain.core is not None:
            yield "core", self._core, False
        yield "references", self._references, False

    @property
    def lean(self) -> Lean:
        """The Lean under test."""
        assert self._lean is not None
        return self._lean

    @property
    def _engine(self) -> Engine:
        return self.lean.engine

    @property
    def _base(self) -> Session:
        """The session over :data:`BASE`."""
        return self._sessions[0]

    def close(self) -> None:
        """Stop the engine if it started."""
        if self._lean is not None:
            self._lean.engine.close()

    # --- the steps ---

    def _start(self) -> str:
        engine = open_engine(self._toolchain, scratch=self._scratch)
        self._lean = Lean(engine, self._table(engine.word))
        return f"{engine.kind}, {8 * engine.word} bits"

    def _symbols(self) -> str:
        symbols = self.lean.table.symbols()
        missing = self._engine.missing(sorted(symbols))
        first = ", ".join(missing[:8])
        _demand(not missing, f"{len(missing)} of {len(symbols)} functions are missing: {first}")
        return f"all {len(symbols)} functions of table {self._table.version} are there"

    def _ask_version(self) -> str:
        self.version, self.commit = self.lean.version()
        claimed = self._toolchain.commit
        if claimed in self._table.commits:
            _demand(claimed == self.commit, f"this should be commit {claimed}, and Lean says {self.commit}")
        return f"{self.version}, commit {self.commit}"

    def _elaborate(self) -> str:
        # The capturing closure lives as long as the engine.
        self.lean.capture_closure(lambda *_: 0)
        self._before = self._engine.live
        put_under_test(Opened(self.lean, replace(self._toolchain, version=self.version, commit=self.commit)))
        self._host = Host(self._toolchain, [self._scratch])
        with self._open([]) as empty:
            outcome = empty.kernel_check(BASE)
            names = {evidence.name for evidence in _checked(outcome).all}
            due = {"Truth.sure", "Num.rec", "walk", "quick", "sure"}
            _demand(due <= names, f"only {sorted(names)} were declared")
            self._sessions.append(empty.extend(BASE))
        return f"{len(names)} declarations accepted"

    def _reject(self) -> str:
        result = self._base.run(WRONG)
        where = [(d.severity, d.position) for d in result.diagnostics]
        due = [(Severity.ERROR, Position(2, 42))]
        _demand(where == due, f"one error at 2:42 was due: {result.diagnostics}")
        _demand([d.name for d in result.declarations] == ["right"], f"{result.declarations} were declared")
        _rejected(self._base.kernel_check(WRONG), "elaboration")
        return str(result.diagnostics[0]).splitlines()[0]

    def _kernel(self) -> str:
        """Hand the kernel a proof and a statement that do not belong together, past the elaborator."""
        lean, table = self.lean, self.lean.table
        sure, quick = self._theorems()
        token, options, kernel_env = lean.engine.eval_all(
            [table.new_cancel_token(), table.options_empty(), table.kernel_env(self._base._env)]
        )

        def add(name: str, statement: Ref, proof: Ref) -> Ref:
            header = table.constant_header(lean.name(name), ListOf([]), table.constant_type(statement))
            theorem = table.theorem_declaration(
                header, table.constant_value(proof), ListOf([lean.name(name)])
            )
            return lean.engine.eval(table.add_decl(kernel_env, options, theorem, token))

        add("copied", sure, sure).close()
        try:
            add("forged", quick, sure).close()
        except Thrown as thrown:
            tag = lean.number_tag(thrown.error)
            text = lean.text(table.kernel_exception_text(thrown.error, options))
            _demand(tag not in table.KERNEL_LIMITS, f"the kernel gave up instead of refusing: {text}")
            return text.splitlines()[0]
        raise AssertionError("the kernel accepted a theorem with the proof of another")

    def _axioms(self) -> str:
        _rejected(self._base.kernel_check(AXIOMS), "axiom")
        allowed = _checked(self._base.kernel_check(AXIOMS, allow_axioms=["given"]))
        found = {evidence.name: evidence.axioms for evidence in allowed.all}
        due = {"given": ("given",), "resting": ("given",), "still": ("given",), "free": ()}
        _demand(found == due, f"axioms are {found}, and should be {due}")
        _rejected(self._base.kernel_check(SORRY), "sorry")
        return "a declared axiom and sorryAx are found under what rests on them"

    def _import(self) -> str:
        lean, table = self.lean, self.lean.table
        file = self._scratch / f"{_MODULE}.olean"
        with lean.engine.eval(table.set_main_module(self._base._env, lean.name(_MODULE))) as named:
            lean.io(table.write_module(named, str(file), False)).close()
        size = file.stat().st_size
        with self._open([_MODULE]) as session:
            found = lean.find(session._env, [("Truth", "sure"), ("walk",), ("quick",), ("absent",)])
            kinds = [None if info is None else lean.constant_kind(info) for info in found]
            _demand(kinds == ["constructor", "definition", "theorem", None], f"the import has {kinds}")
            _checked(session.kernel_check("theorem again : Truth := identity Truth sure\n"))
        # Lean 4.35 forgets after an import that it may run initialisers.
        self._open([_MODULE]).close()
        return f"a module of {size} bytes written and imported twice"

    def _meta(self) -> str:
        """Ask ``MetaM`` through captured contexts, twice: its states must be as before after a query."""
        lean, table = self.lean, self.lean.table
        sure, quick = self._theorems()
        token, options = (
            lean.engine.eval(table.new_cancel_token()),
            lean.options(self._options.lean_options()),
        )

        def work() -> None:
            contexts = Contexts(lean, self._base._env, options, token)
            try:
                for _ in range(2):
                    self._ask(contexts, sure, quick)
            finally:
                contexts.close()

        try:
            lean.engine.supervise(work, Guard(token, time.monotonic() + _SECONDS, _GRACE))
        except Thrown as thrown:
            raise AssertionError(f"MetaM threw: {lean.text(table.exception_text(thrown.error))}") from None
        return "infer_type, whnf, is_def_eq"

    def _ask(self, contexts: Contexts, sure: Ref, quick: Ref) -> None:
        lean, table, six = self.lean, self.lean.table, contexts.six
        truth, same = table.constant_type(sure), table.constant_type(quick)
        with contexts.meta(table.infer_type(table.constant_value(sure), six)) as found:
            names = [names_of(item) for item in lean.array(table.used_constants(found))]
            _demand(names == [("Truth",)], f"the type of `sure` mentions {names}")
        # `same` is `Same (walk 2 top) Bit.one`, an application of three arguments; the second one computes.
        app = EXPRS["app"]
        with contexts.meta(table.whnf(app.get(app.get(same, "function"), "argument"), six)) as found:
            names = [names_of(item) for item in lean.array(table.used_constants(found))]
            _demand(names == [("Bit", "one")], f"`walk 2 top` became something of {names}")
        for left, right, equal in ((same, same, 1), (same, truth, 0)):
            with contexts.meta(table.is_def_eq(left, right, six)) as verdict:
                _demand(lean.number(verdict) == equal, f"is_def_eq says {lean.number(verdict)}, not {equal}")

    def _cancel(self) -> str:
        number = "Num.z"
        for _ in range(_ENDLESS_DEPTH):
            number = f"(Num.s {number})"
        result = self._base.run(ENDLESS.format(number), timeout=_CANCEL_AFTER)
        _demand(Limit.TIMEOUT in result.limits, f"it was not cancelled: {result.diagnostics}")
        _demand(not result.declarations, f"{result.declarations} were declared")
        _checked(self._base.kernel_check("theorem after : Truth := sure\n"))
        return f"an endless elaboration stopped when asked after {_CANCEL_AFTER} s"

    def _core(self) -> str:
        with self._open(["Init"]) as session:
            found = {evidence.name: evidence.axioms for evidence in _checked(session.kernel_check(CORE)).all}
            _demand("by_omega" in found, f"omega proved nothing: {found}")
            _demand(found.get("by_propext") == ("propext",), f"propext is not found: {found}")
            _rejected(session.kernel_check(CORE_WRONG), "elaboration")
        return "import Init, omega, propext"

    def _references(self) -> str:
        while self._sessions:
            self._sessions.pop().close()
        self._host = None
        gc.collect()
        self._engine.drain()
        live = self._engine.live
        _demand(live == self._before, f"{live - self._before} handles stay open")
        return "every handle was closed"

    # --- how they are done ---

    def _open(self, imports: list[str]) -> Session:
        assert self._host is not None
        return self._host.session(imports, self._options)

    def _theorems(self) -> tuple[Ref, Ref]:
        """The constants ``sure`` and ``quick``."""
        sure, quick = self.lean.find(self._base._env, [("sure",), ("quick",)])
        assert sure is not None
        assert quick is not None
        return sure, quick


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def _checked(outcome: KernelOutcome) -> Checked:
    if not isinstance(outcome, Checked):
        what = (
            f"{outcome.failure.code}: {outcome.failure.message}" if isinstance(outcome, Rejected) else outcome
        )
        raise AssertionError(f"a right source was not accepted: {what}")
    return outcome


def _rejected(outcome: KernelOutcome, code: str) -> None:
    right = isinstance(outcome, Rejected) and outcome.failure.code == code
    _demand(right, f"{code!r} was due to be found wrong: {outcome}")
