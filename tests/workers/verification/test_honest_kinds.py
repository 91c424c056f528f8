"""``verify`` accepts honest work of every kind: what people state, and what they prove it with."""

# ruff: noqa: E501 - a statement and its proof in a line

from __future__ import annotations

import pytest

from leanhost.services.session.host import Host
from tests.support.judging import refusals

# What both sides declare, what only the candidate does, and its proof of each statement.
Kind = tuple[str, str, dict[str, str]]

# fmt: off
SMALL: dict[str, Kind] = {
"a chain of equations": ("", "", {"(a b c : Nat) (h : a = b) (k : b = c) : a = c": "h.trans k"}),
"universes": ("universe u v\nstructure Two (α : Type u) (β : Type v) where\n  one : α\n  two : β\n", "",
    {"{α : Type u} {β : Type v} (p : Two α β) : Two.mk p.one p.two = p": "rfl"}),
"universes at a maximum": ("universe u v\ndef Fun (α : Sort u) (β : Sort v) : Sort (imax u v) := α → β\n", "",
    {"(p : Prop) : Fun p p": "fun h => h"}),
"nested types": ("inductive Rose | node : List Rose → Rose\n", "", {"(r : Rose) : r = r": "rfl"}),
"mutual types": ("mutual\ninductive A | leaf | node : B → A\ninductive B | node : A → A → B\nend\n", "",
    {": A.node (B.node .leaf .leaf) = A.node (B.node .leaf .leaf)": "rfl"}),
"indexed families": ("inductive Vec (α : Type) : Nat → Type | nil : Vec α 0 | cons {n} : α → Vec α n → Vec α (n + 1)\n",
    "", {": Nonempty (Vec Nat 1)": "⟨.cons 7 .nil⟩"}),
"reflexive types": ("inductive Tree | leaf | node : (Nat → Tree) → Tree\n", "",
    {"(f g : Nat → Tree) (h : f = g) : Tree.node f = .node g": "h ▸ rfl"}),
"propositions that are inductive": ("inductive Le (a : Nat) : Nat → Prop | refl : Le a a | step {b} : Le a b → Le a (b+1)\n",
    "theorem Le.one (a : Nat) : Le a (a+1) := .step .refl\n", {"(a : Nat) : Le a (a+1+1)": ".step (.one a)"}),
"classes and their instances": ("class Shape (α : Type) where\n  sides : α → Nat\nstructure Sq where\n"
    "instance : Shape Sq := ⟨fun _ => 4⟩\n", "", {": Shape.sides Sq.mk = 4": "rfl"}),
"classes over classes": ("class A (α : Type) where\n  a : α\nclass B (α : Type) extends A α where\n  b : α\n"
    "def f (α : Type) [B α] : α := A.a\n", "", {"[B Nat] : f Nat = A.a": "rfl"}),
"structures over structures": ("structure P where\n  x : Nat\nstructure Q extends P where\n  y : Nat := 3\n", "",
    {": ({ x := 1 } : Q).y = 3": "rfl", "(q : Q) : Q.mk q.toP q.y = q": "rfl"}),
"structures with laws": ("structure Pos where\n  n : Nat\n  pos : 0 < n\n", "",
    {"(a b : Pos) (h : a.n = b.n) : a = b": "by cases a; cases b; cases h; rfl"}),
"matches": ("inductive C | a | b | c\ndef C.n : C → Nat | .a => 0 | .b => 1 | _ => 5\n", "", {": C.c.n = 5": "rfl"}),
"matches on several": ("def both : Bool → Bool → Nat | true, true => 2 | false, false => 0 | _, _ => 1\n", "",
    {": both true false = 1": "rfl", "(b : Bool) : both b b = both b b": "rfl"}),
"structural recursion": ("def double : Nat → Nat | 0 => 0 | n + 1 => double n + 2\n", "", {": double 3 = 6": "rfl"}),
"recursion over two": ("def cmp : Nat → Nat → Bool | 0, _ => true | _+1, 0 => false | n+1, m+1 => cmp n m\n", "",
    {": cmp 2 3 = true": "rfl"}),
"proof by induction": ("def add' : Nat → Nat → Nat | n, 0 => n | n, m+1 => add' n m + 1\n", "",
    {"(n : Nat) : add' 0 n = n": "by induction n with\n  | zero => rfl\n  | succ n ih => exact congrArg (· + 1) ih"}),
"existence": ("", "", {": ∃ n : Nat, n + 1 = 3": "⟨2, rfl⟩"}),
"choice": ("", "", {"(α : Type) (h : Nonempty α) : ∃ a : α, a = a": "match h with | ⟨a⟩ => ⟨a, rfl⟩"}),
"classical logic": ("", "", {"(p q : Prop) (h : p ↔ q) : p = q": "propext h"}),
"private helpers": ("", "private theorem mine (a : Nat) : a = a := rfl\n", {"(a : Nat) : a = a": "mine a"}),
"private definitions on either side": ("private def k : Nat := 3\ndef k2 : Nat := k + 1\n", "", {": k2 = 4": "rfl"}),
"protected, in a namespace": ("namespace N\nprotected def id (n : Nat) := n\nend N\n", "", {"(n : Nat) : N.id n = n": "rfl"}),
"abbreviations": ("abbrev Number := Nat\n", "", {"(n : Number) : n + 0 = n": "rfl"}),
"opaque constants": ("opaque secret : Nat\n", "", {": secret = secret": "rfl"}),
"implicit lambdas": ("def Rel (α : Type) := ∀ {a : α}, a = a\n", "", {": Rel Nat": "rfl"}),
"autobound names": ("", "", {"{α : Type} (f : α → α) (h : ∀ x, f x = x) (x : α) : f (f x) = x": "by rw [h, h]"}),
}
FULL: dict[str, Kind] = {
"omega": ("", "", {"(a b c : Nat) (h : a < b) (k : b < c) : a + 1 < c": "by omega",
    "(x y : Int) (h : 2 * x + 1 = 2 * y) : False": "by omega"}),
"omega with division": ("", "", {"(n : Nat) : n % 2 < 2": "by omega", "(n : Nat) : n / 4 ≤ n": "by omega"}),
"grind": ("", "", {"(a b c : Nat) (h : a = b) (k : b = c) : a = c": "by grind"}),
"grind over a ring": ("", "", {"(x y : Int) (h : x = y) : x * x + 2 * x = y * y + 2 * y": "by grind"}),
"grind, linear": ("", "", {"(a b c : Int) (h : a < b) (k : b < c) : a < c": "by grind"}),
"simp": ("", "", {"(xs ys : List Nat) : (xs ++ ys).length = ys.length + xs.length": "by simp [Nat.add_comm]"}),
"simp with arithmetic": ("", "", {"(a b : Nat) : a + b + 1 = b + a + 1": "by simp +arith"}),
"decide": ("", "", {": ∀ x : Fin 8, x * 1 = x": "by decide", ": ¬ (7 ∣ 100)": "by decide"}),
"decide over remainders": ("", "", {": 1000000 % 7 = 1": "by decide", ": Nat.gcd 12 18 = 6": "by decide"}),
"bits": ("", "", {": 12 &&& 10 = 8": "by decide", ": 1 <<< 20 = 1048576": "rfl", ": 12 ^^^ 10 = 6": "by decide"}),
"bit vectors": ("", "", {": (5#8 + 251#8) = 0#8": "by decide", "(x : BitVec 8) : x &&& x = x": "by simp"}),
"machine words": ("", "", {": (255 : UInt8) + 1 = 0": "by decide"}),
"integers": ("", "", {": (-7 : Int) / 2 = -4": "by decide", "(a : Int) : a - a = 0": "by simp"}),
"strings": ("", "", {": \"ab\".length = 2": "rfl", ": \"ab\" ++ \"c\" = \"abc\"": "by decide"}),
"strings compared": ("", "", {": \"grüß\" ≠ \"gruss\"": "by decide"}),
"characters": ("", "", {": 'a'.toNat = 97": "rfl", ": 'a' ≠ 'b'": "by decide", ": 'ß'.isAlpha = false": "by decide"}),
"arrays": ("", "", {": #[1, 2, 3].size = 3": "rfl", "(a : Array Nat) (x : Nat) : (a.push x).size = a.size + 1": "by simp"}),
"lists": ("", "", {": [1, 2, 3].map (· + 1) = [2, 3, 4]": "rfl", "(l : List Nat) : l.reverse.reverse = l": "by simp"}),
"options, sums, products": ("", "", {"(o : Option Nat) : o.map id = o": "by cases o <;> rfl",
    "(s : Sum Nat Bool) : s = s": "by rcases s with _ | _ <;> rfl"}),
"subtypes": ("", "", {"(a b : { n : Nat // 0 < n }) (h : a.1 = b.1) : a = b": "Subtype.ext h"}),
"quotients": ("def sameParity : Setoid Nat where\n  r a b := a % 2 = b % 2\n  iseqv := ⟨fun _ => rfl, .symm, .trans⟩\n", "",
    {": (Quotient.mk sameParity 1) = Quotient.mk sameParity 3": "Quotient.sound (s := sameParity) rfl"}),
"function extensionality": ("", "", {"(f : Nat → Nat) (h : ∀ x, f x = x) : f = id": "funext h"}),
"deriving": ("inductive Col | red | green | blue\n  deriving DecidableEq, Repr, Inhabited, BEq, Hashable, Ord\n", "",
    {": Col.red ≠ .blue": "by decide", ": (Col.red == .red) = true": "rfl", ": (default : Col) = .red": "rfl"}),
"deriving with fields": ("structure P where\n  x : Nat\n  s : String\n  deriving DecidableEq, Repr\n", "",
    {": P.mk 1 \"a\" ≠ P.mk 1 \"b\"": "by decide"}),
"well-founded recursion": ("def half (n : Nat) : Nat := if h : n < 2 then 0 else half (n - 2) + 1\n", "",
    {": half 5 = 2": "by simp [half]", "(n : Nat) (h : n < 2) : half n = 0": "by rw [half]; simp [h]"}),
"recursion with a measure": (
    "def count (i n : Nat) : Nat := if i < n then count (i + 1) n + 1 else 0\ntermination_by n - i\n", "",
    {"(n : Nat) : count n n = 0": "by rw [count]; simp"}),
"mutual recursion": (
    "mutual\ndef ev : Nat → Bool | 0 => true | n+1 => od n\ndef od : Nat → Bool | 0 => false | n+1 => ev n\nend\n", "",
    {": ev 4 = true": "rfl"}),
"recursion through a list": ("inductive T | node : List T → T\ndef T.size : T → Nat | .node ts => 1 + go ts\n"
    "where go : List T → Nat | [] => 0 | t :: ts => t.size + go ts\n", "", {": (T.node [.node []]).size = 2": "by simp [T.size, T.size.go]"}),
"partial fixpoints": ("def run (n : Nat) : Option Nat := if n > 100 then some n else run (n + 1)\npartial_fixpoint\n", "",
    {": run 101 = some 101": "by unfold run; simp"}),
"do notation": ("def total (xs : List Nat) : Nat := Id.run do\n  let mut s := 0\n  for x in xs do\n    if x = 0 then continue\n"
    "    s := s + x\n  return s\n", "", {": total [1, 0, 2] = 3": "rfl"}),
"monads": ("def safe (a b : Nat) : Except String Nat := do\n  if b = 0 then throw \"zero\"\n  return a / b\n", "",
    {": safe 6 2 = .ok 3": "rfl"}),
"state": ("def tick : StateM Nat Nat := do\n  let n ← get\n  set (n + 1)\n  return n\n", "", {": tick.run 5 = (5, 6)": "rfl"}),
"calculations": ("", "", {"(a b c : Nat) (h : a ≤ b) (k : b < c) : a < c":
    "calc a\n    _ ≤ b := h\n    _ < c := k"}),
"rewriting under binders": ("", "", {"(f : Nat → Nat) (h : ∀ x, f x = 0) : (fun x => f x + 1) = fun _ => 1":
    "by simp only [h]"}),
"conversion mode": ("", "", {"(a b : Nat) : a * (b + 0) = b * a": "by\n  conv => lhs; rw [Nat.mul_comm]\n  simp"}),
"case splits": ("def f (n : Nat) : Nat := if n = 0 then 1 else if n = 1 then 2 else 3\n", "",
    {"(n : Nat) : 0 < f n": "by unfold f; split <;> (try split) <;> decide"}),
"tactics of the candidate's own": ("", "macro \"finish\" : tactic => `(tactic| first | rfl | omega)\n",
    {"(a b : Nat) : a + b = b + a": "by finish"}),
"simp sets of the candidate's own": ("def z : Nat := 0\n", "@[simp] theorem z_eq : z = 0 := rfl\n",
    {"(n : Nat) : n + z = n": "by simp"}),
"local instances": ("class Good (n : Nat) : Prop where\n  ok : 0 < n\n", "local instance : Good 3 := ⟨by decide⟩\n",
    {": Good 3": "inferInstance"}),
"coercions": ("structure W where\n  n : Nat\ninstance : Coe W Nat := ⟨W.n⟩\n", "", {"(w : W) : (w : Nat) = w.n": "rfl"}),
"overloaded numerals": ("structure Z where\n  n : Nat\ninstance (k : Nat) : OfNat Z k := ⟨⟨k⟩⟩\n", "", {": (5 : Z).n = 5": "rfl"}),
"large numbers": ("", "", {": 2 ^ 200 % 1000007 = 2 ^ 200 - 1000007 * (2 ^ 200 / 1000007)": "by decide"}),
"floats, which no kernel sees into": ("def half : Float := 0.5\n", "", {": half = half": "rfl"}),
}
HEADS = {  # the reference's header, the candidate's
"one import more": ("", "import Std\n"),
"one import less": ("import Std\n", ""),
"the same import, written": ("", "import Init\n"),
"a module": ("", "module\n"),
"a module with more": ("", "module\nimport Std.Data.HashMap\npublic import Init.Data.List\n"),
"modules on both sides": ("module\n", "module\n"),
"a module for a reference": ("module\n", ""),
"an order of imports": ("import Std.Data.HashMap\nimport Init.Data.Nat\n", "import Init.Data.Nat\nimport Std.Data.HashMap\n"),
}
# fmt: on
FROM_SCRATCH = ("matches", "omega", "grind, linear", "decide over remainders", "bits", "strings")
FULL_LIBRARY = "the fixture library has no such tactics"
SIZE = 11


def sides(kinds: dict[str, Kind]) -> tuple[str, str]:
    """A reference that asks for all these kinds of work, each in a namespace of its own, and the candidate that does it."""
    stated = proved = ""
    for name, (both, helpers, proofs) in kinds.items():
        stated += f"namespace «{name}»\n{both}"
        proved += f"namespace «{name}»\n{both}{helpers}"
        for i, (statement, proof) in enumerate(proofs.items()):
            stated += f"theorem t{i} {statement} := by sorry\n"
            proved += f"theorem t{i} {statement} := {proof}\n"
        stated += f"end «{name}»\n"
        proved += f"end «{name}»\n"
    return stated, proved


def groups(kinds: dict[str, Kind]) -> list[dict[str, Kind]]:
    """A file for some kinds each: what it costs to import and to export is paid once for them."""
    items = list(kinds.items())
    return [dict(items[i : i + SIZE]) for i in range(0, len(items), SIZE)]


@pytest.mark.parametrize("kinds", groups(SMALL), ids=lambda kinds: f"{next(iter(kinds))} and others")
def test_it_is_accepted(host: Host, kinds: dict[str, Kind]) -> None:
    assert refusals(host, *sides(kinds)) == []


@pytest.mark.parametrize("kinds", groups(FULL), ids=lambda kinds: f"{next(iter(kinds))} and others")
def test_what_the_library_helps_with_is_accepted(host: Host, kinds: dict[str, Kind]) -> None:
    if host.toolchain.engine == "native":
        pytest.skip(FULL_LIBRARY)
    assert refusals(host, *sides(kinds)) == []


def test_it_is_accepted_with_the_library_checked_as_well(host: Host) -> None:
    if host.toolchain.engine == "native":
        pytest.skip(FULL_LIBRARY)
    kinds = {name: (SMALL | FULL)[name] for name in FROM_SCRATCH}
    assert refusals(host, *sides(kinds), whole=True) == []


@pytest.mark.parametrize("name", HEADS)
def test_the_imports_may_be_others(host: Host, name: str) -> None:
    if host.toolchain.engine == "native":
        pytest.skip(FULL_LIBRARY)
    proofs = {": 1000000 % 7 = 1": "by decide", "(a b : Nat) (h : a < b) : a + 1 ≤ b": "by omega"}
    texts = [
        head + (text.replace("theorem", "public theorem") if head.startswith("module") else text)
        for head, text in zip(HEADS[name], sides({"it": ("", "", proofs)}), strict=True)
    ]
    assert refusals(host, *texts) == []
