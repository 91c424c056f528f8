"""The steps of the self-test, each a question whose answer is known; they run in its child process.

A step returns what it saw, or raises. The sources are in prelude mode, so that every toolchain can elaborate
them, also one that has no core library.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from leanhost.engine import open_engine
from leanhost.engine.base import Arg, Ctor, Engine, ListOf, Ref, Thrown
from leanhost.lean.core import Import, Lean
from leanhost.lean.tables import TABLES, Table
from leanhost.services.axioms import ImportedAxioms
from leanhost.services.elaboration import elaborate, new_guard, summarise
from leanhost.services.evidence import Ground, Judgement, judge
from leanhost.services.imports import ImportKey, import_environment
from leanhost.services.options import DEFAULT_AXIOMS, ElabOptions
from leanhost.services.results import CommandResult, Limit, Position, Severity
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
axiom sorryAx (α : Sort u) (synthetic : Bit) : α
theorem resting : Truth := given
theorem still : Truth := identity Truth resting
theorem free : Truth := sure
"""

SORRY = "theorem hollow : Truth := sorryAx Truth Bit.one\n"

ENDLESS = "theorem endless : Same (walk {} Path.top) Bit.one := Same.refl\n"

CORE = """theorem by_omega (a b : Nat) : a + b = b + a := by omega
theorem by_propext (a b : Prop) (h : a ↔ b) : a = b := propext h
"""

CORE_WRONG = "theorem by_nothing (a b : Nat) : a + b = a := by omega\n"

_ENDLESS_DEPTH = 40
_SECONDS = 120.0
_CANCEL_AFTER = 0.5
_GRACE = 60.0

Steps = Iterator[tuple[str, Callable[[], str], bool]]


class Probe:
    """A toolchain under test. ``table`` is a table's version, ``""`` to ask for Lean's version only."""

    def __init__(self, toolchain: Toolchain, table: str) -> None:
        self._toolchain = toolchain
        self._table: type[Table] = next((t for t in TABLES if t.version == table), Table)
        self._only_version = not table
        self._options = ElabOptions(max_heartbeats=0, max_rec_depth=4000, timeout=_SECONDS, grace=_GRACE)
        self._lean: Lean | None = None
        self._empty: Ref | None = None
        self._base: Ref | None = None
        self._before = 0
        self.version = ""
        self.commit = ""

    def steps(self) -> Steps:
        """Name every step, how it is done, and whether the rest makes no sense without it."""
        yield "start", self._start, True
        if self._only_version:
            yield "version", self._version, True
            return
        yield "symbols", self._symbols, True
        yield "version", self._version, True
        yield "elaborate", self._elaborate, True
        yield "reject", self._reject, False
        yield "kernel", self._kernel, False
        yield "axioms", self._axioms, False
        yield "import", self._import, False
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

    def close(self) -> None:
        """Stop the engine if it started."""
        if self._lean is not None:
            self._lean.engine.close()

    # --- the steps ---

    def _start(self) -> str:
        engine = open_engine(self._toolchain)
        self._lean = Lean(engine, self._table(engine.word))
        return f"{engine.kind}, {8 * engine.word} bits"

    def _symbols(self) -> str:
        symbols = self.lean.table.symbols()
        missing = sorted(self._engine.missing(sorted(symbols)))
        _demand(
            not missing, f"{len(missing)} of {len(symbols)} functions are missing: {', '.join(missing[:8])}"
        )
        return f"all {len(symbols)} functions of table {self._table.version} are there"

    def _version(self) -> str:
        self.version, self.commit = self.lean.version()
        self._before = self._engine.live
        claimed = self._toolchain.commit
        if claimed in self._table.commits:
            _demand(claimed == self.commit, f"this should be commit {claimed}, and Lean says {self.commit}")
        return f"Lean {self.version}, commit {self.commit}"

    def _elaborate(self) -> str:
        lean = self.lean
        self._empty = import_environment(lean, ImportKey(()), (), None).env
        result, judgement, self._base = self._judge(self._empty, BASE)
        _no_errors(result, judgement)
        names = {d.name for d in result.declarations}
        _demand(
            {"Truth.sure", "Num.rec", "walk", "quick", "sure"} <= names, f"only {sorted(names)} were declared"
        )
        return f"{len(result.declarations)} declarations accepted"

    def _reject(self) -> str:
        result, judgement, _ = self._judge(self._start_env(), WRONG)
        where = [(d.severity, d.position) for d in result.diagnostics]
        _demand(
            where == [(Severity.ERROR, Position(2, 42))], f"one error at 2:42 was due: {result.diagnostics}"
        )
        _demand([d.name for d in result.declarations] == ["right"], f"{result.declarations} were declared")
        _demand(
            "elaboration" in [f.code for f in judgement.failures], "the judgement does not say that it failed"
        )
        return str(result.diagnostics[0]).splitlines()[0]

    def _kernel(self) -> str:
        """Hand the kernel a proof and a statement that do not belong together, past the elaborator."""
        lean, table = self.lean, self.lean.table
        env = self._start_env()
        sure, quick = lean.find(env, [("sure",), ("quick",)])
        assert sure is not None
        assert quick is not None
        token = lean.engine.eval(table.new_cancel_token())
        options = lean.engine.eval(table.options_empty())
        kernel_env = lean.engine.eval(table.kernel_env(env))

        def add(name: str, statement: Ref, proof: Ref) -> Ref:
            constant = Ctor(0, (lean.name(name), 0, table.constant_type(statement)))
            fields: tuple[Arg, ...] = (constant, table.constant_value(proof), ListOf([lean.name(name)]))
            return lean.engine.eval(table.add_decl(kernel_env, options, Ctor(2, (Ctor(0, fields),)), token))

        add("copied", sure, sure).close()
        try:
            add("forged", quick, sure).close()
        except Thrown as thrown:
            tag = lean.number_tag(thrown.error)
            text = lean.text(table.kernel_exception_text(thrown.error, options))
            _demand(tag not in table.KERNEL_REASONS, f"the kernel gave up instead of refusing: {text}")
            return text.splitlines()[0]
        raise AssertionError("the kernel accepted a theorem with the proof of another")

    def _axioms(self) -> str:
        result, judgement, env = self._judge(self._start_env(), AXIOMS)
        _demand(not result.errors, f"{result.diagnostics}")
        found = {theorem.name: theorem.axioms for theorem in judgement.theorems}
        wanted = {"resting": ("given",), "still": ("given",), "free": ()}
        _demand(wanted.items() <= found.items(), f"axioms are {found}, and should be {wanted}")
        codes = [failure.code for failure in judgement.failures]
        _demand("axiom" in codes, f"a new axiom went through: {codes}")
        result, judgement, _ = self._judge(env, SORRY)
        codes = [failure.code for failure in judgement.failures]
        _demand("sorry" in codes, f"sorryAx went through: {codes}, {result.diagnostics}")
        return "a declared axiom and sorryAx are found under what rests on them"

    def _import(self) -> str:
        lean, table = self.lean, self.lean.table
        module = ("LeanhostProbe",)
        with tempfile.TemporaryDirectory(prefix="leanhost-self-test-") as made:
            directory = Path(made).resolve()
            _show(self._engine, directory)
            file = directory / "LeanhostProbe.olean"
            named = lean.engine.eval(table.set_main_module(self._start_env(), lean.name(module)))
            lean.io(table.write_module(named, str(file), False)).close()
            size = file.stat().st_size
            env = import_environment(lean, ImportKey((Import(module),)), [directory], None).env
            found = lean.find(env, [("Truth", "sure"), ("walk",), ("quick",), ("absent",)])
            kinds = [None if info is None else lean.constant_kind(info) for info in found]
            _demand(kinds == ["constructor", "definition", "theorem", None], f"the import has {kinds}")
            result, judgement, _ = self._judge(env, "theorem again : Truth := identity Truth sure\n")
            _no_errors(result, judgement)
        return f"a module of {size} bytes written and imported"

    def _cancel(self) -> str:
        number = "Num.z"
        for _ in range(_ENDLESS_DEPTH):
            number = f"(Num.s {number})"
        result, _, _ = self._judge(self._start_env(), ENDLESS.format(number), timeout=_CANCEL_AFTER)
        _demand(Limit.TIMEOUT in result.limits, f"it was not cancelled: {result.diagnostics}")
        _demand(not result.declarations, f"{result.declarations} were declared")
        result, judgement, _ = self._judge(self._start_env(), "theorem after : Truth := sure\n")
        _no_errors(result, judgement)
        return f"an endless elaboration stopped when asked after {_CANCEL_AFTER} s"

    def _core(self) -> str:
        core = self._toolchain.core
        assert core is not None
        env = import_environment(self.lean, ImportKey((Import(("Init",)),)), [core], core).env
        result, judgement, _ = self._judge(env, CORE)
        _no_errors(result, judgement)
        found = {theorem.name: theorem.axioms for theorem in judgement.theorems}
        _demand(found.get("by_propext") == ("propext",), f"propext is not found: {found}")
        _demand("by_omega" in found, f"omega proved nothing: {found}")
        result, judgement, _ = self._judge(env, CORE_WRONG)
        codes = [failure.code for failure in judgement.failures]
        _demand(
            bool(result.errors) and "elaboration" in codes,
            f"a false theorem went through: {result.diagnostics}",
        )
        return "import Init, omega, propext"

    def _references(self) -> str:
        self._empty = self._base = None
        gc.collect()
        self._engine.drain()
        live = self._engine.live
        _demand(live == self._before, f"{live - self._before} handles stay open")
        return "every handle was closed"

    # --- how they are done ---

    def _start_env(self) -> Ref:
        assert self._base is not None
        return self._base

    def _judge(
        self, env: Ref, source: str, timeout: float | None = None
    ) -> tuple[CommandResult, Judgement, Ref]:
        """Elaborate *source* over *env* and judge it with nothing assumed of *env* but its axioms."""
        lean, options = self.lean, self._options
        lean_options = lean.options(options.lean_options())
        guard = new_guard(lean, options, timeout, None)

        def work() -> tuple[CommandResult, Judgement, Ref]:
            done = elaborate(
                lean, env, source, lean_options=lean_options, options=options, file="<self-test>", guard=guard
            )
            known = frozenset(constant.name for constant in lean.new_constants(env))
            result, added = summarise(lean, done, known)
            kernel_env = lean.engine.eval(lean.table.kernel_env(env))
            ground = Ground(ImportedAxioms(lean, env), kernel_env)
            verdict = judge(
                lean, ground, done.env, done.options, lean_options, added, result, DEFAULT_AXIOMS, guard
            )
            return result, verdict, done.env

        return lean.engine.supervise(work, guard)


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def _no_errors(result: CommandResult, judgement: Judgement) -> None:
    _demand(not result.diagnostics and not result.limits, f"{result.diagnostics} {result.limits}")
    _demand(not judgement.failures, f"{judgement.failures}")


def _show(engine: Engine, directory: Path) -> None:
    """Let an engine with a file system of its own see *directory*."""
    mount = getattr(engine, "mount", None)
    if mount is not None:
        mount(directory)
