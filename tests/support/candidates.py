"""Candidates that break, hang, overgrow or attack the process that checks them, for each engine.

On native there is no library but the fixtures' own, so code runs where a macro runs, and a declaration under the
name of one of Lean's own functions calls Lean's compiled one: the way to the file system and to processes.
"""

from __future__ import annotations

from dataclasses import dataclass

from leanhost.services.values.results import Status
from tests.support.pools import ENDLESS

CRASHED, TIMEOUT, MEMORY = Status.CRASHED, Status.TIMEOUT, Status.OUT_OF_MEMORY
ACCEPTED, REJECTED, UNSUPPORTED = Status.ACCEPTED, Status.REJECTED, Status.UNSUPPORTED


@dataclass(frozen=True, slots=True)
class Fault:
    """A source, what may become of it, and how long it is given."""

    source: str
    statuses: frozenset[Status]
    timeout: float = 60.0
    says: str = ""
    """What the first reason or the standard error has in it."""


def fault(source: str, *statuses: Status, timeout: float = 60.0, says: str = "") -> Fault:
    return Fault(source, frozenset(statuses), timeout, says)


_UNBOUND = "set_option exponentiation.threshold 1000000000\n"

_NESTED = (
    "set_option maxRecDepth 100000000\ntheorem t : True := " + "(" * 200_000 + "True.intro" + ")" * 200_000
)

_KERNEL = """def slow : Nat → Nat → Nat | 0, n => n | k+1, n => slow k (slow k n)
theorem t : slow 60 0 = 1 := by decide +kernel
"""


def evaluated(condition: str, *declarations: str) -> str:
    """Source that has a macro evaluate *condition*: with ``true`` it is accepted, with ``false`` not."""
    head = "".join(f"{line}\n" for line in declarations)
    return (
        head + f'macro "attack" : term => if {condition} then `(1) else `(2)\ntheorem t : attack = 1 := rfl\n'
    )


SPIN = "partial def spin (n : Nat) : Nat := spin (n + 1)"
_RESULT = """inductive Result where
  | ok (value : Nat)
  | error (value : Nat)
instance : Inhabited Result := ⟨.ok 0⟩
def Result.count (r : Result) : Nat := Result.casesOn r (fun _ => 1) (fun _ => 0)
"""
WRITE = _RESULT + '@[extern "x"] opaque IO.FS.writeFile (path text : String) : Result'
RIGHTS = _RESULT + '@[extern "x"] opaque IO.Prim.setAccessRights (path : String) (mode : Nat) : Result'
SPAWN = (
    _RESULT
    + """inductive Stdio where | piped | inherit | null
structure StdioConfig where
  stdin : Stdio
  stdout : Stdio
  stderr : Stdio
structure SpawnArgs extends StdioConfig where
  cmd : String
  args : Array String
  cwd : Option String
  env : Array Nat
  inheritEnv : Bool
  setsid : Bool
@[extern "x"] opaque IO.Process.spawn (args : SpawnArgs) : Result"""
)


def spawned(program: str, argument: str) -> str:
    """A number that starts a program, in a session of its own, and is 1 if that could be done."""
    args = f'⟨⟨.null, .null, .null⟩, "{program}", Array.mk ["{argument}"], none, Array.mk [], true, true⟩'
    return f"(IO.Process.spawn {args}).count"


def written(*paths: str, text: str = "forged") -> str:
    """A number that writes to every path, and is how many could be written."""
    return " + ".join(f'(IO.FS.writeFile "{path}" "{text}").count' for path in paths)


NATIVE = {
    # GMP gives up on a number that no machine holds.
    "signal": fault(
        _UNBOUND + "theorem t : Nat.pow (Nat.pow 2 16777216) 16777216 = 0 := rfl\n", CRASHED, says="SIG"
    ),
    # Long stretches in which nobody looks at the cancel token.
    "number": fault(
        _UNBOUND + "theorem t : Nat.pow (Nat.pow 3 16777215) 300 = 0 := rfl\n", TIMEOUT, MEMORY, timeout=0.3
    ),
    "exit": fault(
        evaluated("IO.Process.exit 3 = 0", '@[extern "x"] opaque IO.Process.exit (n : UInt8) : Nat'),
        CRASHED,
        says="exit status 3",
    ),
    "panic": fault(
        evaluated(
            '(panicCore "boom" : Nat) = 0',
            '@[extern "x"] opaque panicCore {X : Sort 1} [Inhabited X] (s : String) : X',
        ),
        ACCEPTED,
        says="boom",
    ),
    "digits": fault(f"theorem t : {'9' * 2_000_000} = 0 := rfl\n", TIMEOUT, timeout=0.3),
    "unfolding": fault(
        "set_option maxRecDepth 100000000\nset_option maxHeartbeats 0\n"
        "theorem t : (Nat.rec (motive := fun _ => Nat) 0 (fun _ n => Nat.succ n) 10000000 : Nat) = 0 := rfl\n",
        TIMEOUT,
        MEMORY,
        CRASHED,
        timeout=0.5,
    ),
    "internal panic": fault(
        evaluated("Nat.pow 2 18446744073709551617 = 0"), CRASHED, says="INTERNAL PANIC: Nat.pow"
    ),
    "nesting": fault(_NESTED, CRASHED, MEMORY),
    "recursion": fault(
        evaluated("deep 0 = 0", "partial def deep (n : Nat) : Nat := deep (n + 1) + 1"), CRASHED, MEMORY
    ),
    "elaborator": fault(ENDLESS, TIMEOUT, timeout=0.3),
    "kernel": fault(_KERNEL, TIMEOUT, MEMORY, timeout=0.5),
    "evaluation": fault(evaluated("spin 0 = 0", SPIN), TIMEOUT, timeout=0.3),
    "allocation": fault(
        evaluated('grow "x" = ""', "partial def grow (s : String) : String := grow (s ++ s)"), MEMORY
    ),
    "memory": fault(_UNBOUND + "theorem t : Nat.pow (Nat.pow 2 16777216) 400 = 0 := rfl\n", MEMORY),
    "processes": fault(
        evaluated(
            "bomb 2000 = 1",
            SPAWN,
            "partial def bomb (n : Nat) : Nat := if n = 0 then 0\n"
            f"  else if {spawned('/bin/sleep', '600')} = 1 then 1 else bomb (Nat.pred n)",
        ),
        REJECTED,
    ),
    "threads": fault(
        evaluated(
            "bomb 100000 [] = 1",
            SPIN,
            '@[extern "x"] opaque Task.spawn (X : Type) (f : Unit → Nat) (priority : Nat) : Nat',
            "partial def bomb (n : Nat) (kept : List Nat) : Nat := if n = 0 then 0\n"
            "  else bomb (Nat.pred n) (List.cons (Task.spawn Nat (fun _ => spin n) 9) kept)",
        ),
        CRASHED,
        MEMORY,
        TIMEOUT,
        timeout=2,
    ),
    # A gigabyte in the one place where files may be, as long as names may be; then for ever the name that is too long.
    "files": fault(
        evaluated(
            'fill "x" (double 22 "x") = 1',
            WRITE,
            "partial def double (n : Nat) (s : String) : String := if n = 0 then s else double (Nat.pred n) (s ++ s)",
            "partial def fill (name text : String) : Nat :=\n"
            '  if (IO.FS.writeFile name text).count = 0 then fill name text else fill (name ++ "x") text',
        ),
        MEMORY,
        says="with files",
    ),
    # In each other, faster than anybody looks; their removal is the pool's.
    "directories": fault(
        evaluated(
            'dig 2000 "d" = 1',
            _RESULT,
            '@[extern "x"] opaque IO.FS.createDir (path : String) : Result',
            '@[extern "x"] opaque IO.Process.setCurrentDir (path : String) : Result',
            "partial def dig (n : Nat) (s : String) : Nat := if n = 0 then 1\n"
            "  else if (IO.FS.createDir s).count = 0 then 0\n"
            "  else if (IO.Process.setCurrentDir s).count = 0 then 0 else dig (Nat.pred n) s",
        ),
        ACCEPTED,
        MEMORY,
    ),
    "output": fault(
        evaluated(
            'flood (double 20 "x") 0 = 1',
            WRITE,
            "partial def double (n : Nat) (s : String) : String := if n = 0 then s else double (Nat.pred n) (s ++ s)",
            "partial def flood (s : String) (n : Nat) : Nat :=\n"
            '  if (IO.FS.writeFile "/proc/self/fd/1" s).count = n then 0 else flood s n',
        ),
        TIMEOUT,
        timeout=0.5,
    ),
}

_EVAL_BOMB = """partial def bomb (n : Nat) : IO Nat := do
  if n == 10000 then return n
  try
    let _ ← %s
    bomb (n + 1)
  catch _ => return n
#eval bomb 0
"""

WASM = {
    "exit": fault("#eval (IO.Process.exit 7 : IO Unit)\n", CRASHED, says="status 7"),
    "panic": fault('#eval (panic! "boom" : Nat)\ntheorem t : 1 = 1 := rfl\n', ACCEPTED),
    "internal panic": fault("#eval Nat.pow 2 18446744073709551617\n", CRASHED, REJECTED),
    "shift": fault("theorem t : Nat.shiftLeft 1 (Nat.pow 2 40) = 0 := rfl\n", CRASHED, says="INTERNAL PANIC"),
    "digits": fault(f"theorem t : {'9' * 2_000_000} = 0 := rfl\n", TIMEOUT, timeout=0.5),
    "nesting": fault(_NESTED, CRASHED, MEMORY),
    "recursion": fault("partial def f (n : Nat) : Nat := 1 + f (n + 1)\n#eval f 0\n", CRASHED, says="stack"),
    "elaborator": fault(ENDLESS, TIMEOUT, timeout=1.5),
    "kernel": fault(_KERNEL, TIMEOUT, timeout=1.5),
    "evaluation": fault("partial def f (n : Nat) : Nat := f (n + 1)\n#eval f 0\n", TIMEOUT, timeout=1.5),
    "allocation": fault('partial def f (s : String) : String := f (s ++ s)\n#eval f "x"\n', CRASHED, MEMORY),
    "processes": fault(_EVAL_BOMB % 'IO.Process.spawn {cmd := "/bin/sleep", args := #["600"]}', ACCEPTED),
    "threads": fault(
        _EVAL_BOMB % "IO.asTask (prio := .dedicated) (IO.sleep 100000)", MEMORY, CRASHED, TIMEOUT, timeout=5
    ),
    "output": fault(
        'partial def f : IO Unit := do IO.println "x"; IO.eprintln "y"; f\n#eval f\n',
        TIMEOUT,
        MEMORY,
        CRASHED,
        timeout=1.5,
    ),
}

# What a candidate writes on wasm stays in its engine's memory, so that there is no fault of files of its own.
FAULTS = {"native": NATIVE, "wasm": WASM}

REFERENCE = "theorem t : 1 = 2 := by sorry\n"

_AX = "(.axiomDecl {name := `bad, levelParams := [], type := mkConst ``False, isUnsafe := false})"
_LEAN = "import Lean\nopen Lean Elab Command\n"


@dataclass(frozen=True, slots=True)
class Lie:
    """A source that pretends to prove :data:`REFERENCE`: what ``check`` says, and why ``verify`` refuses."""

    source: str
    status: Status
    code: str


LIES = {
    "the proof of something else": Lie("theorem t : 1 = 1 := rfl\n", ACCEPTED, "statement"),
    "equality that is written the same": Lie(
        "macro_rules | `($a = $b) => `(True)\ntheorem t : (1 : Nat) = 2 := trivial\n", ACCEPTED, "statement"
    ),
    "a name in a namespace": Lie(
        "namespace N\ntheorem t : 1 = 1 := rfl\nend N\nopen N\n", ACCEPTED, "missing"
    ),
    "another equality": Lie(
        "namespace N\ndef Eq (a b : Nat) : Prop := True\ntheorem _root_.t : Eq 1 2 := True.intro\nend N\n",
        ACCEPTED,
        "statement",
    ),
    "other numbers": Lie(
        "namespace N\ninductive Nat where\n  | z\n"
        "theorem _root_.t (a b : Nat) (h : a = b) : a = b := h\nend N\n",
        ACCEPTED,
        "statement",
    ),
    "a private theorem": Lie("private theorem t : 1 = 1 := rfl\n", ACCEPTED, "missing"),
    "a definition": Lie("def t : 1 = 1 := rfl\n", ACCEPTED, "kind"),
    "an axiom": Lie("axiom cheat : 1 = 2\ntheorem t : 1 = 2 := cheat\n", REJECTED, "axiom"),
    "an axiom, and the kernel told to look away": Lie(
        "set_option debug.skipKernelTC true\naxiom cheat : 1 = 2\ntheorem t : 1 = 2 := cheat\n",
        REJECTED,
        "axiom",
    ),
    "a wrong proof, and the kernel told to look away": Lie(
        # `decide` would ask the elaborator; this asks the kernel alone, which is told to believe it.
        "set_option debug.skipKernelTC true\ntheorem t : 1 = 2 := by decide +kernel\n",
        REJECTED,
        "kernel",
    ),
    "#print axioms that prints nothing": Lie(
        "axiom cheat : 1 = 2\n"
        'macro (priority := 10000) "#print " "axioms " ident : command => `(#check True)\n'
        "theorem t : 1 = 2 := cheat\n#print axioms t\n",
        REJECTED,
        "axiom",
    ),
    "sorry in a macro": Lie(
        'macro "done!" : tactic => `(tactic| exact sorry)\ntheorem t : 1 = 2 := by done!\n', REJECTED, "sorry"
    ),
    "sorry by its name": Lie("theorem t : 1 = 2 := sorryAx _ true\n", REJECTED, "sorry"),
    "sorry without a warning": Lie(
        "set_option warn.sorry false\ntheorem t : 1 = 2 := sorry\n", REJECTED, "elaboration"
    ),
}
"""For both engines."""

WASM_LIES = {
    "native_decide over code that is something else": Lie(
        "def yes (_ : Nat) : Bool := true\n@[implemented_by yes] def no (_ : Nat) : Bool := false\n"
        "theorem claim : no 1 = true := by native_decide\n"
        "theorem t : 1 = 2 := by have := claim; simp [no] at this\n",
        UNSUPPORTED,
        "",
    ),
    "a metaprogram that declares": Lie(
        _LEAN + f"run_cmd liftCoreM <| addDecl {_AX}\ntheorem t : 1 = 2 := bad.elim\n",
        UNSUPPORTED,
        "elaboration",
    ),
    "an elaborator that declares": Lie(
        _LEAN + 'syntax (name := ev) "evil" : command\n'
        f"@[command_elab ev] def elabEv : CommandElab := fun _ => liftCoreM (addDecl {_AX})\n"
        "evil\ntheorem t : 1 = 2 := bad.elim\n",
        UNSUPPORTED,
        "elaboration",
    ),
}
"""What needs Lean's own library, which native has not here: its fixtures know no such tactic and no elaborator.

The embedded toolchain ships no code for elaborators to run, so that these two come to nothing; the environments that
such code would leave are made by hand, on both engines, in ``tests/soundness/test_forged.py``.
"""
